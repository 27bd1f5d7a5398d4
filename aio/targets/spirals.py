"""Densities of blurred spirals: for each point an integral along the curve, cut into panels and refined as needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aio.targets.quadrature import gauss_legendre

PANEL_NODES = 12  # Gauss-Legendre nodes on a panel
PANEL_LENGTH = 2.5  # noise deviations along the curve on a panel: near the curve the rule errs by 1e-12
SPAN = 14.0  # nats that an integrand may fall over a panel: the rule integrates exp(-14 u), u from 0 to 1, to 1e-12
SPAN_GAIN = 0.5  # more nats for each nat that a panel lies below the largest: its errors weigh so much less
NEGLIGIBLE = 37.0  # nats below the peak of an integrand where it ends: exp(-37) is half a float64 rounding
HALVINGS = 16  # of a panel: enough for a point ten thousand noise deviations away
TABLE = 1000  # places where the length along the curve is known; between them it is taken as straight

Kernel = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Spiral:
    """Arms (±t cos t, ±t sin t) · scale + offset, start <= t <= stop, t drawn with density ∝ t^power.

    Args:
        start: the first t, at least 0.
        stop: the last t, above `start`.
        scale: distance from the middle at t = 1.
        power: 0 for uniform in t; 1 for nearly uniform along the curve.
        signs: of the two coordinates, for each arm; all arms hold the same mass.
        offsets: of the two coordinates, for each arm.
    """

    start: float
    stop: float
    scale: float
    power: int = 0
    signs: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    offsets: tuple[tuple[float, float], ...] = ((0.0, 0.0),)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.signs), np.array(self.offsets)

    def points(self, t: np.ndarray, arm: np.ndarray) -> np.ndarray:
        """Return the points at t on the arms: (K, J) and (K,) -> (K, J, 2)."""
        signs, offsets = self._places
        circle = np.stack([np.cos(t), np.sin(t)], axis=-1)
        return self.scale * t[..., None] * circle * signs[arm, None] + offsets[arm, None]

    def density(self, t: np.ndarray) -> np.ndarray:
        """Return the density of an arm and t: (...) -> (...)."""
        n = self.power + 1
        return n * t**self.power / (self.stop**n - self.start**n) / len(self.signs)

    def panels(self, length: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the arm, the first t and the range of t of P panels no longer than `length`, each (P,).

        >>> arm, start, width = Spiral(0.0, 10.0, scale=1.0).panels(0.5)
        >>> round(float(width.sum()), 12), len(width)  # half of t √(1 + t²) + arsinh t is 51.7
        (10.0, 104)
        """
        t = np.linspace(self.start, self.stop, TABLE)
        run = self.scale * (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2
        ends = np.interp(np.linspace(run[0], run[-1], math.ceil((run[-1] - run[0]) / length) + 1), run, t)
        arms = len(self.signs)
        return np.repeat(np.arange(arms), len(ends) - 1), np.tile(ends[:-1], arms), np.tile(np.diff(ends), arms)


def log_blurred_spiral(x: np.ndarray, spiral: Spiral, sigma: float, kernel: Kernel, reach: float = 0.0) -> np.ndarray:
    """Return log E[k(x - c)], c on the spiral, for a kernel k that falls off as a Gaussian does.

    Each arm is cut into panels of a few noise deviations, and those that are NEGLIGIBLE for a point are passed
    over. Seen from afar the integrand is steep even on such a panel: it is halved until the integrand falls by
    SPAN nats at most, so that log p is right to 1e-8 of itself far from the curve too.

    Args:
        x: points of shape (M, 2).
        spiral: the curve.
        sigma: the kernel falls off as exp(-d²/2σ²), where d is the distance beyond `reach`.
        kernel: takes the two coordinates of x - c, each (K, J); returns e and f, each (K, J), with
            k = f exp(e), f > 0 of moderate size.
        reach: the kernel may spread its mass this far before it falls off.

    Returns:
        shape (M,), in nats.
    """
    nodes, weights = gauss_legendre(PANEL_NODES)
    arm, start, width = spiral.panels(PANEL_LENGTH * sigma)
    t = start[:, None] + width[:, None] * nodes
    points, mass = spiral.points(t, arm), spiral.density(t) * weights * width[:, None]  # (P, J, 2), (P, J)
    row, panel = near_panels(x, points, NEGLIGIBLE * sigma**2, reach)
    arm, start, width, points, mass = (of_panel[panel] for of_panel in (arm, start, width, points, mass))

    highest = np.full(len(x), -np.inf)
    rows, peaks, totals = [], [], []
    for halving in range(HALVINGS + 1):
        e, f = kernel(x[row, 0, None] - points[..., 0], x[row, 1, None] - points[..., 1])
        peak, span = e.max(axis=1), np.ptp(e, axis=1)
        np.maximum.at(highest, row, peak)
        below = highest[row] - peak
        steep = (span > SPAN + SPAN_GAIN * below) & (below < NEGLIGIBLE) & (halving < HALVINGS)
        level = np.where(np.isfinite(peak), peak, 0.0)
        total = (np.exp(e - level[:, None]) * f * mass).sum(axis=1)
        rows.append(row[~steep])
        peaks.append(level[~steep])
        totals.append(total[~steep])
        if not steep.any():
            break
        row, arm, width = np.repeat(row[steep], 2), np.repeat(arm[steep], 2), np.repeat(width[steep] / 2, 2)
        start = np.repeat(start[steep], 2)
        start[1::2] += width[1::2]
        t = start[:, None] + width[:, None] * nodes
        points, mass = spiral.points(t, arm), spiral.density(t) * weights * width[:, None]

    row, peak, total = np.concatenate(rows), np.concatenate(peaks), np.concatenate(totals)
    highest = np.full(len(x), -np.inf)
    np.maximum.at(highest, row, peak)
    integral = np.zeros(len(x))
    np.add.at(integral, row, total * np.exp(peak - highest[row]))
    return np.log(integral) + highest


def near_panels(x: np.ndarray, points: np.ndarray, nats: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of x and the panels of points (P, J, 2), in pairs, that may matter: two arrays (K,).

    A panel is left out if even its nearest point has d²/2 more than `nats` above the least, d the distance
    beyond `reach`. Each row keeps one panel at least.
    """
    middle = (points.min(axis=1) + points.max(axis=1)) / 2  # (P, 2)
    radius = np.sqrt(((points - middle[:, None]) ** 2).sum(axis=2).max(axis=1)) + reach  # (P,)
    distance = np.hypot(x[:, 0, None] - middle[:, 0], x[:, 1, None] - middle[:, 1])  # (M, P)
    nearest = (distance + radius).min(axis=1, keepdims=True)  # some point is at most so far away
    return np.nonzero(np.maximum(distance - radius, 0) ** 2 <= nearest**2 + 2 * nats)
