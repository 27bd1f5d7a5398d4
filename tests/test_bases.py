"""A base is a density: its mass is 1, its draws follow it, and a flow trained on it is one too."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor, nn

import aio.flow
from aio.bases import GaussianMixture, StandardNormal, StudentT
from aio.config import BaseConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig, TrainingConfig
from aio.flow import build
from aio.snapshot import snapshot
from aio.training import advance, evaluate, flow_of, start
from tests.reference import assert_close

BASES: dict[str, Callable[[int], nn.Module]] = {
    "normal": StandardNormal,
    "cauchy": lambda dim: StudentT(dim, 1.0),
    "student": lambda dim: StudentT(dim, 3.5),
    "mixture": lambda dim: GaussianMixture(dim, modes=5, radius=1.5, width=0.3),
}
CONFIGS = {
    "normal": BaseConfig(),
    "student": BaseConfig(kind="student", df=4.5),
    "mixture": BaseConfig(kind="mixture", modes=3, radius=1.5, width=0.5),
}
DEGREES = (0.4, 1.0, 2.0, 2.5, 7.0, 40.0)
DRAWS = 20_000

each_base = pytest.mark.parametrize("make", BASES.values(), ids=BASES)
each_dim = pytest.mark.parametrize("dim", [2, 5], ids="{}d".format)
each_df = pytest.mark.parametrize("df", DEGREES, ids="df={:g}".format)
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(n, dim, generator=generator(7), dtype=torch.float64)


def at_radius(base: nn.Module, radius: float) -> float:
    """A round base's density at a distance from the origin."""
    z = torch.zeros(1, base.dim, dtype=torch.float64)
    z[0, 0] = radius
    return base.log_prob(z).exp().item()


def plane(cells: int) -> tuple[Tensor, Tensor]:
    """The whole plane as x = tan θ along each axis: points (cells², 2) and the area that each stands for."""
    theta = ((torch.arange(cells, dtype=torch.float64) + 0.5) / cells - 0.5) * math.pi
    x, length = theta.tan(), theta.cos() ** -2 * math.pi / cells
    return torch.cartesian_prod(x, x), torch.cartesian_prod(length, length).prod(1)


# ---------------------------------------------------------------------- the densities


@each_df
@pytest.mark.parametrize("dim", [1, 2, 7], ids="{}d".format)
def test_the_t_is_scipys(dim: int, df: float) -> None:
    z = points(50, dim, 4.0)
    expected = stats.multivariate_t(shape=torch.eye(dim).numpy(), df=df).logpdf(z.numpy())
    assert_close(StudentT(dim, df).log_prob(z), torch.as_tensor(expected).reshape(50), 1e-12)


@pytest.mark.parametrize("dim", [2, 3, 7], ids="{}d".format)
@pytest.mark.parametrize("modes", [1, 2, 5, 8])
def test_the_ring_is_torchs_mixture_of_normals(modes: int, dim: int) -> None:
    base = GaussianMixture(dim, modes, radius=1.5, width=0.4)
    parts = torch.distributions.Independent(torch.distributions.Normal(base.centres, 0.4), 1)
    equal = torch.distributions.Categorical(logits=torch.zeros(modes, dtype=torch.float64))
    z = points(50, dim)
    assert_close(base.log_prob(z), torch.distributions.MixtureSameFamily(equal, parts).log_prob(z), 1e-10)


@pytest.mark.parametrize("modes", [1, 2, 5, 8])
def test_the_centres_stand_evenly_on_the_circle_of_the_first_two_axes(modes: int) -> None:
    centres = GaussianMixture(4, modes, radius=1.5).centres
    assert_close(centres[0], torch.tensor([1.5, 0, 0, 0], dtype=torch.float64), 1e-12)
    assert (centres[:, 2:] == 0).all()
    assert_close(centres.norm(dim=1), torch.full((modes,), 1.5, dtype=torch.float64), 1e-12)
    if modes > 1:
        apart = (centres - centres.roll(1, 0)).norm(dim=1)
        assert_close(apart, torch.full((modes,), 3 * math.sin(math.pi / modes), dtype=torch.float64), 1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 6], ids="{}d".format)
@pytest.mark.parametrize("df", [1.0, 2.5, 40.0], ids="df={:g}".format)
def test_the_t_integrates_to_one_in_polar_form(dim: int, df: float) -> None:
    base = StudentT(dim, df)
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)  # the area of the unit sphere
    mass, _ = integrate.quad(
        lambda angle: sphere * math.tan(angle) ** (dim - 1) * at_radius(base, math.tan(angle)) / math.cos(angle) ** 2,
        0, math.pi / 2,
    )  # fmt: skip
    assert mass == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("modes", "width"), [(1, 0.4), (2, 0.25), (8, 0.1), (12, 1.0)])
def test_the_ring_integrates_to_one(modes: int, width: float) -> None:
    """Quadrature with a step below σ/4 and a margin of 8σ."""
    base, reach = GaussianMixture(2, modes, radius=2.0, width=width), 2.0 + 8 * width
    cells = math.ceil(2 * reach / (width / 4))
    centre = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * 2 * reach - reach
    density = base.log_prob(torch.cartesian_prod(centre, centre)).exp()
    assert density.sum().item() * (2 * reach / cells) ** 2 == pytest.approx(1, abs=1e-9)


@each_df
def test_in_the_plane_the_peak_of_the_t_is_that_of_the_normal(df: float) -> None:
    z = points(1000, 2, 3.0)
    log_q = StudentT(2, df).log_prob(z)
    assert at_radius(StudentT(2, df), 0.0) == pytest.approx(1 / (2 * math.pi), rel=1e-12)
    assert log_q.max() < -math.log(2 * math.pi)


@each_df
def test_in_the_plane_the_share_of_the_t_outside_a_radius_is_what_is_said(df: float) -> None:
    base = StudentT(2, df)
    for radius in (0.5, 3.0):
        inside, _ = integrate.quad(lambda r: 2 * math.pi * r * at_radius(base, r), 0, radius)
        assert 1 - inside == pytest.approx((1 + radius**2 / df) ** (-df / 2), abs=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 7], ids="{}d".format)
def test_the_t_tends_to_the_normal(dim: int) -> None:
    z, normal = points(50, dim), StandardNormal(dim)
    errors = [(StudentT(dim, df).log_prob(z) - normal.log_prob(z)).abs().max() for df in (1e3, 1e4, 1e5)]
    assert errors[2] < 0.02
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)  # in proportion to 1/ν
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)
    assert StudentT(dim, 1e6).entropy == pytest.approx(normal.entropy, abs=1e-4)


# ---------------------------------------------------------------------- entropies


@pytest.mark.parametrize("dim", [1, 2, 7], ids="{}d".format)
def test_the_entropy_of_the_normal_is_torchs(dim: int) -> None:
    expected = torch.distributions.MultivariateNormal(torch.zeros(dim), torch.eye(dim)).entropy()
    assert StandardNormal(dim).entropy == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 7], ids="{}d".format)
@each_df
def test_the_entropy_of_the_t_is_scipys_and_the_mean_over_draws(dim: int, df: float) -> None:
    base = StudentT(dim, df)
    expected = stats.multivariate_t(shape=torch.eye(dim).numpy(), df=df).entropy()
    assert base.entropy == pytest.approx(float(expected), abs=1e-8)
    values = -base.log_prob(base.sample(DRAWS, generator(), torch.float64))
    assert abs(values.mean().item() - base.entropy) < 4 * values.std().item() / math.sqrt(DRAWS)


# ---------------------------------------------------------------------- draws


@pytest.mark.parametrize("dim", [1, 2, 7], ids="{}d".format)
@each_df
def test_draws_of_the_t_follow_its_density(dim: int, df: float) -> None:
    """‖z‖²/D has Fisher's F distribution; every axis by itself is a one-dimensional t."""
    z = StudentT(dim, df).sample(DRAWS, generator(1), torch.float64)
    assert z.shape == (DRAWS, dim)
    squared = z.square().sum(1).numpy() / dim
    assert stats.kstest(squared, stats.f(dim, df).cdf).pvalue > 1e-3
    assert all(stats.kstest(column.numpy(), stats.t(df).cdf).pvalue > 1e-4 for column in z.T)
    if dim == 2:
        angle = torch.atan2(z[:, 1], z[:, 0]).numpy()
        assert stats.kstest(angle, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [0.2, 0.5, 1.0, 1.25, 20.0])
def test_draws_of_the_gamma_distribution_follow_it(shape: float) -> None:
    draws = aio.bases._gamma(shape, DRAWS, generator(2))
    assert (len(draws), draws.dtype) == (DRAWS, torch.float64)
    assert stats.kstest(draws.numpy(), stats.gamma(shape).cdf).pvalue > 1e-3


@pytest.mark.parametrize("dim", [2, 4], ids="{}d".format)
@pytest.mark.parametrize("modes", [1, 3, 8])
def test_draws_of_the_ring_follow_its_density(modes: int, dim: int) -> None:
    base = GaussianMixture(dim, modes, radius=2.0, width=0.2)
    z = base.sample(DRAWS, generator(3), torch.float64)
    assert z.shape == (DRAWS, dim)
    radius = z[:, :2].norm(dim=1).numpy()
    assert stats.kstest(radius, stats.rice(10.0, scale=0.2).cdf).pvalue > 1e-3
    assert all(stats.kstest(column.numpy(), stats.norm(0, 0.2).cdf).pvalue > 1e-3 for column in z[:, 2:].T)
    nearest = torch.cdist(z, base.centres).argmin(1)
    counts = torch.bincount(nearest, minlength=modes).numpy()
    assert modes == 1 or stats.chisquare(counts).pvalue > 1e-3
    from_centre = (z - base.centres[nearest]) / 0.2
    assert stats.kstest(from_centre.square().sum(1).numpy(), stats.chi2(dim).cdf).pvalue > 1e-3


@each_dim
@each_base
def test_a_generator_determines_the_draws_and_nothing_else_does(make: Callable[[int], nn.Module], dim: int) -> None:
    before = torch.get_rng_state()
    first, again, other = (make(dim).sample(50, generator(s), torch.float64) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.unique(first, dim=0).shape == (50, dim)


@each_dim
@each_base
def test_draws_come_in_the_dtype_that_is_asked_for(make: Callable[[int], nn.Module], dim: int) -> None:
    base = make(dim)
    for dtype in (torch.float32, torch.float64):
        z = base.sample(9, generator(), dtype)
        assert (z.dtype, base.log_prob(z).dtype, base.log_prob(z).shape) == (dtype, dtype, (9,))
        assert torch.isfinite(base.log_prob(z)).all()
    assert base.sample(9).dtype == torch.float32
    assert (base.sample(0).shape, base.log_prob(base.sample(0)).shape) == ((0, dim), (0,))


@pytest.mark.parametrize("name", ["cauchy", "student", "mixture"])
def test_draws_are_the_same_points_in_either_precision(name: str) -> None:
    base = BASES[name](2)
    assert torch.equal(base.sample(9, generator(), torch.float64).float(), base.sample(9, generator(), torch.float32))


@each_base
def test_densities_of_float64_have_its_precision(make: Callable[[int], nn.Module]) -> None:
    z = points(50, 2)
    base = make(2).double()
    single = make(2).log_prob(z.float())
    assert single.dtype == torch.float32
    assert_close(single, base.log_prob(z).float(), 1e-4)
    moved = copy.deepcopy(make(2)).float().double()
    assert torch.equal(moved.log_prob(z), base.log_prob(z))  # nothing was rounded on the way


@each_base
def test_the_density_has_a_gradient_everywhere(make: Callable[[int], nn.Module]) -> None:
    z = torch.cat([torch.zeros(1, 2, dtype=torch.float64), points(5, 2), points(5, 2, 1e4)]).requires_grad_()
    gradient = torch.autograd.grad(make(2).log_prob(z).sum(), z)[0]
    assert torch.isfinite(gradient).all()
    assert torch.autograd.gradcheck(make(2).log_prob, points(5, 2).requires_grad_())


# ---------------------------------------------------------------------- modules


@each_base
def test_a_base_has_nothing_to_train_and_nothing_to_save(make: Callable[[int], nn.Module]) -> None:
    base = make(3)
    assert not list(base.parameters())
    assert not base.state_dict()
    z = points(5, 3)
    assert torch.equal(pickle.loads(pickle.dumps(base)).log_prob(z), base.log_prob(z))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: StudentT(0, 3.0), "Expected dim >= 1, got 0"),
        (lambda: StudentT(2, 0.0), "Expected a positive, finite df, got 0.0"),
        (lambda: StudentT(2, math.inf), "got inf. For the limit of many, take StandardNormal"),
        (lambda: StudentT(2, math.nan), "Expected a positive, finite df, got nan"),
        (lambda: GaussianMixture(1), "Expected dim >= 2, got 1. A circle of modes needs two axes"),
        (lambda: GaussianMixture(2, 0), "Expected modes >= 1, got 0"),
        (lambda: GaussianMixture(2, 3, -1.0), "Expected a finite radius >= 0 and a positive, finite width, got -1.0"),
        (lambda: GaussianMixture(2, 3, 1.0, 0.0), "got 1.0 and 0.0. Give lengths in latent space"),
        (lambda: GaussianMixture(2, 3, math.nan, 1.0), "got nan and 1.0"),
    ],
)
def test_a_base_that_cannot_be_is_told(make: Callable[[], nn.Module], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_the_standard_normal_is_still_found_beside_the_flow() -> None:
    assert aio.flow.StandardNormal is StandardNormal
    assert "StandardNormal" in aio.flow.__all__


# ---------------------------------------------------------------------- flows


@pytest.fixture(scope="module", params=CONFIGS)
def run(request: pytest.FixtureRequest) -> RunConfig:
    """A small run on a base."""
    return RunConfig(
        data=DataConfig(target="eight_gaussians", points=2000),
        flow=FlowConfig(
            blocks=3, subnet=SubnetConfig(width=16, depth=1, activation="tanh"), base=CONFIGS[request.param]
        ),
        training=TrainingConfig(batch_size=128, warmup=5),
    )


def test_the_loss_falls_within_50_steps_whatever_the_base(run: RunConfig) -> None:
    before, after = start(run), advance(start(run), 50)
    assert after.stopped is None
    assert evaluate(after).nll < evaluate(before).nll - 0.1
    assert after.train_nll.points[-10:].mean() < after.train_nll.points[:5].mean() - 0.1


def test_a_trained_flow_is_a_density_whatever_its_base(run: RunConfig) -> None:
    flow = flow_of(advance(start(run), 50)).double()
    x, area = plane(600)
    with torch.no_grad():
        assert (flow.log_prob(x).exp() * area).sum().item() == pytest.approx(1, abs=1e-4)


def test_what_is_seen_of_a_run_is_finite_whatever_its_base(run: RunConfig) -> None:
    seen = snapshot(advance(start(run), 20))
    arrays = [value for value in vars(seen).values() if isinstance(value, np.ndarray)]
    assert len(arrays) >= 6
    assert all(np.isfinite(a).all() for a in arrays)
    assert np.isfinite([v for v in dataclasses.astuple(seen.evaluation) if v is not None]).all()


def test_samples_of_a_flow_come_from_its_base(run: RunConfig) -> None:
    flow = build(run.flow, 0)
    for f, dtype in ((flow, torch.float32), (copy.deepcopy(flow).double(), torch.float64)):
        with torch.no_grad():
            z = f.base.sample(50, generator(), dtype)
            drawn = f.sample(50, generator=generator())
            assert drawn.dtype == dtype
            assert torch.equal(drawn, f.inverse(z)[0])


@pytest.mark.parametrize("dim", [2, 5], ids="{}d".format)
@each_config
def test_settings_reach_the_base(config: BaseConfig, dim: int) -> None:
    expected = {
        "normal": StandardNormal(dim),
        "student": StudentT(dim, 4.5),
        "mixture": GaussianMixture(dim, 3, 1.5, 0.5),
    }[config.kind]
    built, z = build(FlowConfig(blocks=1, base=config), 0, dim=dim).base, points(9, dim)
    assert type(built) is type(expected)
    assert torch.equal(built.log_prob(z), expected.log_prob(z))


@each_config
def test_blocks_are_drawn_as_they_are_without_another_base(config: BaseConfig) -> None:
    plain, other = (build(FlowConfig(blocks=2, base=base), 3).state_dict() for base in (BaseConfig(), config))
    assert plain.keys() == other.keys()
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_settings_written_before_there_was_a_choice_of_base_have_the_normal() -> None:
    config = RunConfig(flow=FlowConfig(blocks=3), seed=4)
    written = json.loads(config.model_dump_json())
    assert written["flow"].pop("base")["kind"] == "normal"
    assert RunConfig.model_validate_json(json.dumps(written)) == config


# ---------------------------------------------------------------------- what a base is good for

SMALL = FlowConfig(blocks=4, subnet=SubnetConfig(width=16, depth=1))
STEPS = 300


def heavy_tails(seed: int, n: int = 6000) -> Tensor:
    """A bent cloud that is no t itself: each axis by itself a t with 2.5 degrees of freedom, sheared along a sine."""
    z = torch.cat([StudentT(1, 2.5).sample(n, generator(2 * seed + axis), torch.float64) for axis in (0, 1)], dim=1)
    return torch.stack([z[:, 0], z[:, 1] + torch.sin(2 * z[:, 0])], dim=1)


@pytest.mark.parametrize("seed", range(5), ids="seed-{}".format)
def test_heavy_tails_are_learned_better_on_a_t(seed: int) -> None:
    """A held-out point costs less on a base with 3 degrees of freedom, by more than chance would have it."""
    log_q = {}
    for kind in ("normal", "student"):
        flow = SMALL.changed(base=BaseConfig(kind=kind, df=3.0))
        config = RunConfig(data=DataConfig(target=None), flow=flow, seed=seed)
        state = advance(start(config, heavy_tails(seed)), STEPS)
        log_q[kind] = flow_of(state).log_prob(state.dataset().held_out).detach().double()
    gain = log_q["student"] - log_q["normal"]
    assert gain.mean() > 2 * gain.std() / math.sqrt(len(gain))
    assert gain.median() > 0.02  # not the work of a few points far out


@pytest.mark.parametrize("seed", range(3), ids="seed-{}".format)
def test_modes_apart_are_learned_better_on_a_ring(seed: int) -> None:
    kl = {}
    for kind in ("normal", "mixture"):
        flow = SMALL.changed(base=BaseConfig(kind=kind))
        data = DataConfig(target="eight_gaussians", points=5000)
        kl[kind] = evaluate(advance(start(RunConfig(data=data, flow=flow, seed=seed)), STEPS)).kl
    assert kl["mixture"] < kl["normal"] - 0.2
