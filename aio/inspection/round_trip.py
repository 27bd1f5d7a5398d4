"""There and back again: how much of a point is lost on the way through a flow and its inverse."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from aio.block import AllInOneBlock
from aio.flow import Flow
from aio.inspection.variants import repeated

__all__ = ["round_trip_errors", "worst_by_depth"]


def round_trip_errors(flow: Flow, x: Tensor, dtype: torch.dtype) -> Tensor:
    """How far each point is from where it started, after data → latent → data in one precision.

    Args:
        flow: is not changed.
        x: points, (N, 2); rounded to `dtype` before they start.
        dtype: torch.float32 or torch.float64.

    Returns:
        ‖x̂ − x‖ for each point, (N,), float64, in the units of x; inf or nan where the flow overflows.
    """
    flow = copy.deepcopy(flow).to(dtype)
    start = x.to(dtype)
    with torch.no_grad():
        back = flow.inverse(flow(start)[0])[0]
    return (back.double() - start.double()).norm(dim=1)


def worst_by_depth(block: AllInOneBlock, depths: Sequence[int], x: Tensor, dtype: torch.dtype) -> Tensor:
    """The largest round-trip error over points x (N, 2), for the block repeated so many times, (len(depths),)."""
    return torch.stack([round_trip_errors(repeated(block, n), x, dtype).max() for n in depths])
