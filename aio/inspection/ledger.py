"""The ledger of one point: log p(x) as a sum, from the base through every contribution, beside autograd's own sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aio.flow import Flow
from aio.inspection.film import film

__all__ = ["Entry", "Ledger", "ledger"]


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    title: str
    value: float
    """nats."""
    step: str | None = None
    """The frame of the block's film that it belongs to; None for what lies outside the block."""


@dataclass(frozen=True)
class Ledger:
    """log q(x) of one point, line by line, in the order of the computation, the base first."""

    entries: tuple[Entry, ...]
    x: tuple[float, float]
    """The point in data space."""
    z: tuple[float, float]
    """The point in latent space."""
    log_prob: float
    """What `Flow.log_prob` says of x, nats."""
    block: float
    """The sum of this block's own lines."""
    block_autograd: float
    """log|det ∂y/∂u| of the block, from the Jacobian that autograd computes."""
    flow_autograd: float
    """log p_base(z) + log|det ∂z/∂x| of the whole flow, from the Jacobian that autograd computes."""
    orientation: int
    """Sign of the block's determinant: −1 where it mirrors the plane; 0 where the numbers overflow."""

    @property
    def total(self) -> float:
        """The sum of all lines."""
        return sum(entry.value for entry in self.entries)


def ledger(flow: Flow, index: int, u: Tensor) -> Ledger:
    """Add up log q(x) for the point that reaches block `index` at u.

    Args:
        flow: two-dimensional, without conditions; float64 for sums that agree to rounding.
        index: the block, counted from 0 at the data.
        u: the point at the block's input, (2,).

    Example:
        >>> from aio.config import FlowConfig
        >>> from aio.flow import build
        >>> flow = build(FlowConfig(blocks=2), seed=0).double()
        >>> found = ledger(flow, 1, torch.tensor([0.5, -1.0], dtype=torch.float64))
        >>> abs(found.total - found.log_prob) < 1e-12, abs(found.block - found.block_autograd) < 1e-12
        (True, True)
    """
    index = range(len(flow.blocks))[index]
    block = flow.blocks[index]
    with torch.no_grad():
        u = u.to(flow.loc.dtype).reshape(1, 2)
        x, before = u, 0.0
        for earlier in reversed(flow.blocks[:index]):
            (x,), log_det = earlier([x], rev=True)
            before -= log_det.item()
        x = x * flow.scale + flow.loc
        steps = film(block, u)
        z, after = steps[-1].x, 0.0
        for later in flow.blocks[index + 1 :]:
            (z,), log_det = later([z])
            after += log_det.item()
        entries = [Entry("base, log p(z)", flow.base.log_prob(z).item())]
        if (flow.scale != 1).any():
            entries.append(Entry("standardise", -flow.scale.log().sum().item()))
        if index:
            entries.append(Entry(_blocks(1, index), before))
        own = [step for step in steps if step.contributes]
        entries += [Entry(step.title, step.log_det.item(), step.name) for step in own]
        if index + 1 < len(flow.blocks):
            entries.append(Entry(_blocks(index + 2, len(flow.blocks)), after))
        log_prob = flow.log_prob(x).item()
    sign, block_autograd = _slogdet(lambda v: block([v])[0][0], u)
    _, flow_autograd = _slogdet(lambda v: flow(v)[0], x)
    return Ledger(
        entries=tuple(entries),
        x=tuple(x[0].tolist()),
        z=tuple(z[0].tolist()),
        log_prob=log_prob,
        block=sum(step.log_det.item() for step in own),
        block_autograd=block_autograd,
        flow_autograd=flow_autograd + entries[0].value,
        orientation=sign,
    )


def _blocks(first: int, last: int) -> str:
    return f"block {first}" if first == last else f"blocks {first}–{last}"


def _slogdet(map_: Callable[[Tensor], Tensor], x: Tensor) -> tuple[int, float]:
    jacobian = torch.autograd.functional.jacobian(lambda point: map_(point[None])[0], x[0])
    sign, log_abs = torch.linalg.slogdet(jacobian)
    return int(torch.nan_to_num(sign, nan=0.0).item()), log_abs.item()
