"""What can be read off a flow: which axes its couplings never transform, and how likely that is."""

from __future__ import annotations

import torch

from aio.config import FlowConfig
from aio.flow import Flow

__all__ = ["dead_axes", "dead_axis_probability"]


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
    dim = flow.dim
    carried = torch.eye(dim)  # row i: how much of each data axis is in channel i
    transformed = torch.zeros(dim, dtype=torch.bool)
    for block in flow.blocks:
        w, w_inv = (kernel.detach().float().cpu().reshape(dim, dim) for kernel in block.kernels())
        at_coupling = w_inv @ carried if block.reverse_permutation else carried
        transformed |= (at_coupling[block.split[0] :] != 0).any(0)
        carried = w @ at_coupling
    return tuple(torch.nonzero(~transformed).flatten().tolist())


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
