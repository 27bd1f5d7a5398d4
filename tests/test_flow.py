"""A flow's density is a density: its log-determinant is autograd's, its mass is 1, its samples follow it."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from aio.config import BlockConfig, FlowConfig, SubnetConfig
from aio.flow import Flow, StandardNormal, build
from tests.reference import assert_close, generator_of, jacobians, log_abs_det, perturb, psi_of

SMALL = SubnetConfig(width=8, depth=1, activation="tanh")
CONFIGS = {
    "default-block": FlowConfig(blocks=2, subnet=SMALL),
    "hard": FlowConfig(blocks=3, block=BlockConfig(permutation="hard"), subnet=SMALL),
    "householder": FlowConfig(blocks=2, block=BlockConfig(permutation="hard", householder=2), subnet=SMALL),
    "reversed": FlowConfig(blocks=2, block=BlockConfig(reverse_permutation=True), subnet=SMALL),
    "gin": FlowConfig(blocks=2, block=BlockConfig(gin=True), subnet=SMALL),
    "freia-main-exp": FlowConfig(
        blocks=2, block=BlockConfig(clamp=0.7, clamp_dialect="freia-main", global_affine_type="EXP"), subnet=SMALL
    ),
    "mixed": FlowConfig(
        blocks=3,
        block=BlockConfig(global_affine_type="SIGMOID", global_affine_init=2.0),
        subnet=SMALL,
        overrides={1: BlockConfig(gin=True, permutation="hard"), 2: BlockConfig(householder=1, clamp=4.0)},
    ),
}
LOC, SCALE = torch.tensor([0.5, -1.0, 2.0, 0.0, 3.0]), torch.tensor([2.0, 0.25, 1.0, 3.0, 0.5])

each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
each_dim = pytest.mark.parametrize("dim", [2, 5], ids="{}d".format)
each_condition = pytest.mark.parametrize("condition_dim", [0, 3], ids=["plain", "conditional"])


def flow_of(config: FlowConfig, dim: int = 2, condition_dim: int = 0, *, seed: int = 0) -> Flow:
    """A flow in float64 with weights and standardisation far from trivial."""
    flow = build(config, seed, LOC[:dim], SCALE[:dim], dim=dim, condition_dim=condition_dim).double()
    for i, block in enumerate(flow.blocks):
        perturb(block, i, seed)
    return flow


def points(n: int, dim: int, condition_dim: int = 0) -> tuple[Tensor, Tensor | None]:
    rng = generator_of("points", n, dim, condition_dim)
    x = LOC[:dim] + SCALE[:dim] * torch.randn(n, dim, generator=rng, dtype=torch.float64)
    return x, torch.randn(n, condition_dim, generator=rng, dtype=torch.float64) if condition_dim else None


# ---------------------------------------------------------------------- the bijection


@each_condition
@each_dim
@each_config
def test_log_det_matches_autograd(config: FlowConfig, dim: int, condition_dim: int) -> None:
    flow = flow_of(config, dim, condition_dim)
    x, c = points(4, dim, condition_dim)
    z, log_det = flow(x, c)
    expected = log_abs_det(lambda x: flow(x, c)[0], x)
    assert_close(log_det, expected, 1e-10)
    assert config.block.gin or expected.std() > 1e-3  # it depends on the place
    _, inverse_log_det = flow.inverse(z, c)
    assert_close(inverse_log_det, log_abs_det(lambda z: flow.inverse(z, c)[0], z), 1e-8)


@each_condition
@each_dim
@each_config
def test_inverse_undoes_forward(config: FlowConfig, dim: int, condition_dim: int) -> None:
    flow = flow_of(config, dim, condition_dim)
    x, c = points(50, dim, condition_dim)
    z, _ = flow(x, c)
    assert_close(flow.inverse(z, c)[0], x, 1e-9)
    assert (z - x).abs().mean() > 0.1
    assert_close(flow(flow.inverse(x, c)[0], c)[0], x, 1e-9)


@each_config
def test_log_prob_is_the_base_density_of_z_and_the_log_det(config: FlowConfig) -> None:
    flow = flow_of(config)
    x, _ = points(20, 2)
    z = flow(x)[0].detach()
    base = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    assert_close(flow.log_prob(x), base.log_prob(z) + log_abs_det(lambda x: flow(x)[0], x), 1e-10)


def test_an_empty_batch_gives_an_empty_answer() -> None:
    flow = build(CONFIGS["default-block"], 0)
    z, log_det = flow(torch.empty(0, 2))
    assert (z.shape, log_det.shape, flow.log_prob(z).shape, flow.sample(0).shape) == ((0, 2), (0,), (0,), (0, 2))
    assert len(flow.stages(z)) == 7


# ---------------------------------------------------------------------- the density


def gentle(config: FlowConfig, condition_dim: int = 0) -> Flow:
    """A flow bent enough to be no Gaussian, and little enough for its mass to lie within a few units."""
    flow = build(config, 1, torch.tensor([0.3, -0.2]), torch.tensor([1.2, 0.8]), condition_dim=condition_dim).double()
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for block in flow.blocks:
            for p in block.subnet.parameters():
                p.copy_(2.0 * torch.randn(p.shape, generator=rng, dtype=torch.float64))
            block.global_offset.copy_(0.3 * torch.randn(block.global_offset.shape, generator=rng, dtype=torch.float64))
    return flow


def grid(reach: float, cells: int) -> tuple[Tensor, float]:
    centre = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * 2 * reach - reach
    return torch.cartesian_prod(centre, centre), (2 * reach / cells) ** 2


@each_condition
@pytest.mark.parametrize("name", ["default-block", "householder", "reversed", "gin", "freia-main-exp"])
def test_density_integrates_to_one(name: str, condition_dim: int) -> None:
    flow = gentle(CONFIGS[name], condition_dim)
    x, area = grid(14.0, 350)
    c = torch.tensor([[0.5, -1.0, 0.8]], dtype=torch.float64).expand(len(x), 3) if condition_dim else None
    with torch.no_grad():
        density = flow.log_prob(x, c).exp()
    assert density.sum().item() * area == pytest.approx(1, abs=1e-5)
    # Not the Gaussian of the same moments: the flow bends.
    mean = (density[:, None] * x).sum(0) * area
    cov = (density[:, None, None] * (x - mean)[:, :, None] * (x - mean)[:, None]).sum(0) * area
    gaussian = torch.distributions.MultivariateNormal(mean, cov).log_prob(x).exp()
    assert (density - gaussian).abs().sum().item() * area > 0.05


@pytest.mark.parametrize("name", ["default-block", "householder", "reversed"])
def test_samples_follow_the_density(name: str) -> None:
    flow = gentle(CONFIGS[name])
    n, cells, inside = 20_000, 10, 20
    x, area = grid(3.0, cells * inside)
    with torch.no_grad():
        mass = (flow.log_prob(x).exp() * area).reshape(cells, inside, cells, inside).sum((1, 3))
        samples = flow.sample(n, generator=torch.Generator().manual_seed(0)).numpy()
    counts, _, _ = np.histogram2d(*samples.T, bins=cells, range=[[-3, 3]] * 2)
    enough = mass.numpy() * n > 10
    observed = np.append(counts[enough], n - counts[enough].sum())
    expected = np.append(mass.numpy()[enough] * n, n - mass.numpy()[enough].sum() * n)
    assert enough.sum() > 40
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@each_dim
def test_samples_of_an_affine_flow_have_its_mean_and_covariance(dim: int) -> None:
    flow = flow_of(CONFIGS["reversed"], dim)
    with torch.no_grad():
        for block in flow.blocks:
            for layer in block.subnet:
                if isinstance(layer, nn.Linear):
                    layer.weight.zero_()  # s and t do not depend on the place: z = A x + b
                    layer.bias.mul_(0.5)
        origin = torch.zeros(1, dim, dtype=torch.float64)
        b = flow(origin)[0][0]
        samples = flow.sample(40_000, generator=torch.Generator().manual_seed(0))
    inverse = torch.linalg.inv(jacobians(lambda x: flow(x)[0], origin)[0])
    mean, cov = -inverse @ b, inverse @ inverse.T
    deviation = cov.diagonal().sqrt()
    assert ((samples.mean(0) - mean).abs() / deviation * 200).max() < 4
    assert ((samples.T.cov() - cov).abs() / deviation.outer(deviation)).max() < 4 * math.sqrt(2 / 40_000)
    exact = torch.distributions.MultivariateNormal(mean, cov)
    assert_close(flow.log_prob(samples[:20]).detach(), exact.log_prob(samples[:20]), 1e-9)


@each_dim
@each_config
def test_log_prob_is_in_the_units_of_the_data(config: FlowConfig, dim: int) -> None:
    x, _ = points(20, dim)
    loc, scale = LOC[:dim], SCALE[:dim]
    standard = build(config, 3, dim=dim).double()
    in_units = build(config, 3, loc, scale, dim=dim).double()
    standardised = (x - loc.double()) / scale.double()
    expected = standard.log_prob(standardised) - scale.double().log().sum()
    assert_close(in_units.log_prob(x), expected, 1e-12)
    draws = [flow.sample(5, generator=torch.Generator().manual_seed(1)) for flow in (standard, in_units)]
    assert_close(draws[1], draws[0] * scale.double() + loc.double(), 1e-12)


def test_a_generator_determines_the_samples() -> None:
    flow = build(CONFIGS["default-block"], 0)
    with torch.no_grad():
        first, again, other = (flow.sample(5, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# ---------------------------------------------------------------------- the stages


def names_of(config: FlowConfig) -> list[tuple[int | None, str]]:
    names: list[tuple[int | None, str]] = [(None, "standardise")]
    for i in range(config.blocks):
        first = ["pre_permutation"] if config.block_config(i).reverse_permutation else []
        names += [(i, name) for name in [*first, "coupling", "global_affine", "permutation"]]
    return names


@each_condition
@each_dim
@each_config
def test_stages_lead_from_x_to_z_and_each_tells_its_own_log_det(
    config: FlowConfig, dim: int, condition_dim: int
) -> None:
    flow = flow_of(config, dim, condition_dim)
    x, c = points(3, dim, condition_dim)
    stages = flow.stages(x, c)
    assert [(s.block, s.name) for s in stages] == names_of(config)
    z, log_det = flow(x, c)
    assert_close(stages[-1].x, z, 1e-12)
    assert_close(torch.stack([s.log_det for s in stages]).sum(0), log_det, 1e-12)
    total = torch.zeros(3, dtype=torch.float64)
    for k, stage in enumerate(stages):
        total = total + stage.log_det
        assert_close(total, log_abs_det(lambda x, k=k: flow.stages(x, c)[k].x, x), 1e-10, f"{stage.block} {stage.name}")


def test_reversed_blocks_have_a_stage_before_their_coupling() -> None:
    config = FlowConfig(blocks=2, overrides={1: BlockConfig(reverse_permutation=True)})
    names = [(s.block, s.name) for s in build(config, 0).stages(torch.zeros(1, 2))]
    assert names == [
        (None, "standardise"), (0, "coupling"), (0, "global_affine"), (0, "permutation"),
        (1, "pre_permutation"), (1, "coupling"), (1, "global_affine"), (1, "permutation"),
    ]  # fmt: skip


# ---------------------------------------------------------------------- settings → blocks

REACHES: dict[str, tuple[Any, Any]] = {
    "clamp": (1.25, lambda b: b.affine_clamping),
    "clamp_dialect": ("freia-main", lambda b: b.clamp_dialect),
    "permutation": ("hard", lambda b: "soft" if ((b.w_perm != 0) & (b.w_perm != 1)).any() else "hard"),
    "householder": (3, lambda b: len(getattr(b, "vk_householder", ()))),
    "reverse_permutation": (True, lambda b: b.sub_stages([torch.zeros(1, 2)])[0].name == "pre_permutation"),
    "gin": (True, lambda b: b.gin_block),
    "global_affine_type": ("EXP", lambda b: b.global_affine_type),
    "global_affine_init": (2.5, lambda b: round(psi_of(b.global_scale, b.global_affine_type).mean().item(), 4)),
}


def test_every_setting_of_a_block_is_tested() -> None:
    assert REACHES.keys() == BlockConfig.model_fields.keys()


@pytest.mark.parametrize("name", REACHES)
def test_a_setting_reaches_the_block_it_is_for_and_no_other(name: str) -> None:
    value, read = REACHES[name]
    usual = getattr(BlockConfig(), name)
    own = BlockConfig().changed(**{name: value})
    assert value != usual
    every = build(FlowConfig(blocks=3, block=own, subnet=SMALL), 0)
    assert [read(block) for block in every.blocks] == [value] * 3
    one = build(FlowConfig(blocks=3, overrides={1: own}, subnet=SMALL), 0)
    assert [read(block) for block in one.blocks] == [usual, value, usual]


@pytest.mark.parametrize(
    ("activation", "layer"), [("relu", nn.ReLU), ("silu", nn.SiLU), ("tanh", nn.Tanh)], ids=["relu", "silu", "tanh"]
)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_subnet_settings_reach_every_block(depth: int, activation: str, layer: type[nn.Module]) -> None:
    config = FlowConfig(blocks=2, subnet=SubnetConfig(width=6, depth=depth, activation=activation))
    for block in build(config, 0, dim=5, condition_dim=2).blocks:
        linear = [m for m in block.subnet if isinstance(m, nn.Linear)]
        sizes = [3 + 2, *[6] * depth, 2 * 2]  # passive channels and conditions → s and t of the active ones
        assert [m.in_features for m in linear] + [linear[-1].out_features] == sizes
        assert [type(m) for m in block.subnet if not isinstance(m, nn.Linear)] == [layer] * depth


def test_the_blocks_stand_in_order_from_the_data() -> None:
    flow = flow_of(CONFIGS["mixed"])
    x, _ = points(5, 2)
    expected = (x - LOC[:2].double()) / SCALE[:2].double()
    for block in flow.blocks:
        (expected,), _ = block([expected])
    assert torch.equal(flow(x)[0], expected)


# ---------------------------------------------------------------------- randomness


@each_config
def test_the_same_seed_builds_the_same_flow(config: FlowConfig) -> None:
    first, again, other = (build(config, seed).state_dict() for seed in (4, 4, 5))
    from_generator = build(config, torch.Generator().manual_seed(4)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(first[name], from_generator[name]) for name in first)
    drawn = [n for n in first if "subnet" in n or "vk_householder" in n]
    assert all(not torch.equal(first[name], other[name]) for name in drawn)


def test_blocks_are_drawn_apart() -> None:
    weights = build(FlowConfig(blocks=4, subnet=SMALL), 0).state_dict()
    for name in ("w_perm", "subnet.0.weight"):
        drawn = [weights[f"blocks.{i}.{name}"] for i in range(4)]
        assert not any(torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_building_and_sampling_leave_the_global_generators_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    for config in CONFIGS.values():
        build(config, 0, condition_dim=2)
        build(config, 0).sample(3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]


# ---------------------------------------------------------------------- conditions


def test_the_density_follows_the_condition_of_each_row() -> None:
    flow = flow_of(CONFIGS["default-block"], condition_dim=3)
    x, c = points(6, 2, 3)
    together = flow.log_prob(x, c)
    apart = torch.cat([flow.log_prob(x[i : i + 1], c[i : i + 1]) for i in range(6)])
    assert_close(together, apart, 1e-12)
    swapped = flow.log_prob(x, c.flip(0))
    assert ((swapped - together).abs() > 1e-3).all()


def test_samples_follow_the_condition() -> None:
    flow = flow_of(CONFIGS["default-block"], condition_dim=3)
    _, c = points(5, 2, 3)
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert_close(flow.sample(5, c, torch.Generator().manual_seed(2)), flow.inverse(z, c)[0], 1e-12)


def test_a_condition_too_many_or_missing_is_told() -> None:
    x, c = torch.zeros(4, 2), torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"Expected 0 tensor\(s\) for the conditions, got 1\. Build .* dims_c"):
        build(CONFIGS["default-block"], 0)(x, c)
    conditional = build(CONFIGS["default-block"], 0, condition_dim=3)
    with pytest.raises(ValueError, match=r"Expected 1 tensor\(s\) for the conditions, got 0"):
        conditional.log_prob(x)
    with pytest.raises(ValueError, match=r"the conditions of shape \(N, 3\), got \(4, 2\)"):
        conditional.log_prob(x, c[:, :2])
    with pytest.raises(ValueError, match="batch size of x, 4, got 3"):
        conditional.stages(x, c[:3])


# ---------------------------------------------------------------------- dtypes and shapes


@each_condition
def test_a_float32_flow_takes_points_of_float64_and_answers_in_float32(condition_dim: int) -> None:
    flow = build(CONFIGS["default-block"], 0, condition_dim=condition_dim)
    x, c = points(5, 2, condition_dim)
    single_c = None if c is None else c.float()
    for method in (flow.forward, flow.inverse, lambda x, c: flow.stages(x, c)[-1][2:]):
        answers = method(x, c)
        assert all(a.dtype == torch.float32 for a in answers)
        assert all(torch.equal(a, b) for a, b in zip(answers, method(x.float(), single_c), strict=True))
    assert flow.sample(5, c).dtype == torch.float32


def test_a_float64_flow_computes_in_float64() -> None:
    flow = copy.deepcopy(build(CONFIGS["default-block"], 0)).double()
    x, _ = points(5, 2)
    assert flow.log_prob(x.float()).dtype == flow.sample(3).dtype == torch.float64


@pytest.mark.parametrize("method", ["forward", "inverse", "log_prob", "stages"])
@pytest.mark.parametrize(
    ("shape", "mend"),
    [((2,), r"Add a batch axis: {}\[None\]\."), ((5, 3), "Give one point a row."), ((2, 5), "Give one point a row."),
     ((4, 2, 1), "Give one point a row."), ((), "Give one point a row."), ((5,), "Give one point a row.")],
    ids=str,
)  # fmt: skip
def test_a_wrong_shape_is_told_with_its_mend(method: str, shape: tuple[int, ...], mend: str) -> None:
    name = "z" if method == "inverse" else "x"
    got = str(shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"Expected {name} of shape \(N, 2\), got {got}\. {mend.format(name)}"):
        getattr(build(CONFIGS["default-block"], 0), method)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("loc", "scale", "sentence"),
    [
        ([0.0, 0.0], [1.0, 0.0], "A scale of 0 means that a column of the data is constant"),
        ([0.0, 0.0], [1.0, -1.0], "Expected a finite loc and a positive, finite scale"),
        ([0.0, 0.0], [1.0, math.inf], "Expected a finite loc and a positive, finite scale"),
        ([math.nan, 0.0], [1.0, 1.0], "Expected a finite loc and a positive, finite scale"),
        ([0.0], [1.0, 1.0], r"Expected loc and scale of one shape \(D,\), got \(1,\), \(2,\)"),
        ([[0.0, 0.0]], [[1.0, 1.0]], r"Expected loc and scale of one shape \(D,\), got \(1, 2\), \(1, 2\)"),
    ],
    ids=["constant", "negative", "infinite", "nan", "lengths", "matrix"],
)
def test_a_standardisation_that_cannot_be_is_told(loc: Any, scale: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build(CONFIGS["default-block"], 0, torch.tensor(loc), torch.tensor(scale))


def test_the_state_dict_carries_the_standardisation() -> None:
    flow, other = flow_of(CONFIGS["mixed"], seed=0), build(CONFIGS["mixed"], 9).double()
    other.load_state_dict(flow.state_dict())
    x, _ = points(5, 2)
    assert_close(other.log_prob(x), flow.log_prob(x), 1e-12)
    assert not {"loc", "scale"} & dict(flow.named_parameters()).keys()


# ---------------------------------------------------------------------- the base


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_standard_normal_is_torchs(dim: int) -> None:
    base = StandardNormal(dim)
    z = 3 * torch.randn(20, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    assert_close(base.log_prob(z), expected, 1e-12)
    draws = base.sample(20_000, torch.Generator().manual_seed(0), torch.float64)
    assert draws.shape == (20_000, dim)
    assert draws.dtype == torch.float64
    assert all(stats.kstest(column.numpy(), "norm").pvalue > 1e-3 for column in draws.T)
    assert torch.equal(
        base.sample(3, torch.Generator().manual_seed(1)), base.sample(3, torch.Generator().manual_seed(1))
    )
