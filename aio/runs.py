"""A run that is driven: play, pause, step, reset, on any executor, with the newest snapshot always at hand.

The caller never waits for a training step. Work is handed to a `concurrent.futures.Executor` in pieces of a
fraction of a second; each piece is `work`, a pure function of a state, so that the executor may be a thread or
another process.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Any, Literal

from aio.config import RunConfig
from aio.dataset import OwnData
from aio.snapshot import Snapshot, snapshot
from aio.training import TrainState, advance, start

__all__ = ["Piece", "Run", "RunView", "Status", "begin", "work"]

log = logging.getLogger(__name__)

Status = Literal["starting", "ready", "playing", "stopped", "failed"]

PIECE_SECONDS = 0.05  # of training, between two snapshots, which cost nearly as much
MAX_STEPS = 2_000  # in one piece
UNSEEN_SECONDS = 1.0  # a snapshot that nobody has looked at is replaced no more often than this
SMOOTHING = 0.3  # weight of the newest piece in the speed that is shown
# A held-out NLL this far above the best, in nats, is a run that has come apart rather than noise.
APART_NATS = 1.0
RECENT_POINTS = 20  # of the training curve, whose mean is compared with the held-out NLL


@dataclass(frozen=True)
class Piece:
    """What one piece of work made."""

    state: TrainState
    snapshot: Snapshot | None
    steps: int
    seconds: float
    """Of training alone."""


def begin(config: RunConfig, data: OwnData | None) -> Piece:
    """A fresh run, at step 0."""
    state = start(config, data)
    return Piece(state, snapshot(state), 0, 0.0)


def work(state: TrainState, steps: int, look: bool) -> Piece:
    """Train for some steps, then take a snapshot if `look`."""
    started = time.perf_counter()
    reached = advance(state, steps)
    seconds = time.perf_counter() - started
    return Piece(reached, snapshot(reached) if look or reached.stopped else None, reached.step - state.step, seconds)


def redirect(state: TrainState, data: OwnData) -> Piece:
    """Go on from a state with other points."""
    return work(state.with_data(data), 0, look=True)


@dataclass(frozen=True)
class RunView:
    """What a page needs to know of a run, at one moment."""

    status: Status
    config: RunConfig
    busy: bool
    """Whether work is under way: a newer snapshot will come."""
    snapshot: Snapshot | None
    """The newest; after a reset the last of the run before, until the new one has started. None before the first."""
    steps_per_second: float | None
    """Of training; None until a piece was timed."""
    best_step: int | None
    """The step with the lowest held-out NLL seen so far."""
    trouble: str | None
    """What went wrong, as a sentence with its mend; None while all is well."""


class Run:
    """One training run and the controls that drive it. Safe to use from several threads.

    Args:
        config: the settings to start from.
        executor: where the work is done.
        data: the visitor's own points, (N, 2), or density, where the settings name no target.
    """

    def __init__(self, config: RunConfig, executor: Executor, data: OwnData | None = None) -> None:
        self._executor = executor
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._generation = 0
        self._pending: Future[Piece] | None = None
        self._snapshot: Snapshot | None = None
        self.reset(config, data)

    # ------------------------------------------------------------------ controls

    def play(self) -> None:
        """Train until paused."""
        with self._lock:
            self._wanted_steps = None
            self._go_on()

    def pause(self) -> None:
        """Stop after the piece of work under way."""
        with self._lock:
            self._wanted_steps = 0

    def step(self, steps: int) -> None:
        """Train for so many further steps, at least 1, then pause."""
        if steps < 1:
            raise ValueError(f"Expected at least 1 step, got {steps}. To go back, use reset or back_to_best.")
        with self._lock:
            # After a pause, or while playing, the piece under way is not among the steps asked for.
            self._wanted_steps = (self._wanted_steps or self._under_way) + steps
            self._go_on()

    def reset(self, config: RunConfig | None = None, data: OwnData | None = None) -> None:
        """Start afresh at step 0, with other settings if given. Work under way is thrown away."""
        with self._lock:
            self._supersede()
            if config is not None:
                self._config, self._data = config, data
            self._state: TrainState | None = None
            self._best: TrainState | None = None
            self._best_nll = float("inf")
            self._seen = self._watched = True  # whether the newest picture was seen, and the one before it
            self._looked_at = 0.0
            self._wanted_steps: int | None = 0
            self._seconds_per_step: float | None = None
            self._failure: str | None = None
            self._busy = False
            self._submit(begin, self._config, self._data)

    def set_training(self, **changes: Any) -> None:
        """Change training settings from the next piece of work on, without a reset."""
        with self._lock:
            training = self._config.training.changed(**changes)
            self._config = self._config.changed(training=training)
            if self._state is not None:
                self._state = self._state.with_training(**changes)
                if self._snapshot is not None:
                    self._snapshot = replace(self._snapshot, stopped=None)

    def set_data(self, data: OwnData) -> None:
        """Go on with other points of the visitor's own, without a reset.

        What was the best so far was the best at something else, and is forgotten.
        """
        with self._lock:
            self._data = data
            self._config = self._config.changed(data=self._config.data.changed(target=None))
            if self._state is None:
                wanted = self._wanted_steps
                self.reset(self._config, data)
                self._wanted_steps = wanted
                return
            self._supersede()
            self._best, self._best_nll = None, float("inf")
            self._submit(redirect, self._state, data)

    def back_to_best(self) -> None:
        """Return to the state with the lowest held-out NLL so far, and pause there."""
        with self._lock:
            if self._best is None:
                return
            self._supersede()
            self._wanted_steps = 0
            best = replace(self._best, config=self._config, stopped=None)
            self._state, self._best, self._best_nll = best, None, float("inf")
            self._submit(work, best, 0, True)

    def close(self) -> None:
        """Drop the run: nothing further is computed for it."""
        with self._lock:
            self._supersede()
            self._wanted_steps = 0
            self._idle.notify_all()

    # ------------------------------------------------------------------ reading

    @property
    def config(self) -> RunConfig:
        """The settings of the run as it is now."""
        return self._config

    @property
    def state(self) -> TrainState | None:
        """The newest state; None until the run has started."""
        return self._state

    @property
    def untouched(self) -> bool:
        """Whether nothing was trained yet and nothing is asked for: a reset would lose nothing."""
        with self._lock:
            return self._wanted_steps == 0 and (self._state is None or self._state.step == 0)

    def view(self) -> RunView:
        """The newest of everything, without waiting."""
        with self._lock:
            self._seen = True
            return RunView(
                status=self._status(),
                busy=self._busy,
                config=self._config,
                snapshot=self._snapshot,
                steps_per_second=None if self._seconds_per_step is None else 1 / self._seconds_per_step,
                best_step=None if self._best is None else self._best.step,
                trouble=self._trouble(),
            )

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is under way; for scripts and tests. Returns whether that was reached in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._busy, timeout)

    # ------------------------------------------------------------------ the drive

    def _status(self) -> Status:
        if self._failure:
            return "failed"
        if self._state is None:
            return "starting"
        if self._state.stopped:
            return "stopped"
        return "playing" if self._wanted_steps != 0 else "ready"

    def _trouble(self) -> str | None:
        if self._failure:
            return self._failure
        if self._state is None or self._snapshot is None:
            return None
        if self._state.stopped:
            return self._state.stopped
        nll = self._snapshot.evaluation.nll
        if not math.isfinite(nll) and self._best is None:
            return f"The held-out NLL is {nll:g}, not a finite number. Lower the clamp α or Ψ at the start, and reset."
        if nll <= self._best_nll + APART_NATS or self._best is None:
            return None
        fact = f"The held-out NLL, {nll:.3g} nats, has left its best, {self._best_nll:.3g} at step {self._best.step:,}."
        recent = self._snapshot.train_curve[1][-RECENT_POINTS:]
        if len(recent) and float(recent.mean()) < nll - APART_NATS:
            return f"{fact} The training NLL has not: the flow has learned its points by heart. Take more points."
        return f"{fact} The steps are too large: lower the learning rate."

    def _go_on(self) -> None:
        """Hand out the next piece, if one is wanted and none is under way."""
        if self._busy or self._failure or self._state is None:
            return
        if self._state.stopped:
            self._wanted_steps = 0
        if self._wanted_steps == 0:
            if self._snapshot is None or self._snapshot.step != self._state.step:
                self._submit(work, self._state, 0, True)  # a run at rest is seen where it stands
            return
        pace = self._seconds_per_step
        steps = 1 if pace is None else max(1, min(MAX_STEPS, round(PIECE_SECONDS / pace)))
        last = False
        if self._wanted_steps is not None:
            steps = min(steps, self._wanted_steps)
            last = steps == self._wanted_steps
        # The picture that has just come cannot have been seen yet: that the one before it was, is enough.
        look = last or self._seen or self._watched or time.monotonic() - self._looked_at > UNSEEN_SECONDS
        self._submit(work, self._state, steps, look, under_way=steps)

    def _submit(self, function: Callable[..., Piece], *arguments: Any, under_way: int = 0) -> None:
        self._busy, self._under_way = True, under_way
        generation = self._generation
        try:
            future = self._executor.submit(function, *arguments)
        except RuntimeError as error:  # the executor was shut down, or its process has died
            self._fail(error)
            return
        self._pending = future
        future.add_done_callback(lambda done: self._take(done, generation))

    def _supersede(self) -> None:
        """Throw away work under way: take it back if it has not begun, and never look at its result."""
        self._generation += 1
        self._busy = False
        if self._pending is not None:
            self._pending.cancel()

    def _take(self, future: Future[Piece], generation: int) -> None:
        with self._lock:
            if generation != self._generation or future.cancelled():
                return
            self._busy, self._under_way = False, 0
            try:
                piece = future.result()
            except Exception as error:
                self._fail(error)
                return
            self._install(piece)
            self._go_on()
            if not self._busy:
                self._idle.notify_all()

    def _fail(self, error: Exception) -> None:
        log.error("A piece of training failed.", exc_info=error)
        self._failure = "Training failed, and the server's log says why. Reset to start afresh."
        self._busy = False
        self._idle.notify_all()

    def _install(self, piece: Piece) -> None:
        # Settings changed while the piece was under way hold from here on.
        changed = piece.state.config.training != self._config.training
        state = replace(piece.state, config=self._config)
        self._state = replace(state, stopped=None) if changed else state
        if piece.steps:
            per_step = piece.seconds / piece.steps
            pace = self._seconds_per_step
            self._seconds_per_step = per_step if pace is None else (1 - SMOOTHING) * pace + SMOOTHING * per_step
        if self._wanted_steps is not None:
            self._wanted_steps = max(0, self._wanted_steps - piece.steps)
        if piece.snapshot is not None:
            self._snapshot = piece.snapshot
            self._seen, self._watched = False, self._seen
            self._looked_at = time.monotonic()
            nll = piece.snapshot.evaluation.nll
            if math.isfinite(nll) and nll <= self._best_nll:
                self._best, self._best_nll = self._state, nll
        if self._state.stopped:
            self._wanted_steps = 0
