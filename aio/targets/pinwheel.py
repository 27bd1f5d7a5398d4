"""A pinwheel: Gaussian blades, twisted the more the farther out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import MARGIN, log_sum_exp, normal_mean

SCALE = 2.0  # FFJORD doubles the pinwheel of Johnson et al.
RATE = 0.25  # radians of twist at f1 = 0; it grows by e for each unit of f1
MEAN = 1.0  # of f1, the coordinate along a blade
SPREAD = 0.3  # standard deviation of f1
TOP = MEAN + MARGIN * SPREAD  # no blade is looked for farther out: N(f1) is exp(-32) of its peak there
TURN = 2 * math.pi
LOOPS = math.floor(1 + (RATE * math.exp(TOP) + math.pi / 2) / TURN)  # times the twist can fold f1 < TOP
DIP_STEPS = 6  # Newton's steps to rounding error, from half the argument
NEWTON_STEPS = 100  # a dozen is enough but for points on a fold, which bisect
NEWTON_TOLERANCE = 1e-8  # a step of Newton's this short is the last: it leaves an error of its square

NOISE_HELP = "Standard deviation across a blade, before it is twisted."
NOISE = Parameter("noise", "Noise σ", 0.1, 0.03, 0.2, 0.01, NOISE_HELP)
BLADES = Parameter("blades", "Blades", 5, 3, 7, 1, "How many blades the wheel has.")


@dataclass(frozen=True)
class Pinwheel(Target):
    """K Gaussian blades, each turned by an angle that grows exponentially along it.

    f1 ~ N(1, 0.3²) runs along a blade, f2 ~ N(0, σ²) across it, and k is a blade drawn at random:

        θ = 2πk/K + ¼ exp(f1),    x = 2 R(-θ) f,    R(θ) the rotation by θ

    The twist depends on f1, so the map is not volume preserving: det ∂x/∂f = 4 (1 + ¼ exp(f1) f2). Far out
    in a blade's tail the factor passes through zero, the blade folds over, and a point may come from
    several f. The density sums over blades and over all their roots f with x(f) = x and f1 < 3.4:

        log p(x) = log Σ_k Σ_f 1/K N(f1; 1, 0.3²) N(f2; 0, σ²) / |det ∂x/∂f|

    Args:
        noise: σ, from 0.03 to 0.2.
        blades: K, from 3 to 7.

    >>> round(Pinwheel().entropy, 4)
    2.3178

    References:
        Johnson, Duvenaud, Wiltschko, Datta, Adams (2016), Composing graphical models with neural networks
        for structured representations and fast inference, arXiv:1603.06277.
        Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud (2018), FFJORD, arXiv:1810.01367.
    """

    name: ClassVar[str] = "pinwheel"
    title: ClassVar[str] = "Pinwheel"
    summary: ClassVar[str] = (
        "Curved blades, twisted the more the farther out: they follow no axis, and a line along one axis "
        "meets several of them, where a single affine coupling has one shift and one scale to offer."
    )
    formula: ClassVar[str] = (
        r"\begin{split} x_1 + i x_2 &= 2 (f + i \sigma z_2) e^{-i \theta} \\ "
        r"\theta &= 2 \pi k / K + \tfrac{1}{4} e^f, \quad 1 \le k \le K \\ "
        r"f &= 1 + 0.3 z_1 \end{split}"
    )
    hard: ClassVar[str] = (
        "Curved blades that follow no axis: a column meets several, and one coupling has one shift and one scale for "
        "all of them."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (NOISE, BLADES)

    noise: float = NOISE.default
    blades: int = BLADES.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(SCALE * math.hypot(MEAN + TAIL * SPREAD, TAIL * self.noise))

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        blade = torch.randint(self.blades, (n,), generator=generator)
        z = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return torch.from_numpy(self._twist(z.numpy(), blade.numpy()))

    def _twist(self, z: np.ndarray, blade: np.ndarray | int) -> np.ndarray:
        """Return x from standard normal z: (M, 2) -> (M, 2). The plane is read as the complex numbers."""
        f1, f2 = MEAN + SPREAD * z[:, 0], self.noise * z[:, 1]
        theta = TURN * blade / self.blades + RATE * np.exp(f1)
        x = SCALE * (f1 + 1j * f2) * np.exp(-1j * theta)
        return np.column_stack([x.real, x.imag])

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        blade = np.arange(self.blades)
        angle = np.remainder(np.arctan2(x[:, 1], x[:, 0])[:, None] + TURN * blade / self.blades, TURN)
        rho = np.repeat(np.hypot(x[:, 0], x[:, 1]) / SCALE, self.blades)  # (M K,)
        ends, h = monotone_pieces(rho, angle.ravel())  # (M K, P + 1)
        row, piece = np.nonzero((h[:, :-1] < 0) != (h[:, 1:] < 0))
        rho, angle = rho[row], angle.ravel()[row]
        f1 = bracketed_newton(residual, ends[row, piece], ends[row, piece + 1], rho, angle)
        f2 = rho * np.sin(angle + RATE * np.exp(f1))
        stretch = SCALE**2 * np.abs(1 + RATE * np.exp(f1) * f2)  # |det ∂x/∂f|
        log_p = np.full((len(h), h.shape[1] - 1), -np.inf)
        log_f = -((f1 - MEAN) ** 2) / (2 * SPREAD**2) - f2**2 / (2 * self.noise**2)
        log_p[row, piece] = log_f - np.log(stretch)
        constant = math.log(self.blades * TURN * SPREAD * self.noise)
        return log_sum_exp(log_p.reshape(len(x), -1)) - constant

    def _entropy(self) -> float:
        """-E[log p] over one blade: a turn takes each to the next, so all give the same.

        To 1e-8 at the default noise, and to 5e-6 at the largest, where the folds put kinks into log p.
        """
        return -normal_mean(lambda z: self._log_prob_of_rows(self._twist(z, blade=0)))


def residual(f1: np.ndarray, rho: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return h(f1) = f1 - ρ cos(α + ¼ exp(f1)), which is zero where x(f) = x, and its slope.

    x/2 turned by θ is f, so with ρ = |x|/2 and α = arg x + 2πk/K: f1 = ρ cos u and f2 = ρ sin u, where
    u = α + ¼ exp(f1). The slope h' = 1 + ¼ exp(f1) ρ sin u is, at a zero, the factor 1 + ¼ exp(f1) f2 of
    det ∂x/∂f.
    """
    twist = RATE * np.exp(f1)
    u = angle + twist
    return f1 - rho * np.cos(u), 1 + twist * rho * np.sin(u)


def residual_slope(f1: np.ndarray, rho: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return h'(f1), as in `residual`, and its own slope."""
    twist = RATE * np.exp(f1)
    sine, cosine = np.sin(angle + twist), np.cos(angle + twist)
    return 1 + twist * rho * sine, twist * rho * (sine + twist * cosine)


def monotone_pieces(rho: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the range of f1 into pieces on which h of `residual` only rises or only falls.

    A piece has one zero if h changes sign over it, else none: no root of the map is missed.

    With φ = ¼ exp(f1), h' = 1 + φ ρ sin(α + φ) is at least 1 while the sine is positive. While it is
    negative, φ |sin(α + φ)| rises and then falls (its logarithm has the slope 1/φ + cot(α + φ), which
    falls), and it is largest where φ + arctan φ = 2πm - α. So between these dips of h', and the points
    φ = 2πm - α where the sine turns positive, h' changes sign once at most; there the range is cut again.

    All zeros lie within [-ρ, ρ]. A margin of 1 on either side makes sure that h < 0 at the lower end and,
    if ρ + 1 < TOP, h > 0 at the upper. Where the range ends at TOP instead, h > 0 there for those blades
    with cos u <= 0: some blade always has a zero, so that log p is finite everywhere.

    Args:
        rho: |x|/2 of shape (M,).
        angle: α of shape (M,), in [0, 2π).

    Returns:
        the ends of the P pieces in rising order, and h there, each (M, P + 1); some pieces are empty.
    """
    rho, angle = rho[:, None], angle[:, None]
    bottom, top = -(rho + 1), np.minimum(rho + 1, TOP)
    turning = TURN * np.arange(1, LOOPS + 1) - angle  # (M, LOOPS): φ where the sine turns positive
    knots = np.stack([dip(turning), turning], axis=2).reshape(len(rho), -1)  # φ, rising
    knots = np.clip(np.log(knots / RATE), bottom, top)
    knots = np.hstack([bottom, knots, top])  # f1
    h, slope = residual(knots, rho, angle)

    row, gap = np.nonzero(slope[:, :-1] * slope[:, 1:] < 0)
    rho, angle = rho[row, 0], angle[row, 0]
    fold = bracketed_newton(residual_slope, knots[row, gap], knots[row, gap + 1], rho, angle)
    ends, h_ends = np.repeat(knots, 2, axis=1)[:, 1:], np.repeat(h, 2, axis=1)[:, 1:]
    ends[row, 2 * gap + 1] = fold  # between the two knots; where nothing folds, the upper knot stands twice
    h_ends[row, 2 * gap + 1] = residual(fold, rho, angle)[0]
    return ends, h_ends


def dip(turning: np.ndarray) -> np.ndarray:
    """Return φ with φ + arctan φ = `turning`, by Newton's method from the left, which never overshoots.

    >>> round(float(dip(1.0 + math.pi / 4)), 12)
    1.0
    """
    phi = turning / 2
    for _ in range(DIP_STEPS):
        phi = phi - (phi + np.arctan(phi) - turning) / (1 + 1 / (1 + phi**2))
    return phi


def bracketed_newton(
    function: Callable[..., tuple[np.ndarray, np.ndarray]],
    low: np.ndarray,
    high: np.ndarray,
    *constants: np.ndarray,
) -> np.ndarray:
    """Return one zero in each of many intervals, by Newton's method, bisecting wherever that is no help.

    Args:
        function: takes z and the constants, each of shape (M,); returns the values and the slopes at z.
        low, high: ends of shape (M,); the function has opposite signs at the two.
        constants: each of shape (M,).

    Returns:
        zeros of shape (M,).

    >>> def function(z, square):
    ...     return z**2 - square, 2 * z
    >>> bracketed_newton(function, np.zeros(2), np.full(2, 5.0), np.array([4.0, 9.0])).tolist()
    [2.0, 3.0]
    """
    zeros = np.empty_like(low)
    rising = function(low, *constants)[0] < 0
    row = np.arange(len(low))
    z = (low + high) / 2
    step = step_before = high - low
    for _ in range(NEWTON_STEPS):
        value, slope = function(z, *constants)
        above = (value < 0) == rising  # the zero lies above z
        low, high = np.where(above, z, low), np.where(above, high, z)
        newton = z - value / slope
        newton_step = np.abs(newton - z)
        near = newton_step < NEWTON_TOLERANCE
        inside = (newton > low) & (newton < high)
        # Bisect unless Newton's step stays inside and at least halves the step before the last.
        moved = np.where(near | (inside & (newton_step < step_before / 2)), newton, (low + high) / 2)
        step_before, step = step, np.abs(moved - z)
        zeros[row] = z = moved
        if near.all():
            break
        if near.any():
            far = ~near
            row, rising, low, high, z, step, step_before, *constants = (
                values[far] for values in (row, rising, low, high, z, step, step_before, *constants)
            )
    return zeros
