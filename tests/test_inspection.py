"""An axis is called dead exactly where the flow can only shift and scale along it, as often as is claimed."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy import stats
from torch import Tensor

from aio.config import BlockConfig, FlowConfig, SubnetConfig
from aio.flow import Flow, build
from aio.inspection import dead_axes, dead_axis_probability
from tests.reference import generator_of, jacobians, perturb

SMALL = SubnetConfig(width=8, depth=1, activation="tanh")
HARD, SOFT = BlockConfig(permutation="hard"), BlockConfig(permutation="soft")
HARD_REVERSED = HARD.changed(reverse_permutation=True)
SOFT_REVERSED = SOFT.changed(reverse_permutation=True)
MIRROR = HARD.changed(householder=1)
MIRROR_REVERSED = MIRROR.changed(reverse_permutation=True)


def stack(*blocks: BlockConfig) -> FlowConfig:
    """A flow with these blocks, the first at the data."""
    return FlowConfig(blocks=len(blocks), subnet=SMALL, overrides=dict(enumerate(blocks)))


def shown(config: FlowConfig) -> str:
    names = {HARD: "hard", SOFT: "soft", MIRROR: "mirror", HARD_REVERSED: "hard-reversed",
             SOFT_REVERSED: "soft-reversed", MIRROR_REVERSED: "mirror-reversed"}  # fmt: skip
    return ",".join(names[config.block_config(i)] for i in range(config.blocks))


# ---------------------------------------------------------------------- dead axes


def only_shifted_and_scaled(flow: Flow) -> tuple[int, ...]:
    """The axes of which the flow keeps an exact copy, shifted and scaled: brute force, from Jacobians.

    Axis a is such a one where some fixed combination u of the latent channels moves with x_a alone, and evenly:
    uᵀ ∂z/∂x = e_aᵀ at every x.
    """
    x = 2 * torch.randn(12, flow.dim, generator=generator_of("axes", flow.dim), dtype=torch.float64)
    j: Tensor = jacobians(lambda x: flow(x)[0], x)  # (N, D, D)
    equations = j.transpose(1, 2).reshape(-1, flow.dim)  # rows (∂z/∂x_b)ᵀ at each place, for every b
    axes = []
    for a in range(flow.dim):
        wanted = torch.eye(flow.dim, dtype=torch.float64)[a].repeat(len(x))
        u = torch.linalg.lstsq(equations, wanted[:, None]).solution
        if (equations @ u - wanted[:, None]).abs().max() < 1e-9:
            axes.append(a)
    return tuple(axes)


STACKS = [
    *(stack(*[block] * k) for k in (1, 2, 3) for block in (HARD, HARD_REVERSED)),
    stack(SOFT), stack(MIRROR), stack(SOFT, SOFT), stack(SOFT_REVERSED), stack(MIRROR_REVERSED, HARD),
    stack(HARD, SOFT), stack(HARD, HARD_REVERSED, HARD), stack(HARD_REVERSED, HARD, MIRROR), stack(HARD, MIRROR, HARD),
]  # fmt: skip


@pytest.mark.parametrize("dim", [2, 3, 5], ids="{}d".format)
@pytest.mark.parametrize("config", STACKS, ids=shown)
def test_dead_axes_are_those_that_the_flow_only_shifts_and_scales(config: FlowConfig, dim: int) -> None:
    for seed in range(6):
        flow = build(config, seed, dim=dim).double()
        for i, block in enumerate(flow.blocks):
            perturb(block, i, seed)
        assert dead_axes(flow) == only_shifted_and_scaled(flow), seed


def test_both_answers_occur_among_seeds() -> None:
    answers = {dead_axes(build(stack(HARD, HARD), seed)) for seed in range(20)}
    assert answers == {(), (0,)}  # with hard permutations the second axis is the first one that is transformed
    assert {dead_axes(build(stack(HARD_REVERSED), seed)) for seed in range(20)} == {(0,), (1,)}


def test_one_dimension_has_nothing_to_couple() -> None:
    assert dead_axes(build(stack(HARD, HARD), 0, dim=1)) == (0,)


# ---------------------------------------------------------------------- their probability


def enumerated(config: FlowConfig) -> float:
    """The share of all draws of permutations, identity or swap, that leave one axis untransformed."""
    dead = draws = 0
    for swaps in itertools.product((False, True), repeat=config.blocks):
        order, mixed = (0, 1), False  # the axes that the two channels carry, and whether they are mixed
        transformed: set[int] = set()
        for i, swap in enumerate(swaps):
            block = config.block_config(i)
            mixes = block.permutation == "soft" or block.householder > 0
            turned = order[::-1] if swap else order
            active = (turned if block.reverse_permutation else order)[1]
            mixed_here = mixed or (block.reverse_permutation and mixes)
            transformed |= {0, 1} if mixed_here else {active}
            if not block.reverse_permutation:
                order, mixed = turned, mixed or mixes
        dead += len(transformed) < 2
        draws += 1
    return dead / draws


KINDS = (HARD, HARD_REVERSED, SOFT, SOFT_REVERSED, MIRROR, MIRROR_REVERSED)
MIXTURES = [stack(*blocks) for k in (1, 2, 3) for blocks in itertools.product(KINDS, repeat=k)]
LONGER = [stack(*blocks) for k in (4, 5) for blocks in itertools.product((HARD, HARD_REVERSED), repeat=k)]


@pytest.mark.parametrize("config", MIXTURES + LONGER, ids=shown)
def test_the_probability_is_the_share_of_all_draws(config: FlowConfig) -> None:
    assert dead_axis_probability(config) == enumerated(config)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FlowConfig(blocks=1), 1.0),
        (FlowConfig(blocks=4, block=HARD), 0.125),
        (FlowConfig(blocks=8, block=HARD), 1 / 128),
        (FlowConfig(blocks=8, block=HARD_REVERSED), 1 / 128),
        (FlowConfig(blocks=8), 0.0),
        (FlowConfig(blocks=8, block=MIRROR), 0.0),
        (FlowConfig(blocks=3, block=HARD, overrides={2: SOFT}), 0.25),
        (FlowConfig(blocks=3, block=HARD, overrides={2: SOFT_REVERSED}), 0.0),
    ],
    ids=["1-soft", "4-hard", "8-hard", "8-hard-reversed", "8-soft", "8-mirrors", "last-soft", "last-soft-reversed"],
)
def test_the_probability_in_numbers(config: FlowConfig, expected: float) -> None:
    assert dead_axis_probability(config) == expected


@pytest.mark.parametrize(
    "config",
    [stack(HARD, HARD, HARD), stack(HARD_REVERSED, HARD_REVERSED), stack(HARD, HARD_REVERSED, SOFT)],
    ids=shown,
)
def test_flows_drawn_from_seeds_have_dead_axes_that_often(config: FlowConfig) -> None:
    n = 300
    dead = sum(bool(dead_axes(build(config, seed))) for seed in range(n))
    assert stats.binomtest(dead, n, dead_axis_probability(config)).pvalue > 1e-3


@pytest.mark.parametrize("config", [c for c in MIXTURES if dead_axis_probability(c) == 0][::7], ids=shown)
def test_where_the_probability_is_0_no_seed_has_a_dead_axis(config: FlowConfig) -> None:
    assert all(dead_axes(build(config, seed)) == () for seed in range(8))
