"""What one block is worth in its flow: the held-out loss as it is, with the block changed, and with it switched off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from aio.block import AllInOneBlock
from aio.dataset import Dataset
from aio.flow import Flow
from aio.inspection.variants import paired_change
from aio.training import ROUND_TRIP_POINTS, Evaluation, measured

__all__ = ["Worth", "worth"]


@dataclass(frozen=True)
class Worth:
    """The loss of a flow on held-out points, and how it changes; nats per point, with standard errors."""

    evaluation: Evaluation
    off: tuple[tuple[float, float], ...]
    """How much the NLL, and with it the KL, rises with each block switched off, one block at a time."""


def worth(flow: Flow, data: Dataset) -> Worth:
    """Judge a flow, and the same flow with each of its blocks switched off.

    Args:
        flow: of two dimensions; float64.
        data: the run's points; the held-out ones are used.
    """
    x = data.held_out.to(flow.loc.dtype)
    with torch.no_grad():
        reached = [((x - flow.loc) / flow.scale, -flow.scale.log().sum().expand(len(x)))]
        for block in flow.blocks:
            reached.append(_through([block], *reached[-1]))
        log_q = _log_prob(flow, *reached[-1])
        # What comes before a block is the same without it: only the rest is computed anew.
        off = [_log_prob(flow, *_through(flow.blocks[i + 1 :], *reached[i])) for i in range(len(flow.blocks))]
        back, _ = flow.inverse(reached[-1][0][:ROUND_TRIP_POINTS])
    return Worth(
        evaluation=measured(log_q, data.held_out_log_prob, data.entropy, back, x),
        off=tuple(paired_change(log_q, other) for other in off),
    )


def _through(blocks: Iterable[AllInOneBlock], x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor]:
    for block in blocks:
        (x,), by_block = block([x])
        log_det = log_det + by_block
    return x, log_det


def _log_prob(flow: Flow, z: Tensor, log_det: Tensor) -> Tensor:
    return flow.base.log_prob(z) + log_det
