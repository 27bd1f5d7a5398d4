"""Which axes of the data the couplings of a flow transform, which they never do, and how likely that is."""

from __future__ import annotations

import torch
from torch import Tensor

from aio.config import FlowConfig
from aio.flow import Flow

__all__ = ["active_shares", "dead_axes", "dead_axis_probability"]

NEVER = 1e-12  # a share below is rounding: an angle of less than 1e-6


def dead_axes(flow: Flow) -> tuple[int, ...]:
    """The data axes that no coupling of the flow transforms, counted from 0.

    Along such an axis the flow can only shift and scale. Only hard permutations can leave one: after a rotation or
    a generic mirror, what a coupling transforms is a mixture of all axes.

    Example:
        >>> from aio.config import BlockConfig
        >>> from aio.flow import build
        >>> dead_axes(build(FlowConfig(blocks=1, block=BlockConfig(permutation="hard")), seed=0))
        (0,)
    """
    transformed = (active_shares(flow) != 0).any(0)
    return tuple(torch.nonzero(~transformed).flatten().tolist())


def active_shares(flow: Flow) -> Tensor:
    """How much of each data axis is in what each coupling transforms, following the permutations alone.

    Returns:
        (blocks, D): the sum over the active channels of the squared share of each data axis. In two dimensions it is
        a share in [0, 1] that sums to 1 over the axes.

    Example:
        >>> from aio.config import BlockConfig
        >>> from aio.flow import build
        >>> active_shares(build(FlowConfig(blocks=3, block=BlockConfig(permutation="hard")), seed=1)).tolist()
        [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    dim = flow.dim
    carried = torch.eye(dim)  # row i: how much of each data axis is in channel i
    shares = torch.zeros(len(flow.blocks), dim)
    for i, block in enumerate(flow.blocks):
        w, w_inv = (kernel.detach().float().cpu().reshape(dim, dim) for kernel in block.kernels())
        at_coupling = w_inv @ carried if block.reverse_permutation else carried
        shares[i] = at_coupling[block.split[0] :].square().sum(0)
        carried = w @ at_coupling
    return torch.where(shares < NEVER, 0.0, shares)


def dead_axis_probability(config: FlowConfig) -> float:
    """The chance that a two-dimensional flow drawn from these settings leaves a data axis untransformed.

    A hard permutation of two channels is the identity or the swap with probability ½ each, so that each coupling
    after the first transforms the axis that the first one transforms with probability ½: over K blocks, 2^−(K−1),
    with reverse_permutation or without. A rotation or a mirror that comes before some coupling makes it 0.

    Example:
        >>> from aio.config import BlockConfig
        >>> dead_axis_probability(FlowConfig(blocks=4, block=BlockConfig(permutation="hard")))
        0.125
    """
    for i in range(config.blocks):
        block = config.block_config(i)
        mixes = block.permutation == "soft" or block.householder > 0
        seen_by_a_coupling = block.reverse_permutation or i < config.blocks - 1
        if mixes and seen_by_a_coupling:
            return 0.0
    return 2.0 ** -(config.blocks - 1)
