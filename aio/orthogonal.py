"""Random permutations and rotations of channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def random_permutation(channels: int, generator: torch.Generator | None) -> Tensor:
    """A uniform permutation matrix (channels, channels), float64: (W x)_i = x[p_i]."""
    p = torch.randperm(channels, generator=generator)
    return F.one_hot(p, channels).double()


def random_rotation(channels: int, generator: torch.Generator | None) -> Tensor:
    """A Haar-distributed rotation (channels, channels), float64, with determinant +1.

    QR of a Gaussian matrix, with the signs of R's diagonal moved into Q (Mezzadri 2007, arXiv:math-ph/0609050).
    """
    gaussian = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    q = q * torch.where(r.diagonal() < 0, -1.0, 1.0).double()
    if torch.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q
