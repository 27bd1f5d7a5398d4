"""KL(p‖q) as it is estimated where densities are not known: from histograms of samples of both."""

from __future__ import annotations

import numpy as np

__all__ = ["histogram_kl"]

CELLS = 8  # along each side: with 150 points, two or three in a cell
PSEUDO_COUNT = 0.5  # in every cell, so that an empty one does not make the estimate infinite (Jeffreys' prior)


def histogram_kl(p: np.ndarray, q: np.ndarray, extent: tuple[float, float, float, float]) -> float:
    """Estimate KL(p‖q) from samples alone, by counting them in the cells of a grid.

    It is biased, mostly by the size of the cells, and jitters with every new sample: that is what it is for here.

    Args:
        p: samples of the one density, (n, 2).
        q: samples of the other, (m, 2).
        extent: xmin, xmax, ymin, ymax of the grid; a point beyond counts in the cell at the border.

    Returns:
        Nats, at least 0.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(150, 2))
        >>> histogram_kl(x, x, (-3, 3, -3, 3))
        0.0
    """
    first, second = (_shares(points, extent) for points in (p, q))
    return float((first * np.log(first / second)).sum())


def _shares(points: np.ndarray, extent: tuple[float, float, float, float]) -> np.ndarray:
    low, high = np.array(extent)[[0, 2]], np.array(extent)[[1, 3]]
    share = np.nan_to_num((points - low) / (high - low), nan=0.5, posinf=1.0, neginf=0.0)
    cell = np.clip(share * CELLS, 0, CELLS - 1).astype(int)
    counts = np.bincount(cell[:, 0] * CELLS + cell[:, 1], minlength=CELLS**2) + PSEUDO_COUNT
    return counts / counts.sum()
