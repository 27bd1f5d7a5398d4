"""The commands of `python -m aio`.

What a command found out goes to stdout, once, at its end; what it says on the way goes to stderr. A command ends
with 0; with 2 and a sentence if it was asked for something that cannot be done; `train` with 3 if the run stopped.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
import torch
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from torch import Tensor

from aio.config import RunConfig, explain
from aio.dataset import OwnData
from aio.storage import load_model, read_config, save_model
from aio.tables import MAX_ROWS, check_output, read_points, write_npy, write_points
from aio.targets import TARGETS, Parameter
from aio.targets.picture import PictureTarget
from aio.training import Evaluation, TrainState, advance, evaluate, flow_of, start
from aio.uploads import check_spread

__all__ = ["app"]

DEFAULT_SECONDS = 10.0
CHUNK_SECONDS = 0.5  # between two looks at the clock: starting to train again costs about a step
FRESH_POINTS = 50_000  # behind the final KL: a standard error of a hundredth of a nat or less
ROWS_AT_ONCE = 50_000  # of points in a flow: 13 MB for a hidden layer of 64 units
PICTURES = (".png", ".jpg", ".jpeg")
EXIT_REFUSED, EXIT_STOPPED = 2, 3

app = typer.Typer(
    help="Train, score and sample normalizing flows of AllInOneBlocks in two dimensions.",
    epilog="Each command explains itself: python -m aio train --help",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelOption = Annotated[Path, typer.Option("--model", metavar="DIR", help="Folder that `train --out` wrote.")]
SeedOption = Annotated[
    int | None, typer.Option(metavar="N", help="Seed of everything drawn, from 0 to 1073741823. [default: 0]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the JSON on one line, for programs.")]


@app.command()
def train(
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Target to learn; `python -m aio datasets` lists them.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data of your own to learn: points as .csv or .npy of shape (N, 2), N at least 20, or a "
            "picture, .png or .jpg, dark where it is dense.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings: JSON of a RunConfig, such as the config.json of a model. What it leaves out takes its "
            "default; --dataset, --data and --seed come before what it says.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Train for N steps.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help=f"Train for S seconds. [default, without --steps: {DEFAULT_SECONDS:g}]"),
    ] = None,
    seed: SeedOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for config.json and weights.safetensors; made where missing."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a flow and print how good it is, as one JSON object.

    Its keys: dataset, steps, seconds (of training alone), steps_per_second, parameters (trained numbers), nll
    (negative log-likelihood of points not trained on), entropy (of the target, the floor of nll), kl (how far nll
    is above the floor), kl_stderr, all in nats, and round_trip_error (largest distance between a point and what
    comes back from latent space). null stands for what is unknown: of points of your own, entropy and kl are; of a
    picture they are known.

    A target is measured on 50,000 fresh points, points of your own on the fifth that was kept apart, 2,000 at
    most. One thread is used. The same settings, seed and number of steps give the same flow.

    The exit code is 0; 2 if the command was refused; 3 if the loss stopped being a number: what is printed and
    saved is then the last good step, and stderr says why.

    \b
    Examples:
      python -m aio train --dataset moons
      python -m aio train --data points.csv --seconds 60 --out model
    """
    torch.set_num_threads(1)  # the matrices are small: a second thread waits longer than it works
    with _refusals():
        settings = _settings(config, dataset, data, seed)
        steps_limit, seconds_limit = _limits(steps, seconds)
        state = start(settings, None if data is None else _own_data(data))
        if out is not None:
            _check_folder(out)
    state, elapsed = _train_within(state, steps_limit, seconds_limit)
    name = state.config.data.target if data is None else data.name
    summary = _summary(name, state, elapsed, evaluate(state, FRESH_POINTS))
    try:
        if out is not None:
            with _refusals():
                save_model(out, state)
    finally:  # a full disk must not take the numbers with it
        typer.echo(_dumped(summary, as_json))
    if state.stopped:
        _say(f"Stopped: {state.stopped}")
        raise typer.Exit(EXIT_STOPPED)


@app.command()
def score(
    model: ModelOption,
    data: Annotated[Path, typer.Option(metavar="FILE", help="Points: .csv or .npy of shape (N, 2).")],
    out: Annotated[Path, typer.Option(metavar="FILE.npy", help="Where to write log p, of shape (N,), float64.")],
) -> None:
    """Write log p of points under a model, one number a row.

    It is the logarithm of the density in nats, in the units of the data given: its exponential integrates to 1
    over the plane. The flow computes in single precision; a point so far away that this overflows gets -inf, and
    stderr tells how many did.

    \b
    Example:
      python -m aio score --model model --data points.csv --out log_p.npy
    """
    torch.set_num_threads(1)
    with _refusals():
        check_output(out, (".npy",))
        _, flow = load_model(model)
        x = torch.from_numpy(read_points(data))
        log_p = _in_parts(lambda part: flow.log_prob(part), x).numpy().astype(np.float64)
        # Settings, weights and points are finite, so that only an overflow on the way can give a NaN.
        beyond = ~np.isfinite(log_p)
        log_p[beyond] = -np.inf
        write_npy(out, log_p)
    if beyond.any():
        _say(f"Note: {beyond.sum():,} of {len(log_p):,} points are too far away for single precision and got -inf.")


@app.command()
def sample(
    model: ModelOption,
    count: Annotated[int, typer.Option("-n", metavar="N", help=f"How many points to draw, at most {MAX_ROWS:,}.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write them: .csv or .npy of shape (N, 2).")],
    seed: SeedOption = None,
) -> None:
    """Draw points from a model.

    They are in the units of the data it was trained on, in float32, as the flow computes them. The same model, N
    and seed give the same points.

    \b
    Example:
      python -m aio sample --model model -n 1000 --out drawn.csv
    """
    torch.set_num_threads(1)
    with _refusals():
        if not 1 <= count <= MAX_ROWS:
            raise ValueError(f"Expected -n from 1 to {MAX_ROWS:,}, got {count:,}. Draw more in several files.")
        check_output(out)
        checked_seed = RunConfig().changed(seed=seed or 0).seed
        _, flow = load_model(model)
        z = flow.base.sample(count, torch.Generator().manual_seed(checked_seed))
        x = _in_parts(lambda part: flow.inverse(part)[0], z).numpy()
        if not np.isfinite(x).all():
            raise ValueError(
                "Expected finite draws, got an overflow: this model maps some of them to infinity. Train anew."
            )
        write_points(out, x)


@app.command()
def datasets(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """List the targets that `train` can learn.

    For each: its name for --dataset, its parameters with their limits, and its entropy in nats at their defaults.
    Parameters are set in a file for --config, as in {"data": {"target": "moons", "parameters": {"noise": 0.1}}}.

    \b
    Example:
      python -m aio datasets
    """
    if as_json:
        typer.echo(_dumped([_described(name) for name in TARGETS], compact=True))
        return
    width = max(map(len, TARGETS))
    for name, target in TARGETS.items():
        typer.echo(f"{name:{width}}  {target.title}, entropy {target.entropy:.4f} nats")
        for p in target.parameters:
            typer.echo(f"{'':{width}}  {p.name} from {p.minimum:g} to {p.maximum:g}, by default {p.default:g}")


# ---------------------------------------------------------------------- what is asked for


def _settings(config: Path | None, dataset: str | None, data: Path | None, seed: int | None) -> RunConfig:
    """The settings of a run, from a file and from what comes before it."""
    if dataset is not None and data is not None:
        raise ValueError("Expected one of --dataset and --data, got both. Leave one out.")
    settings = RunConfig() if config is None else read_config(config)
    named = "data" in settings.model_fields_set and "target" in settings.data.model_fields_set
    if dataset is not None or data is not None:
        settings = settings.changed_at(("data", "target"), dataset)
    elif not named:
        raise ValueError(
            "Expected --dataset or --data, got neither. Choose a target, as in --dataset moons: "
            "`python -m aio datasets` lists them."
        )
    elif settings.data.target is None:
        raise ValueError(f"Expected --data, for the settings in {config} name no target, got none. Add --data FILE.")
    return settings if seed is None else settings.changed(seed=seed)


def _limits(steps: int | None, seconds: float | None) -> tuple[float, float]:
    """At how many steps and at how many seconds a run ends; one of them is infinite."""
    if steps is not None and seconds is not None:
        raise ValueError("Expected one of --steps and --seconds, got both. Leave one out.")
    if steps is not None:
        if steps < 0:
            raise ValueError(f"Expected --steps of 0 or more, got {steps}. 0 measures the untrained flow.")
        return steps, math.inf
    seconds = DEFAULT_SECONDS if seconds is None else seconds
    if not 0 < seconds < math.inf:
        raise ValueError(f"Expected --seconds as a finite number above 0, got {seconds:g}. As in --seconds 10.")
    return math.inf, seconds


def _own_data(path: Path) -> OwnData:
    """What a file holds to learn: the density of a picture, or points that single precision can tell apart."""
    if path.suffix.lower() in PICTURES:
        from aio.pictures import MOST_BYTES, read_picture  # Pillow is not loaded for points

        with path.open("rb") as file:
            return PictureTarget(read_picture(file.read(MOST_BYTES + 1)))
    points = read_points(path)
    check_spread(points, [f"column {column} of {path}" for column in (1, 2)])
    return torch.from_numpy(points)


def _check_folder(path: Path) -> None:
    """Make the folder of a model, so that one that cannot be written is known before training."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"Expected --out as a folder, got the file {path}. Name another.")
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise ValueError(f"Expected --out as a folder that can be written to, got {path}. Name another.")


# ---------------------------------------------------------------------- the work


def _train_within(state: TrainState, steps: float, seconds: float) -> tuple[TrainState, float]:
    """Train until `steps` are done, `seconds` have passed or the run stops; also returns the seconds of training."""
    if steps:
        advance(state, 1)  # torch loads its optimisers at the first step, for a second or more: not on the run's time
    begun, trained = time.perf_counter(), 0.0
    with _progress_bar() as show:
        while not state.stopped and state.step < steps and (passed := time.perf_counter() - begun) < seconds:
            rate = state.step / trained if trained else 0.0
            chunk = max(1, int(rate * min(CHUNK_SECONDS, seconds - passed)))
            before = time.perf_counter()
            state = advance(state, int(min(chunk, steps - state.step)))
            trained += time.perf_counter() - before
            share = state.step / steps if math.isfinite(steps) else min(1.0, (time.perf_counter() - begun) / seconds)
            show(share, state.step, state.held_out_nll.points[-1], state.step / trained)
    return state, trained


@contextmanager
def _progress_bar() -> Iterator[Callable[[float, int, float, float], None]]:
    """A bar on stderr, for a person only; gives a function of share done, step, held-out NLL and steps a second."""
    progress = Progress(
        BarColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        auto_refresh=False,  # no second thread beside the training
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task("step 0", total=1.0)

        def show(share: float, step: int, nll: float, rate: float) -> None:
            text = f"step {step:,}  NLL {nll:.3f}  {rate:,.0f} steps/s"
            progress.update(task, completed=share, description=text, refresh=True)

        yield show


def _summary(name: str, state: TrainState, seconds: float, measured: Evaluation) -> dict[str, Any]:
    """What `train` prints; the order of the keys is that of its help."""
    return {
        "dataset": name,
        "steps": state.step,
        "seconds": seconds,
        "steps_per_second": state.step / seconds if seconds else None,
        "parameters": sum(p.numel() for p in flow_of(state).parameters()),
        "nll": measured.nll,
        "entropy": measured.entropy,
        "kl": measured.kl,
        "kl_stderr": measured.kl_stderr,
        "round_trip_error": measured.round_trip_error,
    }


def _in_parts(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x) without gradients, a bounded number of rows at once."""
    with torch.no_grad():
        return torch.cat([function(part) for part in x.split(ROWS_AT_ONCE)])


# ---------------------------------------------------------------------- what is said


def _described(name: str) -> dict[str, Any]:
    target = TARGETS[name]
    return {
        "name": name,
        "title": target.title,
        "summary": target.summary,
        "parameters": [_limits_of(p) for p in target.parameters],
        "entropy": target.entropy,
    }


def _limits_of(parameter: Parameter) -> dict[str, Any]:
    fields = ("name", "default", "minimum", "maximum", "help")
    return {field: getattr(parameter, field) for field in fields}


def _dumped(value: Any, compact: bool) -> str:
    return json.dumps(_known(value), indent=None if compact else 2, allow_nan=False)


def _known(value: Any) -> Any:
    """The value with null for numbers that are none: JSON has no infinity."""
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _refusals() -> Iterator[None]:
    """End the command with a sentence where what was asked for cannot be done."""
    try:
        yield
    except ValidationError as error:
        _refuse(explain(error))
    except OSError as error:
        path = error.filename2 or error.filename
        _refuse(f"Expected to read or write {path}, got: {error.strerror}. Check the path." if path else str(error))
    except ValueError as error:
        _refuse(str(error))


def _refuse(sentence: str) -> NoReturn:
    _say(f"Error: {sentence}")
    raise typer.Exit(EXIT_REFUSED)


def _say(sentence: str) -> None:
    """Write one line to stderr; what it repeats from a file cannot move the cursor or colour the screen."""
    line = " ".join(sentence.split())
    typer.echo("".join(character if character.isprintable() else "?" for character in line), err=True)
