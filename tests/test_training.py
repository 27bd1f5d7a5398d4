"""Training is a function: the same state gives the same state, and what it computes is what Adam would have."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from aio.config import BlockConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig, TrainingConfig
from aio.dataset import HELD_OUT
from aio.flow import build
from aio.training import (
    EVALUATE_EVERY,
    TrainState,
    advance,
    averaging_decay,
    evaluate,
    flow_of,
    learning_rate,
    start,
)
from tests.reference import FreiaBlock

SMALL = RunConfig(
    data=DataConfig(target="eight_gaussians", points=500),
    flow=FlowConfig(blocks=2, subnet=SubnetConfig(width=8, depth=1)),
    training=TrainingConfig(batch_size=32, warmup=5, horizon=100),
)
OWN = SMALL.changed(data=DataConfig(target=None))
OTHER = SMALL.changed_at(("flow", "block", "householder"), 1).changed(seed=9)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal to the last bit, all the way down."""
    if type(a) is not type(b):
        return False
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


def own_points(n: int = 300, seed: int = 0) -> Tensor:
    """Points of one's own, a bent cloud."""
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([2 * z[:, 0], 0.5 * z[:, 1] + z[:, 0].square() - 3], dim=1)


@pytest.fixture(scope="module")
def trained() -> TrainState:
    """A small run after 30 steps."""
    return advance(start(SMALL), 30)


# ---------------------------------------------------------------------- a function


@pytest.mark.parametrize(
    "pieces", [[1, 2, 3, 39], [20, 20, 5], [19, 1, 1, 19, 5], [45, 0], [1] * 45], ids=lambda p: f"{len(p)}-pieces"
)
@pytest.mark.parametrize("config", [SMALL, OTHER], ids=["soft", "householder"])
def test_a_run_does_not_depend_on_how_its_steps_are_split(config: RunConfig, pieces: list[int]) -> None:
    assert sum(pieces) == 45 > 2 * EVALUATE_EVERY
    state = start(config)
    for steps in pieces:
        state = advance(state, steps)
    assert same(state, advance(start(config), 45))
    assert state.step == 45
    assert len(state.train_nll.points) == 45
    assert len(state.held_out_nll.points) == 1 + 45 // EVALUATE_EVERY


def test_advance_leaves_its_input_as_it_was() -> None:
    for state in (start(SMALL), advance(start(SMALL), 3), start(OWN, own_points())):
        before, points = copy.deepcopy(state), state.dataset().train.clone()
        after = advance(state, 3)
        assert same(state, before)
        assert torch.equal(state.dataset().train, points)
        assert not same(after.weights, before.weights)


def test_a_state_shares_no_memory_with_its_successor() -> None:
    first = advance(start(SMALL), 1)
    second = advance(first, 1)
    third = copy.deepcopy(second)
    for tree in (first.weights, first.average, *first.moments.values()):
        for tensor in tree.values():
            tensor.fill_(7.0)
    assert same(second, third)


def test_no_steps_change_nothing_and_steps_back_are_refused(trained: TrainState) -> None:
    assert same(advance(trained, 0), trained)
    with pytest.raises(ValueError, match=r"Expected steps >= 0, got -1\. To go back, keep an earlier state\."):
        advance(trained, -1)


def test_the_same_settings_and_seed_give_the_same_run(trained: TrainState) -> None:
    torch.manual_seed(123)  # the global generator has no say
    assert same(advance(start(SMALL), 30), trained)
    other = advance(start(SMALL.changed(seed=1)), 30)
    assert not torch.equal(other.dataset().train, trained.dataset().train)
    assert not torch.equal(other.weights["blocks.0.subnet.0.weight"], trained.weights["blocks.0.subnet.0.weight"])
    assert not torch.equal(other.batches, trained.batches)


def test_training_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    evaluate(advance(start(SMALL), 2), 50)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pickled_run_goes_on_as_if_nothing_had_happened(trained: TrainState) -> None:
    again = pickle.loads(pickle.dumps(trained))
    assert same(again, trained)
    assert same(advance(again, 15), advance(trained, 15))


def test_runs_in_several_threads_do_not_meet() -> None:
    configs = [SMALL.changed(seed=i) for i in range(2)] + [OTHER]
    alone = [advance(start(config), 10) for config in configs]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda config: advance(start(config), 10), configs))
    assert all(map(same, alone, together))


def test_runs_that_take_turns_in_one_thread_do_not_meet() -> None:
    """Modules are kept between calls, fewer than there are flows here."""
    configs = [SMALL.changed_at(("flow", "block", "clamp"), 1 + i / 10) for i in range(6)]
    states = [start(config) for config in configs]
    for _ in range(3):
        states = [advance(state, 2) for state in states]
    assert all(same(state, advance(start(config), 6)) for state, config in zip(states, configs, strict=True))


def test_settings_that_differ_in_training_alone_start_alike() -> None:
    first, second = start(SMALL), start(SMALL.changed_at(("training", "learning_rate"), 0.5))
    assert same(first, dataclasses.replace(second, config=SMALL))


# ---------------------------------------------------------------------- against a plain loop on FrEIA's blocks


def freia_loop(state: TrainState, steps: int) -> dict[str, Any]:
    """Maximum likelihood on FrEIA 0.2's blocks, as its documentation has it, from a state of step 0."""
    config, block = state.config.training, state.config.flow.block
    data = state.dataset()
    loc, scale = data.train.double().mean(0).float(), data.train.double().std(0).float()

    def subnet(channels_in: int, channels_out: int) -> nn.Module:
        width = state.config.flow.subnet.width
        return nn.Sequential(nn.Linear(channels_in, width), nn.ReLU(), nn.Linear(width, channels_out))

    blocks = nn.ModuleList(
        FreiaBlock([(2,)], subnet_constructor=subnet, affine_clamping=block.clamp, permute_soft=True)
        for _ in range(state.config.flow.blocks)
    )
    blocks.load_state_dict({k.removeprefix("blocks."): v for k, v in state.weights.items() if k.startswith("blocks.")})
    parameters = {f"blocks.{name}": p for name, p in blocks.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone() for name, p in parameters.items()}

    def mean_nll(x: Tensor) -> Tensor:
        z, log_det = (x - loc) / scale, -scale.log().sum()
        for b in blocks:
            (z,), block_log_det = b((z,))
            log_det = log_det + block_log_det
        return -(torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + log_det).mean()

    def mean_nll_of_average() -> float:
        kept = {name: p.detach().clone() for name, p in parameters.items()}
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(average[name])
            value = mean_nll(data.held_out).item()
            for name, p in parameters.items():
                p.copy_(kept[name])
        return value

    batches = torch.Generator()
    batches.set_state(state.batches)
    adam = torch.optim.Adam(
        parameters.values(), betas=(0.9, 0.99), weight_decay=config.weight_decay, foreach=False, fused=False
    )
    train_nll, held_out_nll = [], [mean_nll_of_average()]
    for step in range(steps):
        rate = config.learning_rate * min(1, (step + 1) / config.warmup)
        if config.schedule == "inverse_sqrt":
            rate *= (1 + 3 * step / config.horizon) ** -0.5
        elif config.schedule == "cosine":
            rate *= (1 + math.cos(math.pi * step / config.horizon)) / 2
        adam.param_groups[0]["lr"] = rate
        loss = mean_nll(data.train[torch.randint(len(data.train), (config.batch_size,), generator=batches)])
        adam.zero_grad()
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in parameters.values()]).norm()
        if norm > config.clip_norm:
            for p in parameters.values():
                p.grad.mul_(config.clip_norm / norm)
        adam.step()
        remembered = min(config.averaging, (1 + step) / (10 + step))
        for name, p in parameters.items():
            average[name] = remembered * average[name] + (1 - remembered) * p.detach()
        train_nll.append(loss.item())
        if (step + 1) % 20 == 0:
            held_out_nll.append(mean_nll_of_average())
    return {
        "weights": {name: p.detach() for name, p in parameters.items()},
        "average": average,
        "train_nll": np.array(train_nll),
        "held_out_nll": np.array(held_out_nll),
    }


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"schedule": "constant", "weight_decay": 0.03},
        {"schedule": "cosine", "horizon": 60, "averaging": 0.0},
        {"clip_norm": 0.05, "averaging": 0.5, "learning_rate": 0.03},
    ],
    ids=lambda t: "-".join(t) or "default",
)
def test_training_is_adam_on_freias_blocks(training: dict[str, Any]) -> None:
    first = start(SMALL.changed(training=SMALL.training.changed(**training)))
    expected, state = freia_loop(first, 42), advance(first, 42)
    np.testing.assert_allclose(state.train_nll.points, expected["train_nll"], atol=2e-5)
    np.testing.assert_allclose(state.held_out_nll.points, expected["held_out_nll"], atol=2e-5)
    assert expected["train_nll"][0] - expected["train_nll"][-5:].mean() > 0.05  # it learned
    for name, weight in expected["weights"].items():
        torch.testing.assert_close(state.weights[name], weight, atol=2e-5, rtol=0)
        torch.testing.assert_close(state.average[name], expected["average"][name], atol=2e-5, rtol=0)


def test_the_curves_are_those_of_the_states_on_the_way() -> None:
    state = start(SMALL)
    curve = [state]
    for _ in range(2):
        state = advance(state, EVALUATE_EVERY)
        curve.append(state)
    for i, then in enumerate(curve):
        nll = -flow_of(then).log_prob(then.dataset().held_out).mean().item()
        assert state.held_out_nll.points[i] == pytest.approx(nll, abs=1e-6)
        assert evaluate(then).nll == pytest.approx(nll, abs=1e-5)
    assert state.held_out_nll.last_index.tolist() == [0, 1, 2]
    assert state.train_nll.last_index.tolist() == list(range(2 * EVALUATE_EVERY))


# ---------------------------------------------------------------------- Adam's settings


@pytest.mark.parametrize(
    ("schedule", "warmup", "step", "share"),
    [
        ("constant", 0, 0, 1.0), ("constant", 0, 10_000, 1.0),
        ("constant", 4, 0, 0.25), ("constant", 4, 1, 0.5), ("constant", 4, 3, 1.0), ("constant", 4, 4, 1.0),
        ("constant", 1, 0, 1.0),
        ("inverse_sqrt", 0, 0, 1.0), ("inverse_sqrt", 0, 200, 0.5), ("inverse_sqrt", 0, 1000, 0.25),
        ("inverse_sqrt", 400, 199, 0.5 / math.sqrt(1 + 3 * 199 / 200)),
        ("cosine", 0, 0, 1.0), ("cosine", 0, 50, (2 + math.sqrt(2)) / 4), ("cosine", 0, 100, 0.5),
        ("cosine", 0, 200, 0.0), ("cosine", 0, 201, 0.0), ("cosine", 0, 10_000, 0.0), ("cosine", 400, 99, 0.25 *
         0.5 * (1 + math.cos(math.pi * 99 / 200))),
    ],
)  # fmt: skip
def test_the_learning_rate_follows_its_schedule(schedule: str, warmup: int, step: int, share: float) -> None:
    training = TrainingConfig(learning_rate=0.04, schedule=schedule, warmup=warmup, horizon=200)
    assert learning_rate(step, training) == pytest.approx(0.04 * share, abs=1e-15)


def test_the_cosine_is_torchs() -> None:
    training = TrainingConfig(learning_rate=0.04, schedule="cosine", warmup=0, horizon=30)
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=0.04)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=30)
    for step in range(31):
        assert learning_rate(step, training) == pytest.approx(adam.param_groups[0]["lr"], abs=1e-12)
        adam.step()
        scheduler.step()


def test_a_learning_rate_of_0_moves_nothing() -> None:
    done = TrainingConfig(schedule="cosine", warmup=0, horizon=10, batch_size=32)
    at_the_end = advance(start(SMALL.changed(training=done)), 10)
    later = advance(at_the_end, 3)
    assert same(later.weights, at_the_end.weights)
    assert later.step == 13


def test_the_average_forgets_the_start_and_ends_at_its_decay() -> None:
    training = TrainingConfig(averaging=0.95)
    assert [averaging_decay(step, training) for step in (0, 8, 80)] == [0.1, 0.5, 0.9]
    assert averaging_decay(170, training) == averaging_decay(10**6, training) == 0.95
    assert averaging_decay(10**6, TrainingConfig(averaging=0.0)) == 0


def test_without_averaging_the_weights_are_shown_as_they_are() -> None:
    state = advance(start(SMALL.changed_at(("training", "averaging"), 0.0)), 7)
    assert all(torch.equal(state.average[name], state.weights[name]) for name in state.average)
    assert state.average.keys() == dict(flow_of(state).named_parameters()).keys()


def test_the_average_lags_behind_the_weights(trained: TrainState) -> None:
    first = start(SMALL).average
    moved = sum((trained.weights[n] - first[n]).square().sum() for n in first)
    averaged = sum((trained.average[n] - first[n]).square().sum() for n in first)
    assert 0 < averaged < moved


def test_weight_decay_pulls_the_weights_to_0() -> None:
    plain, pulled = (
        advance(start(SMALL.changed_at(("training", "weight_decay"), decay)), 60).weights for decay in (0.0, 1.0)
    )
    weights = [name for name in plain if name.endswith("weight")]
    assert len(weights) == 4
    norms = [torch.cat([w[name].flatten() for name in weights]).norm() for w in (plain, pulled)]
    assert norms[1] < 0.7 * norms[0]


def test_clipping_bounds_the_gradient_that_adam_sees() -> None:
    """Adam's first moment is a mean of clipped gradients: its norm is at most theirs."""
    norms = []
    for clip in (0.01, 1e6):
        moments = advance(start(SMALL.changed_at(("training", "clip_norm"), clip)), 20).moments
        norms.append(torch.cat([m["exp_avg"].flatten() for m in moments.values()]).norm().item())
    assert norms[0] <= 0.01 * (1 - 0.9**20) + 1e-8
    assert norms[1] > 0.1


def test_other_training_settings_hold_from_the_next_step_on(trained: TrainState) -> None:
    slower = trained.with_training(learning_rate=1e-6, schedule="constant")
    assert slower.config.training == trained.config.training.changed(learning_rate=1e-6, schedule="constant")
    assert same(dataclasses.replace(slower, config=trained.config), trained)
    assert trained.config == SMALL
    next_usual, next_slower = advance(trained, 1), advance(slower, 1)
    moved = [
        max((s.weights[n] - trained.weights[n]).abs().max() for n in trained.average) for s in (next_usual, next_slower)
    ]
    assert moved[1] < 1e-5 < 1e-3 < moved[0]
    assert next_usual.train_nll.points[-1] == next_slower.train_nll.points[-1]  # the same batch, the same weights
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        trained.with_training(learning_rate=2.0)


# ---------------------------------------------------------------------- a run that cannot go on


WILD = SMALL.changed(
    flow=FlowConfig(
        blocks=8,
        block=BlockConfig(clamp=10, global_affine_type="EXP", clamp_dialect="freia-main"),
        subnet=SubnetConfig(width=8, depth=1),
    ),
    training=TrainingConfig(batch_size=32, learning_rate=1e-4, schedule="constant", clip_norm=1e6),
)


@pytest.fixture(scope="module")
def before_divergence() -> TrainState:
    """A calm run that is then told to take steps far too large."""
    return advance(start(WILD), 18).with_training(learning_rate=1.0, warmup=0)


@pytest.fixture(scope="module")
def stopped(before_divergence: TrainState) -> TrainState:
    return advance(before_divergence, 100)


def test_a_step_into_the_infinite_is_undone(before_divergence: TrainState, stopped: TrainState) -> None:
    good = stopped.step - before_divergence.step
    assert 0 <= good < 100
    assert len(stopped.train_nll.points) == stopped.step
    assert np.isfinite(stopped.train_nll.points).all()
    for tree in (stopped.weights, stopped.average, *stopped.moments.values()):
        assert all(torch.isfinite(tensor).all() for tensor in tree.values())
    measured = evaluate(stopped)
    assert math.isfinite(measured.nll)
    assert math.isfinite(measured.kl)
    assert same(dataclasses.replace(stopped, stopped=None), advance(before_divergence, good))


def test_the_step_that_was_undone_does_lead_to_the_infinite(stopped: TrainState) -> None:
    """A plain step of Adam from the last good state ends where loss or gradient is not finite."""
    flow = flow_of(stopped, averaged=False)
    data, size = stopped.dataset().train, stopped.config.training.batch_size
    batches = torch.Generator()
    batches.set_state(stopped.batches)
    adam = torch.optim.Adam(flow.parameters(), lr=1.0, betas=(0.9, 0.99))
    adam.load_state_dict({**adam.state_dict(), "state": copy.deepcopy(stopped.moments)})
    finite = []
    for _ in range(2):
        loss = -flow.log_prob(data[torch.randint(len(data), (size,), generator=batches)]).mean()
        adam.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(flow.parameters(), 1e6)
        finite.append(math.isfinite(loss.item()) and math.isfinite(norm.item()))
        adam.step()
    assert finite == [True, False]


@pytest.mark.parametrize("pieces", [[1] * 12, [2] * 6, [3, 1, 7], [5, 100]], ids=str)
def test_a_run_stops_in_the_same_state_however_its_steps_were_split(
    before_divergence: TrainState, stopped: TrainState, pieces: list[int]
) -> None:
    state = before_divergence
    for steps in pieces:
        state = advance(state, steps)
    assert same(state, stopped)


def test_a_stopped_run_says_why_and_stays(stopped: TrainState) -> None:
    assert stopped.stopped == (
        f"Step {stopped.step + 1:,} was undone: after it the loss or its gradient was no longer finite. The learning "
        "rate was 1 and the gradient was clipped at a norm of 1e+06. Lower either, or the clamp α, and train on."
    )
    assert advance(stopped, 5) is stopped


def test_a_stopped_run_goes_on_with_other_settings(stopped: TrainState) -> None:
    calm = stopped.with_training(learning_rate=1e-6, clip_norm=0.01)
    assert calm.stopped is None
    after = advance(calm, 3)
    assert (after.step, after.stopped) == (stopped.step + 3, None)


def test_a_flow_without_a_finite_density_stops_before_its_first_step() -> None:
    overflowing = BlockConfig(clamp=10, global_affine_type="EXP", global_affine_init=20.0)
    state = advance(start(SMALL.changed(flow=FlowConfig(blocks=24, block=overflowing))), 5)
    assert state.step == 0
    assert state.stopped.startswith("The flow's loss is not finite even before training")


# ---------------------------------------------------------------------- the flow of a state


def test_a_flow_shares_nothing_with_the_state_it_comes_from(trained: TrainState) -> None:
    before = copy.deepcopy(trained)
    flow = flow_of(trained)
    assert all(p.grad is None and p.requires_grad for p in flow.parameters())
    with torch.no_grad():
        for tensor in flow.state_dict().values():
            tensor.fill_(3.0)
    assert same(trained, before)
    assert same(dict(flow_of(trained).state_dict()), trained.weights | trained.average)


def test_a_flow_stays_as_it_is_while_its_run_goes_on(trained: TrainState) -> None:
    x = trained.dataset().held_out
    flow, lent = flow_of(trained), flow_of(trained, shared=True)
    assert torch.equal(flow.log_prob(x), lent.log_prob(x))
    before = flow.log_prob(x).detach()
    later = advance(trained, 2)
    evaluate(later)
    assert torch.equal(flow.log_prob(x), before)
    assert not torch.equal(flow_of(later).log_prob(x), before)


def test_a_flow_is_shown_with_its_average_weights_or_as_it_is(trained: TrainState) -> None:
    shown, raw = flow_of(trained), flow_of(trained, averaged=False)
    assert same(dict(raw.state_dict()), trained.weights)
    x = trained.dataset().held_out
    assert not torch.equal(shown.log_prob(x), raw.log_prob(x))
    by_hand = build(SMALL.flow, 77)
    by_hand.load_state_dict(trained.weights | trained.average)
    assert torch.equal(by_hand.log_prob(x), shown.log_prob(x))


def test_the_flow_starts_from_the_moments_of_the_training_points() -> None:
    state = start(SMALL)
    flow, train = flow_of(state), state.dataset().train
    torch.testing.assert_close(flow.loc, train.mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(flow.scale, train.std(0), atol=1e-6, rtol=0)
    assert state.step == 0
    assert len(state.train_nll.points) == 0


# ---------------------------------------------------------------------- data


def test_held_out_points_are_not_trained_on() -> None:
    for state in (start(SMALL), start(OWN, own_points(300))):
        data = state.dataset()
        train = {tuple(row) for row in data.train.tolist()}
        assert len(train) == len(data.train)
        assert not train & {tuple(row) for row in data.held_out.tolist()}


def test_points_of_a_target_come_with_their_truth(trained: TrainState) -> None:
    data, target = trained.dataset(), SMALL.data.build()
    assert (data.train.shape, data.held_out.shape) == ((500, 2), (HELD_OUT, 2))
    assert data.train.dtype == data.held_out.dtype == torch.float32
    assert torch.equal(data.held_out_log_prob, target.log_prob(data.held_out.double()))
    assert data.entropy == target.entropy
    assert trained.own_data is None  # a function of the settings: not carried


@pytest.mark.parametrize(("n", "held_out"), [(20, 4), (103, 20), (9_999, 1_999), (30_000, 2_000)])
def test_a_fifth_of_ones_own_points_is_held_out(n: int, held_out: int) -> None:
    points = own_points(n)
    data = start(OWN, points).dataset()
    assert (len(data.train), len(data.held_out)) == (n - held_out, held_out)
    together = torch.cat([data.train, data.held_out])
    assert sorted(together.tolist()) == sorted(points.tolist())
    assert (data.held_out_log_prob, data.entropy) == (None, None)


def test_the_seed_splits_ones_own_points() -> None:
    points = own_points(100)
    first, again, other = (start(OWN.changed(seed=s), points).dataset().held_out for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    ordered = torch.arange(200.0).reshape(100, 2)
    assert start(OWN, ordered).dataset().held_out[:, 0].std() > 20  # not the first or last rows


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (torch.zeros(50), r"Expected data of shape \(N, 2\), got \(50,\)\. Choose two numeric columns\."),
        (torch.zeros(50, 3), r"Expected data of shape \(N, 2\), got \(50, 3\)"),
        (torch.full((50, 2), math.nan), "Expected finite numbers, got NaN or infinity in the data. Leave those rows"),
        (torch.full((50, 2), math.inf), "Expected finite numbers, got NaN or infinity"),
        (torch.zeros(19, 2), "Expected at least 20 points, got 19"),
        (own_points(50) * torch.tensor([1.0, 0.0]), "a column of the data is constant: leave that column out"),
        (own_points(50).double() * 1e300, "Expected a finite loc"),
    ],
    ids=["vector", "three-columns", "nan", "infinite", "few", "constant", "too-large"],
)
def test_points_that_cannot_be_trained_on_are_told(data: Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        start(OWN, data)


@pytest.mark.parametrize(("config", "data"), [(SMALL, own_points(50)), (OWN, None)], ids=["both", "neither"])
def test_a_run_has_a_target_or_points_and_not_both(config: RunConfig, data: Tensor | None) -> None:
    with pytest.raises(ValueError, match="Expected either a target in the settings or data, not both and not neither"):
        start(config, data)


def test_losses_are_in_the_units_of_the_data() -> None:
    points = own_points(200)
    once, tenfold = (advance(start(OWN, points * unit), 25) for unit in (1.0, 10.0))
    shift = 2 * math.log(10)  # a density per unit area: 100 small squares in a large one
    np.testing.assert_allclose(tenfold.train_nll.points - once.train_nll.points, shift, atol=1e-3)
    np.testing.assert_allclose(tenfold.held_out_nll.points - once.held_out_nll.points, shift, atol=1e-3)
    assert evaluate(tenfold).nll - evaluate(once).nll == pytest.approx(shift, abs=1e-3)
    assert once.train_nll.points[-5:].mean() < once.train_nll.points[0]


# ---------------------------------------------------------------------- measuring


def test_kl_is_the_integral_over_the_plane(trained: TrainState) -> None:
    target = SMALL.data.build()
    centre = (torch.arange(400, dtype=torch.float64) + 0.5) / 400 * 12 - 6
    x = torch.cartesian_prod(centre, centre)
    flow = flow_of(trained).double()
    with torch.no_grad():
        log_p, log_q = target.log_prob(x), flow.log_prob(x)
    exact = (log_p.exp() * (log_p - log_q)).sum().item() * (12 / 400) ** 2
    for measured in (evaluate(trained), evaluate(trained, 4000)):
        assert abs(measured.kl - exact) < 4 * measured.kl_stderr
        assert measured.kl_stderr < 0.1 * exact
        assert abs(measured.nll - target.entropy - exact) < 4 * measured.nll_stderr


def test_kl_is_nll_less_entropy_with_less_noise(trained: TrainState) -> None:
    measured = evaluate(trained)
    noise = math.hypot(measured.nll_stderr, measured.kl_stderr)
    assert abs(measured.nll - measured.entropy - measured.kl) < 4 * noise
    assert measured.entropy == SMALL.data.build().entropy


@pytest.mark.parametrize("what", ["kl", "nll"])
def test_standard_errors_are_the_spread_over_draws(trained: TrainState, what: str) -> None:
    data = trained.dataset()
    measured = [
        # The same flow and run; the seed draws the fresh points alone.
        evaluate(dataclasses.replace(trained, config=SMALL.changed(seed=seed), own_data=data), 200)
        for seed in range(150)
    ]
    spread = np.std([getattr(m, what) for m in measured], ddof=1)
    claimed = np.mean([getattr(m, f"{what}_stderr") for m in measured])
    assert spread / claimed == pytest.approx(1, abs=0.2)  # 150 draws tell a spread to about 6 %


def test_fresh_points_are_neither_the_held_out_ones_nor_the_trained_ones(trained: TrainState) -> None:
    data, target = trained.dataset(), SMALL.data.build()
    fresh = evaluate(trained, HELD_OUT).nll
    flow = flow_of(trained)
    for known in (data.held_out, data.train):
        with torch.no_grad():
            assert abs(-flow.log_prob(known).double().mean().item() - fresh) > 1e-6
    assert same(evaluate(trained, 100), evaluate(trained, 100))
    assert target.entropy == evaluate(trained, 100).entropy


def test_nll_and_its_error_are_those_of_the_held_out_points(trained: TrainState) -> None:
    nll = -flow_of(trained).log_prob(trained.dataset().held_out).detach().double().numpy()
    measured = evaluate(trained)
    assert measured.nll == pytest.approx(nll.mean(), abs=1e-9)
    assert measured.nll_stderr == pytest.approx(nll.std(ddof=1) / math.sqrt(len(nll)), abs=1e-9)


def test_points_without_a_known_density_have_no_kl() -> None:
    state = start(OWN, own_points(100))
    for measured in (evaluate(state), evaluate(state, 50)):
        assert (measured.entropy, measured.kl, measured.kl_stderr) == (None, None, None)
        assert measured.nll == pytest.approx(state.held_out_nll.points[0], abs=1e-5)


def test_the_round_trip_error_is_that_of_single_precision(trained: TrainState) -> None:
    error = evaluate(trained).round_trip_error
    assert 0 < error < 1e-4
    large = start(OWN, own_points(100) * 1e4)
    assert evaluate(large).round_trip_error > 100 * evaluate(start(OWN, own_points(100))).round_trip_error


def test_training_brings_the_kl_down_towards_0() -> None:
    config = SMALL.changed(
        flow=FlowConfig(blocks=4, subnet=SubnetConfig(width=16, depth=1)),
        training=TrainingConfig(batch_size=128, learning_rate=0.02, warmup=10, horizon=100),
    )
    first = start(config)
    before, after = evaluate(first), evaluate(advance(first, 150))
    assert after.kl < 0.6 * before.kl
    assert after.kl > -4 * after.kl_stderr
