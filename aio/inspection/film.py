"""A block as a film: the state of a batch after each of its sub-stages, and the motion that leads there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Literal

import torch
from torch import Tensor

from aio.block import SUBNET_SCALE, AllInOneBlock

__all__ = ["Motion", "Step", "at_input", "between", "film"]

Pair = tuple[float, float]
READINGS = ("input", "split", "subnet", "clamp", "output")  # frames in which nothing moves by their nature


@dataclass(frozen=True)
class Motion:
    """How a sub-stage moves the plane from one state to the next."""

    kind: Literal["none", "couple", "affine", "turn", "mirror"] = "none"
    angle: float = 0.0
    """turn: radians, counterclockwise."""
    normal: Pair = (0.0, 0.0)
    """mirror: the unit vector perpendicular to the mirror; 0 where nothing is mirrored."""
    scale: Pair = (1.0, 1.0)
    """affine: x → scale ⊙ x + offset."""
    offset: Pair = (0.0, 0.0)
    log_stretch: Tensor | None = None
    """couple: σ of the active coordinate x₂ → x₂ e^σ + shift, for each point, (N,)."""


@dataclass(frozen=True)
class Step:
    """One sub-stage of a block, as it acted on a batch."""

    name: str
    title: str
    x: Tensor
    """The state after it, (N, 2)."""
    log_det: Tensor
    """Its own contribution to the log-determinant of the direction, (N,), nats."""
    why: str
    """What it does, or why it is passed over, in a sentence."""
    active: bool = True
    """False where a setting leaves it out."""
    motion: Motion = field(default_factory=Motion)
    values: Tensor | None = None
    """What it computed without moving anything, (N,): 0.1 · subnet for s, then s."""
    values_title: str = ""

    @property
    def flips(self) -> bool:
        """Whether it turns the plane over."""
        return self.motion.kind == "mirror"

    @property
    def contributes(self) -> bool:
        """Whether it has a line in the ledger, if only a line of 0: it is a map of the plane, and in use."""
        return self.active and self.name not in READINGS


@dataclass(frozen=True)
class _Part:
    """A sub-stage that can be applied in both directions."""

    name: str
    title: str
    why: str
    apply: Callable[[Tensor, bool], tuple[Tensor, Tensor, Motion]] | None = None
    """(x, rev) → state, log-determinant of that direction, motion. None: the state stays."""
    read: Callable[[Tensor], Tensor] | None = None
    """The state at the coupling → what is computed of it."""
    read_title: str = ""
    active: bool = True

    def step(self, x: Tensor, rev: bool) -> Step:
        step = Step(self.name, self.title, x, x.new_zeros(len(x)), self.why, self.active)
        if self.apply is not None:
            x, log_det, motion = self.apply(x, rev)
            step = replace(step, x=x, log_det=log_det, motion=motion)
        if self.read is not None:
            step = replace(step, values=self.read(x), values_title=self.read_title)
        return step


def film(block: AllInOneBlock, x: Tensor, rev: bool = False) -> list[Step]:
    """The states on the way through a block, finer than `AllInOneBlock.sub_stages`.

    Args:
        block: of two channels, without conditions.
        x: points at the block's input, or at its output when `rev`, (N, 2), of the block's dtype.
        rev: go from the output to the input.

    Returns:
        The steps input, pre_permutation, split, subnet, clamp, coupling, global_affine, mirror_k … mirror_1 (or
        mirrors, where there are none), permutation, output. When `rev`: input, permutation, mirror_1 … mirror_k,
        global_affine, split, subnet, clamp, coupling, pre_permutation, output. What a setting leaves out is there
        and not active. The last state is the block's output, and the log-determinants add up to its own.

    Raises:
        ValueError: for a block of another shape.

    Example:
        >>> from aio.config import FlowConfig
        >>> from aio.flow import build
        >>> block = build(FlowConfig(blocks=1), seed=0).blocks[0]
        >>> [step.name for step in film(block, torch.zeros(1, 2))][:6]
        ['input', 'pre_permutation', 'split', 'subnet', 'clamp', 'coupling']
    """
    where = ("z", "x") if rev else ("x", "z")
    steps = [Step("input", "input", x, x.new_zeros(len(x)), f"What the block is given: points of its {where[0]} side.")]
    for part in _parts(block, rev):
        steps.append(part.step(steps[-1].x, rev))
    out = "What the block hands on, towards " + ("data." if rev else "the base.")
    return [*steps, Step("output", "output", steps[-1].x, x.new_zeros(len(x)), out)]


def at_input(block: AllInOneBlock, name: str, x: Tensor, rev: bool = False) -> Tensor:
    """Where points that are seen in one frame of the film came from.

    Args:
        block, rev: as for `film`.
        name: the step after which the points are where they are.
        x: the points, (N, 2).

    Returns:
        Their places in the frame `input`, (N, 2).
    """
    parts = _parts(block, rev)
    names = ["input", *(part.name for part in parts), "output"]
    if name not in names:
        raise ValueError(f"Expected a step among {', '.join(names)}, got {name!r}. Name a frame of this film.")
    for part in reversed(parts[: names.index(name)]):
        x = part.step(x, not rev).x
    return x


def between(before: Tensor, step: Step, fraction: float) -> Tensor:
    """A state on the way, by the step's own motion: couplings stretch, rotations turn, mirrors fold over.

    Args:
        before: the state before the step, (N, 2).
        step: the step; its state is the end of the way.
        fraction: τ in [0, 1]; at 0 and 1 the states before and after are returned exactly.

    Returns:
        (N, 2).
    """
    if fraction <= 0:
        return before
    if fraction >= 1:
        return step.x
    motion = step.motion
    match motion.kind:
        case "couple":
            b1, b2 = before.unbind(1)
            sigma = motion.log_stretch
            shift = step.x[:, 1] - b2 * sigma.exp()
            return torch.stack([b1, b2 * (fraction * sigma).exp() + fraction * shift], dim=1)
        case "affine":
            scale, offset = before.new_tensor(motion.scale), before.new_tensor(motion.offset)
            return before * scale**fraction + fraction * offset
        case "turn":
            cos, sin = math.cos(fraction * motion.angle), math.sin(fraction * motion.angle)
            return before @ before.new_tensor([[cos, -sin], [sin, cos]]).T
        case "mirror":
            normal = before.new_tensor(motion.normal)
            return before - 2 * fraction * torch.outer(before @ normal, normal)
    return before


# ---------------------------------------------------------------------- the parts of a block


def _parts(block: AllInOneBlock, rev: bool) -> list[_Part]:
    if block.dims_in != [(2,)] or block.dims_c:
        raise ValueError(
            f"Expected a block of two channels without conditions, got dims_in={block.dims_in}, dims_c={block.dims_c}. "
            "Take a block of a two-dimensional flow."
        )
    groups = [[_pre_permutation(block)], _coupling(block, rev), [_global_affine(block, rev)]]
    groups += [[part] for part in [*_mirrors(block), _permutation(block, rev)]]
    return list(chain.from_iterable(reversed(groups) if rev else groups))


def _orthogonal(w: Tensor) -> Callable[[Tensor, bool], tuple[Tensor, Tensor, Motion]]:
    def apply(x: Tensor, rev: bool) -> tuple[Tensor, Tensor, Motion]:
        matrix = w.T if rev else w
        return x @ matrix.T, x.new_zeros(len(x)), _orthogonal_motion(matrix)

    return apply


def _orthogonal_motion(w: Tensor) -> Motion:
    (a, b), (c, d) = w.tolist()
    if a * d - b * c > 0:
        angle = math.atan2(c - b, a + d)
        return Motion("turn", angle=angle) if angle else Motion()
    # A reflection is I − 2nnᵀ: a = 1 − 2n₁², c = −2n₁n₂.
    half = math.atan2(b + c, a - d) / 2  # the angle of the mirror itself
    return Motion("mirror", normal=(-math.sin(half), math.cos(half)))


def _pre_permutation(block: AllInOneBlock) -> _Part:
    name, title = "pre_permutation", "pre-permutation"
    if not block.reverse_permutation:
        return _Part(name, title, "Passed over: reverse_permutation is off.", active=False)
    w = block.kernels()[1].detach()
    return _Part(name, title, "Pᵀ turns the axes before the coupling; P turns them back after it.", _orthogonal(w))


def _coupling(block: AllInOneBlock, rev: bool) -> list[_Part]:
    def raw(x: Tensor) -> Tensor:
        return block.subnet(x[:, :1]).detach()

    def s(x: Tensor) -> Tensor:
        return block._log_scale_and_shift(raw(x))[0][:, 0]

    def couple(x: Tensor, rev: bool) -> tuple[Tensor, Tensor, Motion]:
        y, log_det = block._couple(x, (), rev=rev)
        return y.detach(), log_det.detach(), Motion("couple", log_stretch=log_det.detach())

    clamp = "α tanh keeps s within ±α, t passes as it is"
    if block.gin_block:
        clamp += "; GIN then takes the mean out of s, which leaves 0"
    move = "stretched by eˢ and shifted by t"
    if rev:
        move = "shifted back by t and stretched by e⁻ˢ"
    move = f"x₂ is {move}, both functions of x₁; x₁ stays."
    if block.gin_block:
        move = f"x₂ is shifted {'back ' * rev}by t(x₁); its scale stays, so areas do."
    return [
        _Part("split", "split", "x₁ is passive and passes; x₂ is active and will be moved."),
        _Part("subnet", "subnet", "The network reads x₁ alone. Colour: 0.1 of its output for s.",
              read=lambda x: SUBNET_SCALE * raw(x)[:, 0], read_title="0.1 · subnet, for s"),
        _Part("clamp", "clamp", f"{clamp}. Colour: s.", read=s, read_title="s"),
        _Part("coupling", "coupling", move, couple),
    ]  # fmt: skip


def _global_affine(block: AllInOneBlock, rev: bool) -> _Part:
    def apply(x: Tensor, rev: bool) -> tuple[Tensor, Tensor, Motion]:
        y, log_psi = block._global_affine(x, rev=rev)
        log_det = x.new_zeros(len(x)) + (-log_psi if rev else log_psi).detach()
        # Read off where it takes the origin and the unit vectors.
        probes = block._global_affine(torch.cat([x.new_zeros(1, 2), torch.eye(2).to(x)]), rev=rev)[0].detach()
        offset = probes[0]
        scale = (probes[1:] - offset).diagonal()
        return y.detach(), log_det, Motion("affine", scale=tuple(scale.tolist()), offset=tuple(offset.tolist()))

    if block.gin_block:
        why = f"The offset o is {'taken off' if rev else 'added'}; under GIN the scale Ψ is 1."
    elif rev:
        why = "Each channel is moved back by its o and divided by its Ψ(g), the same everywhere."
    else:
        why = "Each channel is scaled by its Ψ(g) and moved by its o, the same everywhere."
    return _Part("global_affine", "scale and offset", why, apply)


def _mirrors(block: AllInOneBlock) -> list[_Part]:
    """H_k first: P = w_0 H_1 … H_k."""
    if not block.householder:
        why = "Passed over: learned_householder_permutation is 0."
        return [_Part("mirrors", "mirrors", why, active=False)]
    parts = []
    for i, v in reversed(list(enumerate(block.vk_householder.detach(), start=1))):
        largest = v.abs().max()
        n = v / largest if largest > 0 else v
        n = n / n.norm() if largest > 0 else n
        why = f"H{_subscript(i)} mirrors across the line perpendicular to v{_subscript(i)}."
        if not largest:
            why = f"v{_subscript(i)} is 0 and has no mirror: nothing moves."
        parts.append(_Part(f"mirror_{i}", f"mirror v{_subscript(i)}", why, _mirror(n)))
    return parts


def _mirror(n: Tensor) -> Callable[[Tensor, bool], tuple[Tensor, Tensor, Motion]]:
    def apply(x: Tensor, rev: bool) -> tuple[Tensor, Tensor, Motion]:
        motion = Motion("mirror", normal=tuple(n.tolist())) if n.any() else Motion()
        return x - 2 * torch.outer(x @ n, n), x.new_zeros(len(x)), motion

    return apply


def _permutation(block: AllInOneBlock, rev: bool) -> _Part:
    w = (block.w_0 if block.householder else block.w_perm).detach()
    symbol = ("w₀" if block.householder else "P") + "ᵀ" * rev
    motion = _orthogonal_motion(w.T if rev else w)
    if motion.kind == "none":
        why = f"{symbol} is the identity in this draw: nothing moves."
    elif motion.kind == "turn":
        angle = f"{round(math.degrees(motion.angle))}°".replace("-", "−")
        why = f"{symbol} turns the plane by {angle}, and contributes 0 to the log-determinant."
    else:
        why = f"{symbol} mirrors the plane: a swap of the channels. It adds 0 to the log-determinant."
    return _Part("permutation", "permutation", why, _orthogonal(w))


def _subscript(i: int) -> str:
    return "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(i))
