"""The histogram's estimate is a Kullback-Leibler divergence of counts: true where counts are many, rough at 150."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from aio.histogram import CELLS, PSEUDO_COUNT, histogram_kl

EXTENT = (-4.0, 4.0, -4.0, 4.0)


def normals(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2)) + np.array([shift, 0.0])


def test_it_is_the_divergence_of_the_counts() -> None:
    p, q = normals(150, 0), normals(150, 1, shift=1.0)
    edges = np.linspace(-4, 4, CELLS + 1)
    counts = [np.histogram2d(*points.clip(-3.999, 3.999).T, bins=(edges, edges))[0] + PSEUDO_COUNT for points in (p, q)]
    assert histogram_kl(p, q, EXTENT) == pytest.approx(entropy(counts[0].ravel(), counts[1].ravel()), abs=1e-12)


def test_with_many_points_it_comes_near_the_truth_and_below() -> None:
    """Merging points into cells can only lose divergence: KL of N(0, I) and N((1, 0), I) is ½."""
    estimate = histogram_kl(normals(400_000, 0), normals(400_000, 1, shift=1.0), EXTENT)
    assert 0.4 < estimate < 0.5


def test_with_150_points_equal_densities_seem_apart_and_it_jitters() -> None:
    estimates = [histogram_kl(normals(150, i), normals(150, 1000 + i), EXTENT) for i in range(40)]
    assert np.mean(estimates) > 0.05  # the truth is 0
    assert np.std(estimates) > 0.01


def test_points_beyond_the_grid_and_not_finite_are_counted() -> None:
    wild = np.array([[np.inf, 0.0], [np.nan, np.nan], [-1e9, 1e9]])
    assert np.isfinite(histogram_kl(wild, normals(150, 0), EXTENT))
