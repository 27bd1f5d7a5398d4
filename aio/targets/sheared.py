"""Gaussians sheared along a curve: banana, sine wave and crescent, and the abstract family that they form."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import DIM, Parameter, Target, square_box

LOST = 1e-3  # share of the mass that a viewing box may leave out
DISC = math.sqrt(-2 * math.log(LOST))  # a standard normal point of the plane lies farther out with probability LOST
GAUSSIAN_ENTROPY = math.log(2 * math.pi * math.e)  # of a standard normal in the plane

NOISE_HELP = "Standard deviation about the curve, measured along the axis that the curve bends into."
BEND_HELP = "How strongly the curve bends: the factor of the square."
BANANA_NOISE = Parameter("noise", "Noise σ", 1.0, 0.3, 2.0, 0.1, NOISE_HELP)
BANANA_BEND = Parameter("bend", "Bend", 0.25, 0.05, 0.5, 0.05, BEND_HELP)
CRESCENT_NOISE = Parameter("noise", "Noise σ", math.exp(-1), 0.1, 0.8, 0.02, NOISE_HELP)
CRESCENT_BEND = Parameter("bend", "Bend", 0.5, 0.1, 1.0, 0.05, BEND_HELP)
SINE_NOISE = Parameter("noise", "Noise σ", math.exp(-1), 0.1, 0.8, 0.02, NOISE_HELP)
FREQUENCY = Parameter("frequency", "Frequency ω", 5.0, 1.0, 8.0, 0.5, "How fast the wave runs: radians for a unit.")


class ConditionalGaussian(Target):
    """One coordinate Gaussian, and the other Gaussian given the first. Abstract: it has no curve yet.

    With a the coordinate drawn first and b the other, and standard normal z:

        a = s z1,    b = μ(a) + σ(a) z2,    log p(x) = log N(a; 0, s²) + log N(b; μ(a), σ(a)²)

        H = log 2πe + log s + E[log σ(a)]

    One affine coupling maps this to the base exactly, if its subnet sees a and knows μ and log σ.

    Class variables:
        first: 0 if a is x1, the horizontal coordinate; 1 if it is x2.
    """

    first: ClassVar[int]

    @property
    @abstractmethod
    def scale(self) -> float:
        """s, the standard deviation of the coordinate drawn first."""

    @abstractmethod
    def _mean(self, a: np.ndarray) -> np.ndarray:
        """Return μ(a) for a of shape (M,)."""

    @abstractmethod
    def _log_sigma(self, a: np.ndarray) -> np.ndarray:
        """Return log σ(a) for a of shape (M,)."""

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        z = torch.randn(n, DIM, generator=generator, dtype=torch.float64).numpy()
        a = self.scale * z[:, 0]
        b = self._mean(a) + np.exp(self._log_sigma(a)) * z[:, 1]
        return torch.from_numpy(np.column_stack([b, a] if self.first else [a, b]))

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        a, b = x[:, self.first], x[:, 1 - self.first]
        log_sigma = self._log_sigma(a)
        # (b - μ)² / σ² as the exponential of a logarithm: where σ passes out of range, no 0 times infinity.
        squared = np.exp(2 * (np.log(np.abs(b - self._mean(a))) - log_sigma))
        return -((a / self.scale) ** 2) / 2 - squared / 2 - log_sigma - math.log(2 * math.pi * self.scale)


class Sheared(ConditionalGaussian):
    """A Gaussian sheared along a curve, with the same noise everywhere. Abstract: it has no curve yet.

    A shear keeps areas, so the entropy is the Gaussian's: H = log 2πe + log s + log σ.
    """

    noise: float

    def _log_sigma(self, a: np.ndarray) -> np.ndarray:
        return np.full_like(a, math.log(self.noise))

    def _entropy(self) -> float:
        return GAUSSIAN_ENTROPY + math.log(self.scale * self.noise)


class Parabola(Sheared):
    """A Gaussian sheared along b = k a² + c. Abstract: it has no direction yet."""

    vertex: ClassVar[float]  # c
    bend: float  # k, above 0

    def _mean(self, a: np.ndarray) -> np.ndarray:
        return self.bend * a**2 + self.vertex

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Holds the image of the disc in which 99.9 % of z lie: b <= c + k s² z1² + σ z2 on |z| = DISC."""
        lift = self.bend * self.scale**2
        lowest = self.vertex - self.noise * DISC
        steepest = min(self.noise / (2 * lift), DISC)  # z2 where b is largest on the circle |z| = DISC
        highest = self.vertex + lift * (DISC**2 - steepest**2) + self.noise * steepest
        reach = max(self.scale * DISC, (highest - lowest) / 2)
        middle = (highest + lowest) / 2
        return square_box(reach, centre=(middle, 0.0) if self.first else (0.0, middle))


@dataclass(frozen=True)
class Banana(Parabola):
    """A Gaussian bent to the right: x2 ~ N(0, 2²), and x1 given x2 is N(k x2², σ²).

    With k = ¼ and σ = 1 it is the density that Papamakarios et al. use to show that the order of the
    coordinates matters.

        log p(x) = log N(x2; 0, 4) + log N(x1; k x2², σ²);    H = log 2πe + log 2σ

    Args:
        noise: σ, from 0.3 to 2.
        bend: k, from 0.05 to 0.5.

    >>> round(Banana().entropy, 4)
    3.531

    References:
        Papamakarios, Pavlakou, Murray (2017), Masked autoregressive flow for density estimation,
        arXiv:1705.07057.
    """

    name: ClassVar[str] = "banana"
    title: ClassVar[str] = "Banana"
    summary: ClassVar[str] = (
        "A broad bent Gaussian: one affine coupling that shifts x1 by what it sees of x2 undoes it exactly, "
        "and one the other way round cannot, since a column through the banana holds two peaks."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_2 &\sim \mathcal{N}(0, 2^2) \\ "
        r"x_1 \mid x_2 &\sim \mathcal{N}(k x_2^2, \sigma^2) \end{split}"
    )
    hard: ClassVar[str] = (
        "One coupling with s = 0 straightens it, if it sees x₂ and moves x₁. The other way round fails: a column "
        "through the arms holds two peaks."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (BANANA_NOISE, BANANA_BEND)
    first: ClassVar[int] = 1
    scale: ClassVar[float] = 2.0
    vertex: ClassVar[float] = 0.0

    noise: float = BANANA_NOISE.default
    bend: float = BANANA_BEND.default


@dataclass(frozen=True)
class Crescent(Parabola):
    """A thin Gaussian bent upwards: x1 ~ N(0, 1), and x2 given x1 is N(k x1² - 1, σ²).

    With k = ½ and σ = 1/e it is the `crescent` of the neural spline flows, whose code swaps the two axes.

        log p(x) = log N(x1; 0, 1) + log N(x2; k x1² - 1, σ²);    H = log 2πe + log σ

    Args:
        noise: σ, from 0.1 to 0.8.
        bend: k, from 0.1 to 1.

    >>> round(Crescent().entropy, 4)
    1.8379

    References:
        Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows, arXiv:1906.04032.
    """

    name: ClassVar[str] = "crescent"
    title: ClassVar[str] = "Crescent"
    summary: ClassVar[str] = (
        "A thin bent Gaussian: one affine coupling with the right parabola in its subnet is enough, so this "
        "is a target to learn well, and to see how few blocks suffice."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_1 &\sim \mathcal{N}(0, 1) \\ "
        r"x_2 \mid x_1 &\sim \mathcal{N}(k x_1^2 - 1, \sigma^2) \end{split}"
    )
    hard: ClassVar[str] = (
        "One coupling with s = 0 straightens it, and all that its subnet has to learn is a parabola in x₁."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (CRESCENT_NOISE, CRESCENT_BEND)
    first: ClassVar[int] = 0
    scale: ClassVar[float] = 1.0
    vertex: ClassVar[float] = -1.0

    noise: float = CRESCENT_NOISE.default
    bend: float = CRESCENT_BEND.default


@dataclass(frozen=True)
class SineWave(Sheared):
    """A Gaussian sheared along a sine: x1 ~ N(0, 1), and x2 given x1 is N(sin ωx1, σ²).

    With ω = 5 and σ = 1/e it is the `sine wave` of the neural spline flows.

        log p(x) = log N(x1; 0, 1) + log N(x2; sin ωx1, σ²);    H = log 2πe + log σ

    Args:
        noise: σ, from 0.1 to 0.8.
        frequency: ω, from 1 to 8, in radians for a unit of x1.

    >>> round(SineWave().entropy, 4)
    1.8379

    References:
        Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows, arXiv:1906.04032.
    """

    name: ClassVar[str] = "sine_wave"
    title: ClassVar[str] = "Sine wave"
    summary: ClassVar[str] = (
        "A wave under a Gaussian: one affine coupling could undo it, but its subnet must learn a whole sine, "
        "and a small network learns the slow parts of a function first."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_1 &\sim \mathcal{N}(0, 1) \\ "
        r"x_2 \mid x_1 &\sim \mathcal{N}(\sin \omega x_1, \sigma^2) \end{split}"
    )
    hard: ClassVar[str] = (
        "One coupling with s = 0 straightens it. But its subnet must learn a whole wave, and a network learns what is "
        "slow before what is fast."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (SINE_NOISE, FREQUENCY)
    first: ClassVar[int] = 0
    scale: ClassVar[float] = 1.0

    noise: float = SINE_NOISE.default
    frequency: float = FREQUENCY.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Holds the disc in which 99.9 % of z lie, sheared up or down by 1 at most."""
        return square_box(max(self.scale * DISC, 1 + self.noise * DISC))

    def _mean(self, a: np.ndarray) -> np.ndarray:
        return np.sin(self.frequency * a)
