"""Random permutations and rotations: orthogonal, of the right determinant, and of the right distribution."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch

from aio.orthogonal import random_permutation, random_rotation
from tests.reference import assert_close

SIZES = [1, 2, 3, 5, 16, 64]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", SIZES)
def test_rotation_is_orthogonal_with_determinant_1(channels: int) -> None:
    for seed in range(20):
        w = random_rotation(channels, rng(seed))
        assert_close(w @ w.T, torch.eye(channels, dtype=torch.float64), 1e-14)
        assert torch.linalg.det(w).item() == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("channels", SIZES)
def test_permutation_is_a_permutation_matrix(channels: int) -> None:
    for seed in range(20):
        w = random_permutation(channels, rng(seed))
        assert w.dtype == torch.float64
        assert w.shape == (channels, channels)
        assert set(w.unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(w.sum(0), torch.ones(channels, dtype=torch.float64))
        assert torch.equal(w.sum(1), torch.ones(channels, dtype=torch.float64))


@pytest.mark.parametrize("draw", [random_permutation, random_rotation])
def test_a_generator_determines_the_draw(draw: object) -> None:
    assert torch.equal(draw(8, rng(3)), draw(8, rng(3)))
    assert not torch.equal(draw(8, rng(3)), draw(8, rng(4)))
    state = torch.get_rng_state()
    draw(8, rng(3))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("draw", [random_permutation, random_rotation])
def test_without_a_generator_torchs_own_is_used(draw: object) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = draw(8, None)
        torch.manual_seed(1)
        assert torch.equal(draw(8, None), first)


def test_angle_of_a_rotation_of_the_plane_is_uniform() -> None:
    generator = rng()
    w = torch.stack([random_rotation(2, generator) for _ in range(3000)]).numpy()
    angle = np.arctan2(w[:, 1, 0], w[:, 0, 0])
    assert scipy.stats.kstest(angle, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3


def test_rotations_of_space_are_haar_distributed() -> None:
    """Every entry is uniform on [−1, 1] (Archimedes), and the angle of turn has the CDF (θ − sin θ)/π."""
    generator = rng()
    w = torch.stack([random_rotation(3, generator) for _ in range(3000)]).numpy()
    for i, j in itertools.product(range(3), range(3)):
        assert scipy.stats.kstest(w[:, i, j], "uniform", args=(-1, 2)).pvalue > 1e-3, (i, j)
    angle = np.arccos(np.clip((np.trace(w, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert scipy.stats.kstest(angle, lambda t: (t - np.sin(t)) / np.pi).pvalue > 1e-3


@pytest.mark.parametrize("channels", [2, 3])
def test_permutations_are_uniform(channels: int) -> None:
    generator = rng()
    counts = dict.fromkeys(itertools.permutations(range(channels)), 0)
    for _ in range(6000):
        counts[tuple(random_permutation(channels, generator).argmax(1).tolist())] += 1
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
