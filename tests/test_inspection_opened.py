"""An opened block sees what reaches it in its flow, and what it is worth is what the flow loses without it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from aio.by_hand import BlockEdit, HandCurve
from aio.config import BlockConfig, FlowConfig, RunConfig, SubnetConfig
from aio.flow import Flow, build
from aio.inspection import (
    Opened,
    area_change,
    density_along,
    gaussian_slice,
    held_out_change,
    in_double,
    open_block,
    signed_areas,
    without_block,
    worst_by_depth,
    worth,
)
from aio.inspection.opened import GRID_REACH, SPANS
from aio.snapshot import CELLS, density_map
from aio.training import evaluate, flow_of, start
from tests.reference import generator_of, perturb

LOC, SCALE = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.5])
DATA = torch.randn(60, 2, generator=generator_of("data")) * SCALE + LOC
BASE = torch.randn(60, 2, generator=generator_of("base"))
AS_IT_IS = BlockEdit()
STEEP = BlockEdit(s=HandCurve(kind="linear", amplitude=2.0), angle=90.0)


def a_flow(blocks: int = 3, **block: Any) -> Flow:
    config = FlowConfig(blocks=blocks, block=BlockConfig(**block), subnet=SubnetConfig(width=8, depth=1))
    flow = build(config, 0, LOC, SCALE)
    for i, b in enumerate(flow.blocks):
        perturb(b, i)
    return in_double(flow)


def opened(flow: Flow, index: int = 1, edit: BlockEdit = AS_IT_IS, **how: Any) -> Opened:
    return open_block(flow, index, edit, DATA, base=BASE, **{"points": "data", "rev": False} | how)


# ---------------------------------------------------------------------- what reaches a block


@pytest.mark.parametrize("index", [0, 1, 2])
def test_data_reach_the_block_through_those_before_it(index: int) -> None:
    flow = a_flow()
    before = [stage.x for stage in flow.stages(DATA.double()) if stage.block is None or stage.block < index][-1]
    torch.testing.assert_close(opened(flow, index).points, before)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_base_points_come_back_to_the_block_through_those_after_it(index: int) -> None:
    flow = a_flow()
    seen = opened(flow, index, points="base", rev=True)
    # From there the film ends where the whole flow's inverse passes below this block.
    x = seen.cloud[-1].x
    for block in reversed(flow.blocks[:index]):
        (x,), _ = block([x], rev=True)
    torch.testing.assert_close(x * flow.scale + flow.loc, flow.inverse(BASE.double())[0].detach())


def test_what_is_set_by_hand_acts_on_data_that_are_seen_at_the_output() -> None:
    flow = a_flow()
    forth, back = opened(flow, 1, STEEP), opened(flow, 1, STEEP, rev=True)
    torch.testing.assert_close(back.points, forth.cloud[-1].x)
    torch.testing.assert_close(back.cloud[-1].x, forth.points)
    assert not torch.allclose(opened(flow, 1, rev=True).points, back.points)


def test_base_points_are_put_straight_in() -> None:
    torch.testing.assert_close(opened(a_flow(), 2, points="base").points, BASE.double())


def test_opening_changes_nothing() -> None:
    flow = a_flow()
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    opened(flow, 1, STEEP)
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())
    assert opened(flow, 1, STEEP).original is flow


@pytest.mark.parametrize("index", [-1, 3])
def test_a_block_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="Expected a block from 0 to 2, got"):
        opened(a_flow(), index)


# ---------------------------------------------------------------------- the probe


@pytest.mark.parametrize("rev", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize("block", [{}, {"householder": 2, "reverse_permutation": True}], ids=["plain", "mirrors"])
def test_a_probe_is_brought_back_from_every_frame(block: dict, rev: bool) -> None:
    seen, probe = opened(a_flow(**block), rev=rev), (0.7, -0.4)
    for step in seen.follow(probe).steps:
        assert seen.brought(step.name, tuple(step.x[0].tolist())) == pytest.approx(probe, abs=1e-9)
    at_input = seen.at_block_input(probe)
    (y,), _ = seen.block([at_input[None]])
    expected = at_input if not rev else y[0]
    assert expected.tolist() == pytest.approx(probe, abs=1e-9)


def test_a_shear_along_a_tilted_axis_keeps_its_areas_white() -> None:
    """However coarse the grid is beside a step: the colour is the log-determinant, not the area of a quadrilateral."""
    steep = HandCurve(kind="step", amplitude=3.0, rate=50.0)
    seen = opened(a_flow(reverse_permutation=True), 1, BlockEdit(t=steep, gin=True, angle=30.0))
    assert all((c == 0).all() for c, step in zip(seen.colours("so_far"), seen.grid, strict=True) if step.values is None)
    assert not any(seen.mirrored())


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_grid_and_slice_are_measured_in_the_spread_of_the_points(scale: float) -> None:
    flow = a_flow()
    flow.scale /= scale  # the data arrive so many times wider
    seen = opened(flow, 0)
    spread = seen.points.std(0).max().item()
    assert 0.7 < seen.unit / spread < 1.5
    assert seen.grid[0].x.abs().max().item() == pytest.approx(GRID_REACH * seen.unit)


@pytest.mark.parametrize("rev", [False, True], ids=["forward", "inverse"])
def test_the_slice_is_even_and_upright_where_the_coupling_meets_it(rev: bool) -> None:
    seen = opened(a_flow(reverse_permutation=True), rev=rev)
    steps = {step.name: step.x for step in seen.slice((0.7, -0.4)).steps}
    before, after = steps["split"], steps["coupling"]
    x1 = {step.name: step.x for step in seen.follow((0.7, -0.4)).steps}["split"][0, 0]
    for beads in (before, after):
        assert (beads[:, 0] - x1).abs().max() < 1e-9
        assert beads[:, 1].diff().diff().abs().max() < 1e-9  # evenly spaced


def test_near_is_the_nearest_point() -> None:
    seen = opened(a_flow())
    found = torch.tensor(seen.near((0.2, 0.1)), dtype=torch.float64)
    nearest = min(seen.points.tolist(), key=lambda p: math.dist(p, (0.2, 0.1)))
    assert found.tolist() == nearest


# ---------------------------------------------------------------------- colours, fields and frames


def test_colours_are_the_fields_of_log_det_averaged_over_cells() -> None:
    seen = opened(a_flow(), 1, BlockEdit(s=HandCurve(kind="sine", amplitude=0.3), t=HandCurve(level=0.5)))
    titles, fields = seen.fields()
    assert titles == ["coupling", "scale and offset", "permutation"]
    summed = fields.sum(0)
    corners = (summed[1:, 1:] + summed[:-1, :-1] + summed[1:, :-1] + summed[:-1, 1:]) / 4
    torch.testing.assert_close(seen.colours("so_far")[-1], corners)
    changed = area_change(seen.grid[0].x, seen.grid[-1].x, seen.shape).log
    assert (changed - corners).abs().max() < 0.02  # of the second order in the cell
    by_step = [c for c, step in zip(seen.colours("step"), seen.grid, strict=True) if step.contributes]
    torch.testing.assert_close(torch.stack(by_step).sum(0), seen.colours("so_far")[-1])


def test_frames_that_compute_are_coloured_by_what_they_compute() -> None:
    curve = HandCurve(kind="linear", amplitude=3.0)
    seen = opened(a_flow(), 1, BlockEdit(s=curve, clamp=1.0))
    colours = dict(zip([s.name for s in seen.grid], seen.colours("so_far"), strict=True))
    at = torch.linspace(-GRID_REACH, GRID_REACH, 25, dtype=torch.float64)
    middle = (at[1:] + at[:-1]) / 2
    torch.testing.assert_close(colours["subnet"][0], 3 * middle)
    ends = torch.tanh(3 * at)
    torch.testing.assert_close(colours["clamp"][5], (ends[1:] + ends[:-1]) / 2)


def test_mirrored_cells_are_those_after_an_odd_number_of_mirrors() -> None:
    seen = opened(a_flow(), 1, BlockEdit(angle=0.0, v=((1.0, 0.0), (0.6, 0.8))))
    flipped = {step.name: over for step, over in zip(seen.grid, seen.mirrored(), strict=True)}
    after = dict(zip([step.name for step in seen.grid], seen.grid, strict=True))
    areas = {name: signed_areas(after[name].x, seen.shape) for name in flipped}
    assert all(bool((areas[name] < 0).all()) == over for name, over in flipped.items())
    assert (flipped["coupling"], flipped["mirror_2"], flipped["mirror_1"]) == (False, True, False)


def test_the_scale_ends_where_nearly_all_cells_do() -> None:
    span = opened(a_flow(), 1, BlockEdit(s=HandCurve(level=1.5), clamp=10.0)).span("so_far")
    assert span in SPANS
    values = torch.stack(opened(a_flow(), 1, BlockEdit(s=HandCurve(level=1.5), clamp=10.0)).colours("so_far")).abs()
    assert (values <= span).double().mean() >= 0.98
    assert span == SPANS[-1] or (values <= SPANS[max(0, SPANS.index(span) - 1)]).double().mean() < 0.98


def test_reach_holds_the_points() -> None:
    seen = opened(a_flow(), 1, BlockEdit(t=HandCurve(level=4.0)))
    places = torch.cat([step.x for step in seen.cloud]).abs().amax(1)
    assert (places <= seen.reach()).double().mean() >= 0.98


# ---------------------------------------------------------------------- slices and densities on a line


def test_a_gaussian_slice_stays_one() -> None:
    seen = opened(a_flow(), 1, BlockEdit(s=HandCurve(level=0.3), t=HandCurve(level=-1.0)))
    cut = gaussian_slice(seen.block, 0.4, torch.linspace(-6, 6, 2001, dtype=torch.float64))
    s = 2.0 * math.tanh(0.3)
    mean = torch.trapezoid(cut.density_out * cut.u2, cut.u2)
    variance = torch.trapezoid(cut.density_out * (cut.u2 - mean) ** 2, cut.u2)
    assert torch.trapezoid(cut.density_out, cut.u2).item() == pytest.approx(1, abs=1e-6)
    assert (mean.item(), variance.item()) == (pytest.approx(-1.0, abs=1e-6), pytest.approx(math.exp(2 * s), rel=1e-6))
    normal = torch.distributions.Normal(-1.0, math.exp(s)).log_prob(cut.u2).exp()
    torch.testing.assert_close(cut.density_out, normal)


def test_the_density_along_a_line_integrates_to_one_and_follows_the_points() -> None:
    at = torch.linspace(-6, 6, 3001, dtype=torch.float64)
    points = torch.tensor([-2.0, -2.0, -2.0, 1.0], dtype=torch.float64)
    density = density_along(at, points)
    assert torch.trapezoid(density, at).item() == pytest.approx(1, abs=1e-9)
    left = at < -0.5
    assert torch.trapezoid(density[left], at[left]).item() == pytest.approx(0.75, abs=1e-6)


# ---------------------------------------------------------------------- worth


@pytest.fixture(scope="module")
def state():
    return start(RunConfig(flow=FlowConfig(blocks=2, subnet=SubnetConfig(width=8, depth=1))))


def test_worth_is_the_loss_that_direct_evaluation_gives(state) -> None:
    flow = in_double(flow_of(state))
    found, direct = worth(flow, state.dataset()), evaluate(state)
    assert found.evaluation.nll == pytest.approx(direct.nll, abs=1e-5)
    assert found.evaluation.kl == pytest.approx(direct.kl, abs=1e-5)
    assert found.evaluation.round_trip_error < 1e-12
    points = state.dataset().held_out.double()

    def log_q(f: Flow) -> torch.Tensor:
        with torch.no_grad():
            return f.log_prob(points)

    for i, (mean, stderr) in enumerate(found.off):
        difference = log_q(flow) - log_q(without_block(flow, i))
        assert mean == pytest.approx(difference.mean().item(), abs=1e-12)
        assert stderr == pytest.approx(difference.std().item() / math.sqrt(len(points)), abs=1e-12)


def test_the_last_permutation_is_worth_nothing_and_a_steep_block_costs(state) -> None:
    flow = in_double(flow_of(state))
    data, held_out = state.dataset(), state.dataset().held_out.double()
    turned = open_block(flow, 1, BlockEdit(angle=77.0), data.train, base=BASE, points="data", rev=False)
    steep = open_block(flow, 1, STEEP, data.train, base=BASE, points="data", rev=False)
    assert abs(held_out_change(flow, turned.flow, held_out)[0]) < 1e-9
    assert held_out_change(flow, steep.flow, held_out)[0] > 0.1


def test_the_worst_error_grows_with_depth() -> None:
    block = opened(a_flow(), 1, BlockEdit(s=HandCurve(level=3.0), angle=90.0)).block
    grid = torch.randn(40, 2, generator=generator_of("grid"), dtype=torch.float64)
    worst32, worst64 = (worst_by_depth(block, (1, 4, 8), grid, dtype) for dtype in (torch.float32, torch.float64))
    assert worst32.shape == (3,)
    assert worst32[0] < worst32[2]
    assert (worst64 < worst32).all()


def test_rotations_are_orthogonal_in_double() -> None:
    flow = build(FlowConfig(blocks=2), 0)
    flow.load_state_dict(flow.state_dict())  # as when weights were loaded: rounded to float32
    rounded, mended = flow.double().blocks[0].w_perm, in_double(flow).blocks[0].w_perm
    eye = torch.eye(2, dtype=torch.float64)
    assert (rounded.T @ rounded - eye).abs().max() > 1e-10
    assert (mended.T @ mended - eye).abs().max() < 1e-15
    assert (mended - rounded).abs().max() < 1e-7


def test_a_density_map_is_the_density_at_the_centres_of_cells() -> None:
    flow = a_flow()
    values = density_map(flow, (-1.0, 3.0, -3.0, 1.0))
    assert values.shape == (CELLS, CELLS)
    step = 4 / CELLS
    centre = torch.tensor([[-1 + (5 + 0.5) * step, -3 + (9 + 0.5) * step]], dtype=torch.float64)
    assert values[9, 5] == pytest.approx(flow.log_prob(centre).item(), abs=1e-9)
    assert np.isfinite(values).all()
