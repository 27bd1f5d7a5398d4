"""Two moons: two interleaved half circles, blurred."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import gauss_legendre, grid_entropy

RADIUS = 1.0
HALF_ANGLE = math.pi / 2  # a moon is half a circle: this much on either side of its middle
CENTRES = ((0.0, 0.0), (1.0, 0.5))
MIDDLES = (math.pi / 2, -math.pi / 2)  # direction of each moon's middle: the first opens downwards
BOX = (-1.0, 2.0, -0.5, 1.0)  # of the two arcs without noise
NEGLIGIBLE = 37.0  # nats below its peak where an integrand ends: exp(-37) is half a float64 rounding
ARC_NODES = 40  # as good as 400 for such an integrand; 24 err by 1e-5

NOISE_HELP = "Standard deviation of the Gaussian added to every point."
NOISE = Parameter("noise", "Noise σ", 0.05, 0.02, 0.5, 0.01, NOISE_HELP)


@dataclass(frozen=True)
class Moons(Target):
    """Two half circles of radius 1, each holding half the mass, plus Gaussian noise.

    The arc (cos t, sin t), t ~ U(0, π), about the origin; the arc (cos t, sin t), t ~ U(π, 2π), about
    (1, ½); and N(0, σ² I) on top. These are the curves of scikit-learn's `make_moons`, which places t on a
    fixed linspace instead: here t is drawn, so that points are independent and the density is exact.

        log p(x) = log ½ Σ_arcs 1/π ∫ N(x; c(t), σ² I) dt

    Args:
        noise: σ, from 0.02 to 0.5, in units of the radius.

    >>> round(Moons().entropy, 4)
    0.2892
    >>> x = Moons(noise=0.1).sample(1000, torch.Generator().manual_seed(0))
    >>> x.shape, bool(Moons(noise=0.1).log_prob(x).isfinite().all())
    (torch.Size([1000, 2]), True)
    """

    name: ClassVar[str] = "moons"
    title: ClassVar[str] = "Two moons"
    summary: ClassVar[str] = (
        "Two interleaved crescents with almost nothing between them: a flow is continuous and invertible, "
        "so it can thin the bridge between them but never cut it."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x &= c(t) + \sigma z, \quad t \sim \mathcal{U}(0, \pi) \\ "
        r"c &= (\cos t, \sin t) \text{ or } (1 - \cos t, \tfrac{1}{2} - \sin t) \end{split}"
    )
    hard: ClassVar[str] = (
        "Two pieces. The plane cannot tear: a bridge of density joins them, thinner with more blocks, never gone."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (NOISE,)

    noise: float = NOISE.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        xmin, xmax, ymin, ymax = BOX
        reach = max(xmax - xmin, ymax - ymin) / 2 + TAIL * self.noise
        return square_box(reach, centre=((xmin + xmax) / 2, (ymin + ymax) / 2))

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        arc = torch.randint(len(CENTRES), (n,), generator=generator)
        offset = (2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1) * HALF_ANGLE
        angle = torch.tensor(MIDDLES, dtype=torch.float64)[arc] + offset
        on_arc = RADIUS * torch.stack([angle.cos(), angle.sin()], dim=1)
        noise = self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return torch.tensor(CENTRES, dtype=torch.float64)[arc] + on_arc + noise

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        arcs = [
            log_blurred_arc(x - np.array(centre), middle, self.noise)
            for centre, middle in zip(CENTRES, MIDDLES, strict=True)
        ]
        return np.logaddexp(*arcs) - math.log(len(CENTRES))

    def _entropy(self) -> float:
        return grid_entropy(self._log_prob_of_rows, BOX, self.noise)


def log_blurred_arc(x: np.ndarray, middle: float, sigma: float) -> np.ndarray:
    """Return the log density of a half circle about the origin, uniform in angle, plus N(0, σ² I).

    With ρ, φ the polar coordinates of x, φ counted from the arc's middle, and κ = ρ r / σ²:

        p(x) = 1/(2πσ²) · exp(-(ρ - r)²/2σ²) · 1/π ∫_{-π/2-φ}^{π/2-φ} exp(-κ (1 - cos u)) du

    The arc is symmetric, so φ >= 0 will do, and u runs over a half turn that ends at π/2 - φ. What of it lies
    below -π is the part of the arc that is nearer the other way round; it is mirrored into [-π, 0].

    Args:
        x: points of shape (N, 2), float64.
        middle: the direction of the arc's middle, in radians.
        sigma: the noise, above 0.

    Returns:
        log p of shape (N,), in nats.
    """
    rho = np.hypot(x[:, 0], x[:, 1])
    phi = np.arctan2(x[:, 1], x[:, 0]) - middle
    phi = np.abs(np.remainder(phi + math.pi, 2 * math.pi) - math.pi)
    kappa = rho * RADIUS / sigma**2
    start, stop = -HALF_ANGLE - phi, HALF_ANGLE - phi
    integral = log_von_mises_integral(kappa, np.maximum(start, -math.pi), stop)
    behind = start < -math.pi
    mirrored = -(start[behind] + 2 * math.pi)
    integral[behind] = np.logaddexp(
        integral[behind], log_von_mises_integral(kappa[behind], np.full_like(mirrored, -math.pi), mirrored)
    )
    radial = -((rho - RADIUS) ** 2) / (2 * sigma**2)
    return radial + integral - math.log(2 * math.pi * sigma**2) - math.log(2 * HALF_ANGLE)


def log_von_mises_integral(kappa: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Return log ∫_start^stop exp(-κ (1 - cos u)) du, to rounding, however sharp the peak at u = 0.

    The integrand falls away from its largest value, at u0 = min(stop, 0). A Gauss-Legendre rule goes only
    where it is above exp(-NEGLIGIBLE) of that value, so that as the noise shrinks (as κ grows) the nodes
    draw together with the peak, and their number can stay the same. 1 - cos u is written 2 sin²(u/2),
    which keeps its digits at small u.

    Args:
        kappa: concentration of shape (N,), at least 0.
        start: lower end of shape (N,), in [-π, 0].
        stop: upper end of shape (N,), in [start, π].

    Returns:
        shape (N,), in nats of u; -inf where start = stop.

    >>> kappa, start, stop = np.array([[1e6], [-math.pi], [0.0]])
    >>> half_gaussian = math.log(math.sqrt(2 * math.pi / 1e6) / 2)  # the limit of large κ
    >>> abs(log_von_mises_integral(kappa, start, stop) - half_gaussian).item() < 1e-6
    True
    """
    nodes, weights = gauss_legendre(ARC_NODES)
    floor = np.sin(np.minimum(stop, 0) / 2) ** 2  # sin²(u0 / 2)
    reach = 2 * np.arcsin(np.sqrt(np.minimum(floor + NEGLIGIBLE / (2 * kappa), 1)))
    start, stop = np.maximum(start, -reach), np.minimum(stop, reach)
    width = np.maximum(stop - start, 0)
    u = start[:, None] + width[:, None] * nodes  # (N, ARC_NODES)
    fall = np.exp(-2 * kappa[:, None] * (np.sin(u / 2) ** 2 - floor[:, None]))
    return np.log(width * (fall * weights).sum(axis=1)) - 2 * kappa * floor
