"""A block set by hand: chosen curves for s and t, and every learned number, in the place of what was trained."""

from __future__ import annotations

import copy
import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from aio.block import SUBNET_SCALE, AllInOneBlock, ClampDialect
from aio.config import BlockConfig, Settings, limits

__all__ = ["CURVE_KINDS", "BlockEdit", "HandCurve", "HandSubnet", "edited"]

CurveKind = Literal["constant", "linear", "sine", "step"]
CURVE_KINDS: tuple[CurveKind, ...] = ("constant", "linear", "sine", "step")
MOST_MIRRORS = int(limits(BlockConfig, "householder")[1])

Number = Annotated[float, Field(ge=-1e4, le=1e4)]  # beyond, a block overflows
Pair = tuple[Number, Number]


class HandCurve(Settings):
    r"""A curve over the passive coordinate x₁.

    .. math::

        \text{constant: } \ell \qquad \text{linear: } \ell + A (x_1 - c) \qquad
        \text{sine: } \ell + A \sin(r (x_1 - c)) \qquad \text{step: } \ell + A \tanh(r (x_1 - c))

    Example:
        >>> HandCurve(kind="linear", amplitude=2.0)(torch.tensor([0.0, 1.0])).tolist()
        [0.0, 2.0]
    """

    kind: CurveKind = "constant"
    level: Annotated[float, Field(ge=-10.0, le=10.0, description="ℓ, the curve's height")] = 0.0
    amplitude: Annotated[float, Field(ge=-10.0, le=10.0, description="A: slope, swing, or half of the step")] = 1.0
    rate: Annotated[float, Field(ge=0.1, le=50.0, description="r: waves in 2π, or steepness of the step")] = 2.0
    centre: Annotated[float, Field(ge=-3.0, le=3.0, description="c, where the curve is at its level")] = 0.0

    def __call__(self, x1: Tensor) -> Tensor:
        """The curve at x1, of the same shape."""
        along = x1 - self.centre
        match self.kind:
            case "constant":
                return torch.full_like(x1, self.level)
            case "linear":
                return self.level + self.amplitude * along
            case "sine":
                return self.level + self.amplitude * torch.sin(self.rate * along)
        return self.level + self.amplitude * torch.tanh(self.rate * along)


class BlockEdit(Settings):
    """What is set by hand in a block of two channels; None leaves a thing as it is."""

    s: HandCurve | None = None
    """0.1 · subnet for s, before the clamp."""
    t: HandCurve | None = None
    """0.1 · subnet for t."""
    g: Pair | None = None
    """The parameter of the global scale Ψ(g), for each channel."""
    o: Pair | None = None
    """The global offset, for each channel."""
    angle: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    """Degrees: the fixed matrix of the permutation becomes the rotation by this angle."""
    v: tuple[Pair, ...] | None = None
    """Reflection vectors, none for no mirrors; a vector of zero has no mirror."""
    clamp: float | None = None
    clamp_dialect: ClampDialect | None = None
    gin: bool | None = None
    reverse_permutation: bool | None = None

    @model_validator(mode="after")
    def _possible(self) -> BlockEdit:
        if self.clamp is not None:
            BlockConfig(clamp=self.clamp)  # its limits hold here too
        if self.v is not None and len(self.v) > MOST_MIRRORS:
            raise ValueError(f"Expected at most {MOST_MIRRORS} mirrors, got {len(self.v)}. Leave some out.")
        return self

    @property
    def empty(self) -> bool:
        """Whether nothing is set by hand."""
        return self == BlockEdit()


class HandSubnet(nn.Module):
    """A conditioner whose outputs, one or both, are curves of the passive coordinate.

    Args:
        trained: the network that gives what no curve does.
        s, t: the curves, or None. They stand for 0.1 · subnet, so that the block's own code clamps them.
    """

    def __init__(self, trained: nn.Module, s: HandCurve | None, t: HandCurve | None) -> None:
        super().__init__()
        self.trained, self.s, self.t = trained, s, t

    def forward(self, x: Tensor) -> Tensor:
        """The raw output for s and t, (N, 2), from the passive half (N, 1)."""
        s, t = self.trained(x).split(1, dim=1)
        s = s if self.s is None else self.s(x) / SUBNET_SCALE
        t = t if self.t is None else self.t(x) / SUBNET_SCALE
        return torch.cat([s, t], dim=1)


def edited(block: AllInOneBlock, edit: BlockEdit) -> AllInOneBlock:
    """A block like `block` with what is set by hand; `block` itself is not changed.

    Args:
        block: of two channels, without conditions.
        edit: what to set; an empty edit gives back `block`.

    Raises:
        ValueError: for a block of another shape.

    Example:
        >>> from aio.config import FlowConfig
        >>> from aio.flow import build
        >>> block = build(FlowConfig(blocks=1), seed=0).blocks[0]
        >>> edited(block, BlockEdit(angle=90.0)).kernels()[0].round().tolist()
        [[0.0, -1.0], [1.0, 0.0]]
    """
    if block.dims_in != [(2,)] or block.dims_c:
        raise ValueError(
            f"Expected a block of two channels without conditions, got dims_in={block.dims_in}, dims_c={block.dims_c}. "
            "Take a block of a two-dimensional flow."
        )
    if edit.empty:
        return block
    own = block.state_dict()
    v = own.get("vk_householder", torch.empty(0, 2))
    if edit.v is not None:
        v = torch.tensor(edit.v, dtype=torch.float64).reshape(-1, 2)
    w = own["w_0" if block.householder else "w_perm"] if edit.angle is None else _rotation(edit.angle)
    new = AllInOneBlock(
        block.dims_in,
        subnet_constructor=lambda *_: _conditioner(block.subnet, edit),
        affine_clamping=_chosen(edit.clamp, block.affine_clamping),
        gin_block=_chosen(edit.gin, block.gin_block),
        global_affine_type=block.global_affine_type,
        permute_soft=block.permute_soft or edit.angle is not None,
        learned_householder_permutation=len(v),
        reverse_permutation=_chosen(edit.reverse_permutation, block.reverse_permutation),
        clamp_dialect=_chosen(edit.clamp_dialect, block.clamp_dialect),
        generator=torch.Generator(),  # nothing that it draws is kept
    ).to(block.global_scale.dtype)
    state = new.state_dict() | {name: own[name] for name in ("global_scale", "global_offset")}
    if edit.g is not None:
        state["global_scale"] = torch.tensor([edit.g], dtype=torch.float64)
    if edit.o is not None:
        state["global_offset"] = torch.tensor([edit.o], dtype=torch.float64)
    state |= {"w_0": w, "vk_householder": v} if len(v) else {"w_perm": w, "w_perm_inv": w.T}
    new.load_state_dict(state)
    new._exact_w = block._exact_w if edit.angle is None else w  # so that a cast to float64 returns to it
    return new


def _conditioner(subnet: nn.Module, edit: BlockEdit) -> nn.Module:
    trained = copy.deepcopy(subnet)
    return trained if edit.s is None and edit.t is None else HandSubnet(trained, edit.s, edit.t)


def _rotation(degrees: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)


def _chosen(by_hand: Any, own: Any) -> Any:
    return own if by_hand is None else by_hand
