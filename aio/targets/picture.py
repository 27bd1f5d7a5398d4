"""A picture as a density: constant on each of its cells, so that everything about it is a sum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import Parameter, Target, square_box

__all__ = ["MOST_CELLS", "SPAN", "PictureTarget"]

MOST_CELLS = 256  # along a side: 65,536 cells, whose table stays in the cache
SPAN = 8.0  # the longer side is longer than half of this and at most this: the scale of the other targets
# A draw is an odd multiple of half of this. Below SPAN / 2 such numbers are exact in float32, and none is on an edge.
LATTICE = 2.0**-21


@dataclass(frozen=True, eq=False, repr=False)
class PictureTarget(Target):
    """A density that is constant on each cell of a grid, in proportion to a table of weights.

    With cells of side h and weights w, the cell in row i and column j has the mass P = w / Σ w:

        log p(x) = log P_ij - 2 log h in the cell, -inf in empty cells and outside
        H = -Σ P log P + 2 log h

    The picture is centred at the origin, the first row of the weights on top. h is a power of two, the largest with
    which the longer side is at most 8: so every edge is exact in every dtype. A cell includes its edges; on an edge
    that two cells share, p is that of the denser one. Draws keep off the edges and are exact in float32; a cast to a
    shorter dtype may round a draw onto an edge, and never beyond. So every draw, in any dtype, has a finite log p.

    Pictures of equal weights are equal, hash alike and pickle.

    Args:
        weights: (rows, cols), at most 256 each, finite, at least 0 and not all 0. Kept as float64, read-only.

    Raises:
        TypeError: if `weights` holds no real numbers.
        ValueError: if it is no such table.

    >>> square = PictureTarget(np.array([[1.0, 0.0], [0.0, 3.0]]))
    >>> square.cell
    4.0
    >>> x = torch.tensor([[-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    >>> (16 * square.log_prob(x).exp()).tolist()
    [0.25, 0.75, 0.0]
    >>> square.entropy == math.log(16) - (math.log(1 / 4) + 3 * math.log(3 / 4)) / 4
    True
    """

    name: ClassVar[str] = "picture"
    title: ClassVar[str] = "Your picture"
    summary: ClassVar[str] = (
        "Your picture, dark where it is dense: every pixel is a small step up or down, which no smooth density "
        "follows exactly, and white between two dark parts is a gap that a flow cannot tear open."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    weights: np.ndarray

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", _checked(self.weights))

    @property
    def cell(self) -> float:
        """h, the side of a cell: a power of two."""
        return SPAN / 2 ** math.ceil(math.log2(max(self.weights.shape)))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The picture's own frame (xmin, xmax, ymin, ymax), without air; its aspect ratio is the weights'."""
        rows, cols = self.weights.shape
        return -cols * self.cell / 2, cols * self.cell / 2, -rows * self.cell / 2, rows * self.cell / 2

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(max(self.weights.shape) * self.cell / 2)

    @cached_property
    def entropy(self) -> float:
        return self._entropy()

    def _entropy(self) -> float:
        mass = self._mass[self._mass > 0]
        return 2 * math.log(self.cell) - float(mass @ np.log(mass))

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        filled, cumulative = self._cumulative
        share = torch.rand(n, generator=generator, dtype=torch.float64).numpy()
        which = np.searchsorted(cumulative, share, side="right")
        row, col = np.divmod(filled[np.minimum(which, len(filled) - 1)], self.weights.shape[1])
        xmin, _, _, ymax = self.box
        corner = np.column_stack([xmin + col * self.cell, ymax - (row + 1) * self.cell])  # the lower left: exact
        steps = torch.randint(round(self.cell / LATTICE), (n, 2), generator=generator)
        return torch.from_numpy(corner) + (steps + 0.5) * LATTICE

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        rows, cols = self.weights.shape
        col, left_too = _cells(x[:, 0], self.cell, cols)
        row, below_too = _cells(-x[:, 1], self.cell, rows)
        table = self._table
        return np.maximum(
            np.maximum(table[row, col], table[row - below_too, col]),
            np.maximum(table[row, col - left_too], table[row - below_too, col - left_too]),
        )

    @cached_property
    def _mass(self) -> np.ndarray:
        """P: (rows, cols), its sum is 1."""
        mass = self.weights / self.weights.max()  # at most 1 each: the sum cannot overflow
        return mass / mass.sum()

    @cached_property
    def _table(self) -> np.ndarray:
        """log p of each cell, in a frame of cells without mass: (rows + 2, cols + 2)."""
        with np.errstate(divide="ignore"):
            return np.pad(np.log(self._mass), 1, constant_values=-np.inf) - 2 * math.log(self.cell)

    @cached_property
    def _cumulative(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the cells with mass, row by row, and the mass up to and with each, the last one 1."""
        filled = np.flatnonzero(self._mass)
        cumulative = np.cumsum(self._mass.ravel()[filled])
        return filled, cumulative / cumulative[-1]

    @cached_property
    def _hash(self) -> int:
        return hash((self.weights.shape, self.weights.tobytes()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PictureTarget):
            return NotImplemented
        return self is other or np.array_equal(self.weights, other.weights)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.weights,)  # what is derived is derived again, and the copy is read-only too

    def __repr__(self) -> str:
        rows, cols = self.weights.shape
        return f"PictureTarget({rows} x {cols} cells)"


def _cells(x: np.ndarray, cell: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return in which of `count` cells, centred at 0, each x lies, from 1, and whether it is on the cell's lower edge.

    0 and count + 1 stand for what is outside. Only exact operations are used: a cell is never missed by rounding.
    """
    halves = np.clip(2 * x / cell, -count - 2, count + 2)  # exact, as the cell is a power of two
    whole = np.floor(halves).astype(np.int64)
    number, odd = np.divmod(whole + count, 2)
    on_edge = (halves == whole) & (odd == 0) & (number >= 0) & (number <= count)
    return np.clip(number, -1, count) + 1, on_edge.astype(np.int64)


def _checked(weights: object) -> np.ndarray:
    """Return the weights as a read-only float64 array of their own."""
    given = np.asarray(weights)
    if given.dtype.kind not in "fiub":
        raise TypeError(f"Expected weights as real numbers, got dtype {given.dtype}. Convert them: w.astype(float).")
    if given.ndim != 2 or not given.size:
        raise ValueError(f"Expected weights of shape (rows, cols), got {given.shape}. Give one grey level a cell.")
    if max(given.shape) > MOST_CELLS:
        raise ValueError(
            f"Expected at most {MOST_CELLS} x {MOST_CELLS} weights, got {given.shape[0]} x {given.shape[1]}. "
            "Average them over larger cells; aio.pictures.read_picture does so."
        )
    with np.errstate(over="ignore"):
        own = np.array(given, dtype=np.float64, order="C")
    bad = np.argwhere(~np.isfinite(own) | (own < 0))
    if len(bad):
        row, col = bad[0].tolist()
        raise ValueError(
            f"Expected finite weights of at least 0, got {own[row, col]} in row {row}, column {col}. "
            "Set it to 0, or to the mass of that cell."
        )
    if not own.any():
        raise ValueError("Expected some weight above 0, got none. Give mass to at least one cell.")
    own += 0.0  # -0.0 becomes 0.0: equal weights have equal bytes
    own.flags.writeable = False
    return own
