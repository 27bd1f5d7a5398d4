"""What is seen of a run is what its flow says, at the places that are claimed."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from aio.config import BlockConfig, DataConfig
from aio.curves import Curve
from aio.snapshot import (
    BASE_REACH,
    CELLS,
    GRID_LINES,
    GRID_POINTS,
    POINTS_SHOWN,
    Snapshot,
    data_extent,
    lattice,
    snapshot,
    true_log_density,
)
from aio.targets import TARGETS
from aio.training import EVALUATE_EVERY, TrainState, advance, evaluate, flow_of, start
from tests.test_training import OWN, SMALL, own_points, same


@pytest.fixture(scope="module")
def state() -> TrainState:
    """A small run after 27 steps."""
    return advance(start(SMALL), 27)


@pytest.fixture(scope="module")
def seen(state: TrainState) -> Snapshot:
    return snapshot(state)


def log_q(state: TrainState, x: np.ndarray) -> np.ndarray:
    return flow_of(state).log_prob(torch.from_numpy(x)).detach().numpy()


def test_a_snapshot_holds_what_it_says(seen: Snapshot) -> None:
    shapes = {
        "log_density": (CELLS, CELLS),
        "data": (POINTS_SHOWN, 2),
        "data_in_latent": (POINTS_SHOWN, 2),
        "grid_in_latent": (2 * GRID_LINES, GRID_POINTS, 2),
        "base_grid_in_data": (2 * GRID_LINES, GRID_POINTS, 2),
        "samples": (POINTS_SHOWN, 2),
    }
    for name, shape in shapes.items():
        array = getattr(seen, name)
        assert (name, array.shape, array.dtype) == (name, shape, np.float32)
        assert np.isfinite(array).all()
    for steps, values in (seen.train_curve, seen.held_out_curve):
        assert steps.shape == values.shape


def test_the_numbers_are_those_of_the_run(state: TrainState, seen: Snapshot) -> None:
    assert (seen.step, seen.stopped) == (27, None)
    assert seen.evaluation == evaluate(state)
    # per block: Ψ and o of two channels, and a subnet 1 → 8 → 2
    assert seen.parameters == 2 * (2 + 2 + (8 + 8) + (16 + 2))
    assert seen.learning_rate == pytest.approx(0.01 / np.sqrt(1 + 3 * 27 / 100))
    assert snapshot(dataclasses.replace(state, stopped="Because.")).stopped == "Because."


def test_dead_axes_are_told() -> None:
    hard = SMALL.changed_at(("flow", "block"), BlockConfig(permutation="hard")).changed_at(("flow", "blocks"), 1)
    assert snapshot(start(hard)).dead_axes == (0,)
    assert snapshot(start(SMALL)).dead_axes == ()


def test_the_same_state_gives_the_same_snapshot(state: TrainState, seen: Snapshot) -> None:
    before = pickle.dumps(state)
    torch.manual_seed(99)  # the global generator has no say
    assert same(snapshot(state), seen)
    assert same(pickle.loads(pickle.dumps(seen)), seen)
    assert same(state, pickle.loads(before))


# ---------------------------------------------------------------------- the density


def test_cells_hold_the_density_at_their_centres(state: TrainState, seen: Snapshot) -> None:
    xmin, xmax, ymin, ymax = seen.extent
    for row, column in [(0, 0), (0, CELLS - 1), (CELLS - 1, 0), (10, 50), (61, 33)]:
        x = xmin + (column + 0.5) * (xmax - xmin) / CELLS
        y = ymin + (row + 0.5) * (ymax - ymin) / CELLS
        assert seen.log_density[row, column] == pytest.approx(log_q(state, np.array([[x, y]])).item(), abs=1e-4)


def test_cells_hold_the_mass_of_the_square(state: TrainState, seen: Snapshot) -> None:
    xmin, xmax, ymin, ymax = seen.extent
    mass = np.exp(seen.log_density.astype(float)).sum() * (xmax - xmin) * (ymax - ymin) / CELLS**2
    draws = flow_of(state).sample(20_000, generator=torch.Generator().manual_seed(0)).detach()
    inside = (draws >= torch.tensor([xmin, ymin])).all(1) & (draws <= torch.tensor([xmax, ymax])).all(1)
    assert mass == pytest.approx(inside.double().mean().item(), abs=4 * np.sqrt(mass * (1 - mass) / 20_000))


@pytest.mark.parametrize("name", TARGETS)
def test_the_true_density_is_the_targets_at_the_same_cells(name: str) -> None:
    values, target = true_log_density(TARGETS[name]), TARGETS[name]
    xmin, xmax, ymin, ymax = target.extent
    rows, columns = np.arange(3, CELLS, 11), np.arange(5, CELLS, 13)
    y, x = np.meshgrid(ymin + (rows + 0.5) * (ymax - ymin) / CELLS, xmin + (columns + 0.5) * (xmax - xmin) / CELLS,
                       indexing="ij")  # fmt: skip
    expected = target.log_prob(torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1))).numpy().reshape(x.shape)
    assert (values.shape, values.dtype) == ((CELLS, CELLS), np.float32)
    np.testing.assert_allclose(values[np.ix_(rows, columns)], expected, rtol=1e-6, atol=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 0.0


def test_parameters_of_the_target_reach_its_true_density() -> None:
    wide = DataConfig(target="eight_gaussians", parameters={"noise": 0.6})
    assert true_log_density(wide.build()).max() < true_log_density(TARGETS["eight_gaussians"]).max() - 0.5


# ---------------------------------------------------------------------- points and grids


def test_the_lattice_is_straight_and_reaches_the_corners() -> None:
    lines = lattice((-1.0, 3.0, 10.0, 12.0))
    along_x, along_y = lines[:GRID_LINES], lines[GRID_LINES:]
    assert lines.dtype == np.float32
    assert np.array_equal(along_x[:, 0, 0], np.full(GRID_LINES, -1))
    assert np.array_equal(along_x[:, -1, 0], np.full(GRID_LINES, 3))
    np.testing.assert_allclose(along_x[:, :, 1], np.linspace(10, 12, GRID_LINES)[:, None].repeat(GRID_POINTS, 1))
    assert np.array_equal(along_y[:, 0, 1], np.full(GRID_LINES, 10))
    assert np.array_equal(along_y[:, -1, 1], np.full(GRID_LINES, 12))
    np.testing.assert_allclose(
        along_y[:, :, 0], np.linspace(-1, 3, GRID_LINES)[:, None].repeat(GRID_POINTS, 1), atol=1e-6
    )
    np.testing.assert_allclose(np.diff(along_x[:, :, 0]), 4 / (GRID_POINTS - 1), rtol=1e-4)


def test_grids_are_carried_by_the_flow(state: TrainState, seen: Snapshot) -> None:
    flow = flow_of(state)
    with torch.no_grad():
        there = flow(torch.from_numpy(lattice(seen.extent)).reshape(-1, 2))[0]
        back = flow(torch.from_numpy(seen.base_grid_in_data).reshape(-1, 2))[0]
    np.testing.assert_array_equal(seen.grid_in_latent.reshape(-1, 2), there.numpy())
    corners = np.array([[-BASE_REACH, -BASE_REACH], [BASE_REACH, -BASE_REACH], [-BASE_REACH, BASE_REACH]])
    carried = back.numpy().reshape(seen.base_grid_in_data.shape)
    np.testing.assert_allclose(carried[[0, 0, GRID_LINES - 1], [0, -1, 0]], corners, atol=1e-4)
    np.testing.assert_allclose(carried, lattice((-BASE_REACH, BASE_REACH) * 2), atol=1e-4)


def test_data_are_training_points_and_where_the_flow_carries_them(state: TrainState, seen: Snapshot) -> None:
    np.testing.assert_array_equal(seen.data, state.dataset().train[:POINTS_SHOWN].numpy())
    with torch.no_grad():
        np.testing.assert_array_equal(seen.data_in_latent, flow_of(state)(torch.from_numpy(seen.data))[0].numpy())


def test_samples_travel_from_the_same_latent_points(state: TrainState, seen: Snapshot) -> None:
    later = advance(state, 5)
    with torch.no_grad():
        z = [flow_of(s)(torch.from_numpy(snapshot(s).samples))[0] for s in (state, later)]
    torch.testing.assert_close(z[0], z[1], atol=1e-4, rtol=0)
    assert not np.array_equal(snapshot(later).samples, seen.samples)
    assert z[0].mean(0).abs().max() < 4 / np.sqrt(POINTS_SHOWN)
    assert (z[0].std(0) - 1).abs().max() < 0.15


def test_few_points_are_all_shown() -> None:
    seen = snapshot(start(OWN, own_points(50)))
    assert seen.data.shape == seen.data_in_latent.shape == (40, 2)


# ---------------------------------------------------------------------- the square of data space


def test_a_target_is_shown_in_its_own_square() -> None:
    state = start(SMALL)
    assert data_extent(state.dataset()) == SMALL.data.build().extent
    assert snapshot(state).extent == SMALL.data.build().extent


def test_ones_own_points_are_shown_in_a_square_around_them() -> None:
    state = start(OWN, own_points(200) * torch.tensor([1.0, 20.0]) + 5)
    xmin, xmax, ymin, ymax = data_extent(state.dataset())
    low, high = state.dataset().train.numpy().min(0), state.dataset().train.numpy().max(0)
    assert xmax - xmin == pytest.approx(ymax - ymin)
    assert ymax - ymin == pytest.approx(1.15 * (high - low).max(), rel=1e-5)
    np.testing.assert_allclose([(xmin + xmax) / 2, (ymin + ymax) / 2], (low + high) / 2, rtol=1e-5)


def test_points_of_ones_own_have_no_true_density() -> None:
    assert true_log_density(None) is None


# ---------------------------------------------------------------------- the curves


@pytest.mark.parametrize("step", [0, 7, EVALUATE_EVERY, EVALUATE_EVERY + 7])
def test_the_held_out_curve_ends_at_the_step_that_is_shown(step: int) -> None:
    state = advance(start(SMALL), step)
    steps, values = snapshot(state).held_out_curve
    assert steps.tolist() == sorted({*range(0, step + 1, EVALUATE_EVERY), step})
    assert values[-1] == pytest.approx(evaluate(state).nll, abs=1e-5)
    np.testing.assert_array_equal(values[: len(state.held_out_nll.points)], state.held_out_nll.points)


@pytest.mark.parametrize("count", [1024, 1025, 1026, 5000])
def test_the_held_out_curve_of_a_long_run_ends_there_too(state: TrainState, count: int) -> None:
    """Where neighbours were merged, the numbers after the last full group still count."""
    held_out = Curve().extended(list(np.linspace(3, 2, count)))
    late = dataclasses.replace(state, step=(count - 1) * EVALUATE_EVERY, held_out_nll=held_out)
    steps, values = snapshot(late).held_out_curve
    assert steps[-1] == late.step
    assert (np.diff(steps) > 0).all()
    assert values[-1] in (held_out.points[-1], evaluate(late).nll)


def test_the_training_curve_starts_at_step_1(state: TrainState, seen: Snapshot) -> None:
    steps, values = seen.train_curve
    assert steps.tolist() == list(range(1, 28))
    np.testing.assert_array_equal(values, state.train_nll.points)
    assert len(snapshot(start(SMALL)).train_curve[0]) == 0
