"""Learning curves of bounded size: however long a run, its curve keeps its shape in a fixed number of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Curve"]

# Enough for a curve wider than any screen shows; halved, by merging neighbours, each time it is full.
CAPACITY = 1024


@dataclass(frozen=True)
class Curve:
    """Means of a series of numbers over consecutive groups of equal length.

    A curve is a value: `extended` returns a new one. It depends on the numbers alone, not on how they were split
    between calls.

    Args:
        group: how many numbers make one point.
        points: the means of full groups, (P,), with P at most the capacity.
        rest: the numbers after the last full group, fewer than `group`.

    Example:
        >>> curve = Curve().extended([3.0, 2.0]).extended([1.0])
        >>> curve.points.tolist(), curve.last_index.tolist()
        ([3.0, 2.0, 1.0], [0, 1, 2])
    """

    group: int = 1
    points: np.ndarray = None  # type: ignore[assignment]
    rest: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.points is None:
            object.__setattr__(self, "points", np.empty(0))

    def extended(self, values: list[float]) -> Curve:
        """The curve with further numbers at its end."""
        group, points, rest = self.group, list(self.points), list(self.rest)
        for value in values:
            rest.append(value)
            if len(rest) == group:
                points.append(sum(rest) / group)
                rest = []
                if len(points) == CAPACITY:
                    points = [(a + b) / 2 for a, b in zip(points[::2], points[1::2], strict=True)]
                    group *= 2
        return Curve(group, np.array(points), tuple(rest))

    @property
    def last_index(self) -> np.ndarray:
        """For each point the index, from 0, of the last number in it, (P,)."""
        return (np.arange(len(self.points)) + 1) * self.group - 1
