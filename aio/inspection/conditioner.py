"""What a block's network says: s and t over the passive coordinate, and what the clamp leaves of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aio.block import SUBNET_SCALE, AllInOneBlock, ClampDialect

__all__ = [
    "Conditioner",
    "Saturation",
    "Slice",
    "conditioner",
    "density_along",
    "gaussian_slice",
    "saturated_beyond",
    "saturation",
    "vertical_slice",
]

# A working point is called saturated where less than this share of the clamp's gradient is left.
GRADIENT_LEFT = 0.1
KERNEL_WIDTH = 0.15  # standard deviations of the points


@dataclass(frozen=True)
class Conditioner:
    """s and t as functions of x₁, each (n,)."""

    x1: Tensor
    before: Tensor
    """0.1 · subnet for s, before the clamp."""
    s: Tensor
    """The log scale: after the clamp, and with its mean taken out under GIN."""
    t: Tensor
    """0.1 · subnet for t."""


def conditioner(block: AllInOneBlock, x1: Tensor) -> Conditioner:
    """Read a block's network over the passive coordinate.

    Args:
        block: of two channels, without conditions.
        x1: where, (n,), in the coordinates that the coupling sees.
    """
    with torch.no_grad():
        raw = block.subnet(x1[:, None])
        s, t = block._log_scale_and_shift(raw)
    return Conditioner(x1, SUBNET_SCALE * raw[:, 0], s[:, 0], t[:, 0])


@dataclass(frozen=True)
class Saturation:
    """Where on the clamp a batch works today."""

    working: Tensor
    """0.1 · subnet for s at each point, (N,)."""
    gradient_left: Tensor
    """The slope of s there over the clamp's slope at 0, 1 − tanh², (N,); 0 under GIN."""
    share: float
    """Share of the points with less than a tenth of the gradient left."""
    stretch: tuple[float, float]
    """e^−α and e^α: the least and the most that one coupling stretches x₂ by; 1 and 1 under GIN."""


def saturation(block: AllInOneBlock, x1: Tensor) -> Saturation:
    """How much of the clamp a batch uses up.

    Args:
        block: of two channels, without conditions.
        x1: the passive coordinates of a batch, (N,).
    """
    working = conditioner(block, x1).before
    alpha = block.affine_clamping
    unit = working / alpha if block.clamp_dialect == "freia-main" else working
    left = 1 - torch.tanh(unit).square()
    if block.gin_block:
        left = torch.zeros_like(left)  # s − mean(s) is 0 whatever the network says
    most = 1.0 if block.gin_block else math.exp(alpha)
    return Saturation(working, left, (left < GRADIENT_LEFT).double().mean().item(), (1 / most, most))


def saturated_beyond(alpha: float, dialect: ClampDialect) -> float:
    """The |0.1 · subnet| beyond which less than a tenth of the clamp's gradient is left.

    >>> from aio.block import soft_clamp
    >>> a = torch.tensor(saturated_beyond(2.0, "freia-0.2"), requires_grad=True)
    >>> soft_clamp(a, 2.0, "freia-0.2").backward()
    >>> round(a.grad.item() / 2.0, 6)
    0.1
    """
    edge = math.atanh(math.sqrt(1 - GRADIENT_LEFT))
    return edge * alpha if dialect == "freia-main" else edge


def vertical_slice(block: AllInOneBlock, x1: float, x2: Tensor) -> Tensor:
    """Where the coupling takes points of one x₁: u₂ = x₂ eˢ + t, (n,), for x2 (n,)."""
    with torch.no_grad():
        u, _ = block._couple(torch.stack([torch.full_like(x2, x1), x2], dim=1), ())
    return u[:, 1]


@dataclass(frozen=True)
class Slice:
    """What the coupling makes of a standard normal slice of one x₁, each (n,)."""

    x2: Tensor
    u2: Tensor
    density_in: Tensor
    """N(x₂; 0, 1)."""
    density_out: Tensor
    """The density of u₂: a normal density again, N(u₂; t, e^{2s})."""


def gaussian_slice(block: AllInOneBlock, x1: float, x2: Tensor) -> Slice:
    """Carry a standard normal slice through the coupling, for x2 (n,)."""
    s = conditioner(block, x2.new_tensor([x1])).s
    density = torch.exp(-x2.square() / 2) / math.sqrt(2 * math.pi)
    return Slice(x2, vertical_slice(block, x1, x2), density, density * torch.exp(-s))


def density_along(at: Tensor, points: Tensor) -> Tensor:
    """The density of points on a line, (n,), at the places `at` (n,): a Gaussian kernel estimate of points (N,)."""
    width = max(KERNEL_WIDTH * points.std().item(), torch.finfo(points.dtype).tiny)
    distance = (at[:, None] - points) / width
    return torch.exp(-distance.square() / 2).mean(1) / (width * math.sqrt(2 * math.pi))
