"""A block taken out of its flow and opened: what reaches it, its film over a grid and points, and one point's way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from aio.block import AllInOneBlock
from aio.by_hand import BlockEdit, edited
from aio.flow import Flow
from aio.inspection.cells import square_grid
from aio.inspection.film import Step, at_input, film
from aio.inspection.variants import with_block

__all__ = ["GRID_REACH", "GRID_VERTICES", "Opened", "Path", "open_block"]

GRID_REACH = 3.0  # units either way
GRID_VERTICES = 25  # along each side: cells of a quarter of a standard deviation
BEADS = 11  # on the vertical slice
BEAD_REACH = 2.5
# Colours end at the first of these, in nats, that holds nearly all cells.
SPANS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
REACHES = (3.5, 4.5, 6.0, 8.0, 12.0, 20.0, 40.0)
HELD = 0.98
MOST_OF_THE_GRID = 0.85  # the corners of a stretched grid may leave the picture

Colour = Literal["so_far", "step"]


@dataclass(frozen=True)
class Path:
    """The way of a few points through the film."""

    steps: list[Step]
    """Their film: `x` is (B, 2) at each step."""


@dataclass(frozen=True)
class Opened:
    """One block of a two-dimensional flow, in float64. What is computed of it is computed once."""

    flow: Flow
    """The flow with the block as it is set by hand."""
    original: Flow
    """The flow with the block as it was drawn or trained."""
    index: int
    rev: bool
    points: Tensor
    """What reaches the block, (N, 2): at its input, or at its output when `rev`."""

    @property
    def block(self) -> AllInOneBlock:
        """The block that is open."""
        return self.flow.blocks[self.index]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid's vertices."""
        return GRID_VERTICES, GRID_VERTICES

    @cached_property
    def unit(self) -> float:
        """The power of two nearest to the spread of the points: grid, slices and axes are measured in it."""
        spread = self.points.std(0).max().item()
        return 2.0 ** round(math.log2(spread)) if 0 < spread < math.inf else 1.0

    @property
    def grid_reach(self) -> float:
        """Half the side of the grid's square."""
        return GRID_REACH * self.unit

    @cached_property
    def grid(self) -> list[Step]:
        """The film of a square grid, (GRID_VERTICES², 2) at each step."""
        return film(self.block, square_grid(self.grid_reach, GRID_VERTICES), self.rev)

    @cached_property
    def cloud(self) -> list[Step]:
        """The film of the points."""
        return film(self.block, self.points, self.rev)

    def follow(self, probe: tuple[float, float]) -> Path:
        """The way of one point, given at the film's input."""
        return Path(film(self.block, torch.tensor([probe], dtype=torch.float64), self.rev))

    def slice(self, probe: tuple[float, float]) -> Path:
        """The way of a vertical slice, evenly spaced along x₂ where the coupling meets it, at the probe's x₁."""
        x1 = next(step.x for step in self.follow(probe).steps if step.name == "split")[0, 0].item()
        x2 = self.unit * torch.linspace(-BEAD_REACH, BEAD_REACH, BEADS, dtype=torch.float64)
        beads = torch.stack([torch.full_like(x2, x1), x2], dim=1)
        return Path(film(self.block, at_input(self.block, "split", beads, self.rev), self.rev))

    def brought(self, step: str, x: tuple[float, float]) -> tuple[float, float]:
        """Where a point that is seen after `step` came from, at the film's input."""
        start = at_input(self.block, step, torch.tensor([x], dtype=torch.float64), self.rev)
        return tuple(start[0].tolist())

    def at_block_input(self, probe: tuple[float, float]) -> Tensor:
        """The probe at the block's own input, (2,), whichever way the film runs."""
        steps = self.follow(probe).steps
        return (steps[-1] if self.rev else steps[0]).x[0]

    def passive(self) -> Tensor:
        """x₁ of the points as the coupling sees it, (N,)."""
        return next(step.x[:, 0] for step in self.cloud if step.name == "split")

    # ------------------------------------------------------------------ areas

    def mirrored(self) -> list[bool]:
        """For each step, whether the plane is turned over since the input: an odd number of mirrors lies behind it."""
        over, found = False, []
        for step in self.grid:
            over ^= step.flips
            found.append(over)
        return found

    def colours(self, colour: Colour) -> list[Tensor]:
        """For each step what its cells are coloured by, (R − 1, C − 1): means over their corners.

        Where nothing moves but something is computed, that: 0.1 · subnet, then s. Elsewhere the log-determinant, in
        nats, by which areas have changed: since the input, or by this step alone.
        """
        values, so_far = [], torch.zeros(self.shape[0] * self.shape[1], dtype=torch.float64)
        for step in self.grid:
            so_far = so_far + step.log_det
            by_step = step.log_det if colour == "step" else so_far
            values.append(self._over_cells(by_step if step.values is None else step.values))
        return values

    def fields(self) -> tuple[list[str], Tensor]:
        """The steps that contribute to the log-determinant, and what each contributes at every vertex, (n, R, C)."""
        steps = [step for step in self.grid if step.contributes]
        return [step.title for step in steps], torch.stack([step.log_det.reshape(self.shape) for step in steps])

    def _over_cells(self, at_vertices: Tensor) -> Tensor:
        grid = at_vertices.reshape(self.shape)
        return (grid[1:, 1:] + grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:]) / 4

    def span(self, colour: Colour) -> float:
        """The end of the scale of colours, nats: one for the whole film, in steps, so that it does not twitch."""
        steps = zip(self.grid, self.colours(colour), strict=True)
        values = [value.abs().flatten() for step, value in steps if step.name != "subnet"]  # before the clamp
        return _first_that_holds(SPANS, torch.cat(values))

    def reach(self) -> float:
        """Half the side of the square that holds nearly all points of the film, and most of its grid."""
        points, grid = (torch.cat([step.x for step in steps]).abs().amax(1) for steps in (self.cloud, self.grid))
        ends = tuple(self.unit * reach for reach in REACHES)
        return max(_first_that_holds(ends, points), _first_that_holds(ends, grid, MOST_OF_THE_GRID))

    def near(self, place: tuple[float, float]) -> tuple[float, float]:
        """The point, of those that reach the block, nearest to a place."""
        distance = (self.points - self.points.new_tensor(place)).norm(dim=1)
        return tuple(self.points[distance.argmin()].tolist())


def open_block(
    flow: Flow, index: int, edit: BlockEdit, data: Tensor, *, points: Literal["data", "base"], rev: bool, base: Tensor
) -> Opened:
    """Open block `index` of a flow.

    Args:
        flow: two-dimensional, in float64.
        index: the block, counted from 0 at the data.
        edit: what is set by hand in it.
        data: points in data space, (N, 2).
        points: forward, "data" are carried to the block through the blocks before it, and "base" are put straight
            in. When `rev`, "data" are carried through the block to its output, and "base" are carried back to it
            through the blocks after it.
        rev: open it from its output to its input.
        base: points of the base, (N, 2).
    """
    if not 0 <= index < len(flow.blocks):
        raise ValueError(f"Expected a block from 0 to {len(flow.blocks) - 1}, got {index}. Choose one of the flow's.")
    changed = with_block(flow, index, edited(flow.blocks[index], edit))
    with torch.no_grad():
        if points == "data":
            x = (data.double() - flow.loc) / flow.scale
            for block in changed.blocks[: index + rev]:
                (x,), _ = block([x])
        else:
            x = base.double()
            for block in reversed(changed.blocks[index + 1 :] if rev else []):
                (x,), _ = block([x], rev=True)
    return Opened(changed, flow, index, rev, x)


def _first_that_holds(ends: tuple[float, ...], values: Tensor, share: float = HELD) -> float:
    finite = values[values.isfinite()]
    wanted = torch.quantile(finite, share).item() if len(finite) else 0.0
    return next((end for end in ends if end >= wanted), ends[-1])
