"""The ledger's lines add up to log q(x), each is what it says, and autograd agrees with the sums."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from aio.config import BlockConfig, FlowConfig, SubnetConfig
from aio.flow import Flow, build
from aio.inspection import film, ledger
from tests.reference import KINDS, jacobians, log_abs_det, perturb

SMALL = SubnetConfig(width=8, depth=1, activation="tanh")
CONFIGS = [
    BlockConfig(
        clamp=1.3, global_affine_type=kind, gin=gin, permutation=permutation, householder=householder,
        reverse_permutation=reverse, clamp_dialect=dialect,
    )
    for kind, gin, permutation, householder, reverse, dialect in itertools.product(
        KINDS, (False, True), ("hard", "soft"), (0, 1, 3), (False, True), ("freia-0.2", "freia-main")
    )
    if kind == "SOFTPLUS" or not gin
]  # fmt: skip
MIXED = {
    0: BlockConfig(permutation="hard", reverse_permutation=True),
    1: BlockConfig(householder=3, global_affine_type="EXP"),
    2: BlockConfig(gin=True, householder=1, reverse_permutation=True),
}  # fmt: skip
LOC, SCALE = torch.tensor([3.0, -0.5]), torch.tensor([0.25, 7.0])
U = torch.tensor([0.7, -1.1], dtype=torch.float64)


def config_id(config: BlockConfig) -> str:
    parts = [config.global_affine_type.lower(), *["gin"] * config.gin, config.permutation]
    parts += [f"householder{config.householder}"] * (config.householder > 0)
    return "-".join(parts + ["reversed"] * config.reverse_permutation + ["main"] * (config.clamp_dialect[-1] == "n"))


def trained(config: FlowConfig, *, seed: int = 0, standardised: bool = True) -> Flow:
    """A float32 flow with weights far from their start, cast to float64."""
    flow = build(config, seed, LOC, SCALE) if standardised else build(config, seed)
    for i, block in enumerate(flow.blocks):
        perturb(block, i, seed)
    return flow.double()


def mixed_flow(blocks: int = 3, *, standardised: bool = True) -> Flow:
    overrides = {i: block for i, block in MIXED.items() if i < blocks}
    return trained(FlowConfig(blocks=blocks, subnet=SMALL, overrides=overrides), standardised=standardised)


def data_point(flow: Flow, index: int, u: Tensor) -> Tensor:
    """Where in the data the point comes from that reaches the block at u, (1, 2)."""
    x = u[None]
    for block in reversed(list(flow.blocks)[:index]):
        x = block([x], rev=True)[0][0]
    return (x * flow.scale + flow.loc).detach()


# ---------------------------------------------------------------------- the sums


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("config", CONFIGS, ids=config_id)
def test_the_lines_add_up_to_log_prob_and_autograd_agrees(config: BlockConfig, index: int) -> None:
    flow = trained(FlowConfig(blocks=3, subnet=SMALL, block=config))
    found, x = ledger(flow, index, U), data_point(flow, index, U)
    assert found.total == pytest.approx(found.log_prob, abs=1e-10)
    assert found.log_prob == pytest.approx(flow.log_prob(x).item(), abs=1e-10)
    assert found.flow_autograd == pytest.approx(found.log_prob, abs=1e-10)
    block = flow.blocks[index]
    expected = log_abs_det(lambda v: block([v])[0][0], U[None]).item()
    assert found.block == pytest.approx(expected, abs=1e-10)
    assert found.block_autograd == pytest.approx(expected, abs=1e-12)
    sign = torch.linalg.slogdet(jacobians(lambda v: block([v])[0][0], U[None])).sign.item()
    assert found.orientation == sign
    assert isinstance(found.orientation, int)


@pytest.mark.parametrize("standardised", [False, True], ids=["as-it-is", "standardised"])
@pytest.mark.parametrize("blocks", range(1, 9), ids="{}-blocks".format)
def test_any_block_of_any_flow(blocks: int, standardised: bool) -> None:
    flow = trained(FlowConfig(blocks=blocks, subnet=SMALL), seed=blocks, standardised=standardised)
    for index in range(blocks):
        found, x = ledger(flow, index, U), data_point(flow, index, U)
        assert found.total == pytest.approx(found.log_prob, abs=1e-10)
        assert found.total == pytest.approx(flow.log_prob(x).item(), abs=1e-10)
        # By hand: the base's formula, and the whole flow's Jacobian.
        z = flow(x)[0]
        base = -(z.square().sum().item() / 2) - math.log(2 * math.pi)
        assert found.flow_autograd == pytest.approx(base + log_abs_det(lambda x: flow(x)[0], x).item(), abs=1e-10)
        assert found.x == pytest.approx(tuple(x[0].tolist()), abs=1e-10)
        assert found.z == pytest.approx(tuple(z[0].tolist()), abs=1e-10)


def test_float32_adds_up_to_its_own_rounding() -> None:
    flow = build(FlowConfig(blocks=8), seed=0)
    found = ledger(flow, 4, U)
    assert found.total == pytest.approx(found.log_prob, abs=1e-5)
    assert found.total == pytest.approx(found.flow_autograd, abs=1e-5)


def test_a_weight_that_is_off_shows_in_the_difference() -> None:
    """autograd's number is computed apart: a wrong log-determinant of the block would stand out."""
    flow = mixed_flow()
    block = flow.blocks[1]
    affine = block._affine
    block._affine = lambda x, a, rev=False: (affine(x, a, rev)[0], affine(x, a, rev)[1] + 0.5)
    found = ledger(flow, 1, U)
    assert found.block - found.block_autograd == pytest.approx(0.5, abs=1e-10)
    assert found.total - found.flow_autograd == pytest.approx(0.5, abs=1e-10)


def test_the_ledger_leaves_the_flow_alone() -> None:
    flow = mixed_flow()
    before = {k: w.clone() for k, w in flow.state_dict().items()}
    ledger(flow, 1, U)
    assert all(torch.equal(w, before[k]) for k, w in flow.state_dict().items())
    assert all(p.grad is None for p in flow.parameters())


def test_float32_points_are_taken_in_the_flows_own_precision() -> None:
    flow = mixed_flow()
    assert ledger(flow, 1, U.float()).total == ledger(flow, 1, U.float().double()).total


# ---------------------------------------------------------------------- the lines


def test_the_lines_stand_in_the_order_of_the_computation() -> None:
    flow = mixed_flow(5)

    def lines(index: int) -> list[tuple[str, str | None]]:
        return [(entry.title, entry.step) for entry in ledger(flow, index, U).entries]

    outside = [("base, log p(z)", None), ("standardise", None)]
    own = [("coupling", "coupling"), ("scale and offset", "global_affine")]
    pre, p = ("pre-permutation", "pre_permutation"), ("permutation", "permutation")
    assert lines(0) == [*outside, pre, *own, p, ("blocks 2–5", None)]
    mirrors = [(f"mirror v{'₀₁₂₃'[i]}", f"mirror_{i}") for i in (3, 2, 1)]
    assert lines(1) == [*outside, ("block 1", None), *own, *mirrors, p, ("blocks 3–5", None)]
    assert lines(2) == [*outside, ("blocks 1–2", None), pre, *own, mirrors[-1], p, ("blocks 4–5", None)]
    assert lines(3) == [*outside, ("blocks 1–3", None), *own, p, ("block 5", None)]
    assert lines(4) == [*outside, ("blocks 1–4", None), *own, p]


def test_a_flow_that_does_not_scale_has_no_line_for_it() -> None:
    assert [entry.title for entry in ledger(mixed_flow(1, standardised=False), 0, U).entries] == [
        "base, log p(z)", "pre-permutation", "coupling", "scale and offset", "permutation"
    ]  # fmt: skip
    shifted = build(FlowConfig(blocks=1), 0, LOC, torch.tensor([1.0, 2.0])).double()
    assert ledger(shifted, 0, U).entries[1].value == pytest.approx(-math.log(2.0), abs=1e-12)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_line_is_what_its_title_says(index: int) -> None:
    flow = mixed_flow()
    found, x = ledger(flow, index, U), data_point(flow, index, U)
    values = {entry.title: entry.value for entry in found.entries}
    z = torch.tensor(found.z)
    assert values.pop("base, log p(z)") == pytest.approx(-(z @ z).item() / 2 - math.log(2 * math.pi), abs=1e-6)
    assert values.pop("standardise") == pytest.approx(-math.log(0.25 * 7.0), abs=1e-12)

    def through(v: Tensor, blocks: list) -> Tensor:
        for block in blocks:
            v = block([v])[0][0]
        return v

    blocks = list(flow.blocks)
    start = (x - flow.loc) / flow.scale
    after_this = blocks[index]([U[None]])[0][0].detach()
    for title, part, at in (
        (["", "block 1", "blocks 1–2"][index], blocks[:index], start),
        (["blocks 2–3", "block 3", ""][index], blocks[index + 1 :], after_this),
    ):
        if title:
            expected = log_abs_det(lambda v: through(v, part), at).item()  # noqa: B023
            assert values.pop(title) == pytest.approx(expected, abs=1e-10), title
    # What is left is the block's own.
    assert sum(values.values()) == pytest.approx(found.block, abs=1e-12)
    step = {step.name: step for step in film(blocks[index], U[None])}
    assert values["coupling"] == step["clamp"].values.item()
    for title, value in values.items():
        if title.startswith(("permutation", "mirror", "pre-")):
            assert value == 0.0, title
            assert math.copysign(1, value) == 1
    if index == 2:
        assert values["coupling"] == values["scale and offset"] == 0.0  # GIN


@pytest.mark.parametrize("mirrors", range(5), ids="householder{}".format)
@pytest.mark.parametrize("reverse", [False, True], ids=["plain", "reversed"])
def test_each_mirror_flips_the_orientation_but_not_under_reverse(mirrors: int, reverse: bool) -> None:
    config = BlockConfig(householder=mirrors, reverse_permutation=reverse)
    flow = trained(FlowConfig(blocks=1, subnet=SMALL, block=config))
    assert ledger(flow, 0, U).orientation == (1 if reverse else (-1) ** mirrors)  # P C Pᵀ: each mirror twice
