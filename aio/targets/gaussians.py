"""Gaussians on a circle: eight of them, unless you say otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import log_sum_exp, normal_mean

SHRINK = 1.414  # FFJORD divides by these four digits of √2; √2 itself would lower H by 0.0003
RADIUS = 4 / SHRINK

NOISE = Parameter("noise", "Noise σ", 0.5 / SHRINK, 0.1, 0.8, 0.02, "Standard deviation of each Gaussian.")
MODES = Parameter("modes", "Modes", 8, 2, 12, 1, "How many Gaussians stand on the circle.")


@dataclass(frozen=True)
class EightGaussians(Target):
    """Equal round Gaussians, evenly spaced on a circle of radius 4/1.414: FFJORD's `8gaussians`.

        log p(x) = log 1/K Σ_k N(x; r (cos 2πk/K, sin 2πk/K), σ² I)

    Args:
        noise: σ, from 0.1 to 0.8.
        modes: K, from 2 to 12.

    >>> round(EightGaussians().entropy, 4)
    2.8319
    """

    name: ClassVar[str] = "eight_gaussians"
    title: ClassVar[str] = "Eight Gaussians"
    summary: ClassVar[str] = (
        "Separate round blobs on a circle: a flow keeps the plane in one piece, so filaments join the blobs, "
        "and each affine coupling only shifts and stretches along an axis, it never splits."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= \tfrac{4}{1.414} (\cos \theta, \sin \theta) + \sigma z \\ "
        r"\theta &= 2 \pi k / K, \quad k = 1, \dots, K \end{split}"
    )
    hard: ClassVar[str] = (
        "One coupling has one shift and one scale for each column: it moves and stretches what is there, and never "
        "splits it."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (NOISE, MODES)

    noise: float = NOISE.default
    modes: int = MODES.default

    @property
    def centres(self) -> np.ndarray:
        """The means of the Gaussians: (modes, 2), the first on the positive x-axis."""
        angle = 2 * math.pi * np.arange(self.modes) / self.modes
        return RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(RADIUS + TAIL * self.noise)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        mode = torch.randint(self.modes, (n,), generator=generator)
        noise = self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return torch.from_numpy(self.centres)[mode] + noise

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        variance = self.noise**2
        squared = ((x[:, None] - self.centres) ** 2).sum(axis=2)  # (M, modes)
        return log_sum_exp(-squared / (2 * variance)) - math.log(2 * math.pi * variance * self.modes)

    def _entropy(self) -> float:
        """-E[log p] over one of the Gaussians: a turn takes each to the next, so all give the same."""
        return -normal_mean(lambda z: self._log_prob(self.centres[0] + self.noise * z))
