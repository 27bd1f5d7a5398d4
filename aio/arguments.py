"""Checks of a block's arguments: each error says what was expected, what came, and the mend."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any

from torch import Tensor


def checked_dims_in(dims_in: Any) -> list[tuple[int, ...]]:
    mend = "Write dims_in=[(channels,)] for vectors or dims_in=[(channels, height, width)] for images."
    try:
        dims = [tuple(operator.index(n) for n in d) for d in dims_in]
    except TypeError:
        raise TypeError(f"Expected dims_in to be a list with one shape, got {dims_in!r}. {mend}") from None
    if len(dims) != 1:
        raise ValueError(f"Expected dims_in to hold one shape, got {len(dims)}: {dims_in!r}. {mend}")
    if not 1 <= len(dims[0]) <= 4 or min(dims[0]) < 1:
        raise ValueError(
            f"Expected a shape of channels and up to three spatial axes, each at least 1, got {dims[0]}. {mend}"
        )
    return dims


def checked_dims_c(dims_c: Any, dims_in: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    try:
        dims = [tuple(operator.index(n) for n in d) for d in (dims_c or [])]
    except TypeError:
        raise TypeError(
            f"Expected dims_c to be a list of shapes, got {dims_c!r}. Write dims_c=[(channels,)], or [] for none."
        ) from None
    spatial = dims_in[0][1:]
    for i, d in enumerate(dims):
        if not d or min(d) < 1:
            raise ValueError(
                f"Expected condition {i} to have a shape of channels and spatial axes, each at least 1, got {d}. "
                "Leave out a condition that carries nothing."
            )
        if d[1:] != spatial:
            raise ValueError(
                f"Expected condition {i} to have the spatial shape of the input, {spatial}, got {d}. "
                f"Resize it to {(d[0], *spatial)}."
            )
    return dims


def checked_clamp(alpha: Any) -> float:
    if not isinstance(alpha, Real) or not 0 < alpha < math.inf:
        raise ValueError(
            f"Expected affine_clamping to be finite and greater than 0, got {alpha!r}. 2.0 is the usual value; "
            "gin_block=True makes a block that does not scale."
        )
    return float(alpha)


def checked_reflections(count: Any) -> int:
    try:
        number = operator.index(count)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(
            f"Expected learned_householder_permutation to be a number of reflections, 0 or more, got {count!r}. "
            "0 turns them off."
        )
    return number


def checked_tensors(name: str, tensors: Any, dims: list[tuple[int, ...]]) -> Sequence[Tensor]:
    what = "the input" if name == "x" else "the conditions"
    if not isinstance(tensors, list | tuple):
        raise TypeError(f"Expected {name} as a list or tuple of tensors, got {type(tensors).__name__}. Write [{name}].")
    if len(tensors) != len(dims):
        shapes = ", ".join(f"(N, {', '.join(map(str, d))})" for d in dims)
        mend = f"Give one tensor per shape: {shapes}." if dims else "Build the block with dims_c to condition it."
        raise ValueError(f"Expected {len(dims)} tensor(s) for {what}, got {len(tensors)}. {mend}")
    for tensor, shape in zip(tensors, dims, strict=True):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            got = f"dtype {tensor.dtype}" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"Expected {what} as floating point tensors, got {got}. Convert with .float().")
        if tuple(tensor.shape[1:]) != shape or tensor.ndim == 0:
            axes = ", ".join(["N", *map(str, shape)])
            if tuple(tensor.shape) == shape:
                mend = f"Add a batch axis: {name}[None]."
            else:
                mend = "Its channels and spatial axes are fixed when the block is built."
            raise ValueError(f"Expected {what} of shape ({axes}), got {tuple(tensor.shape)}. {mend}")
    return tensors
