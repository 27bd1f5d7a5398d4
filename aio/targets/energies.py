"""The four energies of Rezende and Mohamed, U1 to U4, as densities exp(-U) / Z that can be sampled."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from aio.targets.base import ENTROPIES_KEPT, TAIL, Parameter, Target, square_box
from aio.targets.quadrature import MARGIN, STEP, interval_rule, log_sum_exp

LOBE = 0.6  # standard deviation in z1 of the two lobes that U1 cuts out of its ring
DRAWS_AT_LEAST = 64  # tries of a rejection sampler in one go: a few points are not worth many rounds
ANGLES = 512  # points around the ring: its sharpest lobe is five of them wide, and nothing but rounding error is left

LIMIT = 4.0  # of |z1| in U2 to U4: left unbounded, they have infinite mass
HALF_PERIOD = 2.0  # of the wave
DENT, DENT_WIDTH = 3.0, 0.6  # depth and width of the loop of U3
STEP_HEIGHT, STEP_WIDTH = 3.0, 0.3  # of the fork of U4
BUMP = 1.0  # z1 at the middle of both
LOWER_SHARE = 0.35 / 0.4  # width of U4's lower branch, in widths of its upper
CHANGE = 0.1  # of z1, over which two branches come apart by three of their widths at most

REFERENCE_NOISE_HELP = "Standard deviation about the curve, measured upwards."
U1_NOISE = Parameter("noise", "Noise σ", 0.4, 0.2, 0.8, 0.05, "Standard deviation about the ring.")
U1_RADIUS = Parameter("radius", "Radius", 2.0, 1.0, 3.0, 0.1, "Radius of the ring.")
U2_NOISE = Parameter("noise", "Noise σ", 0.4, 0.1, 0.8, 0.05, REFERENCE_NOISE_HELP)
U3_NOISE = Parameter("noise", "Noise σ", 0.35, 0.1, 0.7, 0.05, REFERENCE_NOISE_HELP)
U4_NOISE = Parameter("noise", "Noise σ", 0.4, 0.1, 0.8, 0.05, REFERENCE_NOISE_HELP)


@dataclass(frozen=True)
class U1(Target):
    """A ring of which two lobes are left, at the left and at the right: the first energy of Rezende and Mohamed.

        U(z) = ½ ((|z| - r)/σ)² - log(exp(-½ ((z1 - r)/0.6)²) + exp(-½ ((z1 + r)/0.6)²))

        log p(z) = -U(z) - log Z

    As published, σ = 0.4 and r = 2: Z = 6.5372. Z and H come from quadrature in polar coordinates, to 1e-10.

    A draw is exact, by rejection. The angle is uniform; ρ = |z| has the density ρ exp(-½ ((ρ - r)/σ)²), of
    which the logarithm is concave: with ρ0 where it is highest, ρ0 = r + σ²/ρ0, the tangent of log ρ there gives

        ρ <= ρ0 exp((ρ - ρ0)/ρ0),

    so that ρ ~ N(ρ0, σ²) is kept with probability (ρ/ρ0) exp(1 - ρ/ρ0), none where ρ < 0. The two lobes together
    are nowhere above 1 + exp(-½ (r/0.6)²), one being at most 1, and the other at most its value at z1 = 0; the
    point is kept with the ratio of the two.

    Args:
        noise: σ, from 0.2 to 0.8.
        radius: r, from 1 to 3.

    >>> round(U1().entropy, 4)
    2.66

    References:
        Rezende, Mohamed (2015), Variational inference with normalizing flows, arXiv:1505.05770, table 1.
    """

    name: ClassVar[str] = "u1"
    title: ClassVar[str] = "U1, two brackets"
    summary: ClassVar[str] = (
        "Two curved lobes that face each other like brackets: a flow must part the Gaussian in two and bend "
        "each half the other way."
    )
    formula: ClassVar[str] = (
        r"\begin{split} p(x) &\propto e^{-(|x| - r)^2 / 2 \sigma^2} \, \ell(x_1) \\ "
        r"\ell(x_1) &= e^{-(x_1 - r)^2 / 0.72} + e^{-(x_1 + r)^2 / 0.72} \end{split}"
    )
    hard: ClassVar[str] = (
        "Two pieces that bend against each other: one Gaussian has to be parted, and its halves curved in opposite "
        "ways."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (U1_NOISE, U1_RADIUS)

    noise: float = U1_NOISE.default
    radius: float = U1_RADIUS.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(self.radius + TAIL * self.noise)

    def _log_lobes(self, x: np.ndarray) -> np.ndarray:
        """Return log of the sum of the two lobes at horizontal place x, of any shape."""
        return np.logaddexp(-(((x - self.radius) / LOBE) ** 2) / 2, -(((x + self.radius) / LOBE) ** 2) / 2)

    def _energy(self, rho: np.ndarray, x: np.ndarray) -> np.ndarray:
        return ((rho - self.radius) / self.noise) ** 2 / 2 - self._log_lobes(x)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        kept = [torch.empty(0, 2, dtype=torch.float64)]
        missing = n
        while missing > 0:
            z = self._tries(max(2 * missing, DRAWS_AT_LEAST), generator)[:missing]
            kept.append(z)
            missing -= len(z)
        return torch.cat(kept)

    def _tries(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draw n proposals and return those that are kept."""
        highest = ring_mode(self.radius, self.noise)
        rho = highest + self.noise * torch.randn(n, generator=generator, dtype=torch.float64)
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        z = rho[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        return z[u < torch.from_numpy(self._chance(rho.numpy(), z[:, 0].numpy()))]

    def _chance(self, rho: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the probability with which a proposal at distance rho and horizontal place x is kept."""
        highest = ring_mode(self.radius, self.noise)
        on_ring = np.maximum(rho, 0) / highest * np.exp(1 - rho / highest)
        return on_ring * np.exp(self._log_lobes(x)) / (1 + math.exp(-((self.radius / LOBE) ** 2) / 2))

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        return -self._energy(np.hypot(x[:, 0], x[:, 1]), x[:, 0]) - ring_integrals(self)[0]

    def _entropy(self) -> float:
        return ring_integrals(self)[1]


def ring_mode(radius: float, sigma: float) -> float:
    """Return ρ0 where ρ exp(-½ ((ρ - r)/σ)²) is highest: the positive root of ρ0 = r + σ²/ρ0.

    >>> ring_mode(2.0, 0.0)
    2.0
    """
    return (radius + math.sqrt(radius**2 + 4 * sigma**2)) / 2


@lru_cache(maxsize=ENTROPIES_KEPT)
def ring_integrals(target: U1) -> tuple[float, float]:
    """Return log Z and H of U1: Gauss-Legendre in the radius, equal steps around."""
    reach = target.radius + (MARGIN + 1) * target.noise
    rho, weights = interval_rule(0.0, reach, min(target.noise, LOBE))
    angle = 2 * math.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    energy = target._energy(rho[:, None], rho[:, None] * np.cos(angle))
    mass = (weights * rho)[:, None] * np.exp(-energy) * (2 * math.pi / ANGLES)
    z = mass.sum()
    log_z = math.log(z)
    return log_z, float((mass * energy).sum() / z) + log_z


class Wave(Target):
    """A band along a wave, or two that share it, uniform in z1 from -4 to 4. Abstract: it has no branches yet.

    Given z1, z2 has the density of a mixture of Gaussians of equal height, so that a branch weighs as much as it
    is wide. With their means μ_k(z1) and their widths σ_k,

        U(z) = -log Σ_k exp(-½ ((z2 - μ_k(z1))/σ_k)²),    log p(z) = -U(z) - log Z

        Z = 8 √2π Σ_k σ_k,    H = log 8 + 1/8 ∫ h(z1) dz1,    h the entropy of the mixture at z1

    As published, z1 has no bounds and the mass is infinite. Cut at |z1| <= 4, edges included, z1 is uniform, and
    a draw is exact: z1, a branch, and a Gaussian on it.

    Class variables:
        height: the least and the greatest mean of any branch.
    """

    noise: float
    height: ClassVar[tuple[float, float]]

    @property
    @abstractmethod
    def widths(self) -> np.ndarray:
        """The σ_k: (K,)."""

    @abstractmethod
    def _branches(self, z1: np.ndarray) -> np.ndarray:
        """Return the means μ_k(z1): (M,) -> (M, K)."""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        lowest, highest = self.height
        reach = max(LIMIT, (highest - lowest) / 2 + TAIL * self.noise)
        return square_box(reach, centre=(0.0, (lowest + highest) / 2))

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        z1 = LIMIT * (2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1)
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        z2 = torch.randn(n, generator=generator, dtype=torch.float64)
        shares = np.cumsum(self.widths) / self.widths.sum()
        branch = np.searchsorted(shares[:-1], u.numpy(), side="right")
        mean = np.take_along_axis(self._branches(z1.numpy()), branch[:, None], axis=1)[:, 0]
        return torch.stack([z1, torch.from_numpy(mean + self.widths[branch] * z2.numpy())], dim=1)

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        log_band = self._log_given(x[:, 1, None], self._branches(x[:, 0]))
        return np.where(np.abs(x[:, 0]) <= LIMIT, log_band - math.log(2 * LIMIT), -np.inf)

    def _log_given(self, z2: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Return log p(z2 | z1) from the branches' means at z1: (..., 1), (..., K) -> (...)."""
        log_height = math.log(math.sqrt(2 * math.pi) * self.widths.sum())
        return log_sum_exp(-(((z2 - means) / self.widths) ** 2) / 2) - log_height

    def _entropy(self) -> float:
        z1, weights = interval_rule(-LIMIT, LIMIT, CHANGE)
        means = self._branches(z1)
        z = np.arange(-MARGIN + STEP / 2, MARGIN, STEP)
        normal = np.exp(-(z**2) / 2) * STEP / math.sqrt(2 * math.pi)
        entropy = math.log(2 * LIMIT)
        for k, width in enumerate(self.widths):
            z2 = means[:, k, None] + width * z  # (M, Z)
            surprise = -self._log_given(z2[..., None], means[:, None]) @ normal
            entropy += width / self.widths.sum() * float(weights @ surprise) / (2 * LIMIT)
        return entropy


def wave(z1: np.ndarray) -> np.ndarray:
    """Return w1 = sin(2π z1 / 4), the curve that U2, U3 and U4 share."""
    return np.sin(math.pi * z1 / HALF_PERIOD)


@dataclass(frozen=True)
class U2(Wave):
    """A band along a sine: the second energy of Rezende and Mohamed, cut at |z1| <= 4.

        U(z) = ½ ((z2 - w1)/σ)²,    w1 = sin(2π z1 / 4);    H = log 8 + ½ log 2πe σ²

    Args:
        noise: σ, from 0.1 to 0.8; 0.4 as published.

    >>> round(U2().entropy, 4)
    2.5821

    References:
        Rezende, Mohamed (2015), Variational inference with normalizing flows, arXiv:1505.05770, table 1.
    """

    name: ClassVar[str] = "u2"
    title: ClassVar[str] = "U2, wave"
    summary: ClassVar[str] = (
        "A band along a sine that ends abruptly at both sides: one coupling can straighten the wave, but the "
        "two sharp ends are a uniform density, which a Gaussian cannot match with affine steps."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_1 &\sim \mathcal{U}(-4, 4) \\ "
        r"x_2 \mid x_1 &\sim \mathcal{N}(\sin \tfrac{\pi}{2} x_1, \sigma^2) \end{split}"
    )
    hard: ClassVar[str] = (
        "One coupling straightens the wave. What is left is uniform in x₁ and cut off at ±4; a flow's own density has "
        "no such edge."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (U2_NOISE,)
    height: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    noise: float = U2_NOISE.default

    @property
    def widths(self) -> np.ndarray:
        return np.array([self.noise])

    def _branches(self, z1: np.ndarray) -> np.ndarray:
        return wave(z1)[:, None]


@dataclass(frozen=True)
class U3(Wave):
    """A band along a sine that splits and joins again: the third energy of Rezende and Mohamed, cut at |z1| <= 4.

        U(z) = -log(exp(-½ ((z2 - w1)/σ)²) + exp(-½ ((z2 - w1 + w2)/σ)²))

        w1 = sin(2π z1 / 4),    w2 = 3 exp(-½ ((z1 - 1)/0.6)²)

    Args:
        noise: σ, from 0.1 to 0.7; 0.35 as published.

    >>> round(U3().entropy, 4)
    2.6267

    References:
        Rezende, Mohamed (2015), Variational inference with normalizing flows, arXiv:1505.05770, table 1.
    """

    name: ClassVar[str] = "u3"
    title: ClassVar[str] = "U3, split wave"
    summary: ClassVar[str] = (
        "A band that splits in two and joins again: the loop encloses a hole, and a column through it holds "
        "two peaks where a column beside it holds one."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_1 &\sim \mathcal{U}(-4, 4), \quad w = \sin \tfrac{\pi}{2} x_1 \\ "
        r"x_2 \mid x_1 &\sim \tfrac{1}{2} \mathcal{N}(w, \sigma^2) + \tfrac{1}{2} \mathcal{N}(w - d, \sigma^2) \\ "
        r"d &= 3 e^{-(x_1 - 1)^2 / 0.72} \end{split}"
    )
    hard: ClassVar[str] = (
        "The band opens around a hole and closes again. A Gaussian has no hole, and what lies there can be thinned, "
        "not removed."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (U3_NOISE,)
    height: ClassVar[tuple[float, float]] = (-2.02, 1.0)

    noise: float = U3_NOISE.default

    @property
    def widths(self) -> np.ndarray:
        return np.array([self.noise, self.noise])

    def _branches(self, z1: np.ndarray) -> np.ndarray:
        dent = DENT * np.exp(-(((z1 - BUMP) / DENT_WIDTH) ** 2) / 2)
        return np.stack([wave(z1), wave(z1) - dent], axis=-1)


@dataclass(frozen=True)
class U4(Wave):
    """A band along a sine that forks: the fourth energy of Rezende and Mohamed, cut at |z1| <= 4.

        U(z) = -log(exp(-½ ((z2 - w1)/σ)²) + exp(-½ ((z2 - w1 + w3)/⅞σ)²))

        w1 = sin(2π z1 / 4),    w3 = 3 / (1 + exp(-(z1 - 1)/0.3))

    Args:
        noise: σ, from 0.1 to 0.8; 0.4 as published, and so 0.35 for the lower branch.

    >>> round(U4().entropy, 4)
    2.8101

    References:
        Rezende, Mohamed (2015), Variational inference with normalizing flows, arXiv:1505.05770, table 1.
    """

    name: ClassVar[str] = "u4"
    title: ClassVar[str] = "U4, forked wave"
    summary: ClassVar[str] = (
        "A band that forks into two: to the left of the fork a column holds one peak, to the right two, and "
        "what lies between the prongs must be emptied without a cut."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_1 &\sim \mathcal{U}(-4, 4), \quad w = \sin \tfrac{\pi}{2} x_1 \\ "
        r"x_2 \mid x_1 &\sim \tfrac{8}{15} \mathcal{N}(w, \sigma^2) "
        r"+ \tfrac{7}{15} \mathcal{N}(w - d, \tau^2) \\ "
        r"d &= 3 / (1 + e^{-(x_1 - 1) / 0.3}), \quad \tau = \tfrac{7}{8} \sigma \end{split}"
    )
    hard: ClassVar[str] = (
        "A fork: left of it a column holds one peak, right of it two. One coupling leaves the number of peaks in a "
        "column as it is."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (U4_NOISE,)
    height: ClassVar[tuple[float, float]] = (-4.0, 1.0)

    noise: float = U4_NOISE.default

    @property
    def widths(self) -> np.ndarray:
        return self.noise * np.array([1.0, LOWER_SHARE])

    def _branches(self, z1: np.ndarray) -> np.ndarray:
        step = STEP_HEIGHT * expit((z1 - BUMP) / STEP_WIDTH)
        return np.stack([wave(z1), wave(z1) - step], axis=-1)
