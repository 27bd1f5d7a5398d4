"""A Swiss roll: one spiral with a hollow middle, blurred."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import grid_entropy
from aio.targets.spirals import Spiral, log_blurred_spiral

START = 1.5 * math.pi  # the angle at the inner end
SHRINK = 5.0  # FFJORD divides the roll of scikit-learn by 5

NOISE_HELP = "Standard deviation of the Gaussian added to every point."
NOISE = Parameter("noise", "Noise σ", 0.2, 0.1, 0.5, 0.02, NOISE_HELP)
TURNS = Parameter("turns", "Turns", 1.5, 0.5, 2.0, 0.1, "How many times the spiral winds around the middle.")


@dataclass(frozen=True)
class Swissroll(Target):
    """A spiral of one and a half turns, uniform in its angle, plus Gaussian noise: FFJORD's `swissroll`.

    t ~ U(t0, t1), t0 = 3π/2, t1 = t0 + 2π · turns, the point t (cos t, sin t) / 5, and N(0, σ² I) on top. It is
    the roll of scikit-learn's `make_swiss_roll`, seen from its end and divided by 5. Uniform in the angle is
    not uniform along the curve: the roll thins out towards its outer end, where it is three times as far
    around.

        log p(x) = log 1/(t1 - t0) ∫ N(x; t (cos t, sin t)/5, σ² I) dt

    Args:
        noise: σ, from 0.1 to 0.5.
        turns: from 0.5 to 2.

    >>> round(Swissroll().entropy, 4)
    2.6696

    References:
        Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud (2018), FFJORD, arXiv:1810.01367.
    """

    name: ClassVar[str] = "swissroll"
    title: ClassVar[str] = "Swiss roll"
    summary: ClassVar[str] = (
        "One long strip, rolled up: nothing has to be torn, but the plane has to be wound around itself, and "
        "a line along an axis meets the strip several times."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= \tfrac{t}{5} (\cos t, \sin t) + \sigma z \\ "
        r"t &\sim \mathcal{U}(\tfrac{3}{2} \pi, \tfrac{3}{2} \pi + 2 \pi n) \end{split}"
    )
    hard: ClassVar[str] = (
        "Nothing to part, but much to wind: a line through the middle meets the one strip again at every half turn."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (NOISE, TURNS)

    noise: float = NOISE.default
    turns: float = TURNS.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(self._stop / SHRINK + TAIL * self.noise)

    @property
    def _stop(self) -> float:
        return START + 2 * math.pi * self.turns

    @property
    def _spiral(self) -> Spiral:
        return Spiral(START, self._stop, 1 / SHRINK)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        t = START + (self._stop - START) * torch.rand(n, generator=generator, dtype=torch.float64)
        on_curve = t[:, None] * torch.stack([t.cos(), t.sin()], dim=1) / SHRINK
        return on_curve + self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        def gaussian(dx: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return (dx**2 + dy**2) / (-2 * self.noise**2), np.ones_like(dx)

        log_integral = log_blurred_spiral(x, self._spiral, self.noise, gaussian)
        return log_integral - math.log(2 * math.pi * self.noise**2)

    def _entropy(self) -> float:
        outermost = self._stop / SHRINK
        return grid_entropy(self._log_prob_of_rows, (-outermost, outermost) * 2, self.noise)
