"""Rings, blurred: two (circles) or four (rings) about one centre, or four that cross (four circles)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.special import i0e
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import MARGIN, grid_entropy, interval_rule, log_sum_exp

NOISE_HELP = "Standard deviation of the Gaussian added to every point."
CIRCLES_NOISE = Parameter("noise", "Noise σ", 0.24, 0.06, 0.6, 0.02, NOISE_HELP)
RINGS_NOISE = Parameter("noise", "Noise σ", 0.08, 0.03, 0.3, 0.01, NOISE_HELP)
FOUR_NOISE = Parameter("noise", "Noise σ", 0.1, 0.05, 0.4, 0.01, NOISE_HELP)
FOUR_RADIUS = Parameter("radius", "Radius", 2.0, 0.5, 3.0, 0.1, "Radius of each circle.")
FOUR_CENTRES = ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))


class ConcentricRings(Target):
    """Circles about the origin, of equal mass, plus Gaussian noise. Abstract: it has no radii yet.

    A radius r is drawn from `radii`, an angle from U(0, 2π), and N(0, σ² I) is added. FFJORD's rings and
    scikit-learn's `make_circles` place the angle on a fixed linspace instead.

        log p(x) = log 1/R Σ_r 1/(2πσ²) · exp(-(ρ - r)²/2σ²) · i0e(ρ r / σ²),    ρ = |x|

    where i0e(κ) = exp(-κ) I0(κ) is the scaled modified Bessel function.
    """

    radii: ClassVar[tuple[float, ...]]
    noise: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(max(self.radii) + TAIL * self.noise)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        ring = torch.randint(len(self.radii), (n,), generator=generator)
        radius = torch.tensor(self.radii, dtype=torch.float64)[ring]
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        on_ring = radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        return on_ring + self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        return self._log_prob_at(np.hypot(x[:, 0], x[:, 1]))

    def _log_prob_at(self, rho: np.ndarray) -> np.ndarray:
        """Return log p at distance rho from the origin: (M,) -> (M,)."""
        log_rings = log_blurred_ring(rho[:, None], np.array(self.radii), self.noise)  # (M, R)
        return log_sum_exp(log_rings) - math.log(len(self.radii))

    def _entropy(self) -> float:
        """H = -∫ 2πρ p log p dρ: p depends on the radius alone."""
        rho, weights = interval_rule(0.0, max(self.radii) + MARGIN * self.noise, self.noise)
        log_p = self._log_prob_at(rho)
        return -2 * math.pi * float(weights @ (rho * np.exp(log_p) * log_p))


def log_blurred_ring(rho: np.ndarray, radius: np.ndarray | float, sigma: float) -> np.ndarray:
    """Return the log density of a circle plus N(0, σ² I) at distance rho from its centre, as in `ConcentricRings`.

    Args:
        rho: distances, of any shape.
        radius: of the circle; a shape that goes with that of rho.
        sigma: the noise, above 0.

    >>> standard_normal = -math.log(2 * math.pi) - 2.0**2 / 2  # a circle of radius 0 is a point
    >>> abs(log_blurred_ring(np.array(2.0), 0.0, 1.0) - standard_normal).item() < 1e-12
    True
    """
    variance = sigma**2
    log_peak = -((rho - radius) ** 2) / (2 * variance) - math.log(2 * math.pi * variance)
    return log_peak + np.log(i0e(rho * radius / variance))


@dataclass(frozen=True)
class Circles(ConcentricRings):
    """Two blurred circles, of radius 3 and 1.5: scikit-learn's `make_circles`, at FFJORD's scale.

    Args:
        noise: σ, from 0.06 to 0.6.

    >>> round(Circles().entropy, 4)
    3.2681
    """

    name: ClassVar[str] = "circles"
    title: ClassVar[str] = "Two circles"
    summary: ClassVar[str] = (
        "One ring inside another: a flow moves the plane without tearing it, so it cannot leave the hole and "
        "the gap empty, it can only stretch a little mass thinly across them."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= r (\cos t, \sin t) + \sigma z \\ "
        r"r &\in \{1.5, 3\}, \quad t \sim \mathcal{U}(0, 2 \pi) \end{split}"
    )
    hard: ClassVar[str] = (
        "A hole and a gap, where a Gaussian has neither. A flow covers the whole plane: it can thin what lies there, "
        "not remove it."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (CIRCLES_NOISE,)
    radii: ClassVar[tuple[float, ...]] = (3.0, 1.5)

    noise: float = CIRCLES_NOISE.default


@dataclass(frozen=True)
class Rings(ConcentricRings):
    """Four thin circles, of radius 3, 2.25, 1.5 and 0.75: FFJORD's `rings`.

    Args:
        noise: σ, from 0.03 to 0.3.

    >>> round(Rings().entropy, 4)
    2.6232
    """

    name: ClassVar[str] = "rings"
    title: ClassVar[str] = "Four rings"
    summary: ClassVar[str] = (
        "Four thin rings, one inside another: a line across them meets up to eight narrow peaks, and one "
        "affine coupling can only shift and stretch what it finds on a line, never split it."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= r (\cos t, \sin t) + \sigma z, \quad t \sim \mathcal{U}(0, 2 \pi) \\ "
        r"r &\in \{0.75, 1.5, 2.25, 3\} \end{split}"
    )
    hard: ClassVar[str] = (
        "A column through the middle meets eight thin peaks, and one coupling has one shift and one scale for all of "
        "them."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (RINGS_NOISE,)
    radii: ClassVar[tuple[float, ...]] = (3.0, 2.25, 1.5, 0.75)

    noise: float = RINGS_NOISE.default


@dataclass(frozen=True)
class FourCircles(Target):
    """Four blurred circles about (±1, ±1) that cross each other: the `four circles` of the neural spline flows.

    One of the circles is drawn, an angle from U(0, 2π), and N(0, σ² I) is added. With ρ_k the distance to
    centre k, r the radius, and i0e the scaled Bessel function as in `ConcentricRings`:

        log p(x) = log ¼ Σ_k 1/(2πσ²) · exp(-(ρ_k - r)²/2σ²) · i0e(ρ_k r / σ²)

    Args:
        noise: σ, from 0.05 to 0.4.
        radius: r, from 0.5, where the circles stand apart, to 3; they touch at 1 and cross above.

    >>> round(FourCircles().entropy, 4)
    2.8708

    References:
        Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows, arXiv:1906.04032.
    """

    name: ClassVar[str] = "four_circles"
    title: ClassVar[str] = "Four circles"
    summary: ClassVar[str] = (
        "Four thin rings that cross: the empty cells between them are many holes to open, and where two rings "
        "meet, the density doubles on a spot as small as the noise."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= (\pm 1, \pm 1) + r (\cos t, \sin t) + \sigma z \\ "
        r"t &\sim \mathcal{U}(0, 2 \pi) \end{split}"
    )
    hard: ClassVar[str] = (
        "Thin rings that cross and enclose many cells, each of them to be emptied. Where two rings meet, the density "
        "doubles."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (FOUR_NOISE, FOUR_RADIUS)

    noise: float = FOUR_NOISE.default
    radius: float = FOUR_RADIUS.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(self._reach + TAIL * self.noise)

    @property
    def _reach(self) -> float:
        return max(map(max, FOUR_CENTRES)) + self.radius

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        centre = torch.tensor(FOUR_CENTRES, dtype=torch.float64)[
            torch.randint(len(FOUR_CENTRES), (n,), generator=generator)
        ]
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        on_ring = self.radius * torch.stack([angle.cos(), angle.sin()], dim=1)
        return centre + on_ring + self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        offset = x[:, None] - np.array(FOUR_CENTRES)  # (M, 4, 2)
        rho = np.hypot(offset[..., 0], offset[..., 1])
        return log_sum_exp(log_blurred_ring(rho, self.radius, self.noise)) - math.log(len(FOUR_CENTRES))

    def _entropy(self) -> float:
        """Over one quadrant: the mirrors in the two axes take the density to itself."""
        quadrant = (MARGIN * self.noise, self._reach) * 2  # less the margin that `grid_entropy` adds: from the axes on
        return 4 * grid_entropy(self._log_prob_of_rows, quadrant, self.noise)
