"""A flow with one block changed, switched off or repeated, and what that does to its loss."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from aio.block import AllInOneBlock
from aio.flow import Flow, StandardNormal

__all__ = ["held_out_change", "in_double", "paired_change", "repeated", "with_block", "without_block"]


def in_double(flow: Flow) -> Flow:
    """A copy of a flow in float64, whose fixed rotations are orthogonal again.

    Weights are stored in float32. A rotation rounded to it is orthogonal to 1e-7 only, and its transpose is no longer
    its inverse: in float64 that would be the largest error of the round trip. The nearest orthogonal matrix, from the
    singular value decomposition, takes its place.
    """
    flow = copy.deepcopy(flow).double()
    for block in flow.blocks:
        names = ("w_0",) if block.householder else ("w_perm", "w_perm_inv")
        u, _, vh = torch.linalg.svd(getattr(block, names[0]).flatten(1))
        w = u @ vh
        for name, matrix in zip(names, (w, w.T), strict=False):
            kernel = getattr(block, name)
            kernel.copy_(matrix.reshape(kernel.shape))
    return flow


def repeated(block: AllInOneBlock, times: int) -> Flow:
    """A flow of the same block `times` times over, on a standard normal base."""
    zeros = torch.zeros(2, dtype=block.global_scale.dtype)
    return Flow([block] * times, StandardNormal(2), zeros, zeros + 1)


def with_block(flow: Flow, index: int, block: AllInOneBlock) -> Flow:
    """The flow with another block in the place of block `index`. All other blocks are shared with `flow`."""
    blocks = list(flow.blocks)
    blocks[index] = block
    return _of(flow, blocks)


def without_block(flow: Flow, index: int) -> Flow:
    """The flow with block `index` switched off: what reaches it passes as it is."""
    blocks = list(flow.blocks)
    del blocks[index]
    return _of(flow, blocks)


def held_out_change(flow: Flow, other: Flow, points: Tensor) -> tuple[float, float]:
    """How much the held-out NLL rises from `flow` to `other`, and the standard error of that difference.

    The difference is paired, point by point, so its error is far below the error of either NLL.

    Args:
        flow, other: two flows of one dimension.
        points: held-out data, (N, D).

    Returns:
        Nats per point: mean of log q − log q′, and its standard error.
    """
    with torch.no_grad():
        return paired_change(flow.log_prob(points), other.log_prob(points))


def paired_change(log_q: Tensor, other: Tensor) -> tuple[float, float]:
    """The mean of log q − log q′ over points, (N,) each, and its standard error."""
    difference = (log_q - other).double()
    return difference.mean().item(), (difference.std() / len(difference) ** 0.5).item()


def _of(flow: Flow, blocks: Sequence[AllInOneBlock]) -> Flow:
    return Flow(blocks, flow.base, flow.loc, flow.scale)
