"""A run obeys its controls, never makes anyone wait, and is `advance` whatever was pressed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

import aio.runs
from aio.config import BlockConfig, FlowConfig, RunConfig
from aio.runs import APART_NATS, MAX_STEPS, PIECE_SECONDS, UNSEEN_SECONDS, Piece, Run, begin, redirect, work
from aio.snapshot import snapshot
from aio.targets.drawing import Drawing, DrawnTarget, Stroke
from aio.training import TrainState, advance, start
from tests.test_training import OTHER, OWN, SMALL, WILD, own_points, same

ON_OWN = SMALL.changed(data=SMALL.data.changed(target=None))
PATIENCE = 60.0  # seconds that a healthy run never needs
LINE, CROSS = (
    DrawnTarget(Drawing(strokes=[Stroke(points=way, width=0.3) for way in ways]))
    for ways in ([[(-2.0, -1.0), (2.0, 1.0)]], [[(-2.0, -1.0), (2.0, 1.0)], [(0.0, 2.0), (0.5, -2.0)]])
)


class ByHand(Executor):
    """An executor on which nothing happens until the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Piece], Callable[..., Piece], tuple[Any, ...]]] = []

    def submit(self, function: Callable[..., Piece], /, *arguments: Any) -> Future[Piece]:  # type: ignore[override]
        future: Future[Piece] = Future()
        future.set_running_or_notify_cancel()  # as if begun: what has not begun is taken back at a reset
        self.waiting.append((future, function, arguments))
        return future

    def finish(self, seconds_per_step: float = PIECE_SECONDS / 5, nll: float | None = None) -> Piece:
        """Do the oldest piece that waits, as if its steps had taken that long."""
        future, function, arguments = self.waiting.pop(0)
        piece = function(*arguments)
        piece = replace(piece, seconds=seconds_per_step * piece.steps)
        if nll is not None:
            seen = piece.snapshot
            piece = replace(piece, snapshot=replace(seen, evaluation=replace(seen.evaluation, nll=nll)))
        future.set_result(piece)
        return piece

    def finish_all(self) -> None:
        while self.waiting:
            self.finish()

    def fail(self, error: Exception) -> None:
        self.waiting.pop(0)[0].set_exception(error)

    @property
    def steps_and_look(self) -> tuple[int, bool]:
        """What the piece that waits was asked for."""
        ((_, function, arguments),) = self.waiting
        assert function is work
        return arguments[1:]


@pytest.fixture
def hand() -> ByHand:
    return ByHand()


@pytest.fixture
def run(hand: ByHand) -> Run:
    """A run that has started, driven by hand."""
    run = Run(SMALL, hand)
    hand.finish()
    return run


@pytest.fixture(scope="module")
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=torch.set_num_threads, initargs=(1,)) as executor:
        yield executor


def settled(run: Run) -> TrainState:
    """The state of a run at rest, once its picture is checked to be of that state."""
    assert run.wait(PATIENCE)
    view = run.view()
    assert not view.busy
    assert view.snapshot.step == run.state.step
    assert same(view.snapshot, snapshot(run.state))
    return run.state


# ---------------------------------------------------------------------- the pure pieces


def test_a_piece_of_work_is_advance_and_a_look() -> None:
    first = begin(SMALL, None)
    assert same(first, Piece(start(SMALL), snapshot(start(SMALL)), 0, 0.0))
    piece = work(first.state, 4, True)
    assert same(piece.state, advance(start(SMALL), 4))
    assert same(piece.snapshot, snapshot(piece.state))
    assert piece.steps == 4
    assert piece.seconds > 0
    assert work(first.state, 4, False).snapshot is None


# ---------------------------------------------------------------------- the life of a run


def test_a_run_starts_and_then_rests(hand: ByHand) -> None:
    run = Run(SMALL, hand)
    before = run.view()
    assert (before.status, before.busy, before.snapshot, before.trouble) == ("starting", True, None, None)
    assert (run.state, run.untouched, run.config) == (None, True, SMALL)
    assert not run.wait(0)
    hand.finish()
    after = run.view()
    assert (after.status, after.busy, after.trouble, after.steps_per_second) == ("ready", False, None, None)
    assert (after.best_step, after.config, run.untouched) == (0, SMALL, True)
    assert run.wait(0)
    assert hand.waiting == []
    assert same(settled(run), start(SMALL))


def test_a_run_plays_until_it_is_paused(run: Run, hand: ByHand) -> None:
    run.play()
    for _ in range(4):
        assert (run.view().status, run.untouched, run.wait(0)) == ("playing", False, False)
        hand.finish()
    run.pause()
    assert (run.view().status, run.view().busy) == ("ready", True)
    hand.finish_all()
    state = settled(run)
    assert state.step == 1 + 4 * 5  # the piece under way at the pause counts
    assert same(state, advance(start(SMALL), state.step))


def test_what_is_pressed_before_the_start_holds_after_it(hand: ByHand) -> None:
    playing, stepping = Run(SMALL, hand), Run(SMALL, hand)
    playing.play()
    stepping.step(3)
    hand.finish()
    hand.finish()
    assert [run.view().status for run in (playing, stepping)] == ["playing", "playing"]
    playing.pause()
    hand.finish_all()
    assert (playing.state.step, stepping.state.step) == (1, 3)


@pytest.mark.parametrize("steps", [1, 4, 5, 6, 23])
def test_step_trains_exactly_so_many_steps(run: Run, hand: ByHand, steps: int) -> None:
    run.step(steps)
    assert (run.view().status, run.untouched) == ("playing", False)
    hand.finish_all()
    assert run.view().status == "ready"
    assert same(settled(run), advance(start(SMALL), steps))


def test_steps_add_up(run: Run, hand: ByHand) -> None:
    run.step(2)
    run.step(3)
    hand.finish()
    run.step(4)
    hand.finish_all()
    assert settled(run).step == 9


@pytest.mark.parametrize("press", [Run.pause, Run.play], ids=["after-a-pause", "while-playing"])
def test_steps_are_further_than_the_piece_under_way(run: Run, hand: ByHand, press: Callable[[Run], None]) -> None:
    run.play()
    hand.finish()
    press(run)
    assert hand.steps_and_look[0] == 5  # under way; its steps were not asked for one by one
    run.step(3)
    run.step(4)
    hand.finish_all()
    assert settled(run).step == 1 + 5 + 3 + 4


def test_pieces_last_as_long_as_is_wanted(run: Run, hand: ByHand) -> None:
    run.play()
    assert hand.steps_and_look[0] == 1  # nothing is known of the speed
    hand.finish(seconds_per_step=PIECE_SECONDS / 4)
    assert hand.steps_and_look[0] == 4
    assert run.view().steps_per_second == pytest.approx(4 / PIECE_SECONDS)
    hand.finish(seconds_per_step=10 * PIECE_SECONDS)
    assert hand.steps_and_look[0] == 1  # at least one, however slow
    run.pause()
    hand.finish_all()
    fast = Run(SMALL, hand)
    hand.finish()
    fast.play()
    hand.finish(seconds_per_step=1e-9)
    assert hand.steps_and_look[0] == MAX_STEPS


def test_a_picture_that_nobody_sees_is_not_replaced_at_once(
    run: Run, hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(aio.runs.time, "monotonic", lambda: now[0])
    run.view()
    run.play()
    for _ in range(4):  # someone watches: every piece ends with a picture
        assert hand.steps_and_look[1]
        hand.finish()
        assert run.view().snapshot.step == run.state.step
    hand.finish()
    hand.finish()  # nobody watches any more
    last_picture = run.state.step
    for _ in range(3):
        assert not hand.steps_and_look[1]
        hand.finish()
    now[0] += 1.01 * UNSEEN_SECONDS
    hand.finish()
    assert hand.steps_and_look[1]  # one, after a while
    assert hand.finish().snapshot is not None
    assert not hand.steps_and_look[1]
    assert run.view().snapshot.step == run.state.step > last_picture
    hand.finish()
    assert hand.steps_and_look[1]  # and at once where someone is back


def test_a_run_at_rest_is_seen_where_it_stands(run: Run, hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio.runs.time, "monotonic", lambda: 0.0)
    run.play()
    while hand.steps_and_look[1]:
        hand.finish()
    step = run.state.step
    run.pause()
    hand.finish()
    assert hand.steps_and_look == (0, True)  # one more look, and no step
    assert not run.wait(0)
    hand.finish()
    assert settled(run).step == step + 5


# ---------------------------------------------------------------------- starting afresh


def test_what_a_run_before_the_reset_still_brings_is_dropped(run: Run, hand: ByHand) -> None:
    run.play()
    run.reset(OTHER)
    assert (run.view().status, run.state, run.config, run.untouched) == ("starting", None, OTHER, True)
    hand.finish()  # of the run before
    assert (run.view().status, run.state) == ("starting", None)
    assert len(hand.waiting) == 1
    hand.finish()
    assert same(settled(run), start(OTHER))
    assert hand.waiting == []


def test_after_a_reset_the_last_picture_stays_until_there_is_a_new_one(run: Run, hand: ByHand) -> None:
    run.step(7)
    hand.finish_all()
    run.reset(OTHER)
    view = run.view()
    assert (view.snapshot.step, view.snapshot.config) == (7, SMALL)
    assert (view.config, view.best_step, view.steps_per_second, view.trouble) == (OTHER, None, None, None)
    hand.finish()
    assert (run.view().snapshot.step, run.view().snapshot.config) == (0, OTHER)


def test_a_reset_without_settings_repeats_the_run(run: Run, hand: ByHand) -> None:
    run.set_training(learning_rate=0.02)
    run.step(6)
    hand.finish_all()
    first = run.state
    run.reset()
    run.step(6)
    hand.finish_all()
    assert same(run.state, first)
    assert first.config.training.learning_rate == 0.02


def test_a_run_on_points_of_ones_own_keeps_them_through_a_reset(hand: ByHand) -> None:
    run = Run(OWN, hand, own_points(60))
    hand.finish()
    run.reset()
    run.step(2)
    hand.finish_all()
    assert same(settled(run), advance(start(OWN, own_points(60)), 2))


def test_a_closed_run_asks_for_nothing_further(run: Run, hand: ByHand) -> None:
    run.play()
    hand.finish()
    step = run.state.step
    run.close()
    assert run.wait(0)
    hand.finish()
    assert hand.waiting == []
    assert run.state.step == step


def test_closing_wakes_those_who_wait(run: Run, hand: ByHand) -> None:
    run.play()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run.wait, PATIENCE)
        run.close()
        assert waiting.result(PATIENCE)


# ---------------------------------------------------------------------- settings while training


def test_training_settings_hold_after_the_piece_under_way(run: Run, hand: ByHand) -> None:
    run.step(4)
    assert hand.steps_and_look[0] == 1
    run.set_training(learning_rate=0.5, batch_size=16)
    assert run.config.training == run.view().config.training == SMALL.training.changed(learning_rate=0.5, batch_size=16)
    hand.finish()
    assert run.state.config == run.config
    hand.finish_all()
    expected = advance(advance(start(SMALL), 1).with_training(learning_rate=0.5, batch_size=16), 3)
    assert same(settled(run), expected)


def test_training_settings_changed_before_the_start_hold_from_the_first_step(hand: ByHand) -> None:
    run = Run(SMALL, hand)
    run.set_training(learning_rate=0.5)
    run.step(3)
    hand.finish_all()
    assert same(settled(run), advance(start(SMALL).with_training(learning_rate=0.5), 3))


def test_settings_outside_the_limits_change_nothing(run: Run) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        run.set_training(learning_rate=2.0)
    assert run.config == run.state.config == SMALL


# ---------------------------------------------------------------------- other data while training


def test_a_playing_run_goes_on_with_other_data_and_loses_the_piece_under_way_alone(run: Run, hand: ByHand) -> None:
    run.play()
    for _ in range(3):
        hand.finish()
    before = run.state
    run.set_data(LINE)
    assert (run.view().status, run.view().busy, run.state) == ("playing", True, before)
    hand.finish()  # what was under way is dropped
    assert same(run.state, before)
    hand.finish()
    assert same(run.state, before.with_data(LINE))
    assert same(run.view().snapshot, snapshot(run.state))
    assert run.view().status == "playing"
    hand.finish()
    assert run.state.step > before.step
    run.pause()
    hand.finish_all()
    assert same(settled(run), advance(before.with_data(LINE), run.state.step - before.step))
    assert run.config == run.state.config == ON_OWN


def test_a_resting_run_takes_other_data_and_rests(hand: ByHand) -> None:
    run = Run(OWN, hand, own_points(60))
    run.step(4)
    hand.finish_all()
    run.set_data(LINE)
    assert (run.view().status, run.view().busy, len(hand.waiting)) == ("ready", True, 1)
    hand.finish_all()
    expected = advance(start(OWN, own_points(60)), 4).with_data(LINE)
    assert same(settled(run), expected)
    assert run.view().status == "ready"
    assert run.view().snapshot.evaluation.kl is not None
    run.set_data(own_points(80))
    hand.finish_all()
    assert same(settled(run), expected.with_data(own_points(80)))
    assert run.view().snapshot.evaluation.kl is None


def test_the_best_at_other_data_is_forgotten(run: Run, hand: ByHand) -> None:
    best = best_at_step_1(run, hand)
    run.step(1)
    hand.finish(nll=best + 1.01 * APART_NATS)
    assert (run.view().best_step, run.view().trouble is None) == (1, False)
    run.set_data(LINE)
    assert (run.view().best_step, run.view().trouble) == (None, None)
    run.back_to_best()  # there is none: nothing happens
    assert len(hand.waiting) == 1
    hand.finish()
    assert (run.view().best_step, run.view().trouble) == (4, None)  # where it stands is the best at the new data
    run.step(1)
    hand.finish(nll=99.0)
    run.back_to_best()
    hand.finish_all()
    assert run.state.step == 4
    assert run.state.dataset().target == LINE


def test_other_data_while_steps_are_wanted_lose_none_of_them(run: Run, hand: ByHand) -> None:
    run.step(23)
    hand.finish()
    hand.finish()
    run.set_data(LINE)
    hand.finish_all()
    assert settled(run).step == 23
    run.play()
    hand.finish()
    run.pause()
    run.set_data(CROSS)
    run.step(2)  # the piece that was dropped is not among them
    at = run.state.step
    hand.finish_all()
    assert settled(run).step == at + 2
    assert run.state.dataset().target == CROSS


def test_a_stopped_run_goes_on_again_with_other_data(run: Run, hand: ByHand) -> None:
    run.step(1)
    future, function, arguments = hand.waiting.pop()
    piece = function(*arguments)
    future.set_result(replace(piece, state=replace(piece.state, stopped="Because.")))
    hand.finish_all()
    assert (run.view().status, run.view().trouble) == ("stopped", "Because.")
    run.set_data(LINE)
    hand.finish()
    assert (run.view().status, run.view().trouble, run.view().snapshot.stopped) == ("ready", None, None)
    run.step(2)
    hand.finish_all()
    assert settled(run).step == 3


def test_data_given_before_the_first_state_are_those_it_starts_with(hand: ByHand) -> None:
    run = Run(SMALL, hand)
    run.set_data(LINE)
    assert (run.view().status, run.state) == ("starting", None)
    hand.finish_all()
    assert same(settled(run), start(ON_OWN, LINE))


def test_play_pressed_before_the_first_state_outlives_other_data(hand: ByHand) -> None:
    run = Run(SMALL, hand)
    run.play()
    run.set_data(LINE)
    hand.finish()
    hand.finish()
    assert run.view().status == "playing"


def test_settings_changed_while_other_data_are_on_their_way_hold(run: Run, hand: ByHand) -> None:
    run.step(3)
    hand.finish_all()
    run.set_data(LINE)
    run.set_training(batch_size=16)
    run.step(2)
    hand.finish_all()
    assert same(settled(run), advance(advance(start(SMALL), 3).with_data(LINE).with_training(batch_size=16), 2))


def test_of_several_data_given_at_once_the_last_holds(run: Run, hand: ByHand) -> None:
    run.step(2)
    hand.finish_all()
    for data in (LINE, own_points(40), CROSS):
        run.set_data(data)
    hand.finish_all()
    assert same(settled(run), advance(start(SMALL), 2).with_data(CROSS))


def test_a_reset_takes_the_newest_data(run: Run, hand: ByHand) -> None:
    run.set_data(LINE)
    hand.finish_all()
    run.set_data(CROSS)
    run.reset()
    hand.finish_all()
    assert same(settled(run), start(ON_OWN, CROSS))
    run.reset(SMALL)
    hand.finish_all()
    assert same(settled(run), start(SMALL))


def test_data_that_cannot_be_used_fail_and_others_recover_at_a_reset(run: Run, hand: ByHand) -> None:
    run.set_data(own_points(3))
    with pytest.raises(ValueError, match="got 3") as caught:
        redirect(run.state, own_points(3))
    hand.fail(caught.value)
    assert run.view().trouble.startswith("Training failed")
    run.reset(ON_OWN, LINE)
    hand.finish()
    assert same(settled(run), start(ON_OWN, LINE))


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_data_given_again_and_again_while_it_plays_lose_no_step(executor: str, request: pytest.FixtureRequest) -> None:
    run = Run(SMALL, request.getfixturevalue(executor))
    reached = [settled(run).step]
    run.play()
    for data in (LINE, CROSS) * 3:
        run.set_data(data)
        assert run.view().status == "playing"
        assert not run.wait(0.4)  # it plays on
        reached.append(run.state.step)
    assert reached == sorted(reached)
    assert reached[-1] > reached[0]
    run.pause()
    state = settled(run)
    assert state.dataset().target == CROSS
    run.close()


# ---------------------------------------------------------------------- what goes wrong


def test_a_worker_that_fails_is_told_and_a_reset_recovers(run: Run, hand: ByHand) -> None:
    run.play()
    hand.fail(MemoryError("Out of memory."))
    view = run.view()
    assert view.status == "failed"
    assert view.trouble == "Training failed, and the server's log says why. Reset to start afresh."
    assert run.wait(0)
    run.play()
    run.step(3)
    assert hand.waiting == []  # only a reset leads on
    run.reset()
    assert (run.view().status, run.view().trouble) == ("starting", None)
    run.step(2)
    hand.finish_all()
    assert run.view().status == "ready"
    assert same(settled(run), advance(start(SMALL), 2))


def test_a_run_that_cannot_start_is_told_and_other_settings_recover(hand: ByHand) -> None:
    run = Run(OWN, hand)
    with pytest.raises(ValueError, match="Expected either") as caught:
        begin(OWN, None)
    hand.fail(caught.value)
    view = run.view()
    assert view.status == "failed"
    assert view.trouble.startswith("Training failed")
    assert view.snapshot is None
    run.play()
    assert hand.waiting == []
    run.reset(SMALL)
    hand.finish()
    assert same(settled(run), start(SMALL))


@pytest.mark.parametrize("when", ["at-the-start", "between-pieces"])
def test_an_executor_that_takes_no_work_is_told(run: Run, hand: ByHand, when: str) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown.")

    if when == "between-pieces":
        run.play()
    hand.submit = refuse  # type: ignore[method-assign, assignment]
    if when == "between-pieces":
        hand.finish()
    else:
        run.reset()
    assert run.wait(0)
    assert run.view().status == "failed"
    assert run.view().trouble.startswith("Training failed")


def test_a_run_that_diverged_is_stopped_until_its_settings_change(hand: ByHand) -> None:
    run = Run(WILD, hand)
    hand.finish()
    run.step(18)
    hand.finish_all()
    run.set_training(learning_rate=1.0, warmup=0)
    run.play()
    hand.finish_all()  # it comes to rest by itself
    view, stopped = run.view(), run.state
    assert (view.status, view.busy) == ("stopped", False)
    assert view.trouble == view.snapshot.stopped == stopped.stopped
    assert "was undone" in view.trouble
    assert same(settled(run), advance(advance(start(WILD), 18).with_training(learning_rate=1.0, warmup=0), 1000))

    for press in (run.play, lambda: run.step(5)):
        press()
        assert (run.view().status, hand.waiting) == ("stopped", [])

    run.set_training(learning_rate=1e-6, clip_norm=0.01)
    assert (run.view().status, run.view().snapshot.stopped, hand.waiting) == ("ready", None, [])
    run.step(2)
    hand.finish_all()
    assert run.view().status == "ready"
    assert run.state.step == stopped.step + 2


def test_settings_changed_during_the_piece_that_diverges_are_tried(hand: ByHand) -> None:
    run = Run(WILD, hand)
    hand.finish()
    run.step(18)
    hand.finish_all()
    run.set_training(learning_rate=1.0, warmup=0)
    run.play()
    while hand.waiting and not run.state.stopped:
        future, function, (state, *rest) = hand.waiting.pop()
        piece = function(state, *rest)
        if piece.state.stopped:
            run.set_training(learning_rate=1e-6, clip_norm=0.01)
        future.set_result(piece)
        if piece.state.stopped:
            break
    assert (run.state.stopped, run.view().status) == (None, "playing")
    run.pause()
    hand.finish_all()
    assert run.view().status == "ready"


def test_a_flow_that_overflows_from_the_start_is_told(hand: ByHand) -> None:
    overflowing = BlockConfig(clamp=10, global_affine_type="EXP", global_affine_init=20.0)
    run = Run(SMALL.changed(flow=FlowConfig(blocks=24, block=overflowing)), hand)
    hand.finish()
    assert run.view().trouble == (
        "The held-out NLL is nan, not a finite number. Lower the clamp α or Ψ at the start, and reset."
    )
    run.back_to_best()  # there is none
    run.play()
    hand.finish_all()
    assert run.view().status == "stopped"


# ---------------------------------------------------------------------- back to the best


def best_at_step_1(run: Run, hand: ByHand) -> float:
    """Play a run to step 3 whose held-out NLL is lowest at step 1; returns that NLL."""
    for nll_above in (0.0, 0.5, 0.9):
        run.step(1)
        best = snapshot(advance(start(SMALL), 1)).evaluation.nll
        hand.finish(nll=best + nll_above)
        assert run.view().trouble is None
    return best


def test_a_run_that_has_left_its_best_is_told(run: Run, hand: ByHand) -> None:
    best = best_at_step_1(run, hand)
    run.step(1)
    hand.finish(nll=best + 1.01 * APART_NATS)
    assert run.view().best_step == 1
    assert run.view().trouble == (
        f"The held-out NLL, {best + 1.01 * APART_NATS:.3g} nats, has left its best, {best:.3g} at step 1. "
        "The training NLL has not: the flow has learned its points by heart. Take more points."
    )
    run.step(1)
    hand.finish(nll=float("nan"))
    assert run.view().trouble.startswith("The held-out NLL, nan nats, has left its best")
    assert run.view().best_step == 1


def test_a_run_goes_back_to_its_best(run: Run, hand: ByHand) -> None:
    best_at_step_1(run, hand)
    run.set_training(batch_size=16)
    run.play()
    run.back_to_best()
    assert (run.view().status, run.view().busy) == ("ready", True)
    hand.finish()  # what was under way is dropped
    hand.finish()
    assert hand.waiting == []
    expected = advance(start(SMALL), 1).with_training(batch_size=16)
    assert same(settled(run), expected)
    assert run.view().best_step == 1
    run.step(2)
    hand.finish_all()
    assert same(settled(run), advance(expected, 2))


def test_going_back_frees_a_run_that_was_stopped(run: Run, hand: ByHand) -> None:
    best_at_step_1(run, hand)
    run.step(1)
    future, function, arguments = hand.waiting.pop()
    piece = function(*arguments)
    future.set_result(replace(piece, state=replace(piece.state, stopped="Because."), snapshot=None))
    assert (run.view().status, run.view().trouble) == ("stopped", "Because.")
    hand.finish(nll=99.0)  # the look at where it stands
    run.back_to_best()
    assert run.view().status == "ready"
    run.back_to_best()  # pressed twice
    hand.finish_all()
    assert same(settled(run), advance(start(SMALL), 1))


# ---------------------------------------------------------------------- nobody waits


def test_nothing_waits_for_a_piece_under_way(thread: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every control and every reading returns while the worker is in the middle of a piece."""
    entered, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Piece:
        entered.set()
        assert go_on.wait(PATIENCE)
        return work(*arguments)

    monkeypatch.setattr(aio.runs, "work", slow)
    run = Run(SMALL, thread)
    assert run.wait(PATIENCE)
    run.play()
    assert entered.wait(PATIENCE)
    calls = [run.view, run.pause, run.play, lambda: run.step(1), lambda: run.set_training(batch_size=16),
             lambda: run.config, lambda: run.state, lambda: run.untouched, run.back_to_best, run.reset]  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        try:
            for call in calls:
                pool.submit(call).result(PATIENCE / 4)
            assert run.view().busy
        finally:
            go_on.set()
    assert run.wait(PATIENCE)
    assert same(settled(run), start(SMALL).with_training(batch_size=16))


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_a_run_driven_in_pieces_is_advance(executor: str, request: pytest.FixtureRequest) -> None:
    run = Run(SMALL, request.getfixturevalue(executor))
    assert same(settled(run), start(SMALL))

    run.step(7)
    assert same(settled(run), advance(start(SMALL), 7))

    run.play()
    assert not run.wait(0.3)  # a run that plays never rests
    assert run.view().status == "playing"
    run.pause()
    played = settled(run)
    assert played.step > 7
    assert same(played, advance(start(SMALL), played.step))
    assert run.view().steps_per_second > 0

    run.set_training(learning_rate=0.03)
    run.step(5)
    assert same(settled(run), advance(played.with_training(learning_rate=0.03), 5))

    run.back_to_best()
    best = settled(run)
    assert best.step == run.view().best_step
    on_the_way = advance(start(SMALL), min(best.step, played.step)).with_training(learning_rate=0.03)
    assert same(best, advance(on_the_way, best.step - on_the_way.step))

    run.reset(OTHER)
    run.step(3)
    assert same(settled(run), advance(start(OTHER), 3))
    run.close()


def test_a_process_that_dies_is_told() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as executor:
        run = Run(SMALL, executor)
        os.kill(next(iter(executor._processes)), signal.SIGKILL)
        assert run.wait(PATIENCE)
        assert run.view().status == "failed"
        run.reset()  # on the same executor: told again, not raised
        assert run.wait(PATIENCE)
        assert run.view().trouble.startswith("Training failed")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_under_many_hands_stays_one_run(thread: ThreadPoolExecutor, seed: int) -> None:
    """Whatever was pressed, and whenever: at rest, the state is that of its step."""
    run = Run(SMALL, thread)
    presses = [run.play, run.pause, lambda: run.step(2), run.back_to_best, run.view, lambda: run.untouched]

    def press(number: int) -> None:
        rng = random.Random(seed * 100 + number)
        for i in range(150):
            rng.choice(presses)()
            if i % 50 == 49:
                run.reset()
            if i % 10 == 0:
                run.wait(0.005)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(press, number) for number in range(4)]:
            done.result(PATIENCE)
    run.step(1)
    run.pause()
    state = settled(run)
    assert run.view().status == "ready"
    assert run.config == SMALL
    assert same(state, advance(start(SMALL), state.step))
    run.step(4)
    assert same(settled(run), advance(start(SMALL), state.step + 4))


def test_runs_that_share_an_executor_do_not_meet(thread: ThreadPoolExecutor) -> None:
    configs: list[RunConfig] = [SMALL.changed(seed=i) for i in range(3)]
    runs = [Run(config, thread) for config in configs]
    for run in runs:
        run.step(6)
    for run, config in zip(runs, configs, strict=True):
        assert same(settled(run), advance(start(config), 6))


# ---------------------------------------------------------------------- what waits


class Waiting(Executor):
    """An executor that never begins anything."""

    def __init__(self) -> None:
        self.futures: list[Future[Piece]] = []

    def submit(self, function: Callable[..., Piece], /, *arguments: Any) -> Future[Piece]:  # type: ignore[override]
        self.futures.append(Future())
        return self.futures[-1]


def test_a_reset_takes_back_work_that_has_not_begun() -> None:
    executor = Waiting()
    run = Run(RunConfig(), executor)
    for seed in range(5):
        run.reset(RunConfig(seed=seed))
    assert [future.cancelled() for future in executor.futures] == [True] * 5 + [False]
    run.close()
    assert executor.futures[-1].cancelled()


@pytest.mark.parametrize("steps", [0, -5])
def test_steps_that_lead_nowhere_are_refused(run: Run, steps: int) -> None:
    with pytest.raises(ValueError, match=f"Expected at least 1 step, got {steps}"):
        run.step(steps)
    assert run.view().status == "ready"


def test_a_loss_that_is_not_finite_from_the_start_is_told(run: Run, hand: ByHand) -> None:
    run.reset()
    hand.finish(nll=float("inf"))
    assert "not a finite number" in run.view().trouble
    assert run.view().best_step is None
