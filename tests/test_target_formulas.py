"""The density of each target against an oracle of its own, which shares no code with it."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, special, stats
from sklearn.datasets import make_swiss_roll
from torch.distributions import Normal

from aio.targets import TARGETS, Target, get_target
from aio.targets.energies import U1, ring_mode
from tests.test_targets import STANDARD_ERRORS, draw, generator, variants

# ---- curves that are blurred ----

NODES = 40_001  # of Simpson's rule: so dense that neither peak nor tail falls between them


def circles(target: Target) -> list:
    """Centre, radius, first and last angle of each arc."""
    match target.name:
        case "moons":
            return [((0.0, 0.0), 1.0, 0.0, math.pi), ((1.0, 0.5), 1.0, math.pi, 2 * math.pi)]
        case "four_circles":
            return [((a, b), target.radius, 0.0, 2 * math.pi) for a in (-1, 1) for b in (-1, 1)]
    radii = {"circles": (3.0, 1.5), "rings": (3.0, 2.25, 1.5, 0.75)}[target.name]
    return [((0.0, 0.0), radius, 0.0, 2 * math.pi) for radius in radii]


def towards_the_ends() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """s, a share u(s) from 0 to 1 whose steps shrink towards both ends, and du/ds."""
    s = np.linspace(0, np.pi, NODES)
    return s, (1 - np.cos(s)) / 2, np.sin(s) / 2


def log_integral(exponent: np.ndarray, weight: np.ndarray, s: np.ndarray) -> np.ndarray:
    """log of the integral of exp(exponent) weight over s, by Simpson's rule."""
    peak = exponent.max(axis=1)
    return peak + np.log(integrate.simpson(np.exp(exponent - peak[:, None]) * weight, x=s, axis=1))


def blurred_curves(x: np.ndarray, curves: list, sigma: float) -> np.ndarray:
    """log p of arcs, uniform in the angle, plus N(0, sigma² I)."""
    log_p = []
    s, u, du = towards_the_ends()
    for centre, radius, start, stop in curves:
        t = start + (stop - start) * u
        dx, dy = (x[:, i, None] - centre[i] - radius * f(t) for i, f in enumerate((np.cos, np.sin)))
        log_p.append(log_integral(-(dx**2 + dy**2) / (2 * sigma**2), du / len(curves), s))
    return np.logaddexp.reduce(log_p) - math.log(2 * math.pi * sigma**2)


@pytest.mark.parametrize("target", variants("moons", "circles", "rings", "four_circles"))
def test_log_prob_matches_brute_force_along_the_curves(target):
    around = 2 * torch.randn(20, 2, generator=generator(), dtype=torch.float64)
    ends_and_centres = torch.tensor([[0, 0], [1, 0.5], [-1, 0], [0, 0.5], [0.5, 0.25], [0, -1]]).double()
    x = torch.cat([draw(target, 20), around, ends_and_centres])
    expected = blurred_curves(x.numpy(), circles(target), target.noise)
    np.testing.assert_allclose(target.log_prob(x).numpy(), expected, rtol=1e-9, atol=1e-9)


def near_and_far(target: Target) -> torch.Tensor:
    """Draws, points anywhere in the box and around it, the middle, and points far away."""
    box = target.extent[1] * (4 * torch.rand(20, 2, generator=generator(), dtype=torch.float64) - 2)
    return torch.cat([draw(target, 20), box, torch.tensor([[0.0, 0.0], [1e-9, 0.0], [30.0, 1.0], [0.0, -50.0]])])


@pytest.mark.parametrize("target", variants("swissroll"))
def test_swissroll_log_prob_matches_brute_force_along_the_roll(target):
    x = near_and_far(target)
    s, u, du = towards_the_ends()
    t = 1.5 * np.pi * (1 + 2 * u * target.turns / 1.5)
    dx, dy = (x[:, i, None].numpy() - t * f(t) / 5 for i, f in enumerate((np.cos, np.sin)))
    expected = log_integral(-(dx**2 + dy**2) / (2 * target.noise**2), du, s) - math.log(2 * math.pi * target.noise**2)
    np.testing.assert_allclose(target.log_prob(x).numpy(), expected, rtol=3e-8, atol=1e-9)


def log_normal_share(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log of the mass of N(0, 1) between low and high, in the tails too."""
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    upper, lower = special.log_ndtr(high), special.log_ndtr(low)
    return upper + np.log1p(-np.exp(lower - upper))


@pytest.mark.parametrize("target", variants("two_spirals"))
def test_two_spirals_log_prob_matches_brute_force_along_the_arms(target):
    x = near_and_far(target)[::2]
    s, u, du = towards_the_ends()
    n = 2 * np.pi * target.turns * u
    arm = -n * np.cos(n) / 3, n * np.sin(n) / 3
    log_p = []
    for sign in (1, -1):
        d = [sign * x[:, i, None].numpy() - arm[i] for i in (0, 1)]
        log_axes = sum(math.log(6) + log_normal_share((a - 1 / 6) / target.noise, a / target.noise) for a in d)
        log_p.append(log_integral(log_axes, 2 * u * du / 2, s))  # n has the density 2u / (2π turns)
    expected = np.logaddexp.reduce(log_p)
    np.testing.assert_allclose(target.log_prob(x).numpy(), expected, rtol=3e-8, atol=1e-9)


# ---- the draws of those who made a target first: their mean surprise is the entropy, where theirs is this density ----


def first_swissroll(n: int, rng: np.random.Generator) -> np.ndarray:
    return make_swiss_roll(n, noise=1.0, random_state=0)[0][:, [0, 2]] / 5


def first_two_spirals(n: int, rng: np.random.Generator) -> np.ndarray:
    angle = np.sqrt(rng.random((n // 2, 1))) * 540 * (2 * np.pi) / 360
    x = -np.cos(angle) * angle + rng.random((n // 2, 1)) * 0.5
    y = np.sin(angle) * angle + rng.random((n // 2, 1)) * 0.5
    return np.vstack([np.hstack([x, y]), np.hstack([-x, -y])]) / 3 + rng.standard_normal((n, 2)) * 0.1


def first_four_circles(n: int, rng: np.random.Generator) -> np.ndarray:
    circle = np.exp(2j * np.pi * rng.random(n))
    data = 2 * np.stack([circle.real, circle.imag], axis=1) + 0.1 * rng.standard_normal((n, 2))
    return data - np.resize([[-1, -1], [-1, 1], [1, -1], [1, 1]], (n, 2))


def first_crescent(n: int, rng: np.random.Generator) -> np.ndarray:
    x1 = rng.standard_normal(n)
    return np.stack([x1, 0.5 * x1**2 - 1 + np.sqrt(np.exp(-2)) * rng.standard_normal(n)], axis=1)


def first_sine_wave(n: int, rng: np.random.Generator) -> np.ndarray:
    x1 = rng.standard_normal(n)
    return np.stack([x1, np.sin(5 * x1) + np.sqrt(np.exp(-2)) * rng.standard_normal(n)], axis=1)


def first_corners(n: int, rng: np.random.Generator) -> np.ndarray:
    long, short = 3 * rng.random(n), rng.random(n)
    standing = np.arange(n) < n // 2
    corner = 1 + np.stack([np.where(standing, short, long), np.where(standing, long, short)], axis=1)
    return corner * rng.choice([-1, 1], (n, 2))


@pytest.mark.parametrize(
    "first",
    [first_swissroll, first_two_spirals, first_four_circles, first_crescent, first_sine_wave, first_corners],
    ids=lambda f: f.__name__.removeprefix("first_"),
)
def test_draws_of_the_first_authors_are_as_surprising_as_the_entropy_says(first):
    target = TARGETS[first.__name__.removeprefix("first_")]
    surprise = -target.log_prob(torch.from_numpy(first(20_000, np.random.default_rng(0))))
    standard_error = float(surprise.std()) / math.sqrt(len(surprise))
    assert abs(float(surprise.mean()) - target.entropy) <= STANDARD_ERRORS * standard_error


def test_checkerboard_holds_the_draws_of_its_first_authors():
    u = torch.rand(10_000, 2, generator=generator(), dtype=torch.float64)
    x1 = 4 * u[:, 0] - 2
    x2 = u[:, 1] - 2 * torch.randint(0, 2, (len(u),), generator=generator(1)) + x1.floor() % 2
    log_p = TARGETS["checkerboard"].log_prob(2 * torch.stack([x1, x2], dim=1))
    assert set(log_p.tolist()) == {-math.log(32)}


def test_checkerboard_owns_the_edges_of_its_filled_squares_only():
    filled = torch.tensor([[4.0, 3.0], [-4.0, -3.0], [0.0, 1.0], [2.0, 1.0], [3.0, 4.0]])
    assert TARGETS["checkerboard"].log_prob(filled).isfinite().all()
    empty = torch.tensor([[4.0, 1.0], [-4.0, -1.0], [4.1, 3.0], [2.0, 4.1], [1.0, 4.0]])
    assert not TARGETS["checkerboard"].log_prob(empty).isfinite().any()


@pytest.mark.parametrize("target", variants("corners"))
def test_corners_double_where_their_bars_overlap(target):
    along = target.gap + torch.tensor([[2.5, 0.5], [0.5, 2.5], [0.5, 0.5], [2.5, 2.5], [3.1, 0.5], [-0.1, 0.5]])
    for signs in torch.tensor([[1, 1], [-1, 1], [1, -1], [-1, -1]])[: 4 if target.gap else 1]:
        shares = (target.log_prob((along * signs).double()).exp() * 24).tolist()[: 6 if target.gap else 5]
        assert shares == pytest.approx([1, 1, 2, 0, 0, 0][: len(shares)])


# ---- Gaussians, mixed or sheared ----


@pytest.mark.parametrize("target", variants("eight_gaussians"))
def test_log_prob_matches_a_mixture_of_torch(target):
    angle = 2 * math.pi * torch.arange(target.modes).double() / target.modes
    centres = 4 / 1.414 * torch.stack([angle.cos(), angle.sin()], dim=1)
    normal = torch.distributions.Normal(centres, target.noise)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(target.modes).double()),
        torch.distributions.Independent(normal, 1),
    )
    x = draw(target, 100)
    torch.testing.assert_close(target.log_prob(x), mixture.log_prob(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", variants("funnel", "banana", "sine_wave", "crescent"))
def test_log_prob_and_entropy_match_two_normals_of_torch(target):
    x = torch.cat([draw(target, 200), torch.tensor([[0.0, 0.0], [3.0, -40.0], [-3.0, 40.0]]).double()])
    x1, x2 = x.T
    zero, one = torch.tensor([0.0, 1.0], dtype=torch.float64)  # plain numbers would be float32
    if target.name == "funnel":
        first, given = Normal(zero, target.spread * one), Normal(zero, (x2 / 2).exp())
        expected = first.log_prob(x2) + given.log_prob(x1)
        mean_entropy = math.log(2 * math.pi * math.e) / 2  # the logarithm of the width is 0 in the mean
    elif target.name == "banana":
        first, given = Normal(zero, 2 * one), Normal(target.bend * x2**2, target.noise)
        expected = first.log_prob(x2) + given.log_prob(x1)
        mean_entropy = float(given.entropy()[0])
    else:
        curve = (target.frequency * x1).sin() if target.name == "sine_wave" else target.bend * x1**2 - 1
        first, given = Normal(zero, one), Normal(curve, target.noise)
        expected = first.log_prob(x1) + given.log_prob(x2)
        mean_entropy = float(given.entropy()[0])
    torch.testing.assert_close(target.log_prob(x), expected, rtol=1e-12, atol=1e-12)
    assert target.entropy == pytest.approx(float(first.entropy()) + mean_entropy, abs=1e-12)


@pytest.mark.parametrize("target", variants("funnel"))
def test_funnel_box_holds_what_it_says(target):
    half = target.extent[1]

    def within(v: float) -> float:
        return stats.norm.pdf(v, 0, target.spread) * (1 - 2 * stats.norm.sf(half, 0, math.exp(v / 2)))

    end = min(half, 10 * target.spread)
    mass, _ = integrate.quad(within, -end, end, points=[-target.spread, 0, target.spread], limit=200)
    assert 0.99 <= mass <= 0.995


def test_funnel_has_a_density_where_its_width_is_out_of_range():
    x = torch.tensor([[0.0, -1500.0], [1.0, -1500.0], [0.0, 1500.0]], dtype=torch.float64)
    log_p = get_target("funnel", spread=1.0).log_prob(x)
    expected = [750 - 1500**2 / 2 - math.log(2 * math.pi), -math.inf, -750 - 1500**2 / 2 - math.log(2 * math.pi)]
    assert log_p.tolist() == pytest.approx(expected)


# ---- the energies of Rezende and Mohamed ----


def energy(target: Target, z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
    """U(z) as their table 1 has it, with the noise in place of 0.4 (0.35 in U3) and the radius in place of 2."""
    w1 = np.sin(2 * np.pi * z1 / 4)
    w2 = 3 * np.exp(-0.5 * ((z1 - 1) / 0.6) ** 2)
    w3 = 3 / (1 + np.exp(-(z1 - 1) / 0.3))
    s = target.noise
    match target.name:
        case "u1":
            r = target.radius
            lobes = np.exp(-0.5 * ((z1 - r) / 0.6) ** 2) + np.exp(-0.5 * ((z1 + r) / 0.6) ** 2)
            return 0.5 * ((np.hypot(z1, z2) - r) / s) ** 2 - np.log(lobes)
        case "u2":
            return 0.5 * ((z2 - w1) / s) ** 2
        case "u3":
            return -np.log(np.exp(-0.5 * ((z2 - w1) / s) ** 2) + np.exp(-0.5 * ((z2 - w1 + w2) / s) ** 2))
    lower = s * 0.35 / 0.4
    return -np.log(np.exp(-0.5 * ((z2 - w1) / s) ** 2) + np.exp(-0.5 * ((z2 - w1 + w3) / lower) ** 2))


@pytest.mark.parametrize("target", variants("u1", "u2", "u3", "u4"))
def test_energies_are_normalised_as_quadrature_says(target):
    x = draw(target, 500)
    log_z = -energy(target, *x.numpy().T) - target.log_prob(x).numpy()
    assert np.ptp(log_z) < 1e-9
    if target.name == "u1":
        reach = target.radius + 10 * target.noise
        quarter, _ = integrate.dblquad(
            lambda z2, z1: math.exp(-energy(target, z1, z2)), 0, reach, 0, reach, epsabs=1e-10, epsrel=1e-10
        )
        z = 4 * quarter
    else:
        widths = {"u2": 1, "u3": 2, "u4": 1.875}[target.name]
        z = 8 * math.sqrt(2 * math.pi) * widths * target.noise
    assert log_z.mean() == pytest.approx(math.log(z), abs=1e-8)


def test_u1_has_the_published_constant():
    assert round(math.exp(-float(TARGETS["u1"].log_prob(torch.tensor([[2.0, 0.0]]).double()))), 4) == 6.5372


@pytest.mark.parametrize("target", variants("u1"))
def test_u1_keeps_proposals_as_its_density_asks(target: U1):
    """Proposal times chance is the density, up to a constant, and no chance is above 1: rejection is exact."""
    rho, angle = np.meshgrid(np.linspace(1e-3, target.radius + 10 * target.noise, 1000), np.linspace(0, np.pi, 201))
    chance = target._chance(rho, rho * np.cos(angle))
    assert 0.5 < chance.max() <= 1
    assert (target._chance(-rho, -rho * np.cos(angle)) == 0).all()
    log_proposal = stats.norm.logpdf(rho, ring_mode(target.radius, target.noise), target.noise) - np.log(rho)
    ratio = -energy(target, rho * np.cos(angle), rho * np.sin(angle)) - log_proposal - np.log(chance)
    likely = -energy(target, rho * np.cos(angle), rho * np.sin(angle)) > -100
    assert np.ptp(ratio[likely]) < 1e-9


@pytest.mark.parametrize("name", ["u2", "u3", "u4"])
def test_waves_end_at_four(name):
    ends = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [4.0 + 1e-9, 0.0], [-5.0, 0.0]], dtype=torch.float64)
    assert TARGETS[name].log_prob(ends).isfinite().tolist() == [True, True, False, False]


# ---- the pinwheel ----


def blade_to_plane(f: np.ndarray, blade: int, blades: int) -> np.ndarray:
    """The pinwheel's map in the notation of its first authors: (n, 2) -> (n, 2)."""
    angle = 2 * np.pi * blade / blades + 0.25 * np.exp(f[:, 0])
    rotation = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1)
    return 2 * np.einsum("ti,tij->tj", f, rotation.reshape(-1, 2, 2))


def pinwheel_terms(x: np.ndarray, blades: int, sigma: float) -> list[float]:
    """log of every term of p(x): the roots by a dense scan, the Jacobian by central differences."""
    terms = []
    for blade in range(blades):

        def unturned(f1, blade=blade):
            angle = 2 * np.pi * blade / blades + 0.25 * np.exp(f1)
            return complex(*x) / 2 * np.exp(1j * angle)

        def mismatch(f1, unturned=unturned):
            return f1 - unturned(f1).real

        reach = math.hypot(*x) / 2 + 0.5
        scan = np.linspace(-reach, min(reach, 3.4), 20_001)
        sign = mismatch(scan) < 0
        for i in np.flatnonzero(sign[1:] != sign[:-1]):
            f1 = optimize.brentq(mismatch, scan[i], scan[i + 1], xtol=1e-14)
            f = np.array([f1, unturned(f1).imag])
            np.testing.assert_allclose(blade_to_plane(f[None], blade, blades)[0], x, atol=1e-9)
            h = 1e-6
            moved = blade_to_plane(f + h * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]), blade, blades)
            det = np.linalg.det([(moved[0] - moved[1]) / (2 * h), (moved[2] - moved[3]) / (2 * h)])
            log_f = stats.norm.logpdf(f1, 1, 0.3) + stats.norm.logpdf(f[1], 0, sigma)
            terms.append(log_f - math.log(blades) - math.log(abs(det)))
    return terms


@pytest.mark.parametrize("target", variants("pinwheel"))
def test_pinwheel_log_prob_matches_a_numerical_change_of_variables(target):
    x = torch.cat([draw(target, 12), torch.tensor([[0.0, 0.0], [1e-9, 0.0], [3.0, 4.0]]).double()])
    terms = [pinwheel_terms(point, target.blades, target.noise) for point in x.numpy()]
    expected = [np.logaddexp.reduce(t) for t in terms]
    np.testing.assert_allclose(target.log_prob(x).numpy(), expected, rtol=1e-7, atol=1e-7)


def test_pinwheel_sums_every_root_where_a_blade_folds():
    target = get_target("pinwheel", noise=0.2, blades=3)
    rng = np.random.default_rng(0)
    beyond_the_fold = np.column_stack([rng.uniform(1.3, 1.9, 12), rng.uniform(-1.2, -0.6, 12)])
    x = blade_to_plane(beyond_the_fold, blade=1, blades=3)
    terms = [pinwheel_terms(point, target.blades, target.noise) for point in x]
    assert max(len(t) for t in terms) > target.blades
    expected = [np.logaddexp.reduce(t) for t in terms]
    np.testing.assert_allclose(target.log_prob(torch.from_numpy(x)).numpy(), expected, rtol=1e-7, atol=1e-7)
