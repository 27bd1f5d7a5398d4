"""Conditioner networks: the part of a coupling block that turns the passive half into s and t."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from numbers import Integral
from typing import Literal

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "Activation", "SubnetConstructor", "mlp"]

SubnetConstructor = Callable[[int, int], nn.Module]
Activation = Literal["relu", "silu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


def mlp(
    width: int, depth: int, activation: Activation = "relu", *, generator: torch.Generator | None = None
) -> SubnetConstructor:
    """A constructor of fully connected networks: `depth` hidden layers of `width` units, then a linear layer.

    Args:
        width: units in each hidden layer, at least 1.
        depth: number of hidden layers; 0 gives one linear layer.
        activation: relu, silu or tanh.
        generator: source of the initial weights; torch's default generator when None.

    Returns:
        A function f(channels_in, channels_out) that builds a network (N, channels_in) → (N, channels_out), as
        `AllInOneBlock` wants it. Weights and biases start uniform within ±1/√fan_in, torch's own choice for a
        linear layer.

    Raises:
        ValueError: for a width, depth or activation that no network can have.

    Example:
        >>> subnet = mlp(8, 2, generator=torch.Generator().manual_seed(0))(1, 2)
        >>> subnet(torch.zeros(5, 1)).shape
        torch.Size([5, 2])
    """
    if not isinstance(width, Integral) or not isinstance(depth, Integral) or width < 1 or depth < 0:
        raise ValueError(f"Expected integers width >= 1 and depth >= 0, got {width!r} and {depth!r}. Try mlp(64, 2).")
    if activation not in ACTIVATIONS:
        raise ValueError(f"Expected an activation among {', '.join(ACTIVATIONS)}, got {activation!r}.")

    def build(channels_in: int, channels_out: int) -> nn.Module:
        sizes = [channels_in, *[width] * depth, channels_out]
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            if i:
                layers.append(ACTIVATIONS[activation]())
            layers.append(_linear(fan_in, fan_out, generator))
        return nn.Sequential(*layers)

    return build


def _linear(fan_in: int, fan_out: int, generator: torch.Generator | None) -> nn.Linear:
    bound = 1 / math.sqrt(fan_in)

    def uniform(*shape: int) -> nn.Parameter:
        return nn.Parameter((2 * torch.rand(*shape, generator=generator) - 1) * bound)

    layer = nn.Linear(fan_in, fan_out, device="meta")  # draws nothing from the global generator
    layer.weight, layer.bias = uniform(fan_out, fan_in), uniform(fan_out)
    return layer
