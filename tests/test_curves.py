"""A curve keeps the means of all its numbers, in bounded room, however they came."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aio.curves
from aio.curves import CAPACITY, Curve

# Multiples of 1/64 add up without rounding: means are compared exactly.
numbers = st.integers(-640, 640).map(lambda n: n / 64)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A capacity of 8 shows the merging within a few numbers."""
    if "at_full_size" not in request.node.name:
        monkeypatch.setattr(aio.curves, "CAPACITY", 8)


def extended(values: list[float], cuts: list[int]) -> Curve:
    curve, ends = Curve(), [0, *sorted(min(c, len(values)) for c in cuts), len(values)]
    for begin, end in itertools.pairwise(ends):
        curve = curve.extended(values[begin:end])
    return curve


def same(a: Curve, b: Curve) -> bool:
    return (a.group, a.rest) == (b.group, b.rest) and np.array_equal(a.points, b.points)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), max_size=100), st.lists(st.integers(0, 100), max_size=6))
def test_a_curve_does_not_depend_on_how_its_numbers_were_split(values: list[float], cuts: list[int]) -> None:
    assert same(extended(values, cuts), Curve().extended(values))


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers, max_size=200))
def test_points_are_the_means_of_groups_and_nothing_is_lost(values: list[float]) -> None:
    curve = Curve().extended(values)
    full = len(curve.points) * curve.group
    groups = np.array(values[:full]).reshape(-1, curve.group)
    assert np.array_equal(curve.points, groups.mean(axis=1))
    assert list(curve.rest) == values[full:]
    assert len(curve.rest) < curve.group
    assert curve.last_index.tolist() == [i for i in range(full) if (i + 1) % curve.group == 0]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 17, 63, 64, 1000])
def test_a_curve_is_as_fine_as_its_room_allows(count: int) -> None:
    curve = Curve().extended([1.0] * count)
    assert len(curve.points) < 8
    # The smallest power of two whose groups fit; merging on the very last number halves once.
    assert curve.group == next(g for g in (1, 2, 4, 8, 16, 32, 64, 128, 256) if count // g < 8)
    assert count < 8 or len(curve.points) >= 4


def test_a_long_run_at_full_size_stays_within_its_capacity() -> None:
    curve = Curve()
    for _ in range(5):
        curve = curve.extended(list(range(999)))
        assert len(curve.points) < CAPACITY
    assert (curve.group, len(curve.points), len(curve.rest)) == (8, 624, 3)


def test_extending_leaves_the_curve_before_as_it_was() -> None:
    before = Curve().extended([1.0, 2.0, 3.0])
    points = before.points.copy()
    before.extended([float(i) for i in range(20)])
    assert (before.group, before.rest) == (1, ())
    assert np.array_equal(before.points, points)
    assert same(before, Curve().extended([1.0, 2.0, 3.0]))


def test_nothing_added_changes_nothing() -> None:
    curve = Curve().extended([float(i) for i in range(21)])
    assert same(curve.extended([]), curve)
    assert same(pickle.loads(pickle.dumps(curve)), curve)
    assert (len(Curve().points), Curve().points.dtype, len(Curve().last_index)) == (0, np.float64, 0)
