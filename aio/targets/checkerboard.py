"""A checkerboard: uniform on every other square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import Parameter, Target, square_box

SIDE = 2.0  # of one square
COUNT = 4  # squares along a side of the board
HALF = COUNT // 2  # the board is centred: its squares are numbered from -HALF to HALF - 1
AREA = COUNT * COUNT / 2 * SIDE**2  # of the filled squares, 32


@dataclass(frozen=True)
class Checkerboard(Target):
    """The uniform density on the eight filled squares of a four by four board over [-4, 4]².

    FFJORD's `checkerboard`, at its own scale. With (i, j) = floor(x / 2), a square is filled if i + j is
    even:

        log p(x) = -log 32 on the filled squares, -inf elsewhere;    H = log 32

    The filled squares include their edges. Casting a draw to float32 may round it onto an edge, and never
    beyond: every draw, in any dtype, has a finite log p.

    >>> board = Checkerboard()
    >>> board.log_prob(torch.tensor([[1.0, 1.0], [1.0, 3.0], [2.0, 1.0]])).tolist()
    [-3.465735912322998, -inf, -3.465735912322998]
    """

    name: ClassVar[str] = "checkerboard"
    title: ClassVar[str] = "Checkerboard"
    summary: ClassVar[str] = (
        "Eight filled squares that touch only at their corners: every edge is a jump from full density to "
        "none, and a flow's own density is continuous and nowhere zero, so it can only come close."
    )
    formula: ClassVar[str] = (
        r"\begin{split} p(x) &= \tfrac{1}{32} \text{ where } "
        r"\lfloor \tfrac{x_1}{2} \rfloor + \lfloor \tfrac{x_2}{2} \rfloor \text{ is even,} \\ "
        r"|x_1| &\le 4 \text{ and } |x_2| \le 4 \end{split}"
    )
    hard: ClassVar[str] = (
        "The density jumps from 1/32 to 0 at every edge, and its squares touch at their corners. A flow's own density "
        "is continuous and nowhere 0."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(HALF * SIDE)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        column = torch.randint(-HALF, HALF, (n,), generator=generator)
        row = 2 * torch.randint(-HALF // 2, HALF // 2, (n,), generator=generator) + column % 2
        within = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return SIDE * (torch.stack([column, row], dim=1) + within)

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        board = x / SIDE
        square = np.minimum(np.floor(board), HALF - 1)  # the board's upper edges belong to its last squares
        on_board = (np.abs(board) <= HALF).all(axis=1)
        filled = square.sum(axis=1) % 2 == 0
        # An edge inside the board has a filled square on one of its sides.
        on_edge = ((board == np.floor(board)) & (np.abs(board) < HALF)).any(axis=1)
        return np.where(on_board & (filled | on_edge), -math.log(AREA), -np.inf)

    def _entropy(self) -> float:
        return math.log(AREA)
