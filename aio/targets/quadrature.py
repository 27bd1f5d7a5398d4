"""Sums and integrals that the targets need: log-sum-exp, Gauss-Legendre, means over a Gaussian, entropies."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

STEP = 0.25  # of a noise deviation: the midpoint rule errs by exp(-2 pi^2 / STEP^2) on a Gaussian
MARGIN = 8.0  # noise deviations kept on each side: exp(-MARGIN^2 / 2) = 1e-14 of the peak lies beyond
CELL_WIDTH = 2  # noise deviations along the side of a cell, which is kept or dropped whole
PANEL_NODES = 16  # Gauss-Legendre nodes for one noise deviation: rounding error is all that is left


def log_sum_exp(a: np.ndarray) -> np.ndarray:
    """Return log Σ exp(a) over the last axis, without overflow: (..., K) -> (...).

    >>> print(log_sum_exp(np.array([[1000.0, 1000.0 + math.log(3.0)], [-np.inf, 0.0]])) - [1000.0, 0.0])
    [1.38629436 0.        ]
    """
    peak = a.max(axis=-1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0.0)
    return np.log(np.exp(a - peak).sum(axis=-1)) + peak[..., 0]


@cache
def gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n nodes and weights of the Gauss-Legendre rule on [0, 1], each (n,) in float64.

    >>> nodes, weights = gauss_legendre(3)
    >>> round(float(weights @ nodes**5), 12)  # exact up to degree 2n - 1 = 5
    0.166666666667
    """
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


def interval_rule(start: float, stop: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for [start, stop], good for functions that vary over lengths >= scale.

    Gauss-Legendre on panels no longer than `scale`.

    Returns:
        nodes and weights, each of shape (panels * PANEL_NODES,).

    >>> nodes, weights = interval_rule(0.0, math.pi, scale=1.0)
    >>> round(float(weights @ np.sin(nodes)), 12)
    2.0
    """
    panels = math.ceil((stop - start) / scale)
    width = (stop - start) / panels
    nodes, weights = gauss_legendre(PANEL_NODES)
    starts = start + width * np.arange(panels)
    return (starts[:, None] + width * nodes).ravel(), np.tile(width * weights, panels)


def normal_mean(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return E[function(z)] for z ~ N(0, I) in the plane.

    The midpoint rule with steps of STEP out to MARGIN; for a function that is smooth over a length of one
    it converges faster than any power of the step.

    Args:
        function: takes z of shape (M, 2), returns (M,), both float64.

    >>> round(normal_mean(lambda z: z[:, 0] ** 2 * z[:, 1] ** 4), 10)  # E z1^2 * E z2^4
    3.0
    """
    z = np.arange(-MARGIN + STEP / 2, MARGIN, STEP)
    weight = np.exp(-(z**2) / 2) * STEP / math.sqrt(2 * math.pi)
    return float(np.outer(weight, weight).ravel() @ function(_pairs(z, z)))


def grid_entropy(
    log_prob: Callable[[np.ndarray], np.ndarray],
    box: tuple[float, float, float, float],
    sigma: float,
    step: float = STEP,
) -> float:
    """Return H = -∫ p log p dx in nats for a density that is something convolved with N(0, sigma² I).

    The midpoint rule with steps of `step` sigma, only on those cells of the box that matter: a first pass at
    the centres of coarse cells drops the cells whose density is exp(-MARGIN²/2) of the peak or less.

    Args:
        log_prob: takes x of shape (M, 2), returns finite (M,), both float64.
        box: (xmin, xmax, ymin, ymax) about whatever is convolved; MARGIN sigma are added on every side.
        sigma: the noise, above 0, in units of x.
        step: in units of sigma, a whole part of CELL_WIDTH.

    >>> def log_normal(x):
    ...     return -(x**2).sum(axis=1) / 2 - math.log(2 * math.pi)
    >>> H = grid_entropy(log_normal, (0.0, 0.0, 0.0, 0.0), sigma=1.0)
    >>> abs(H - 1 - math.log(2 * math.pi)) < 1e-10
    True
    """
    count = round(CELL_WIDTH / step)  # fine points along a cell's side
    cell = CELL_WIDTH * sigma
    step = cell / count
    xmin, xmax, ymin, ymax = box
    x = _middles(xmin - MARGIN * sigma, xmax + MARGIN * sigma, cell)
    y = _middles(ymin - MARGIN * sigma, ymax + MARGIN * sigma, cell)
    centres = _pairs(x, y)
    coarse = log_prob(centres)
    kept = centres[coarse > coarse.max() - MARGIN**2 / 2]
    within = (np.arange(count) - (count - 1) / 2) * step
    points = kept[:, None] + _pairs(within, within)  # (cells, count², 2)
    log_p = log_prob(points.reshape(-1, 2))
    return -(step**2) * float((np.exp(log_p) * log_p).sum())


def _middles(start: float, stop: float, width: float) -> np.ndarray:
    """Return the middles of as many intervals of `width` as it takes to cover [start, stop]."""
    return start + width * (np.arange(math.ceil((stop - start) / width)) + 0.5)


def _pairs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return every (x, y): (len(x) * len(y), 2)."""
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
