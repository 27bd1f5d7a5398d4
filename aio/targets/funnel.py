"""A funnel: a Gaussian whose width grows exponentially upwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.special import erf

from aio.targets.base import ENTROPIES_KEPT, Parameter, square_box
from aio.targets.quadrature import MARGIN, interval_rule
from aio.targets.sheared import GAUSSIAN_ENTROPY, ConditionalGaussian

BISECTIONS = 60  # to rounding error
LOST = 0.01  # share of the mass beyond the box, before its air: what is left out is almost all in the wide mouth
SPREAD = Parameter(
    "spread", "Spread", 3.0, 1.0, 3.5, 0.1, "Standard deviation of v, the logarithm of the width squared."
)


@dataclass(frozen=True)
class Funnel(ConditionalGaussian):
    """Neal's funnel, upright: v = x2 ~ N(0, s²), and x1 given v is N(0, exp(v)).

        log p(x) = log N(x2; 0, s²) + log N(x1; 0, exp(x2));    H = log 2πe + log s

    At s = 3 the standard deviation of x1 runs from e^-4.5 = 0.01 at v = -9 to e^4.5 = 90 at v = 9. A box for
    all but 0.1 % of the mass would be more than 200 wide with nothing to see in it: the box here holds a little
    more than 99 %, and the mouth of the funnel runs out of it on both sides.

    Args:
        spread: s, from 1 to 3.5.

    >>> round(Funnel().entropy, 4)
    3.9365

    References:
        Neal (2003), Slice sampling, Annals of Statistics 31(3).
    """

    name: ClassVar[str] = "funnel"
    title: ClassVar[str] = "Funnel"
    summary: ClassVar[str] = (
        "A neck thousands of times narrower than the mouth: one affine coupling that scales x1 by what it sees "
        "of x2 is exactly right here, but the soft clamp bounds how far a single block can scale."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_2 &\sim \mathcal{N}(0, s^2) \\ "
        r"x_1 \mid x_2 &\sim \mathcal{N}(0, e^{x_2}) \end{split}"
    )
    hard: ClassVar[str] = (
        "One coupling with s linear in x₂ would undo it. But the width runs over decades, and the clamp bounds how far "
        "one block can scale."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (SPREAD,)
    first: ClassVar[int] = 1

    spread: float = SPREAD.default

    @property
    def scale(self) -> float:
        return self.spread

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Holds at least 99 % of the mass, not 99.9 %: the mouth is cut off at both sides."""
        return square_box(half_width(self.spread))

    def _mean(self, a: np.ndarray) -> np.ndarray:
        return np.zeros_like(a)

    def _log_sigma(self, a: np.ndarray) -> np.ndarray:
        return a / 2

    def _entropy(self) -> float:
        return GAUSSIAN_ENTROPY + math.log(self.spread)  # E[log σ(v)] = E[v] / 2 = 0


@lru_cache(maxsize=ENTROPIES_KEPT)
def half_width(spread: float) -> float:
    """Return the b for which the square |x1| <= b, |v| <= b holds the share 1 - LOST of the funnel's mass.

    >>> round(half_width(3.0), 2)
    30.04
    """
    low, high = 0.0, math.exp(MARGIN / 2 * spread)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if mass_within(middle, spread) < 1 - LOST else (low, middle)
    return high


def mass_within(b: float, spread: float) -> float:
    """Return P(|x1| <= b, |v| <= b), by quadrature over v.

    >>> round(mass_within(1e9, 1.0), 9)
    1.0
    """
    top = min(b, MARGIN * spread)
    v, weights = interval_rule(-top, top, spread / 2)
    density = np.exp(-((v / spread) ** 2) / 2) / (math.sqrt(2 * math.pi) * spread)
    return float(weights @ (density * erf(b * np.exp(-v / 2) / math.sqrt(2))))
