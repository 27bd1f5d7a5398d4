"""The points of a run: drawn from a target, from a density of the visitor's own, or taken from their table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor

from aio.config import DataConfig
from aio.targets import Target

__all__ = ["HELD_OUT", "Dataset", "OwnData", "Stream", "own_dataset", "stream_of", "target_dataset"]

HELD_OUT = 2_000  # points behind the held-out curve: a standard error of about 0.02 nats

OwnData = Tensor | Target
"""Points of the visitor's own, (N, 2), or a density of their own: a drawing, a picture."""


class Stream(IntEnum):
    """Streams of random numbers that must not meet: each is seeded with the run's seed and its own number."""

    DATA = 0
    FLOW = 1
    BATCHES = 2
    EVALUATION = 3


def stream_of(seed: int, stream: Stream) -> torch.Generator:
    """A generator at the beginning of one of a run's streams."""
    return torch.Generator().manual_seed(seed * len(Stream) + stream)


@dataclass(frozen=True)
class Dataset:
    """Points to train on and points held out, in the units of the data.

    Args:
        train: (N, 2); a target's as float32, the visitor's own in the precision they came in.
        held_out: (M, 2), never trained on.
        held_out_log_prob: log p of the held-out points, (M,), float64, nats; None where p is unknown.
        entropy: H(p), nats; None where p is unknown.
        target: p itself; None where it is unknown.
    """

    train: Tensor
    held_out: Tensor
    held_out_log_prob: Tensor | None = None
    entropy: float | None = None
    target: Target | None = None


@lru_cache(maxsize=8)
def target_dataset(config: DataConfig, seed: int) -> Dataset:
    """The points of a target; a function of the settings, so that a state need not carry them."""
    return _drawn(config.build(), config.points, seed)


def own_dataset(data: OwnData, points: int, seed: int) -> Dataset:
    """The points of a visitor's own table or density.

    Args:
        data: points (N, 2), finite, at least 20, of which a fifth, at most HELD_OUT, is held out; or a density.
        points: how many points to draw from a density to train on.
        seed: of the draw, or of the split.

    Raises:
        ValueError: for points that no flow can be trained on.
    """
    return _split(data, seed) if isinstance(data, Tensor) else _drawn(data, points, seed)


def _drawn(target: Target, points: int, seed: int) -> Dataset:
    generator = stream_of(seed, Stream.DATA)
    train = target.sample(points, generator, torch.float32)
    held_out = target.sample(HELD_OUT, generator, torch.float32)
    return Dataset(train, held_out, target.log_prob(held_out.double()), target.entropy, target)


def _split(data: Tensor, seed: int) -> Dataset:
    if data.ndim != 2 or data.shape[1] != 2:
        raise ValueError(f"Expected data of shape (N, 2), got {tuple(data.shape)}. Choose two numeric columns.")
    if not torch.isfinite(data).all():
        raise ValueError("Expected finite numbers, got NaN or infinity in the data. Leave those rows out.")
    if len(data) < 20:
        raise ValueError(f"Expected at least 20 points, got {len(data)}. A flow cannot be judged on fewer.")
    order = torch.randperm(len(data), generator=stream_of(seed, Stream.DATA))
    held_out = min(HELD_OUT, len(data) // 5)
    shuffled = data[order]
    return Dataset(shuffled[held_out:], shuffled[:held_out])
