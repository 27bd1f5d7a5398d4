"""Numbers as a browser can draw them: bounded, in steps that rest while values move a little, or as bytes."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["LEVELS", "drawable", "quantised", "steady_reach"]

# An image of bytes: a tenth of the traffic of float64, and finer than the eye. Even: a difference of 0 is a level.
LEVELS = 254
STEPS = (1.0, 2.0, 5.0)  # of a decade: where the reach of an axis may stop
LARGEST = 1e30  # beyond, a browser's coordinates and float32 overflow


def drawable(values: np.ndarray) -> np.ndarray:
    """Values as float32, with NaN, over which a browser passes, wherever they are not finite or absurdly large.

    >>> drawable(np.array([1.5, np.inf, -1e99])).tolist()
    [1.5, nan, nan]
    """
    values = np.asarray(values, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) < LARGEST, values, np.nan).astype(np.float32)


def steady_reach(*values: np.ndarray, least: float = 1.0) -> float:
    """The first of 1, 2, 5, 10, 20 … that no magnitude exceeds, and at least `least`.

    >>> steady_reach(np.array([-1.2, np.nan])), steady_reach(np.array([0.3])), steady_reach(np.array([21.0]))
    (2.0, 1.0, 50.0)
    """
    magnitudes = np.abs(np.concatenate([drawable(v).ravel() for v in values]))
    largest = max(float(np.max(magnitudes[np.isfinite(magnitudes)], initial=0.0)), least)
    decade = 10.0 ** math.floor(math.log10(largest))
    # float32 puts 0.2 a little above 0.2: within rounding a value still fits.
    return next(step * decade for step in (*STEPS, 10.0) if largest <= step * decade * (1 + 1e-6))


def quantised(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as levels of an image, 0 at `low` and LEVELS at `high`; what lies beyond is at the end, NaN at 0."""
    share = np.nan_to_num((values - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    return np.rint(np.clip(share, 0, 1) * LEVELS).astype(np.uint8)
