"""Training as a function: `advance(state, steps) -> state`.

A `TrainState` is everything a run is. It is never modified: the same state and number of steps give the same new
state, however the steps are split between calls. Pause, step, rewind, checkpoints and a run on another machine
are all this one function.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from aio.config import RunConfig, TrainingConfig
from aio.curves import Curve
from aio.dataset import Dataset, OwnData, Stream, own_dataset, stream_of, target_dataset
from aio.flow import Flow, build

__all__ = [
    "Dataset",
    "Evaluation",
    "TrainState",
    "advance",
    "averaging_decay",
    "evaluate",
    "flow_of",
    "learning_rate",
    "measured",
    "start",
]

EVALUATE_EVERY = 20  # steps between points of the held-out curve: under a tenth of the time of training
ADAM_BETAS = (0.9, 0.99)  # a second moment that forgets in 100 steps follows a learning rate that still changes
ROUND_TRIP_POINTS = 200
KEPT_MODULES = 8  # a thread that serves several sessions alternates between their flows


@dataclass(frozen=True)
class TrainState:
    """Everything a run is, at one step. Picklable; a value."""

    config: RunConfig
    step: int
    weights: dict[str, Tensor]
    """The flow's state dict, as the optimiser left it."""
    average: dict[str, Tensor]
    """The running average of the trained weights, by name: what is shown, evaluated and saved."""
    moments: dict[int, dict[str, Any]]
    """Adam's moments, by parameter number."""
    batches: Tensor
    """State of the generator that draws the batches."""
    train_nll: Curve
    """Negative log-likelihood of each step's batch, nats; index i is step i + 1."""
    held_out_nll: Curve
    """The same of the held-out points; index i is step i · EVALUATE_EVERY."""
    own_data: Dataset | None = None
    """The visitor's own points or density; None where the settings name a target."""
    stopped: str | None = None
    """Why the run cannot go on from here, as a sentence with its mend; None while it can."""

    def with_training(self, **changes: Any) -> TrainState:
        """The state with other training settings, from this step on; takes away what stopped it."""
        training = self.config.training.changed(**changes)
        return replace(self, config=self.config.changed(training=training), stopped=None)

    def with_data(self, data: OwnData) -> TrainState:
        """The state with other points of the visitor's own, from this step on; takes away what stopped it.

        Weights, moments and curves go on. The held-out curve steps where the points change.
        """
        settings = self.config.data.changed(target=None)
        own_data = own_dataset(data, settings.points, self.config.seed)
        return replace(self, config=self.config.changed(data=settings), own_data=own_data, stopped=None)

    def dataset(self) -> Dataset:
        """The points of this run."""
        return self.own_data or target_dataset(self.config.data, self.config.seed)


@dataclass(frozen=True)
class Evaluation:
    """A flow measured on points it was not trained on. Nats per point; None where the truth is unknown."""

    nll: float
    nll_stderr: float
    entropy: float | None
    kl: float | None
    """KL(p‖q) from paired differences log p − log q: the same expectation as NLL − H(p), with far less noise."""
    kl_stderr: float | None
    round_trip_error: float
    """Largest distance between one of the first points and what comes back from latent space, in the data's units."""


def start(config: RunConfig, data: OwnData | None = None) -> TrainState:
    """The state at step 0: a fresh flow, nothing learned.

    Args:
        config: the settings of the run.
        data: needed exactly where config.data.target is None. The visitor's own points, (N, 2), finite, at least 20,
            of which a fifth, at most HELD_OUT, is held out; or a density of their own, which is sampled.

    Raises:
        ValueError: where data is missing, superfluous or unusable.

    Example:
        >>> state = advance(start(RunConfig()), 2)
        >>> state.step, len(state.train_nll.points)
        (2, 2)
    """
    if (data is None) != (config.data.target is not None):
        raise ValueError(
            "Expected either a target in the settings or data, not both and not neither. "
            "Set config.data.target to None to train on data."
        )
    own_data = None if data is None else own_dataset(data, config.data.points, config.seed)
    state = TrainState(
        config=config,
        step=0,
        weights={},
        average={},
        moments={},
        batches=stream_of(config.seed, Stream.BATCHES).get_state(),
        train_nll=Curve(),
        held_out_nll=Curve(),
        own_data=own_data,
    )
    points = state.dataset().train.double()
    flow = build(config.flow, stream_of(config.seed, Stream.FLOW), points.mean(0), points.std(0))
    first = _held_out_nll(flow, state.dataset())
    return replace(
        state,
        weights=_cloned(flow.state_dict()),
        average=_cloned(dict(flow.named_parameters())),
        held_out_nll=Curve().extended([first]),
    )


def flow_of(state: TrainState, *, averaged: bool = True, shared: bool = False) -> Flow:
    """The flow as trained so far.

    Args:
        state: the run.
        averaged: take the running average of the weights; else the weights as the optimiser left them.
        shared: give this thread's own module, which the next call in this thread overwrites, to be looked at and let
            go. Else a fresh module that shares nothing with anything.
    """
    flow = _loaded(state, averaged=averaged)
    return flow if shared else copy.deepcopy(flow)


def learning_rate(step: int, training: TrainingConfig) -> float:
    """Adam's step size for step number `step`, counted from 0.

    It rises linearly over `warmup` steps. Then it is constant; or falls as 1/√(1 + 3 step / horizon), which halves
    it at the horizon and never ends; or as half a cosine that reaches 0 at the horizon.

    >>> training = TrainingConfig(learning_rate=0.01, warmup=0, schedule="inverse_sqrt", horizon=1000)
    >>> learning_rate(1000, training)
    0.005
    """
    peak = training.learning_rate * min(1.0, (step + 1) / max(1, training.warmup))
    if training.schedule == "inverse_sqrt":
        return peak / math.sqrt(1 + 3 * step / training.horizon)
    if training.schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, step / training.horizon)))
    return peak


def averaging_decay(step: int, training: TrainingConfig) -> float:
    """How much of the average stays at step number `step`, counted from 0.

    It grows from 0.1 towards `averaging`, so that the average soon forgets the untrained flow.
    """
    return min(training.averaging, (1 + step) / (10 + step))


def advance(state: TrainState, steps: int) -> TrainState:
    """Train for `steps` further steps of Adam on the negative log-likelihood, in nats, in the units of the data.

    A step after which the loss or its gradient is no longer finite is undone: the state before it is returned, with
    `stopped` saying why. A state that is stopped is returned as it is.

    Args:
        state: where to go on from; it is not modified.
        steps: how many steps, 0 or more.

    Returns:
        The state `steps` steps later, or at the last good step before that.
    """
    if steps < 0:
        raise ValueError(f"Expected steps >= 0, got {steps}. To go back, keep an earlier state.")
    if state.stopped or not steps:
        return state
    done, reached = _run(state, steps)
    if done == steps:
        return reached
    # Replaying to the step before the failure is exact, and cheaper than a copy of everything at every step.
    last_good = _run(state, done, check_last=False)[1] if done else state
    return replace(last_good, stopped=_why(last_good))


def _run(state: TrainState, steps: int, check_last: bool = True) -> tuple[int, TrainState]:
    """Take `steps` steps; returns how many of them are good, and the state after them if all are."""
    config = state.config.training
    data = state.dataset()
    flow, shown = _loaded(state, averaged=False), _loaded(state, averaged=True)
    parameters, averages = list(flow.parameters()), [p.detach() for p in shown.parameters()]
    optimiser = torch.optim.Adam(parameters, betas=ADAM_BETAS, weight_decay=config.weight_decay, fused=True)
    if state.moments:
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": _cloned(state.moments), "param_groups": groups})
    batches = torch.Generator()
    batches.set_state(state.batches)
    train_nll, held_out_nll = [], []

    for i in range(steps):
        at = state.step + i
        value = _batch_gradient(flow, data, config, batches)
        if value is None:
            return max(0, i - 1), state  # the step before this one led here
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(at, config)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - averaging_decay(at, config))
        train_nll.append(value)
        if (at + 1) % EVALUATE_EVERY == 0:
            held_out_nll.append(_held_out_nll(shown, data))

    batches_after = batches.get_state()
    # The next step's batch tells whether the last step was good, as it would in a longer run.
    if check_last and _batch_gradient(flow, data, config, batches) is None:
        return steps - 1, state
    return steps, replace(
        state,
        step=state.step + steps,
        weights=_cloned(flow.state_dict()),
        average=_cloned(dict(shown.named_parameters())),
        moments=_cloned(optimiser.state_dict()["state"]),
        batches=batches_after,
        train_nll=state.train_nll.extended(train_nll),
        held_out_nll=state.held_out_nll.extended(held_out_nll),
    )


def evaluate(state: TrainState, points: int | None = None) -> Evaluation:
    """Measure the flow on held-out points.

    Args:
        state: the run.
        points: how many fresh points of the target to draw; None takes the run's own held-out points, and so does
            a run on points whose density is unknown.
    """
    data = state.dataset()
    target = data.target
    x, log_p = data.held_out, data.held_out_log_prob
    if points is not None and target is not None:
        x = target.sample(points, stream_of(state.config.seed, Stream.EVALUATION), torch.float64)
        log_p = target.log_prob(x)
    flow = flow_of(state, shared=True)
    with torch.inference_mode():
        z, log_det = flow(x)
        back = flow.inverse(z[:ROUND_TRIP_POINTS])[0]
    return measured(flow.base.log_prob(z) + log_det, log_p, data.entropy, back, x)


def measured(log_q: Tensor, log_p: Tensor | None, entropy: float | None, back: Tensor, points: Tensor) -> Evaluation:
    """An evaluation from what a flow made of held-out points.

    Args:
        log_q: the flow's log density of the points, (M,), nats.
        log_p: the truth's, (M,); None where it is unknown.
        entropy: H(p), nats; None where it is unknown.
        back: the first points, carried to latent space and back, (R, 2).
        points: the points, (M, 2).
    """
    log_q = log_q.double()
    nll, nll_stderr = _mean_and_stderr(-log_q)
    kl = kl_stderr = None
    if log_p is not None:
        kl, kl_stderr = _mean_and_stderr(log_p - log_q)
    round_trip_error = (back - points[: len(back)]).norm(dim=1).max().item()
    return Evaluation(nll, nll_stderr, entropy, kl, kl_stderr, round_trip_error)


_modules = threading.local()


def _loaded(state: TrainState, *, averaged: bool) -> Flow:
    """The flow of a state in a module that this thread uses again: building one costs as much as a step."""
    key = (state.config.flow, averaged)
    mine: dict[Any, Flow] = _modules.__dict__
    if key not in mine:
        while len(mine) >= KEPT_MODULES:
            del mine[next(iter(mine))]
        mine[key] = build(state.config.flow, 0)
    mine[key].load_state_dict(state.weights | (state.average if averaged else {}))
    return mine[key]


def _batch_gradient(flow: Flow, data: Dataset, config: TrainingConfig, batches: torch.Generator) -> float | None:
    """Leave the clipped gradient of the next batch in the flow; its loss, or None where either is not finite."""
    index = torch.randint(len(data.train), (config.batch_size,), generator=batches)
    loss = -flow.log_prob(data.train[index]).mean()
    flow.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(flow.parameters(), config.clip_norm)
    return loss.item() if math.isfinite(loss.item()) and math.isfinite(norm.item()) else None


def _held_out_nll(flow: Flow, data: Dataset) -> float:
    with torch.no_grad():
        return -flow.log_prob(data.held_out).mean().item()


def _why(state: TrainState) -> str:
    training = state.config.training
    rate = learning_rate(state.step, training)
    if state.step == 0 and not math.isfinite(_held_out_nll(_loaded(state, averaged=False), state.dataset())):
        return (
            "The flow's loss is not finite even before training. Lower the clamp α or the number of blocks, and reset."
        )
    return (
        f"Step {state.step + 1:,} was undone: after it the loss or its gradient was no longer finite. The learning "
        f"rate was {rate:.2g} and the gradient was clipped at a norm of {training.clip_norm:g}. Lower either, or the "
        "clamp α, and train on."
    )


def _mean_and_stderr(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), (values.std() / math.sqrt(len(values))).item()


def _cloned(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _cloned(value) for key, value in tree.items()}
    return tree.detach().clone() if isinstance(tree, Tensor) else tree
