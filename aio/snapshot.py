"""What is seen of a run at one step, as numpy arrays: density, warped grids, points, samples, numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from aio.config import RunConfig
from aio.dataset import Dataset, Stream, stream_of
from aio.flow import Flow
from aio.histogram import histogram_kl
from aio.inspection import dead_axes
from aio.targets import Target
from aio.training import (
    EVALUATE_EVERY,
    ROUND_TRIP_POINTS,
    Evaluation,
    TrainState,
    flow_of,
    learning_rate,
    measured,
)

__all__ = ["Snapshot", "data_extent", "density_map", "lattice", "snapshot", "true_log_density"]

CELLS = 64  # cells of the density image along each axis: fine enough for σ = .05 at the size it is drawn
POINTS_SHOWN = 300
GRID_LINES = 15
GRID_POINTS = 49  # along one line: smooth at the size it is drawn
BASE_REACH = 3.0  # either way of the base's grid: of the standard normal it covers 99.5 % of the mass
ROUGH_POINTS = 150  # as few as GAN Lab takes
SAMPLE_SEED = 1  # samples are the images of fixed latent points, so that they travel instead of flickering
EXTENT_MARGIN = 0.15


@dataclass(frozen=True)
class Snapshot:
    """A run at one step. Arrays are float32 unless said otherwise; lengths in the units of the data."""

    config: RunConfig
    """The settings of the run that is shown."""
    step: int
    evaluation: Evaluation
    extent: tuple[float, float, float, float]
    """xmin, xmax, ymin, ymax of the square of data space that is shown."""
    log_density: np.ndarray
    """log q at the centres of the cells, (CELLS, CELLS), rows along y; nats per unit area."""
    true_log_density: np.ndarray | None
    """log p at the same places, or None where p is unknown."""
    data: np.ndarray
    """Some of the training points, (n, 2)."""
    data_in_latent: np.ndarray
    """The same points carried to latent space, (n, 2)."""
    grid_in_latent: np.ndarray
    """A square grid of data space carried to latent space, (lines, points, 2)."""
    base_grid_in_data: np.ndarray
    """A square grid of latent space carried to data space, (lines, points, 2)."""
    samples: np.ndarray
    """Draws from the flow, (n, 2); the same latent points at every step."""
    rough_kl: float | None
    """KL(p‖q) as histograms of ROUGH_POINTS fresh points of each give it, nats; None where p is unknown."""
    train_curve: tuple[np.ndarray, np.ndarray]
    """Steps and mean training NLL up to each of them, nats."""
    held_out_curve: tuple[np.ndarray, np.ndarray]
    """Steps and held-out NLL, nats; ends at this step."""
    parameters: int
    """Number of trained numbers."""
    learning_rate: float
    dead_axes: tuple[int, ...]
    """Axes of the data, from 0, that no coupling transforms."""
    stopped: str | None
    """Why the run cannot go on, or None."""


def snapshot(state: TrainState) -> Snapshot:
    """Compute what is seen of a run. Pure: the same state gives the same arrays."""
    data = state.dataset()
    extent = data_extent(data)
    flow = flow_of(state, shared=True)
    shown = data.train[:POINTS_SHOWN].to(flow.loc.dtype)
    cells = _cell_centres(extent).to(flow.loc.dtype)
    grid = torch.from_numpy(lattice(extent))
    base_grid = torch.from_numpy(lattice((-BASE_REACH, BASE_REACH) * 2))
    latent_points = flow.base.sample(POINTS_SHOWN, torch.Generator().manual_seed(SAMPLE_SEED))
    fresh = stream_of(state.config.seed + state.step, Stream.EVALUATION)  # other points at every step
    fresh_latent = flow.base.sample(ROUGH_POINTS, fresh)
    with torch.inference_mode():
        # One pass each way: for batches of this size half of a pass is the cost of its operations, not of its points.
        judged = data.held_out
        points = [judged, cells, shown, grid.reshape(-1, 2)]
        z, log_det = flow(torch.cat(points))
        latent = [z[:ROUND_TRIP_POINTS], latent_points, base_grid.reshape(-1, 2), fresh_latent]
        x, _ = flow.inverse(torch.cat(latent))
        log_q = flow.base.log_prob(z) + log_det
    log_q_judged, log_density, *_ = log_q.split([len(p) for p in points])
    _, _, data_in_latent, grid_in_latent = z.split([len(p) for p in points])
    back, samples, base_grid_in_data, fresh_samples = x.split([len(p) for p in latent])
    rough_kl = None
    if data.target is not None:
        truth = data.target.sample(ROUGH_POINTS, fresh, torch.float32)
        rough_kl = histogram_kl(truth.numpy(), fresh_samples.numpy(), extent)
    evaluation = measured(log_q_judged, data.held_out_log_prob, data.entropy, back[: len(judged)], judged)
    return Snapshot(
        config=state.config,
        step=state.step,
        evaluation=evaluation,
        extent=extent,
        log_density=log_density.reshape(CELLS, CELLS).numpy(),
        true_log_density=true_log_density(data.target),
        data=shown.numpy(),
        data_in_latent=data_in_latent.numpy(),
        grid_in_latent=grid_in_latent.reshape(grid.shape).numpy(),
        base_grid_in_data=base_grid_in_data.reshape(base_grid.shape).numpy(),
        samples=samples.numpy(),
        rough_kl=rough_kl,
        train_curve=(state.train_nll.last_index + 1, state.train_nll.points),
        held_out_curve=_held_out_curve(state, evaluation.nll),
        parameters=sum(p.numel() for p in flow.parameters()),
        learning_rate=learning_rate(state.step, state.config.training),
        dead_axes=dead_axes(flow),
        stopped=state.stopped,
    )


def lattice(extent: tuple[float, float, float, float]) -> np.ndarray:
    """A square grid as lines: GRID_LINES along x then as many along y, (2 · GRID_LINES, GRID_POINTS, 2), float32.

    >>> lattice((0, 1, 0, 1)).shape
    (30, 49, 2)
    """
    xmin, xmax, ymin, ymax = extent
    along, across = np.linspace(0, 1, GRID_POINTS), np.linspace(0, 1, GRID_LINES)
    level, position = np.meshgrid(across, along, indexing="ij")
    horizontal = np.stack([xmin + (xmax - xmin) * position, ymin + (ymax - ymin) * level], axis=-1)
    vertical = np.stack([xmin + (xmax - xmin) * level, ymin + (ymax - ymin) * position], axis=-1)
    return np.concatenate([horizontal, vertical]).astype(np.float32)


def density_map(flow: Flow, extent: tuple[float, float, float, float]) -> np.ndarray:
    """log q at the centres of the cells of a square, (CELLS, CELLS), rows along y; nats per unit area."""
    with torch.inference_mode():
        return flow.log_prob(_cell_centres(extent)).reshape(CELLS, CELLS).numpy()


@lru_cache(maxsize=16)
def true_log_density(target: Target | None) -> np.ndarray | None:
    """log p at the centres of the cells, (CELLS, CELLS), nats; None where p is unknown."""
    if target is None:
        return None
    values = target.log_prob(_cell_centres(target.extent)).reshape(CELLS, CELLS).numpy().astype(np.float32)
    values.setflags(write=False)
    return values


def data_extent(data: Dataset) -> tuple[float, float, float, float]:
    """xmin, xmax, ymin, ymax of the square of data space to show: the target's, or the points' with a margin."""
    if data.target is not None:
        return data.target.extent
    low, high = data.train.amin(0), data.train.amax(0)
    centre, half = (low + high) / 2, ((high - low).max() / 2 * (1 + EXTENT_MARGIN)).item()
    x, y = centre.tolist()
    return x - half, x + half, y - half, y + half


def _cell_centres(extent: tuple[float, float, float, float]) -> Tensor:
    """The centres of the density image's cells, (CELLS², 2), float64, rows of constant y."""
    xmin, xmax, ymin, ymax = extent
    centre = (torch.arange(CELLS, dtype=torch.float64) + 0.5) / CELLS
    y, x = torch.meshgrid(ymin + (ymax - ymin) * centre, xmin + (xmax - xmin) * centre, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def _held_out_curve(state: TrainState, nll: float) -> tuple[np.ndarray, np.ndarray]:
    steps = state.held_out_nll.last_index * EVALUATE_EVERY
    values = state.held_out_nll.points
    if state.step != steps[-1]:  # the curve's last point is the step that is shown
        steps, values = np.append(steps, state.step), np.append(values, nll)
    return steps, values
