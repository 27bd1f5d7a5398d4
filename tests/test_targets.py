"""Every target is what it says. Most claims run over the registry: a new target is tested by being there."""

import dataclasses
import math
import pickle
from functools import cache

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from aio.targets import TARGETS, Target, get_target

GRID = 400  # points along a side: at most one noise deviation apart, where the midpoint rule errs by 3e-9
FOLDS = 5e-6  # what the grid makes of the pinwheel's folds, where p is infinite; all else is far below
DRAWS = 20_000
STANDARD_ERRORS = 4
MASS = 0.999  # of a target that its box must hold

# To the four digits of the published table: an oracle that this code had no part in.
ENTROPIES = [
    ("moons", {"noise": 0.05}, 0.2892),
    ("moons", {"noise": 0.06}, 0.4770),
    ("moons", {"noise": 0.1}, 1.0076),
    ("circles", {"noise": 0.24}, 3.2681),
    ("rings", {"noise": 0.08}, 2.6232),
    ("eight_gaussians", {}, 2.8319),
    ("checkerboard", {}, 3.4657),
    ("pinwheel", {}, 2.3178),
]

# Curves that are blurred to give a density: centre, radius, first and last angle.
CURVES = {
    "moons": [((0.0, 0.0), 1.0, 0.0, math.pi), ((1.0, 0.5), 1.0, math.pi, 2 * math.pi)],
    "circles": [((0.0, 0.0), radius, 0.0, 2 * math.pi) for radius in (3.0, 1.5)],
    "rings": [((0.0, 0.0), radius, 0.0, 2 * math.pi) for radius in (3.0, 2.25, 1.5, 0.75)],
}


def variants(*names: str) -> list:
    """Each target at its defaults and with each parameter at the low and at the high end of its slider."""
    params = []
    for name in names or TARGETS:
        params.append(pytest.param(TARGETS[name], id=name))
        for parameter in TARGETS[name].parameters:
            for value in (parameter.minimum, parameter.maximum):
                target = get_target(name, **{parameter.name: value})
                params.append(pytest.param(target, id=f"{name}-{parameter.name}={value}"))
    return params


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(target: Target, n: int = DRAWS, seed: int = 0) -> torch.Tensor:
    return target.sample(n, generator(seed), torch.float64)


def whole_box(target: Target) -> tuple[float, float, float]:
    """The target's box with more air, a whole number wide: the checkerboard's edges fall between points."""
    xmin, xmax, ymin, ymax = target.extent
    return (xmin + xmax) / 2, (ymin + ymax) / 2, math.ceil(1.1 * (xmax - xmin) / 2)


@cache
def midpoint_rule(target: Target) -> tuple[float, float]:
    """The integrals of p and of -p log p over a plain grid."""
    x0, y0, half = whole_box(target)
    step = 2 * half / GRID
    ticks = (torch.arange(GRID, dtype=torch.float64) + 0.5) * step - half
    log_p = target.log_prob(torch.cartesian_prod(x0 + ticks, y0 + ticks))
    log_p = log_p[log_p > -math.inf]
    return float(log_p.exp().sum()) * step**2, -float((log_p.exp() * log_p).sum()) * step**2


every_target = pytest.mark.parametrize("target", [pytest.param(t, id=n) for n, t in TARGETS.items()])
every_variant = pytest.mark.parametrize("target", variants())


# ---- density, entropy and samples agree ----


@every_variant
def test_density_integrates_to_one(target):
    assert midpoint_rule(target)[0] == pytest.approx(1, abs=FOLDS)


@every_variant
def test_entropy_matches_a_plain_grid(target):
    assert target.entropy == pytest.approx(midpoint_rule(target)[1], abs=10 * FOLDS)


@every_variant
def test_entropy_matches_a_monte_carlo_estimate(target):
    surprise = -target.log_prob(draw(target))
    standard_error = float(surprise.std()) / math.sqrt(DRAWS)
    rounding = 1e-12  # the checkerboard's estimate has no spread
    assert abs(float(surprise.mean()) - target.entropy) <= STANDARD_ERRORS * standard_error + rounding


@pytest.mark.parametrize(("name", "parameters", "entropy"), ENTROPIES, ids=str)
def test_entropy_matches_the_published_table(name, parameters, entropy):
    assert round(get_target(name, **parameters).entropy, 4) == entropy


@every_target
def test_samples_follow_the_density(target):
    bins, nodes = 20, 12  # a bin is at most 5 noise deviations wide: 12 Gauss-Legendre nodes are plenty
    x0, y0, half = whole_box(target)
    edges = np.linspace(-half, half, bins + 1)
    t, weight = np.polynomial.legendre.leggauss(nodes)
    ticks = (edges[:-1, None] + (t + 1) * half / bins).ravel()
    weights = np.tile(weight * half / bins, bins)
    points = torch.cartesian_prod(torch.from_numpy(x0 + ticks), torch.from_numpy(y0 + ticks))
    mass = target.log_prob(points).exp().numpy().reshape(len(ticks), -1) * np.outer(weights, weights)
    expected = DRAWS * mass.reshape(bins, nodes, bins, nodes).sum(axis=(1, 3)).ravel()

    x, y = draw(target).numpy().T
    observed = np.histogram2d(x, y, bins=(x0 + edges, y0 + edges))[0].ravel()
    common = expected >= 5  # the usual condition of the test; all other bins, and what is outside, make one
    expected = np.append(expected[common], max(DRAWS - expected[common].sum(), 1e-3))
    observed = np.append(observed[common], DRAWS - observed[common].sum())
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, df=len(expected) - 1) > 1e-3


@every_variant
def test_extent_is_square_and_holds_the_mass(target):
    xmin, xmax, ymin, ymax = target.extent
    assert xmax - xmin == pytest.approx(ymax - ymin)
    x, y = draw(target).T
    inside = (x > xmin) & (x < xmax) & (y > ymin) & (y < ymax)
    assert float(inside.double().mean()) >= MASS


@every_target
def test_extent_changes_smoothly(target):
    for parameter in target.parameters:
        if isinstance(parameter.default, float):
            nudged = target.with_parameters(**{parameter.name: parameter.default + 1e-6})
            assert nudged.extent == pytest.approx(target.extent, abs=1e-4)


# ---- randomness and dtypes ----


@every_target
def test_same_seed_gives_same_samples(target):
    assert torch.equal(draw(target, 100), draw(target, 100))
    assert not torch.equal(draw(target, 100), draw(target, 100, seed=1))


@every_target
def test_sample_leaves_the_global_generator_alone(target):
    before = torch.get_rng_state()
    draw(target, 100)
    assert torch.equal(torch.get_rng_state(), before)


@every_target
def test_sample_casts_the_same_draws(target):
    assert target.sample(3).dtype == torch.get_default_dtype()
    assert torch.equal(target.sample(100, generator(), torch.float32), draw(target, 100).float())
    assert target.sample(0).shape == (0, 2)


@every_target
def test_log_prob_keeps_the_dtype_and_works_in_float64(target):
    x = target.sample(100, generator(), torch.float32).requires_grad_()
    log_p = target.log_prob(x)
    assert log_p.dtype == torch.float32
    assert not log_p.requires_grad
    assert torch.equal(log_p, target.log_prob(x.double()).float())


@every_target
def test_log_prob_is_the_same_row_by_row(target):
    x = torch.cat([draw(target, 600), 10 * torch.randn(600, 2, generator=generator(), dtype=torch.float64)])
    rows = torch.cat([target.log_prob(row[None]) for row in x[::60]])
    torch.testing.assert_close(target.log_prob(x)[::60], rows, rtol=1e-12, atol=1e-12)
    assert target.log_prob(x[:0]).shape == (0,)


@every_target
def test_log_prob_of_what_is_no_point(target):
    inf, nan = math.inf, math.nan
    x = torch.tensor([[nan, 0.0], [inf, 0.0], [0.0, -inf], [inf, nan], [1e3, 1e3]])
    log_p = target.log_prob(x)
    assert log_p.isnan().tolist() == [True, False, False, True, False]
    assert log_p[1:3].tolist() == [-inf, -inf]
    assert log_p[4] < -1e3


# ---- oracles of one target each ----


def blurred_curves(x: np.ndarray, curves: list, sigma: float) -> np.ndarray:
    """log p by Simpson's rule, with nodes so dense that neither peak nor tail falls between them."""
    log_p = []
    for centre, radius, start, stop in curves:
        s = np.linspace(0, np.pi, 40_001)
        t = start + (stop - start) * (1 - np.cos(s)) / 2  # closer together towards the ends
        dx, dy = (x[:, i, None] - centre[i] - radius * f(t) for i, f in enumerate((np.cos, np.sin)))
        exponent = -(dx**2 + dy**2) / (2 * sigma**2)
        peak = exponent.max(axis=1)
        integral = integrate.simpson(np.exp(exponent - peak[:, None]) * np.sin(s) / 2, x=s, axis=1)
        log_p.append(peak + np.log(integral / len(curves)))
    return np.logaddexp.reduce(log_p) - math.log(2 * math.pi * sigma**2)


@pytest.mark.parametrize("target", variants(*CURVES))
def test_log_prob_matches_brute_force_along_the_curves(target):
    around = 2 * torch.randn(20, 2, generator=generator(), dtype=torch.float64)
    ends_and_centres = torch.tensor([[0, 0], [1, 0.5], [-1, 0], [0, 0.5], [0.5, 0.25], [0, -1]]).double()
    x = torch.cat([draw(target, 20), around, ends_and_centres])
    expected = blurred_curves(x.numpy(), CURVES[target.name], target.noise)
    np.testing.assert_allclose(target.log_prob(x).numpy(), expected, rtol=1e-9, atol=1e-9)


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


def test_checkerboard_holds_the_draws_of_its_first_authors():
    u = torch.rand(10_000, 2, generator=generator(), dtype=torch.float64)
    x1 = 4 * u[:, 0] - 2
    x2 = u[:, 1] - 2 * torch.randint(0, 2, (len(u),), generator=generator(1)) + x1.floor() % 2
    log_p = TARGETS["checkerboard"].log_prob(2 * torch.stack([x1, x2], dim=1))
    assert set(log_p.tolist()) == {-math.log(32)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_checkerboard_holds_its_own_draws_after_rounding(dtype):
    board = TARGETS["checkerboard"]
    assert board.log_prob(board.sample(50_000, generator(), dtype)).isfinite().all()


def test_checkerboard_owns_the_edges_of_its_filled_squares_only():
    filled = torch.tensor([[4.0, 3.0], [-4.0, -3.0], [0.0, 1.0], [2.0, 1.0], [3.0, 4.0]])
    assert TARGETS["checkerboard"].log_prob(filled).isfinite().all()
    empty = torch.tensor([[4.0, 1.0], [-4.0, -1.0], [4.1, 3.0], [2.0, 4.1], [1.0, 4.0]])
    assert not TARGETS["checkerboard"].log_prob(empty).isfinite().any()


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


# ---- targets are values, and the registry lists them ----


@every_variant
def test_target_pickles_to_an_equal_value(target):
    copy = pickle.loads(pickle.dumps(target))
    assert copy == target
    assert hash(copy) == hash(target)
    assert copy.with_parameters() == target


@every_target
def test_parameters_describe_the_fields(target):
    assert [p.name for p in target.parameters] == [field.name for field in dataclasses.fields(target)]
    for parameter in target.parameters:
        assert getattr(target, parameter.name) == parameter.default
        assert parameter.minimum < parameter.default < parameter.maximum
        assert parameter.step > 0
        assert parameter.label
        assert parameter.help.endswith(".")


def test_registry_lists_targets_by_name_in_order():
    assert list(TARGETS) == ["moons", "circles", "rings", "eight_gaussians", "checkerboard", "pinwheel"]
    assert all(target.name == name and target.title and target.summary for name, target in TARGETS.items())
    with pytest.raises(TypeError):
        TARGETS["moons"] = TARGETS["rings"]


def test_changing_a_parameter_makes_another_target():
    moons = TARGETS["moons"]
    assert moons.with_parameters(noise=0.1) != moons
    assert moons == get_target("moons", noise=0.05)
    assert get_target("circles", noise=0.1) != get_target("rings", noise=0.1)
    assert get_target("pinwheel", blades=4.0).blades == 4
    assert isinstance(get_target("pinwheel", blades=4.0).blades, int)


# ---- errors say what was expected, what came, and the mend ----


@pytest.mark.parametrize(
    ("x", "error", "sentence"),
    [
        (torch.zeros(128), ValueError, "of shape (N, 2), got (128,). Add a batch axis: x[None]."),
        (torch.zeros(5, 3), ValueError, "of shape (N, 2), got (5, 3). Put one point in a row"),
        (torch.zeros(4, 5, 2), ValueError, "got (4, 5, 2). Merge the batch axes: x.reshape(-1, 2)."),
        (torch.zeros(5, 2).long(), TypeError, "floating dtype, got torch.int64. Convert it: x.double()."),
        (np.zeros((5, 2)), TypeError, "as a torch.Tensor, got ndarray. Convert it: torch.as_tensor(x)."),
    ],
    ids=["flat", "wide", "deep", "integer", "numpy"],
)
def test_log_prob_refuses_what_is_not_points(x, error, sentence):
    with pytest.raises(error, match="Expected x ") as caught:
        TARGETS["moons"].log_prob(x)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "error", "sentence"),
    [
        ("mons", {}, ValueError, "Expected a target among moons, circles"),
        ("mons", {}, ValueError, "got 'mons'. Did you mean moons?"),
        ("zebra", {}, ValueError, "got 'zebra'. Choose one of: moons, circles"),
        ("moons", {"nose": 0.1}, ValueError, "of moons, which has noise, got 'nose'. Did you mean noise?"),
        ("checkerboard", {"noise": 0.1}, ValueError, "which has none, got 'noise'. Leave it out."),
        ("moons", {"noise": 0.7}, ValueError, "from 0.02 to 0.5, got 0.7. The nearest allowed is noise=0.5."),
        ("moons", {"noise": math.nan}, ValueError, "got nan. Pass a finite one, as in noise=0.05."),
        ("moons", {"noise": math.inf}, ValueError, "got inf. Pass a finite one, as in noise=0.05."),
        ("moons", {"noise": "loud"}, TypeError, "got 'loud'. Pass a number, as in noise=0.05."),
        ("pinwheel", {"blades": 4.5}, ValueError, "whole number from 3 to 7, got 4.5. The nearest"),
        ("pinwheel", {"blades": 8}, ValueError, "got 8. The nearest allowed is blades=7."),
        ("pinwheel", {"blades": True}, TypeError, "got True. Pass a number, as in blades=5."),
    ],
    ids=str,
)
def test_get_target_says_what_it_expected_and_the_mend(name, parameters, error, sentence):
    with pytest.raises(error) as caught:
        get_target(name, **parameters)
    assert sentence in str(caught.value)


def test_sample_refuses_a_negative_count():
    with pytest.raises(ValueError, match=r"Expected n >= 0 points, got -1\. Ask for none or more"):
        TARGETS["moons"].sample(-1)
