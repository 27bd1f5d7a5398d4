"""A pinwheel: Gaussian blades, twisted the more the farther out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import MARGIN, normal_mean

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

NOISE = Parameter(
    "noise", "Noise σ", 0.1, 0.03, 0.2, 0.01, "Standard deviation across a blade, before it is twisted."
)
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
    parameters: ClassVar[tuple[Parameter, ...]] = (NOISE, BLADES)

    noise: float = NOISE.default
    blades: int = BLADES.default

    @property
    def extent(self) -> tuple[float, float, float, float]:
        return square_box(SCALE * math.hypot(MEAN + TAIL * SPREAD, TAIL * self.noise))

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        blade = torch.randint(self.blades, (n,), generator=generator)
        return self._twist(torch.randn(n, 2, generator=generator, dtype=torch.float64), blade)

    def _twist(self, z: Tensor, blade: Tensor | int) -> Tensor:
        """Return x from standard normal z: (M, 2) -> (M, 2). The plane is read as the complex numbers."""
        f1, f2 = MEAN + SPREAD * z[:, 0], self.noise * z[:, 1]
        theta = TURN * blade / self.blades + RATE * f1.exp()
        x = SCALE * torch.complex(f1, f2) * torch.polar(torch.ones_like(theta), -theta)
        return torch.view_as_real(x)

    def _log_prob(self, x: Tensor) -> Tensor:
        count = len(x)
        rho = torch.hypot(x[:, 0], x[:, 1]) / SCALE
        blade = torch.arange(self.blades, dtype=x.dtype)
        angle = torch.atan2(x[:, 1], x[:, 0])[:, None] + TURN * blade / self.blades  # (M, K)
        rho, angle = rho[:, None].expand_as(angle).flatten(), angle.remainder(TURN).flatten()  # (M K,)
        low, high = brackets(rho, angle)  # (M K, B)
        crossing = (residual(low, rho[:, None], angle[:, None])[0] < 0) != (
            residual(high, rho[:, None], angle[:, None])[0] < 0
        )
        rho, angle = (value[:, None].expand_as(low)[crossing] for value in (rho, angle))
        f1 = bracketed_newton(lambda z: residual(z, rho, angle), low[crossing], high[crossing])
        f2 = rho * (angle + RATE * f1.exp()).sin()
        stretch = SCALE**2 * residual(f1, rho, angle)[1].abs()
        log_p = torch.full(low.shape, -math.inf, dtype=x.dtype)
        log_p[crossing] = -((f1 - MEAN) ** 2) / (2 * SPREAD**2) - f2**2 / (2 * self.noise**2) - stretch.log()
        constant = math.log(self.blades * TURN * SPREAD * self.noise)
        return log_p.reshape(count, -1).logsumexp(dim=1) - constant

    def _entropy(self) -> float:
        """-E[log p] over one blade: a turn takes each to the next, so all give the same.

        To 1e-8 at the default noise, and to 5e-6 at the largest, where the folds put kinks into log p.
        """
        return -normal_mean(lambda z: self.log_prob(self._twist(z, blade=0)))


def residual(f1: Tensor, rho: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return h(f1) = f1 - ρ cos(α + ¼ exp(f1)), which is zero where x(f) = x, and its slope.

    x/2 turned by θ is f, so with ρ = |x|/2 and α = arg x + 2πk/K: f1 = ρ cos u and f2 = ρ sin u, where
    u = α + ¼ exp(f1). The slope h' = 1 + ¼ exp(f1) ρ sin u is, at a zero, the factor 1 + ¼ exp(f1) f2 of
    det ∂x/∂f.
    """
    twist = RATE * f1.exp()
    u = angle + twist
    return f1 - rho * u.cos(), 1 + twist * rho * u.sin()


def slope(f1: Tensor, rho: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return h'(f1), as in `residual`, and its own slope."""
    twist = RATE * f1.exp()
    u = angle + twist
    return 1 + twist * rho * u.sin(), twist * rho * (u.sin() + twist * u.cos())


def brackets(rho: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return intervals on each of which h of `residual` only rises or only falls: it has one zero at most.

    With φ = ¼ exp(f1), h' = 1 + φ ρ sin(α + φ) is at least 1 while the sine is positive. While it is
    negative, φ |sin(α + φ)| rises and then falls (its logarithm has the slope 1/φ + cot(α + φ), which
    falls), and it is largest where φ + arctan φ = 2πm - α. So between these dips of h', and the points
    φ = 2πm - α where the sine turns positive, h' changes sign once at most; there the interval is cut again.

    The zeros lie within [-ρ, ρ]. A margin of 1 on either side makes sure that h < 0 at the lower end and,
    if ρ + 1 < TOP, h > 0 at the upper. Were there TOP instead, h > 0 still for those blades with
    cos u <= 0 there: some blade always has a zero, so that log p is finite everywhere.

    Args:
        rho: |x|/2 of shape (M,).
        angle: α of shape (M,), in [0, 2π).

    Returns:
        lower and upper ends, each of shape (M, B), in the order of f1; some intervals are empty.
    """
    bottom, top = -(rho + 1), (rho + 1).clamp(max=TOP)
    loop = torch.arange(1, LOOPS + 1, dtype=rho.dtype)
    turning = TURN * loop - angle[:, None]  # (M, LOOPS): φ where the sine turns positive
    knots = torch.stack([_dip(turning), turning], dim=2).flatten(1)  # φ, in rising order
    f1 = torch.minimum(torch.maximum((knots / RATE).log(), bottom[:, None]), top[:, None])
    low = torch.cat([bottom[:, None], f1], dim=1)  # (M, 1 + 2 LOOPS)
    high = torch.cat([f1, top[:, None]], dim=1)
    middle = high.clone()  # where h' changes sign; the upper end where it does not
    rho, angle = rho[:, None].expand_as(low), angle[:, None].expand_as(low)
    folded = slope(low, rho, angle)[0] * slope(high, rho, angle)[0] < 0
    rho, angle = rho[folded], angle[folded]
    middle[folded] = bracketed_newton(lambda z: slope(z, rho, angle), low[folded], high[folded])
    return torch.cat([low, middle], dim=1), torch.cat([middle, high], dim=1)


def _dip(turning: Tensor) -> Tensor:
    """Return φ with φ + arctan φ = `turning`, by Newton's method from the left, which never overshoots."""
    phi = turning / 2
    for _ in range(DIP_STEPS):
        phi = phi - (phi + phi.atan() - turning) / (1 + 1 / (1 + phi**2))
    return phi


def bracketed_newton(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor
) -> Tensor:
    """Return one zero in each of many intervals, by Newton's method, bisecting wherever that is no help.

    Args:
        function: takes z of shape (M,), returns the values and the slopes there.
        low, high: ends of shape (M,); the function has opposite signs at the two.

    Returns:
        zeros of shape (M,).

    >>> low, high = torch.zeros(2, dtype=torch.float64), torch.full((2,), 4.0, dtype=torch.float64)
    >>> square = torch.tensor([4.0, 9.0], dtype=torch.float64)
    >>> bracketed_newton(lambda z: (z**2 - square, 2 * z), low, high).tolist()
    [2.0, 3.0]
    """
    rising = function(low)[0] < 0
    z = (low + high) / 2
    step = step_before = high - low
    done = torch.zeros_like(rising)
    for _ in range(NEWTON_STEPS):
        value, slope_at_z = function(z)
        above = (value < 0) == rising  # the zero lies above z
        low, high = torch.where(above, z, low), torch.where(above, high, z)
        newton = z - value / slope_at_z
        newton_step = (newton - z).abs()
        inside = (newton > low) & (newton < high)
        near = newton_step < NEWTON_TOLERANCE
        # Bisect unless Newton's step stays inside and at least halves the step before the last.
        moved = torch.where(near | (inside & (newton_step < step_before / 2)), newton, (low + high) / 2)
        step_before, step = step, (moved - z).abs()
        z = torch.where(done, z, moved)
        done |= near
        if done.all():
            break
    return z
