"""What one block is worth in its flow: the held-out loss as it is, with the block changed, and with it switched off."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aio.flow import Flow
from aio.inspection.variants import held_out_change, without_block
from aio.training import Dataset, Evaluation, measured

__all__ = ["Worth", "worth"]


@dataclass(frozen=True)
class Worth:
    """Losses of a flow and of its variants on held-out points; changes are nats per point, with standard errors."""

    evaluation: Evaluation
    """Of the flow as it was drawn or trained."""
    changed: tuple[float, float]
    """How much the NLL rises with the changed block."""
    off: tuple[tuple[float, float], ...]
    """How much it rises with each block switched off, one block at a time."""


def worth(flow: Flow, changed: Flow, data: Dataset) -> Worth:
    """Judge a flow, the same flow with a block changed, and with each block switched off.

    Args:
        flow, changed: of one dimension; float64.
        data: the run's points; the held-out ones are used.
    """
    held_out = data.held_out.to(flow.loc.dtype)
    with torch.no_grad():
        z, log_det = flow(held_out)
        log_q = flow.base.log_prob(z) + log_det
        back, _ = flow.inverse(z)
    return Worth(
        evaluation=measured(log_q, data.held_out_log_prob, data.entropy, back, held_out),
        changed=held_out_change(flow, changed, held_out),
        off=tuple(held_out_change(flow, without_block(flow, i), held_out) for i in range(len(flow.blocks))),
    )
