"""Two spirals: two arms, wound into each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.special import erfcx
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import MARGIN, grid_entropy
from aio.targets.spirals import Spiral, log_blurred_spiral

SHRINK = 3.0  # the arms are divided by 3 before the Gaussian is added
JITTER = 0.5 / SHRINK  # side of the square from which every point's offset is drawn
ARMS = 2
ENTROPY_STEP = 0.5  # of a noise deviation, where the entropy's rule errs by 2e-8: half of it takes seconds

NOISE_HELP = "Standard deviation of the Gaussian added to every point, beside a fixed jitter in a square of side 1/6."
NOISE = Parameter("noise", "Noise σ", 0.1, 0.05, 0.25, 0.01, NOISE_HELP)
TURNS = Parameter("turns", "Turns", 1.5, 0.5, 2.0, 0.1, "How many times each spiral winds around the middle.")


@dataclass(frozen=True)
class TwoSpirals(Target):
    """Two arms of one and a half turns, one the other's mirror image in the origin: FFJORD's `2spirals`.

    n = 2π · turns · √u with u ~ U(0, 1), so that n has the density 2n / (2π turns)² and the points spread nearly
    evenly along the arm; a jitter v from U(0, 1/6)²; one sign for both coordinates; and Gaussian noise:

        x = ±((-n cos n, n sin n)/3 + v) + σ z

    Jitter and noise are independent along each axis, so that with d = ±x - c, c the point on the arm,

        p(x) = ½ Σ_± ∫ 2n/(2π turns)² Π_axes 6 [Φ(d/σ) - Φ((d - 1/6)/σ)] dn

    Args:
        noise: σ, from 0.05 to 0.25.
        turns: from 0.5 to 2.

    >>> round(TwoSpirals().entropy, 4)
    2.6455

    References:
        Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud (2018), FFJORD, arXiv:1810.01367.
    """

    name: ClassVar[str] = "two_spirals"
    title: ClassVar[str] = "Two spirals"
    summary: ClassVar[str] = (
        "Two long arms wound into each other: a line along an axis meets an arm at every half turn, and the "
        "two must be kept apart all the way to the middle, where they touch."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= \pm (\tfrac{t}{3} (-\cos t, \sin t) + v) + \sigma z \\ "
        r"t &= 2 \pi n \sqrt{u}, \quad v \sim \mathcal{U}(0, \tfrac{1}{6})^2 \end{split}"
    )
    hard: ClassVar[str] = (
        "Two long arms, to be wound up and kept apart: a line through the middle meets each of them at every half turn."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (NOISE, TURNS)

    noise: float = NOISE.default
    turns: float = TURNS.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(self._reach + TAIL * self.noise)

    @property
    def _stop(self) -> float:
        return 2 * math.pi * self.turns

    @property
    def _reach(self) -> float:
        return self._stop / SHRINK + JITTER

    @property
    def _spiral(self) -> Spiral:
        half = JITTER / 2  # the jitter is centred in `blurred_box`; its own middle goes to the arms
        return Spiral(
            0.0, self._stop, 1 / SHRINK, power=1, signs=((-1, 1), (1, -1)), offsets=((half, half), (-half, -half))
        )

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        t = self._stop * torch.rand(n, generator=generator, dtype=torch.float64).sqrt()
        on_arm = t[:, None] * torch.stack([-t.cos(), t.sin()], dim=1) / SHRINK
        jitter = JITTER * torch.rand(n, 2, generator=generator, dtype=torch.float64)
        sign = 2 * torch.randint(ARMS, (n, 1), generator=generator) - 1
        noise = self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return sign * (on_arm + jitter) + noise

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        def blurred_square(dx: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            ex, fx = blurred_box(dx, JITTER, self.noise)
            ey, fy = blurred_box(dy, JITTER, self.noise)
            return ex + ey, fx * fy

        half_diagonal = JITTER / math.sqrt(2)
        return log_blurred_spiral(x, self._spiral, self.noise, blurred_square, reach=half_diagonal)

    def _entropy(self) -> float:
        """Over the right half of the plane: the left is the right, mirrored in the origin."""
        right = (MARGIN * self.noise, self._reach)  # less the margin that `grid_entropy` adds: from the axis on
        half_plane = (*right, -self._reach, self._reach)
        return 2 * grid_entropy(self._log_prob_of_rows, half_plane, self.noise, ENTROPY_STEP)


def blurred_box(d: np.ndarray, width: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return e and f with f exp(e) the density of U(-width/2, width/2) + N(0, σ²) at d, right into the tails.

    With u = (|d| - width/2) / σ√2 and w = width / σ√2, the density is (erfc(u) - erfc(u + w)) / 2width. Its tail
    goes into e = -u², and what is left, f, falls off as 1/u.

    Args:
        d: distances from the middle, of any shape.
        width: of the box, above 0.
        sigma: above 0.

    >>> e, f = blurred_box(np.array([0.0, 0.6, 30.0]), 1.0, 0.1)
    >>> [float(p) for p in np.round(f * np.exp(e), 12)], float(np.round(e[2] + np.log(f[2]), 3))
    ([0.999999426697, 0.158655253931, 0.0], -43519.106)
    """
    w = width / (sigma * math.sqrt(2))
    u = np.abs(d) / (sigma * math.sqrt(2)) - w / 2
    return -(u**2), (erfcx(u) - np.exp(-w * (2 * u + w)) * erfcx(u + w)) / (2 * width)
