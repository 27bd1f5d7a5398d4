"""Points of the visitor's own: drawn from their density or split from their table, apart, and the same again."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from aio.dataset import HELD_OUT, OwnData, Stream, own_dataset, stream_of
from aio.histogram import histogram_kl
from aio.snapshot import ROUGH_POINTS, snapshot, true_log_density
from aio.targets import Target
from aio.targets.drawing import Drawing, DrawnTarget, Stroke
from aio.targets.picture import PictureTarget
from aio.training import EVALUATE_EVERY, TrainState, advance, evaluate, flow_of, start
from tests.test_training import OWN, SMALL, own_points, same

POINTS = OWN.data.points


def drawing(*ways: list[tuple[float, float]], width: float = 0.3) -> DrawnTarget:
    return DrawnTarget(Drawing(strokes=[Stroke(points=way, width=width) for way in ways]))


def picture(seed: int = 0) -> PictureTarget:
    return PictureTarget(np.random.default_rng(seed).random((12, 20)) ** 3)


LINE = drawing([(-2.0, -1.0), (2.0, 1.0)])
CROSS = drawing([(-2.0, -1.0), (2.0, 1.0)], [(0.0, 2.0), (0.5, -2.0)], width=0.2)
DENSITIES = {"drawing": CROSS, "picture": picture()}
each_density = pytest.mark.parametrize("target", [pytest.param(t, id=n) for n, t in DENSITIES.items()])
each_data = pytest.mark.parametrize("data", [*DENSITIES.values(), own_points()], ids=[*DENSITIES, "points"])


def trained(data: OwnData, steps: int = 25) -> TrainState:
    return advance(start(OWN, data), steps)


def rows(points: Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in points.tolist()}


def mean_and_stderr(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


# ---------------------------------------------------------------------- a density


@each_density
def test_a_density_gives_points_and_the_truth_about_them(target: Target) -> None:
    data = own_dataset(target, 700, seed=3)
    assert (data.train.shape, data.held_out.shape) == ((700, 2), (HELD_OUT, 2))
    assert data.train.dtype == data.held_out.dtype == torch.float32
    assert data.held_out_log_prob.dtype == torch.float64
    assert torch.equal(data.held_out_log_prob, target.log_prob(data.held_out.double()))
    assert torch.isfinite(data.held_out_log_prob).all()
    assert (data.entropy, data.target) == (target.entropy, target)


@each_density
def test_the_entropy_is_what_held_out_points_cost_on_average(target: Target) -> None:
    data = own_dataset(target, 100, seed=0)
    mean, stderr = mean_and_stderr(-data.held_out_log_prob)
    assert abs(mean - data.entropy) < 4 * stderr


@each_density
def test_the_seed_draws_the_same_points_again_and_another_seed_others(target: Target) -> None:
    first, again, other = (own_dataset(target, 200, seed) for seed in (5, 5, 6))
    assert same(first, again)
    assert not rows(first.train) & rows(other.train)
    assert not rows(first.held_out) & rows(other.held_out)


@each_density
def test_no_held_out_point_is_trained_on(target: Target) -> None:
    data = own_dataset(target, 3_000, seed=1)
    assert len(rows(data.train)) > 2_990  # draws, not a few points over and over
    assert not rows(data.train) & rows(data.held_out)


def test_an_equal_density_gives_equal_points() -> None:
    copy = DrawnTarget(Drawing.model_validate_json(CROSS.drawing.model_dump_json()))
    assert same(own_dataset(CROSS, 300, 2), own_dataset(copy, 300, 2))


# ---------------------------------------------------------------------- points


@pytest.mark.parametrize("n", [20, 24, 25, 9_999, 10_000, 10_001, 30_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_are_split_and_none_is_on_both_sides(n: int, dtype: torch.dtype) -> None:
    points = own_points(n).to(dtype)
    before = points.clone()
    data = own_dataset(points, 7, seed=4)  # the number of points to draw means nothing here
    assert len(data.held_out) == min(HELD_OUT, n // 5)
    assert data.train.dtype == data.held_out.dtype == dtype
    assert not rows(data.train) & rows(data.held_out)
    assert rows(data.train) | rows(data.held_out) == rows(points)
    assert len(data.train) + len(data.held_out) == n
    assert torch.equal(points, before)
    assert (data.target, data.entropy, data.held_out_log_prob) == (None, None, None)


def test_the_seed_splits_points_and_not_by_their_order() -> None:
    points = torch.arange(400.0).reshape(200, 2)
    first, again, other = (own_dataset(points, 1, seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert rows(first.held_out) != rows(other.held_out)
    share = (first.held_out[:, 0] < 200).double().mean().item()
    assert 0.2 < share < 0.8


def test_held_out_rows_do_not_reach_the_training() -> None:
    """Whatever stands in the held-out rows, the same batches teach the same flow."""
    points = own_points(100)
    order = torch.randperm(100, generator=stream_of(OWN.seed, Stream.DATA))
    other = points.clone()
    other[order[:20]] = own_points(20, seed=8) + 1.0
    states = [trained(data) for data in (points, other)]
    assert torch.equal(states[0].dataset().train, states[1].dataset().train)
    assert same(states[0].weights, states[1].weights)
    assert same(states[0].train_nll, states[1].train_nll)
    assert states[0].held_out_nll.points[-1] != states[1].held_out_nll.points[-1]


@pytest.mark.parametrize(
    ("data", "got", "mend"),
    [
        (torch.zeros(50), "got (50,)", "Choose two numeric columns."),
        (torch.zeros(50, 3), "got (50, 3)", "Choose two numeric columns."),
        (torch.zeros(5, 5, 2), "got (5, 5, 2)", "Choose two numeric columns."),
        (torch.tensor([[0.0, math.nan]] * 30), "got NaN or infinity", "Leave those rows out."),
        (torch.tensor([[0.0, -math.inf]] * 30), "got NaN or infinity", "Leave those rows out."),
        (torch.zeros(19, 2), "got 19", "A flow cannot be judged on fewer."),
        (torch.zeros(0, 2), "got 0", "A flow cannot be judged on fewer."),
    ],
    ids=["vector", "three-columns", "cube", "nan", "infinite", "few", "none"],
)
def test_an_error_says_what_was_expected_what_came_and_the_mend(data: Tensor, got: str, mend: str) -> None:
    with pytest.raises(ValueError, match=r"^Expected .*, got ") as caught:
        own_dataset(data, 100, 0)
    assert got in str(caught.value)
    assert str(caught.value).endswith(mend)


# ---------------------------------------------------------------------- a state


@each_data
def test_a_state_is_picklable_and_goes_on_as_before(data: OwnData) -> None:
    state = trained(data, 3)
    again = pickle.loads(pickle.dumps(state))
    assert same(again, state)
    assert same(advance(again, 4), advance(state, 4))
    assert same(evaluate(again, 50), evaluate(state, 50))


@each_density
def test_fresh_points_for_an_evaluation_come_from_the_visitors_own_density(target: Target) -> None:
    state = trained(target)
    x = target.sample(321, stream_of(OWN.seed, Stream.EVALUATION), torch.float64)
    with torch.no_grad():
        log_q = flow_of(state).log_prob(x).double()
    measured = evaluate(state, points=321)
    kl, kl_stderr = mean_and_stderr(target.log_prob(x) - log_q)
    assert measured.kl == pytest.approx(kl, abs=1e-6)
    assert measured.kl_stderr == pytest.approx(kl_stderr, rel=1e-4)
    assert measured.entropy == target.entropy
    assert measured.kl != evaluate(state).kl
    assert abs(measured.kl - evaluate(state).kl) < 4 * math.hypot(kl_stderr, evaluate(state).kl_stderr)


def test_a_density_of_ones_own_is_learned() -> None:
    state = start(OWN, LINE)
    before, after = evaluate(state, 2_000), evaluate(advance(state, 200), 2_000)
    assert after.kl < 0.6 * before.kl
    assert after.kl > -4 * after.kl_stderr


# ---------------------------------------------------------------------- other data


CHANGES = {
    "drawing-to-drawing": (LINE, CROSS),
    "drawing-to-picture": (CROSS, picture()),
    "picture-to-points": (picture(), own_points()),
    "points-to-drawing": (own_points(), CROSS),
    "points-to-points": (own_points(100), own_points(400, seed=1)),
}


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_with_data_changes_the_data_and_nothing_else(old: OwnData, new: OwnData) -> None:
    before = trained(old)
    after = before.with_data(new)
    for name in ("step", "weights", "average", "moments", "batches", "train_nll", "held_out_nll", "config", "stopped"):
        assert same(getattr(after, name), getattr(before, name)), name
    assert {f.name for f in dataclasses.fields(TrainState)} - {"own_data"} == {
        "config", "step", "weights", "average", "moments", "batches", "train_nll", "held_out_nll", "stopped",
    }  # fmt: skip
    assert same(after.dataset(), own_dataset(new, POINTS, OWN.seed))
    assert same(before.dataset(), own_dataset(old, POINTS, OWN.seed))  # a value: as it was


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_training_goes_on_with_the_new_data(old: OwnData, new: OwnData) -> None:
    before = trained(old)
    after = advance(before.with_data(new), EVALUATE_EVERY)
    assert (after.step, len(after.train_nll.points)) == (25 + EVALUATE_EVERY, 25 + EVALUATE_EVERY)
    assert len(after.held_out_nll.points) == len(before.held_out_nll.points) + 1
    assert not same(after.weights, advance(before, EVALUATE_EVERY).weights)
    assert same(advance(advance(before.with_data(new), 7), 13), after)


def test_a_run_on_a_target_goes_on_with_data_of_ones_own() -> None:
    before = advance(start(SMALL), 25)
    after = before.with_data(CROSS)
    assert same(after.config, SMALL.changed(data=SMALL.data.changed(target=None)))
    assert (after.config.data.points, after.dataset().target) == (SMALL.data.points, CROSS)
    assert same(after.weights, before.weights)
    assert advance(after, 5).step == 30


def test_other_data_take_away_what_stopped_a_run() -> None:
    stopped = dataclasses.replace(trained(LINE), stopped="Because.")
    assert advance(stopped, 3) is stopped
    assert advance(stopped.with_data(CROSS), 3).step == stopped.step + 3


def test_data_that_cannot_be_used_leave_the_state_as_it_was() -> None:
    state = trained(LINE)
    with pytest.raises(ValueError, match="Expected at least 20 points, got 3"):
        state.with_data(own_points(3))
    assert same(state, trained(LINE))


@pytest.mark.parametrize("new", [CROSS, picture()], ids=["drawing", "picture"])
def test_the_kl_of_one_flow_to_the_old_and_the_new_density_are_as_computed_directly(new: Target) -> None:
    old = trained(LINE, 120)
    after = old.with_data(new)
    flow = flow_of(old).double()
    for state, target in ((old, LINE), (after, new)):
        x = target.sample(20_000, torch.Generator().manual_seed(77), torch.float64)
        with torch.no_grad():
            kl, stderr = mean_and_stderr(target.log_prob(x) - flow.log_prob(x))
        measured = evaluate(state)
        assert abs(measured.kl - kl) < 4 * math.hypot(stderr, measured.kl_stderr)
    assert evaluate(after).kl > evaluate(old).kl + 0.2  # it has learned the one, and not yet the other


# ---------------------------------------------------------------------- what is seen of it


@each_density
def test_a_snapshot_shows_the_visitors_own_density(target: Target) -> None:
    seen = snapshot(trained(target))
    assert seen.extent == target.extent
    assert np.array_equal(seen.true_log_density, true_log_density(target))
    step = (target.extent[1] - target.extent[0]) / len(seen.true_log_density)
    assert np.exp(seen.true_log_density.astype(float)).sum() * step**2 == pytest.approx(1, abs=0.05)
    assert seen.evaluation.entropy == target.entropy
    assert seen.evaluation.kl is not None


def test_the_true_density_is_computed_once_for_equal_drawings() -> None:
    copy = DrawnTarget(Drawing.model_validate_json(CROSS.drawing.model_dump_json()))
    assert true_log_density(copy) is true_log_density(CROSS)
    assert true_log_density(LINE) is not true_log_density(CROSS)
    assert not true_log_density(CROSS).flags.writeable


@pytest.mark.parametrize("data", [None, *DENSITIES.values()], ids=["target", *DENSITIES])
def test_the_rough_kl_is_of_fresh_points_at_every_step(data: Target | None) -> None:
    state = start(SMALL if data is None else OWN, data)
    states = [state := advance(state, 1) for _ in range(6)]
    rough = [snapshot(s).rough_kl for s in states]
    exact = [snapshot(s).evaluation.kl for s in states]
    assert len(set(rough)) == len(rough)
    assert np.abs(np.diff(rough)).max() > 3 * np.abs(np.diff(exact)).max()  # it jitters; the exact one moves smoothly
    assert all(value >= 0 for value in rough)
    assert rough == [snapshot(s).rough_kl for s in states]  # and the same state looks the same again


def test_the_rough_kl_is_that_of_150_draws_of_each() -> None:
    state = trained(CROSS)
    fresh = stream_of(state.config.seed + state.step, Stream.EVALUATION)
    flow = flow_of(state)
    latent = flow.base.sample(ROUGH_POINTS, fresh)
    truth = CROSS.sample(ROUGH_POINTS, fresh, torch.float32)
    with torch.no_grad():
        drawn = flow.inverse(latent)[0]
    expected = histogram_kl(truth.numpy(), drawn.numpy(), CROSS.extent)
    assert snapshot(state).rough_kl == pytest.approx(expected, abs=0.05)  # one point may fall into the next cell


def test_points_whose_density_is_unknown_have_no_rough_kl() -> None:
    seen = snapshot(trained(own_points()))
    assert (seen.rough_kl, seen.true_log_density, seen.evaluation.kl, seen.evaluation.entropy) == (None,) * 4
