"""What a map does to areas: the cells of a carried grid, how much each has grown, and which are mirrored."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["AreaChange", "area_change", "signed_areas", "square_grid"]


class AreaChange(NamedTuple):
    """What happened to the cells of a grid, each (R − 1, C − 1)."""

    log: Tensor
    """log of the area after over the area before, nats. Where the map is smooth on the scale of a cell it is the mean
    of log|det| over the cell, to second order."""
    mirrored: Tensor
    """Whether the cell's orientation has flipped; bool."""


def square_grid(reach: float, vertices: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """The vertices of a square grid over [−reach, reach]², (vertices², 2), row after row of constant x₂.

    >>> square_grid(1.0, 3).shape
    torch.Size([9, 2])
    """
    at = torch.linspace(-reach, reach, vertices, dtype=dtype)
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def signed_areas(vertices: Tensor, shape: tuple[int, int]) -> Tensor:
    """Areas of the cells of a carried grid, negative where the cell is mirrored.

    Args:
        vertices: (R · C, 2), row after row.
        shape: (R, C).

    Returns:
        (R − 1, C − 1), by the shoelace formula.
    """
    grid = vertices.reshape(*shape, 2)
    # Half the cross product of a quadrilateral's diagonals is its signed area.
    first = grid[1:, 1:] - grid[:-1, :-1]
    second = grid[1:, :-1] - grid[:-1, 1:]
    return (first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]) / 2


def area_change(before: Tensor, after: Tensor, shape: tuple[int, int]) -> AreaChange:
    """How the cells of a grid have changed.

    Args:
        before, after: vertices, (R · C, 2), row after row.
        shape: (R, C).
    """
    old, new = signed_areas(before, shape), signed_areas(after, shape)
    return AreaChange((new / old).abs().log(), new * old < 0)
