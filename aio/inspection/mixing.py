"""The permutation of a block, taken apart: its matrix, its mirrors, and what they make together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aio.block import AllInOneBlock
from aio.inspection.film import film

__all__ = ["Mixing", "mixing"]


@dataclass(frozen=True)
class Mixing:
    """P of a block of two channels, as one map of the plane."""

    matrix: Tensor
    """P, (2, 2)."""
    fixed: Tensor
    """The matrix that was drawn and is not trained: w_0 under Householder, else P itself, (2, 2)."""
    normals: Tensor
    """The unit normals of the mirrors v₁ … v_k, (k, 2); zeros for a vector of zero."""
    fixed_normal: Tensor
    """The unit normal of the mirror that `fixed` is, (2,); zero where it turns or does nothing."""
    mirrored: bool
    """Whether det P = −1."""
    angle: float
    """Degrees: how far P turns, in [−180, 180]; where it mirrors, the direction of the mirror's line in [−90, 90]."""
    log_abs_det: float
    """log|det P|, nats: 0 but for rounding."""
    orthogonality_error: float
    """Largest entry of |PᵀP − I|, of P as it is computed."""
    stored_error: float
    """The same of P rounded to float32, in which weights are trained and stored."""

    @property
    def fixed_angle(self) -> float | None:
        """Degrees by which `fixed` turns; None where it mirrors."""
        return None if self.fixed_normal.any() else _rotation(self.fixed)


def mixing(block: AllInOneBlock) -> Mixing:
    """Read the permutation of a block of two channels.

    Example:
        >>> from aio.config import BlockConfig, FlowConfig
        >>> from aio.flow import build
        >>> swap = build(FlowConfig(blocks=1, block=BlockConfig(permutation="hard")), seed=1).blocks[0]
        >>> found = mixing(swap)
        >>> found.matrix.tolist(), found.mirrored, found.angle
        ([[0.0, 1.0], [1.0, 0.0]], True, 45.0)
    """
    matrix = block.kernels()[0].detach()
    fixed = (block.w_0 if block.householder else block.w_perm).detach()
    motions = {step.name: step.motion for step in film(block, torch.zeros(1, 2).to(matrix))}
    mirrors = [motion.normal for name, motion in motions.items() if name.startswith("mirror_")]
    normals = matrix.new_tensor(mirrors[::-1]).reshape(-1, 2)
    (a, b), (c, d) = matrix.tolist()
    det = a * d - b * c
    return Mixing(
        matrix=matrix,
        fixed=fixed,
        normals=normals,
        fixed_normal=matrix.new_tensor(motions["permutation"].normal),
        mirrored=det < 0,
        angle=_rotation(matrix) if det > 0 else math.degrees(math.atan2(b + c, a - d) / 2),
        log_abs_det=math.log(abs(det)),
        orthogonality_error=_orthogonality_error(matrix),
        stored_error=_orthogonality_error(matrix.float()),
    )


def _rotation(w: Tensor) -> float:
    (a, b), (c, d) = w.tolist()
    return math.degrees(math.atan2(c - b, a + d))


def _orthogonality_error(w: Tensor) -> float:
    exact = w.double()  # so that what is measured is the matrix's own rounding
    return (exact.T @ exact - torch.eye(2).to(exact)).abs().max().item()
