"""Corners: four right angles made of bars, with the density doubled where two bars overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import Parameter, Target, square_box

LENGTH = 3  # of a bar
WIDTH = 1  # of a bar
BARS = 8  # two in each quadrant, of equal mass
OVERLAP = WIDTH / LENGTH  # share of a bar's mass that lies in the other bar of its quadrant
BAR_AREA = LENGTH * WIDTH

# Whole numbers, so that every edge is exact in every dtype: a draw may be rounded onto an edge, never beyond.
GAP = Parameter("gap", "Gap", 1, 0, 3, 1, "Distance of the four corners from both axes; at 0 they meet in a cross.")


@dataclass(frozen=True)
class Corners(Target):
    """Four right angles, one in each quadrant: SurVAE's `corners`.

    A quadrant is drawn, and in it one of two bars, lying or standing, of length 3 and width 1, which both
    start at distance g from the two axes; the point is uniform on that bar. With a = |x1| - g, b = |x2| - g:

        p(x) = 1/24 · (1[0 <= a <= 3, 0 <= b <= 1] + 1[0 <= a <= 1, 0 <= b <= 3])

    So the density is 1/24 on an area of 16 and 1/12 where the bars overlap, on an area of 4, whatever the
    gap:

        H = ⅔ log 24 + ⅓ log 12 = 2.9470

    Args:
        gap: g, from 0 to 3, a whole number.

    >>> round(Corners().entropy, 4)
    2.947
    >>> x = torch.tensor([[1.5, -1.5], [3.5, 1.5], [2.5, 2.5]])
    >>> [round(p * 24, 4) for p in Corners().log_prob(x).exp().tolist()]
    [2.0, 1.0, 0.0]

    References:
        Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), SurVAE flows: surjections to bridge the gap
        between VAEs and flows, arXiv:2007.02731.
    """

    name: ClassVar[str] = "corners"
    title: ClassVar[str] = "Corners"
    summary: ClassVar[str] = (
        "Four right angles with sharp edges, twice as dense where their bars overlap: four separate pieces to "
        "cut from one Gaussian, each with a step inside and a jump to nothing around it."
    )
    formula: ClassVar[str] = (
        r"\begin{split} p(x) &= \tfrac{1}{24} ([a \le 3, b \le 1] + [a \le 1, b \le 3]) \\ "
        r"a &= |x_1| - g \ge 0, \quad b = |x_2| - g \ge 0 \end{split}"
    )
    hard: ClassVar[str] = (
        "Pieces with edges all around, and a step from 1/24 to 1/12 inside each, where two bars overlap. A flow's own "
        "density has no steps."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (GAP,)

    gap: int = GAP.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(self.gap + LENGTH)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        along = LENGTH * torch.rand(n, generator=generator, dtype=torch.float64)
        across = WIDTH * torch.rand(n, generator=generator, dtype=torch.float64)
        lying = torch.randint(2, (n,), generator=generator).bool()
        bar = torch.stack([torch.where(lying, along, across), torch.where(lying, across, along)], dim=1)
        sign = 2 * torch.randint(2, (n, 2), generator=generator) - 1
        return sign * (self.gap + bar)

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        a, b = (np.abs(x) - self.gap).T
        lying = (a >= 0) & (a <= LENGTH) & (b >= 0) & (b <= WIDTH)
        standing = (a >= 0) & (a <= WIDTH) & (b >= 0) & (b <= LENGTH)
        bars = lying.astype(np.float64) + standing
        return np.log(bars) - math.log(BARS * BAR_AREA)

    def _entropy(self) -> float:
        return math.log(BARS * BAR_AREA) - OVERLAP * math.log(2)
