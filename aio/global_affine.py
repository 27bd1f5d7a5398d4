"""Ψ, the activation of the block's learned global scale: three kinds, their logarithms and their inverses."""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["GLOBAL_AFFINE_TYPES", "GlobalAffineType", "global_affine", "global_affine_inverse", "log_slope"]

GlobalAffineType = Literal["SIGMOID", "SOFTPLUS", "EXP"]
GLOBAL_AFFINE_TYPES: tuple[GlobalAffineType, ...] = ("SIGMOID", "SOFTPLUS", "EXP")

SIGMOID_MAXIMUM = 10.0
SIGMOID_SHIFT = 2.0
SOFTPLUS_SCALE = 0.1
SOFTPLUS_BETA = 0.5
# Below this, log(log1p(eʰ)) = h − eʰ/2 to better than float64's rounding.
LOG_SOFTPLUS_TAIL = -20.0


def global_affine(g: Tensor, kind: GlobalAffineType) -> tuple[Tensor, Tensor]:
    r"""Ψ(g) and log Ψ(g).

    .. math::

        \text{SIGMOID: } 10\,\sigma(g - 2) \qquad
        \text{SOFTPLUS: } 0.1\,\mathrm{softplus}(g; \beta = 0.5) = 0.2 \log(1 + e^{g/2}) \qquad
        \text{EXP: } e^g

    The logarithm is computed directly, so it stays finite where Ψ itself rounds to 0.

    Args:
        g: the learned parameter, any shape.
        kind: SIGMOID, SOFTPLUS or EXP.

    Returns:
        Ψ and log Ψ, each of the shape of g.

    Example:
        >>> psi, log_psi = global_affine(torch.tensor([-250.0, 10.0]), "SOFTPLUS")
        >>> psi.tolist()[0], [round(v, 4) for v in log_psi.tolist()]
        (0.0, [-126.6094, 0.0013])
    """
    if kind == "SIGMOID":
        h = g - SIGMOID_SHIFT
        return SIGMOID_MAXIMUM * torch.sigmoid(h), math.log(SIGMOID_MAXIMUM) + F.logsigmoid(h)
    if kind == "EXP":
        return g.exp(), g
    h = SOFTPLUS_BETA * g
    in_tail = h < LOG_SOFTPLUS_TAIL
    # Each branch sees only arguments for which its gradient is finite.
    body = F.softplus(torch.where(in_tail, torch.zeros_like(h), h)).log()
    tail = h - torch.where(in_tail, h, torch.zeros_like(h)).exp() / 2
    log_psi = math.log(SOFTPLUS_SCALE / SOFTPLUS_BETA) + torch.where(in_tail, tail, body)
    return SOFTPLUS_SCALE * F.softplus(g, beta=SOFTPLUS_BETA), log_psi


def global_affine_inverse(value: float, kind: GlobalAffineType) -> float:
    """The g with Ψ(g) = value.

    Args:
        value: Ψ, in (0, 10) for SIGMOID, else positive and finite.
        kind: SIGMOID, SOFTPLUS or EXP.

    Raises:
        ValueError: for another kind, or a value that Ψ never takes.

    Example:
        >>> round(global_affine_inverse(1.0, "SOFTPLUS"), 3)
        9.986
    """
    if kind not in GLOBAL_AFFINE_TYPES:
        raise ValueError(f"Expected global_affine_type 'SIGMOID', 'SOFTPLUS' or 'EXP', got {kind!r}.")
    maximum = SIGMOID_MAXIMUM if kind == "SIGMOID" else math.inf
    if not isinstance(value, Real) or not 0 < value < maximum:
        limits = f"between 0 and {maximum:g}, both excluded," if math.isfinite(maximum) else "positive and finite"
        raise ValueError(f"Expected global_affine_init {limits} for {kind}, got {value!r}. 1.0 starts without scaling.")
    value = float(value)
    if kind == "SIGMOID":
        return SIGMOID_SHIFT + math.log(value) - math.log(SIGMOID_MAXIMUM - value)
    if kind == "EXP":
        return math.log(value)
    h = SOFTPLUS_BETA * value / SOFTPLUS_SCALE  # g = log(e^h − 1) / β, without overflow
    return (h + math.log(-math.expm1(-h))) / SOFTPLUS_BETA


def log_slope(value: float, kind: GlobalAffineType) -> float:
    """d log Ψ / dg where Ψ(g) = value: how fast the scale is learned, per unit of g.

    >>> [round(log_slope(1.0, kind), 3) for kind in GLOBAL_AFFINE_TYPES]
    [0.9, 0.099, 1.0]
    """
    g = torch.tensor(global_affine_inverse(value, kind), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(global_affine(g, kind)[1], g)
    return slope.item()
