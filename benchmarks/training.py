"""Training against FrEIA 0.2, in one run, on the same points, with one thread each.

The same flow (8 AllInOneBlocks, subnets of 64×64, batch 256) and the same number of seconds. FrEIA is trained as its
quickstart's optimiser does it, Adam at a constant 1e-3, and once more with this project's recipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import AllInOneBlock
from torch import Tensor

from aio.config import RunConfig
from aio.training import ADAM_BETAS, Dataset, advance, averaging_decay, evaluate, learning_rate, start

SECONDS = 10.0
ROUND = 20  # steps between two looks at the clock
JUDGED_ON = 20_000  # fresh points
LOG_BASE = -torch.log(torch.tensor(2 * torch.pi)).item()


@dataclass(frozen=True)
class Result:
    name: str
    steps_per_second: float
    kl: float
    kl_stderr: float


def report() -> str:
    """The table, as Markdown."""
    torch.set_num_threads(1)
    config = RunConfig()
    results = [
        _own(config),
        _freia("FrEIA 0.2, Adam 1e-3, constant", config, 1e-3),
        _freia("FrEIA 0.2, our recipe", config, None),
    ]
    base = results[1].steps_per_second
    rows = "\n".join(
        f"| {r.name} | {r.steps_per_second:.0f} | {r.steps_per_second / base:.2f} | {r.kl:.3f} ± {r.kl_stderr:.3f} |"
        for r in results
    )
    return (
        f"## Training on two moons, σ = .05, {SECONDS:.0f} s\n\n"
        "8 blocks, subnets 64×64, batch 256, soft permutations, one thread; seconds of pure training.\n\n"
        f"| | steps/s | ratio | KL, nats |\n|---|---|---|---|\n{rows}\n"
    )


def _own(config: RunConfig) -> Result:
    state = advance(start(config), ROUND)
    began = time.perf_counter()
    first = state.step
    while time.perf_counter() - began < SECONDS:
        state = advance(state, ROUND)
    rate = (state.step - first) / (time.perf_counter() - began)
    measured = evaluate(state, JUDGED_ON)
    return Result("AIO Flow Lab", rate, measured.kl, measured.kl_stderr)


def _freia(name: str, config: RunConfig, constant_rate: float | None) -> Result:
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)  # noqa: NPY002 - FrEIA draws its rotations from numpy's global generator
    data = start(config).dataset()
    mean, std = data.train.mean(0), data.train.std(0)
    inn = SequenceINN(2)
    for _ in range(config.flow.blocks):
        inn.append(AllInOneBlock, subnet_constructor=_subnet, permute_soft=True)
    parameters = [p for p in inn.parameters() if p.requires_grad]
    betas = (0.9, 0.999) if constant_rate else ADAM_BETAS
    optimiser = torch.optim.Adam(parameters, lr=constant_rate or 1.0, betas=betas)
    averages = [p.detach().clone() for p in parameters]

    def log_prob(x: Tensor) -> Tensor:
        z, log_det = inn((x - mean) / std)
        return -0.5 * z.square().sum(1) + LOG_BASE + log_det - std.log().sum()

    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        index = torch.randint(len(data.train), (config.training.batch_size,))
        loss = -log_prob(data.train[index]).mean()
        optimiser.zero_grad()
        loss.backward()
        if constant_rate is None:
            torch.nn.utils.clip_grad_norm_(parameters, config.training.clip_norm)
            optimiser.param_groups[0]["lr"] = learning_rate(steps, config.training)
        optimiser.step()
        if constant_rate is None:
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - averaging_decay(steps, config.training))
        steps += 1
    rate = steps / (time.perf_counter() - began)
    if constant_rate is None:
        with torch.no_grad():
            for parameter, average in zip(parameters, averages, strict=True):
                parameter.copy_(average)
    return Result(name, rate, *_kl(log_prob, config, data))


def _kl(log_prob: Callable[[Tensor], Tensor], config: RunConfig, data: Dataset) -> tuple[float, float]:
    target = config.data.build()
    x = target.sample(JUDGED_ON, torch.Generator().manual_seed(1), torch.float64)
    with torch.no_grad():
        gap = target.log_prob(x) - log_prob(x.float()).double()
    return gap.mean().item(), (gap.std() / JUDGED_ON**0.5).item()


def _subnet(channels_in: int, channels_out: int) -> torch.nn.Module:
    width = RunConfig().flow.subnet.width
    return torch.nn.Sequential(
        torch.nn.Linear(channels_in, width),
        torch.nn.ReLU(),
        torch.nn.Linear(width, width),
        torch.nn.ReLU(),
        torch.nn.Linear(width, channels_out),
    )
