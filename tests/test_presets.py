"""Presets are what they say, and each statement is true of exactly the settings that it is shown with."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from aio.block import AllInOneBlock
from aio.by_hand import BlockEdit, HandCurve, edited
from aio.config import BlockConfig, FlowConfig, RunConfig, SubnetConfig
from aio.flow import Flow, build
from aio.inspection import (
    area_change,
    conditioner,
    dead_axes,
    dead_axis_probability,
    film,
    held_out_change,
    mixing,
    saturation,
    signed_areas,
    square_grid,
    vertical_slice,
    with_block,
    without_block,
)
from aio.link import from_link, to_link
from aio.presets import PRESETS, STATEMENTS, Preset, Statement
from aio.training import TrainState, advance, evaluate, flow_of, start
from tests.reference import jacobians

VERTICES = 41
# Ψ = 1 and a rotation are stored in float32. In float64 they are 1 and orthogonal within this, relative to the data.
ROUNDING = 1e-6
TRAINED_STEPS = 200
CONTROLS = ("Block", "Direction", "Clamp α", "Permutation", "Householder mirrors", "GIN", "Reverse permutation",
            "s by hand", "t by hand", "angle", "Switch this block off", "Round trip")  # fmt: skip

each_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
each_statement = pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: f"statement{s.number}")


def trained(config: RunConfig, steps: int = TRAINED_STEPS) -> TrainState:
    return advance(start(config), steps)


@pytest.fixture(scope="session")
def run() -> TrainState:
    """The run behind every statement that is shown on a trained flow."""
    (config,) = {statement.config for statement in STATEMENTS if statement.source == "trained"}
    return trained(config)


@pytest.fixture(scope="session")
def flow_for(run: TrainState) -> Callable[[Statement], Flow]:
    """The flow of a statement before it is edited, in float64."""

    def flow_for(statement: Statement) -> Flow:
        state = run if statement.source == "trained" else start(statement.config)
        return flow_of(state).double()

    return flow_for


def block_of(flow: Flow, statement: Statement) -> AllInOneBlock:
    return edited(flow.blocks[statement.index], statement.edit)


@torch.no_grad()
def points_of(flow: Flow, statement: Statement, n: int = 2000) -> Tensor:
    """What goes into the statement's block, (n, 2)."""
    if statement.points == "base":
        return torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (start(statement.config).dataset().held_out[:n].double() - flow.loc) / flow.scale
    for block in flow.blocks[: statement.index]:
        (x,), _ = block([x])
    return x


# ---------------------------------------------------------------------- presets


def test_presets_are_found_by_their_names() -> None:
    assert all(name == preset.name and re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name, preset in PRESETS.items())
    assert len({preset.title for preset in PRESETS.values()}) == len(PRESETS)
    assert {preset.kind for preset in PRESETS.values()} == {"wild", "start", "failure"}


@each_preset
def test_a_preset_says_where_it_is_from_and_what_to_look_for(preset: Preset) -> None:
    assert bool(preset.origin) == (preset.kind == "wild")
    assert preset.look_for.endswith(".")
    assert "!" not in preset.look_for
    assert 1 <= len(re.findall(r"[.:?](?= |$)", preset.look_for)) <= 4


@each_preset
def test_a_preset_fits_in_a_link(preset: Preset) -> None:
    assert from_link(to_link(preset.config)) == (preset.config, [])


@each_preset
def test_a_preset_trains_unless_it_is_a_failure(preset: Preset) -> None:
    state = trained(preset.config, 30)
    if preset.kind != "failure":
        assert state.stopped is None
        assert evaluate(state).nll < evaluate(start(preset.config)).nll


# What public code sets, as it was read there: blocks, and options of the block that are not at their defaults.
PUBLIC = {
    "freia_quickstart": (8, {"permutation": "soft"}),
    "cflow_ad": (8, {"clamp": 1.9, "permutation": "soft"}),
    "anomalib_cflow": (8, {"clamp": 1.9}),
    "anomalib_fastflow": (8, {}),
    "u_flow": (4, {}),
    "msflow": (8, {"clamp": 1.9}),
    "udt_cinn": (8, {"clamp": 1.0, "global_affine_init": 0.7, "reverse_permutation": True, "householder": 2}),
    "ib_inn": (8, {"clamp": 0.7, "global_affine_init": 0.75}),
    "chemistry_pinn": (6, {"clamp": 3.0, "gin": True, "permutation": "soft"}),
}


def test_wild_presets_are_as_public_code_has_them() -> None:
    found = {name: preset.config.flow for name, preset in PRESETS.items() if preset.kind == "wild"}
    published = BlockConfig(permutation="hard")  # the libraries' default; this project's is soft
    assert {name: (flow.blocks, flow.block) for name, flow in found.items()} == {
        name: (blocks, published.changed(**options)) for name, (blocks, options) in PUBLIC.items()
    }
    quickstart = PRESETS["freia_quickstart"].config
    assert (quickstart.data.target, quickstart.data.parameters) == ("moons", {"noise": 0.05})
    assert (quickstart.training.learning_rate, quickstart.training.batch_size) == (1e-3, 100)
    assert PRESETS["anomalib_cflow"].config.training.learning_rate == 1e-4
    assert PRESETS["anomalib_fastflow"].config.training.weight_decay == 1e-5
    assert found["chemistry_pinn"].subnet == SubnetConfig(width=5, depth=1, activation="tanh")


def drawn(config: RunConfig) -> list[Flow]:
    """The flow as a run starts with it, and as its seed alone draws it."""
    return [flow_of(start(config)), build(config.flow, config.seed)]


@each_preset
def test_only_the_preset_of_that_name_has_a_dead_axis(preset: Preset) -> None:
    for flow in drawn(preset.config):
        assert dead_axes(flow) == ((0,) if preset.name == "dead_axis" else ())


def test_another_seed_mends_a_dead_axis_in_seven_cases_of_eight() -> None:
    assert dead_axis_probability(PRESETS["dead_axis"].config.flow) == 1 / 8
    assert dead_axis_probability(PRESETS["u_flow"].config.flow) == 1 / 8


def test_failures_fail() -> None:
    """Each ends well above the same run without what makes it fail, and by more than noise."""
    mended = {
        "gin": ("flow", "block", "gin", False),
        "dead_axis": ("seed", 0),
        "small_clamp": ("flow", "block", "clamp", 2.0),
        "high_learning_rate": ("training", "learning_rate", 1e-3),
    }
    assert mended.keys() == {name for name, preset in PRESETS.items() if preset.kind == "failure"}
    for name, (*path, value) in mended.items():
        config = PRESETS[name].config
        bad, good = (evaluate(trained(c)) for c in (config, config.changed_at(tuple(path), value)))
        assert bad.kl - good.kl > 0.2, name


# ---------------------------------------------------------------------- statements: how they are given


def test_statements_are_numbered_from_one() -> None:
    assert [statement.number for statement in STATEMENTS] == list(range(1, 11))
    assert len({statement.title for statement in STATEMENTS}) == 10
    assert all(1 <= len(statement.title.split()) <= 5 for statement in STATEMENTS)


@each_statement
def test_a_statement_can_be_shown(statement: Statement, flow_for: Callable[[Statement], Flow]) -> None:
    flow = flow_for(statement)
    steps = {s.name: s for s in film(block_of(flow, statement), points_of(flow, statement), statement.rev)}
    assert steps[statement.step].active
    assert 0 <= statement.index < statement.config.flow.blocks
    assert from_link(to_link(statement.config)) == (statement.config, [])


@each_statement
def test_a_statement_is_plain_and_names_a_control(statement: Statement) -> None:
    assert any(control.lower() in statement.see.lower() for control in CONTROLS)
    for text in (statement.sentence, statement.see):
        assert text.endswith(".")
        assert "!" not in text
    assert statement.sentence.count("$") % 2 == 0
    assert "$" not in statement.see


# ---------------------------------------------------------------------- statements: that they are true


@torch.no_grad()
def check_1(statement: Statement, flow: Flow) -> None:
    """A GIN block is a shear."""
    block = block_of(flow, statement)
    grid = square_grid(3.0, VERTICES)
    (y,), log_det = block([grid])
    areas, before = (signed_areas(points, (VERTICES, VERTICES)) for points in (y, grid))
    torch.testing.assert_close(areas, before, rtol=ROUNDING, atol=0)
    assert log_det.abs().max() == 0
    assert conditioner(block, grid[:, 0]).s.abs().max() == 0
    # The coupling moves points far and keeps areas to the last digits; without GIN they change much.
    coupling = {step.name: step for step in film(block, grid)}["coupling"]
    assert area_change(grid, coupling.x, (VERTICES, VERTICES)).log.abs().max() < 1e-11
    assert (coupling.x - grid).abs().max() > 1.4
    torch.testing.assert_close(coupling.x[:, 1], grid[:, 1] + 1.5 * torch.sin(2 * grid[:, 0]))
    without = edited(block, BlockEdit(gin=False))
    change = area_change(grid, without([grid])[0][0], (VERTICES, VERTICES)).log
    assert change[:, -5:].min() > 1 > -1 > change[:, :5].max()
    # The density's bound, reached where z = 0.
    shown = with_block(flow, statement.index, block)
    x = 2 * torch.randn(20_000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    at_zero = shown.inverse(torch.zeros(1, 2, dtype=torch.float64))[0]
    log_q = shown.log_prob(torch.cat([x, at_zero])) + shown.scale.log().sum()
    assert log_q.max().exp().item() == pytest.approx(1 / (2 * math.pi), rel=ROUNDING)
    # Any number of such blocks, with any weights.
    deep = build(statement.config.flow.changed(blocks=6), seed=4).double()
    for p in deep.parameters():
        p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()), dtype=torch.float64))
    assert deep.log_prob(x).max().exp() <= (1 + ROUNDING) / (2 * math.pi)


@torch.no_grad()
def check_2(statement: Statement, flow: Flow) -> None:
    """The dead-axis lottery, by enumeration of all draws."""
    for shown in (flow.float(), build(statement.config.flow, statement.config.seed)):
        assert dead_axes(shown) == (0,)
        for block in shown.blocks:
            assert mixing(block).matrix.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    x = points_of(flow.double(), statement)
    (y,), _ = block_of(flow, statement)([x])
    torch.testing.assert_close(y[:, 0], x[:, 0], rtol=0, atol=ROUNDING)
    assert (y[:, 1] - x[:, 1]).abs().max() > 1
    identity, swap = torch.eye(2), torch.eye(2).flip(0)
    for blocks, reverse in itertools.product((1, 2, 3, 4), (False, True)):
        config = FlowConfig(blocks=blocks, block=BlockConfig(permutation="hard", reverse_permutation=reverse))
        stack = build(config, seed=0)
        dead = []
        for draw in itertools.product((identity, swap), repeat=blocks):
            for block, w in zip(stack.blocks, draw, strict=True):
                block.load_state_dict(block.state_dict() | {"w_perm": w, "w_perm_inv": w.T})
            dead.append(dead_axes(stack))
        assert sum(map(bool, dead)) / len(dead) == 2.0 ** -(blocks - 1) == dead_axis_probability(config)
        if reverse:
            for axis in (0, 1):
                assert sum(axis in axes for axes in dead) / len(dead) == 2.0**-blocks


def check_3(statement: Statement, flow: Flow) -> None:
    """The last permutation is invisible to an isotropic base."""
    x = start(statement.config).dataset().held_out.double()
    assert statement.index == len(flow.blocks) - 1
    turned = with_block(flow, statement.index, block_of(flow, statement))
    with torch.no_grad():
        z, other = flow(x)[0], turned(x)[0]
    assert (z - other).norm(dim=1).max() > 2  # it moves everything,
    change, error = held_out_change(flow, turned, x)
    assert abs(change) < 1e-6  # and costs nothing
    assert error < 1e-6
    for i in range(statement.index):
        assert held_out_change(flow, with_block(flow, i, edited(flow.blocks[i], statement.edit)), x)[0] > 0.3


def check_4(statement: Statement, flow: Flow) -> None:
    """Turns and mirrors: the sign of det flips, log|det| does not move."""
    block = block_of(flow, statement)
    found = mixing(block)
    v = torch.tensor(statement.edit.v[0], dtype=torch.float64)
    torch.testing.assert_close(found.matrix @ v, -v)
    along = torch.tensor([-v[1], v[0]])
    torch.testing.assert_close(found.matrix @ along, along)
    soft = build(statement.config.flow, seed=5).double().blocks[0]
    for count in range(5):
        p = mixing(edited(soft, BlockEdit(v=((1.0, 0.5), (0.3, -2.0), (-1.0, 0.0), (0.7, 0.7))[:count])))
        assert torch.linalg.det(p.matrix).item() == pytest.approx((-1) ** count, abs=1e-12)
        assert abs(p.log_abs_det) < 1e-12
        assert p.mirrored == (count % 2 == 1)
    grid = square_grid(2.0, VERTICES)
    steps = {step.name: step.x for step in film(block, grid)}
    change = area_change(steps["global_affine"], steps["mirror_1"], (VERTICES, VERTICES))
    assert change.mirrored.all()
    assert change.log.abs().max() < 1e-12
    x = points_of(flow, statement)
    moved = {step.name: step.x for step in film(block, x)}
    assert (moved["mirror_1"] - moved["global_affine"]).norm(dim=1).mean() > 1
    hard = statement.config.flow.changed_at(("block", "permutation"), "hard")
    swaps = [m for m in (mixing(build(hard, seed).blocks[0]) for seed in range(9)) if m.mirrored]
    assert swaps
    assert all((m.matrix.tolist(), m.angle) == ([[0.0, 1.0], [1.0, 0.0]], 45.0) for m in swaps)


def check_5(statement: Statement, flow: Flow) -> None:
    """Bounds of the stretch, and the gradient that the clamp leaves."""
    block = block_of(flow, statement)
    alpha = block.affine_clamping
    x1 = points_of(flow, statement)[:, 0]
    found = conditioner(block, x1)
    torch.testing.assert_close(found.before, 3 * x1)
    stretch = found.s.exp()
    assert math.exp(-alpha) < stretch.min() < 0.15
    assert 7.3 < stretch.max() < math.exp(alpha) < 7.4
    a = found.before.clone().requires_grad_()
    s, _ = block._log_scale_and_shift(torch.stack([10 * a, 0 * a], dim=1))
    (gradient,) = torch.autograd.grad(s.sum(), a)
    left = saturation(block, x1).gradient_left
    torch.testing.assert_close(left, 1 - torch.tanh(found.before).square())
    torch.testing.assert_close(gradient / alpha, left)
    near = found.s.abs() > 0.99 * alpha
    assert near.double().mean() > 0.2
    assert left[near].max() < 0.02
    lower = conditioner(edited(block, BlockEdit(clamp=0.5)), x1).s.exp()
    assert math.exp(-0.5) < lower.min() < lower.max() < math.exp(0.5)


@torch.no_grad()
def check_6(statement: Statement, flow: Flow) -> None:
    """P·C·Pᵀ couples along a tilted axis."""
    block = block_of(flow, statement)
    assert block.reverse_permutation
    p = block.kernels()[0]
    tilt = math.radians(statement.edit.angle)
    expected = torch.tensor([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]], dtype=torch.float64)
    torch.testing.assert_close(p, expected)
    x = points_of(flow, statement)
    (y,), _ = block([x])
    (c,), _ = edited(block, BlockEdit(angle=0.0, reverse_permutation=False))([x @ p])  # C(Pᵀx)
    torch.testing.assert_close(y, c @ p.T, rtol=0, atol=1e-12)
    moved = y - x
    along, across = moved @ p[:, 1], moved @ p[:, 0]
    assert across.abs().max() < ROUNDING
    torch.testing.assert_close(along, 1.5 * (x @ p[:, 0]), rtol=ROUNDING, atol=ROUNDING)
    assert along.abs().max() > 2
    straight = edited(block, BlockEdit(angle=0.0))([x])[0][0] - x
    assert straight[:, 0].abs().max() < ROUNDING
    assert straight[:, 1].abs().max() > 2


def check_7(statement: Statement, flow: Flow) -> None:
    """At a fixed x₁ one coupling is affine in x₂."""
    assert (statement.points, statement.rev) == ("base", False)
    block = block_of(flow, statement)
    x2 = torch.linspace(-4, 4, 41, dtype=torch.float64)
    widths = []
    for x1 in (-2.0, -0.5, -0.05, 0.0, 0.3, 2.0):
        u2 = vertical_slice(block, x1, x2)
        here = conditioner(block, torch.tensor([x1], dtype=torch.float64))
        torch.testing.assert_close(u2, here.s.exp() * x2 + here.t, rtol=1e-12, atol=1e-12)
        assert u2.diff(n=2).abs().max() < 1e-12
        widths.append(here.s.exp().item())
    assert widths[0] < 0.25 < 1 < 4 < widths[-1]
    # A curve in x₁ is no way around it: whatever is set, second differences vanish.
    for kind, clamp in itertools.product(("linear", "sine", "step"), (0.5, 10.0)):
        curve = HandCurve(kind=kind, amplitude=3.0, rate=9.0)
        other = edited(block, BlockEdit(s=curve, t=curve, clamp=clamp))
        u2 = vertical_slice(other, 0.7, x2)
        assert u2.diff(n=2).abs().max() <= 1e-11 * u2.abs().max()


@torch.no_grad()
def check_8(statement: Statement, flow: Flow) -> None:
    """An untrained flow is almost a pure permutation."""
    assert statement.edit.empty
    for seed in (statement.config.seed, 1, 2):
        shown = flow_of(start(statement.config.changed(seed=seed))).double()
        x = points_of(shown, statement)
        turned = x
        for block in shown.blocks:
            found = conditioner(block, x[:, 0])
            assert max(found.s.abs().max(), found.t.abs().max()) < 0.15
            (y,), _ = block([x])
            assert (y - x @ block.kernels()[0].T).norm(dim=1).max() < 0.3
            turned = turned @ block.kernels()[0].T
            x = y
        # All eight blocks together stray by less than the data are wide.
        assert (x - turned).norm(dim=1).mean() < 0.5
    moved = {step.name: step.x for step in film(flow.blocks[0], points_of(flow, statement))}
    by_coupling = (moved["coupling"] - moved["split"]).norm(dim=1).mean()
    assert by_coupling < 0.1 * (moved["permutation"] - moved["global_affine"]).norm(dim=1).mean()


@torch.no_grad()
def check_9(statement: Statement, flow: Flow) -> None:
    """The base is pulled apart, and a bridge is left that is never cut."""
    assert (statement.points, statement.rev) == ("base", True)
    block = block_of(flow, statement)
    z = points_of(flow, statement)
    (x,), log_det = block([z], rev=True)
    assert log_det.abs().max() < ROUNDING  # nothing is stretched in area, so the bridge is thin because it is long
    for side in (x[:, 1] > 1, x[:, 1] < -1):
        assert side.double().mean() > 0.45
    middle = (x[:, 1].abs() < 1) & (z[:, 0].abs() < 0.05)
    assert 0.005 < middle.double().mean() < 0.05  # few points fill the bridge, and yet some
    thickness = []
    for rate in (2.0, 10.0, 50.0):
        steep = edited(block, BlockEdit(t=statement.edit.t.changed(rate=rate)))
        # A curve through the base, finer and finer, is carried to a curve without gaps.
        gaps = []
        for n in (1_001, 10_001, 100_001):
            at = torch.linspace(-2, 2, n, dtype=torch.float64)
            curve = torch.stack([at, torch.zeros_like(at)], dim=1)
            (image,), _ = steep([curve], rev=True)
            gaps.append(image.diff(dim=0).norm(dim=1).max().item())
            steps = image[:, 1].diff()
        assert (steps <= 0).all()  # it goes down all the way, through every height between the two clouds
        assert gaps[2] < 0.15 * gaps[1] < 0.1 * gaps[0]
        # The disc |z| < 1 in the middle of the bridge, at height 0: how wide is it?
        at = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
        level = torch.stack([at, torch.zeros_like(at)], dim=1)
        (back,), _ = steep([level])
        inside = back.norm(dim=1) < 1
        thickness.append(inside.double().mean().item() * 2)
        assert (inside.int().diff() != 0).sum() == 2  # in one piece
        assert torch.isfinite(with_block(flow, 0, steep).log_prob(level * flow.scale + flow.loc)).all()
    assert thickness[0] > 3 * thickness[1] > 9 * thickness[2] > 0


def check_10(statement: Statement, flow: Flow, run: TrainState) -> None:
    """NLL − H = KL."""
    found = evaluate(run, points=20_000)
    target = statement.config.data.build()
    x = target.sample(20_000, torch.Generator().manual_seed(9), torch.float64)
    log_p = target.log_prob(x)
    with torch.no_grad():
        log_q = flow.log_prob(x)
    kl, kl_error = (log_p - log_q).mean().item(), ((log_p - log_q).std() / len(x) ** 0.5).item()
    # −log q averages to the NLL, and what it exceeds H by is the paired KL, up to the noise of mean log p about −H.
    noise = (log_p.std() / len(x) ** 0.5).item()
    assert abs((-log_q.mean().item() - target.entropy) - kl) < 4 * noise
    assert abs((found.nll - found.entropy) - found.kl) < 4 * noise
    assert kl > 10 * kl_error > 0
    assert found.nll > found.entropy
    # With a block off, loss and KL rise by the same.
    for i in range(len(flow.blocks)):
        other = without_block(flow, i)
        with torch.no_grad():
            other_kl = (log_p - other.log_prob(x)).mean().item()
        assert held_out_change(flow, other, x)[0] == pytest.approx(other_kl - kl, abs=1e-9)


CHECKS = {1: check_1, 2: check_2, 3: check_3, 4: check_4, 5: check_5, 6: check_6, 7: check_7, 8: check_8, 9: check_9}


@pytest.mark.parametrize("statement", STATEMENTS[:9], ids=lambda s: f"statement{s.number}")
def test_a_statement_is_true_where_it_is_shown(statement: Statement, flow_for: Callable[[Statement], Flow]) -> None:
    CHECKS[statement.number](statement, flow_for(statement))


def test_the_floor_of_the_loss_is_true_where_it_is_shown(
    flow_for: Callable[[Statement], Flow], run: TrainState
) -> None:
    check_10(STATEMENTS[9], flow_for(STATEMENTS[9]), run)


def test_the_oracle_of_areas_agrees_with_autograd(flow_for: Callable[[Statement], Flow]) -> None:
    """The first statement's areas, and the ninth's, by a second way."""
    for statement in (STATEMENTS[0], STATEMENTS[8]):
        flow = flow_for(statement)
        block = block_of(flow, statement)
        j = jacobians(lambda x, b=block, r=statement.rev: b([x], rev=r)[0][0], points_of(flow, statement, 50))
        torch.testing.assert_close(torch.linalg.det(j), torch.ones(50).double(), rtol=ROUNDING, atol=0)
