"""The command line keeps its contract: one JSON object on stdout, a sentence on stderr, an exit code."""

import json
import math
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from aio import cli
from aio.config import BlockConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig, TrainingConfig
from aio.storage import load_model, save_model
from aio.tables import read_points, write_points
from aio.targets import TARGETS, get_target
from aio.training import advance, evaluate, flow_of, start
from tests.hostile import pictures as hostile

ROOT = Path(__file__).parent.parent
KEYS = [
    "dataset",
    "steps",
    "seconds",
    "steps_per_second",
    "parameters",
    "nll",
    "entropy",
    "kl",
    "kl_stderr",
    "round_trip_error",
]
CLOCK = ("seconds", "steps_per_second")  # what a clock measured is not the same twice
SMALL = {"blocks": 3, "subnet": {"width": 16, "depth": 1}}


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """The commands set torch's threads for their process, which here is that of the tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def trained(*arguments: object) -> dict:
    """The JSON of a `train` that must succeed, say nothing on stderr and one object on stdout."""
    result = run("train", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)  # which refuses a second object


def refused(*arguments: object) -> str:
    """The sentence of a command that must be refused, without a word on stdout."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    line, end = result.stderr[:-1], result.stderr[-1]
    assert end == "\n"
    assert "\n" not in line
    return line.removeprefix("Error: ")


def without_clock(summary: dict) -> dict:
    return {key: value for key, value in summary.items() if key not in CLOCK}


def config_file(folder: Path, **settings: object) -> Path:
    path = folder / "settings.json"
    path.write_text(json.dumps({"flow": SMALL, **settings}))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return config_file(tmp_path)


@pytest.fixture(scope="module")
def own_points() -> np.ndarray:
    """Points in units of their own, far from 0."""
    x = get_target("moons", noise=0.2).sample(2000, torch.Generator().manual_seed(7), torch.float64)
    return x.numpy() * [20.0, 3.0] + [400.0, -50.0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, own_points: np.ndarray) -> Path:
    """A flow that has learned points in units of their own."""
    config = RunConfig(data=DataConfig(target=None), flow=FlowConfig(**SMALL))
    folder = tmp_path_factory.mktemp("trained") / "model"
    save_model(folder, advance(start(config, torch.from_numpy(own_points)), 200))
    return folder


# ---------------------------------------------------------------------- the contract, from outside


def test_train_as_a_process_prints_one_json_object_and_nothing_else():
    command = [sys.executable, "-m", "aio", "train", "--dataset", "moons", "--steps", "50", "--seed", "0", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    summary = json.loads(done.stdout)
    assert list(summary) == KEYS
    assert (summary["dataset"], summary["steps"]) == ("moons", 50)
    in_process = trained("--dataset", "moons", "--steps", "50", "--seed", "0", "--json")
    assert without_clock(summary) == without_clock(in_process)


def test_a_terminal_sees_a_progress_bar_and_stdout_stays_json(small):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "aio", "train", "--dataset", "moons", "--config", small, "--steps", "30"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    bar = b""
    while chunk := read_or_end(ours):
        bar += chunk
    stdout = process.communicate(timeout=120)[0]
    os.close(ours)
    assert process.returncode == 0
    assert json.loads(stdout)["steps"] == 30
    assert "━" in bar.decode()
    assert "step 30" in bar.decode()
    assert "NLL" in bar.decode()
    assert "steps/s" in bar.decode()


def read_or_end(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says when the other side has closed
        return b""


def test_a_refusal_as_a_process_is_one_line_on_stderr():
    command = [sys.executable, "-m", "aio", "train", "--dataset", "mons"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("got 'mons'. Did you mean moons?\n")


def test_the_command_line_imports_nothing_of_the_screen():
    code = "import sys, aio.cli; print([m for m in ('streamlit', 'plotly', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---------------------------------------------------------------------- train: what it prints


def test_the_numbers_are_those_of_the_library(small):
    summary = trained("--dataset", "rings", "--config", small, "--steps", 40, "--seed", 3)
    state = advance(start(RunConfig(data=DataConfig(target="rings"), flow=FlowConfig(**SMALL), seed=3)), 40)
    measured = evaluate(state, 50_000)
    assert without_clock(summary) == {
        "dataset": "rings",
        "steps": 40,
        "parameters": sum(p.numel() for p in flow_of(state).parameters()),
        "nll": measured.nll,
        "entropy": TARGETS["rings"].entropy,
        "kl": measured.kl,
        "kl_stderr": measured.kl_stderr,
        "round_trip_error": measured.round_trip_error,
    }


def test_kl_is_nll_above_entropy(small):
    summary = trained("--dataset", "eight_gaussians", "--config", small, "--steps", 40)
    # The two estimates share their points; what is left is the noise of the mean of log p, about one nat wide.
    assert summary["kl"] == pytest.approx(summary["nll"] - summary["entropy"], abs=4 / math.sqrt(50_000) * 1.5)
    assert 0 < summary["kl_stderr"] < 0.02


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(small):
    arguments = ("--dataset", "moons", "--config", small, "--steps", 25, "--seed")
    once, again, other = (without_clock(trained(*arguments, seed)) for seed in (1, 1, 2))
    assert once == again
    assert once["nll"] != other["nll"]


def test_json_is_one_line_and_without_it_the_same_object_is_indented(small):
    arguments = ("train", "--dataset", "moons", "--config", small, "--steps", 5)
    compact, indented = run(*arguments, "--json").stdout, run(*arguments).stdout
    assert compact.count("\n") == 1
    assert indented.startswith('{\n  "dataset": "moons",\n')
    assert list(json.loads(compact)) == list(json.loads(indented)) == KEYS
    assert without_clock(json.loads(compact)) == without_clock(json.loads(indented))


@pytest.mark.parametrize("name", ["points.csv", "points.npy"])
def test_own_data_has_no_known_entropy(tmp_path, small, own_points, name):
    write_points(tmp_path / name, own_points)
    summary = trained("--data", tmp_path / name, "--config", small, "--steps", 20)
    assert (summary["dataset"], summary["steps"]) == (name, 20)
    assert (summary["entropy"], summary["kl"], summary["kl_stderr"]) == (None, None, None)
    state = advance(
        start(RunConfig(data=DataConfig(target=None), flow=FlowConfig(**SMALL)), torch.from_numpy(own_points)), 20
    )
    assert summary["nll"] == evaluate(state).nll


def test_no_steps_measure_the_untrained_flow(small):
    summary = trained("--dataset", "moons", "--config", small, "--steps", 0)
    assert (summary["steps"], summary["seconds"], summary["steps_per_second"]) == (0, 0.0, None)
    assert summary["nll"] > 1


def test_one_thread_is_used(small):
    torch.set_num_threads(2)
    trained("--dataset", "moons", "--config", small, "--steps", 1)
    assert torch.get_num_threads() == 1


# ---------------------------------------------------------------------- train: how long


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], SimpleNamespace]:
    """Make training take a given time a step by a clock of its own."""

    def slowed(seconds_a_step: float) -> SimpleNamespace:
        clock = SimpleNamespace(now=100.0, steps=0)

        def advanced(state, steps):
            clock.now += steps * seconds_a_step
            clock.steps += steps
            return replace(state, step=state.step + steps)

        monkeypatch.setattr(cli, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        monkeypatch.setattr(cli, "advance", advanced)
        return clock

    return slowed


@pytest.mark.parametrize(
    ("asked", "expected"), [((), 10.0), (("--seconds", 3), 3.0), (("--seconds", 0.25), 0.25)], ids=str
)
@pytest.mark.parametrize("a_step", [0.002, 0.03, 0.2])
def test_a_run_ends_within_a_step_of_its_seconds(slow_steps, small, asked, expected, a_step):
    slow_steps(a_step)
    summary = trained("--dataset", "moons", "--config", small, *asked)
    assert expected - 1e-9 <= summary["seconds"] < expected + a_step + 1e-9
    assert summary["steps"] == round(summary["seconds"] / a_step)
    assert summary["steps_per_second"] == pytest.approx(1 / a_step)


def test_steps_are_exact_however_long_they_take(slow_steps, small):
    clock = slow_steps(0.03)
    summary = trained("--dataset", "moons", "--config", small, "--steps", 777)
    assert summary["steps"] == 777
    assert clock.steps == 777 + 1  # the one that makes torch load its optimisers, off the clock
    assert summary["seconds"] == pytest.approx(777 * 0.03)


def test_a_real_second_of_training_is_about_a_second(small):
    summary = trained("--dataset", "moons", "--config", small, "--seconds", 0.5)
    assert 0.4 < summary["seconds"] < 2.5  # the machine may be busy with other work
    assert summary["steps_per_second"] == pytest.approx(summary["steps"] / summary["seconds"])
    assert summary["steps"] > 1


# ---------------------------------------------------------------------- train: settings, and what is saved


def test_out_holds_the_settings_and_the_flow_that_was_measured(tmp_path, small):
    arguments = ("--dataset", "moons", "--config", small, "--steps", 30, "--seed", 5, "--out", tmp_path / "a" / "model")
    trained(*arguments)
    config = RunConfig(data=DataConfig(target="moons"), flow=FlowConfig(**SMALL), seed=5)
    config_back, flow = load_model(tmp_path / "a" / "model")
    assert config_back == config
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(flow.log_prob(x), flow_of(advance(start(config), 30)).log_prob(x))


def test_a_models_settings_train_the_same_model_again(tmp_path, small):
    first = trained("--dataset", "rings", "--config", small, "--steps", 10, "--seed", 9, "--out", tmp_path / "m")
    again = trained("--config", tmp_path / "m" / "config.json", "--steps", 10)
    assert without_clock(first) == without_clock(again)


def saved_config(tmp_path: Path, *arguments: object) -> RunConfig:
    trained(*arguments, "--steps", 0, "--out", tmp_path / "saved")
    return load_model(tmp_path / "saved")[0]


def test_options_come_before_the_file(tmp_path):
    path = config_file(tmp_path, seed=3, data={"target": "moons", "parameters": {"noise": 0.2}, "points": 500})
    assert saved_config(tmp_path, "--config", path).data.parameters == {"noise": 0.2}
    assert saved_config(tmp_path, "--config", path, "--dataset", "moons").data.parameters == {"noise": 0.2}
    config = saved_config(tmp_path, "--config", path, "--dataset", "circles", "--seed", 8)
    assert (config.data.target, config.data.points, config.seed) == ("circles", 500, 8)
    assert config.data.parameters == {"noise": get_target("circles").noise}
    assert saved_config(tmp_path, "--config", path, "--dataset", "circles").seed == 3


def test_data_come_before_the_target_in_the_file(tmp_path, own_points):
    write_points(tmp_path / "points.npy", own_points)
    path = config_file(tmp_path, data={"target": "moons"})
    assert saved_config(tmp_path, "--config", path, "--data", tmp_path / "points.npy").data.target is None


def test_a_run_that_stops_prints_and_saves_the_last_good_step_and_ends_with_3(tmp_path):
    reckless = RunConfig(
        flow=FlowConfig(blocks=12, block=BlockConfig(clamp=10), subnet=SubnetConfig(width=8, depth=1)),
        training=TrainingConfig(learning_rate=1, clip_norm=1e6, schedule="constant", warmup=0, batch_size=16),
        seed=2,
    )
    (tmp_path / "reckless.json").write_text(reckless.model_dump_json())
    out = tmp_path / "model"
    result = run("train", "--config", tmp_path / "reckless.json", "--steps", 300, "--out", out, "--json")
    assert result.exit_code == 3
    summary = json.loads(result.stdout)
    assert summary["steps"] < 300
    assert math.isfinite(summary["nll"])
    assert result.stderr.startswith(f"Stopped: Step {summary['steps'] + 1} was undone")
    assert result.stderr.count("\n") == 1
    _, flow = load_model(out)
    assert flow.log_prob(start(reckless).dataset().held_out).isfinite().all()


def test_numbers_that_are_none_are_null(tmp_path):
    overflowing = RunConfig(
        flow=FlowConfig(blocks=12, block=BlockConfig(clamp=10), subnet=SubnetConfig(width=8, depth=1)), seed=0
    )
    assert math.isinf(start(overflowing).held_out_nll.points[0])
    (tmp_path / "settings.json").write_text(overflowing.model_dump_json())
    summary = trained("--config", tmp_path / "settings.json", "--steps", 0)
    assert (summary["nll"], summary["kl"]) == (None, None)


def test_a_full_disk_does_not_take_the_numbers_with_it(tmp_path, small, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device", "model")

    monkeypatch.setattr(os, "fsync", full)
    result = run("train", "--dataset", "moons", "--config", small, "--steps", 3, "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["steps"] == 3
    assert "No space left on device" in result.stderr
    assert list((tmp_path / "model").iterdir()) == []


# ---------------------------------------------------------------------- train: what is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--dataset", "mons"], ["got 'mons'", "Did you mean moons?"], id="unknown target"),
        pytest.param(["--dataset", "moons", "--data", "x.csv"], ["one of --dataset and --data"], id="both sources"),
        pytest.param([], ["--dataset or --data", "got neither"], id="no source"),
        pytest.param(
            ["--dataset", "moons", "--steps", 5, "--seconds", 5], ["one of --steps and --seconds"], id="both lengths"
        ),
        pytest.param(["--dataset", "moons", "--steps", -1], ["got -1"], id="negative steps"),
        pytest.param(["--dataset", "moons", "--seconds", 0], ["above 0, got 0"], id="no seconds"),
        pytest.param(["--dataset", "moons", "--seconds", -2], ["above 0, got -2"], id="negative seconds"),
        pytest.param(["--dataset", "moons", "--seconds", "nan"], ["above 0, got nan"], id="seconds no number"),
        pytest.param(["--dataset", "moons", "--seconds", "inf"], ["above 0, got inf"], id="endless seconds"),
        pytest.param(["--dataset", "moons", "--seed", -1], ["seed", "got -1"], id="negative seed"),
        pytest.param(["--dataset", "moons", "--seed", 2**30], ["seed", "got 1073741824"], id="large seed"),
        pytest.param(["--data", "/none/points.csv"], ["/none/points.csv", "No such file"], id="no data file"),
        pytest.param(["--data", __file__], [".csv or .npy"], id="data of another kind"),
        pytest.param(["--config", "/none.json"], ["/none.json", "No such file"], id="no settings file"),
        pytest.param(["--config", "/"], ["/", "directory"], id="settings a folder"),
        pytest.param(["--dataset", "moons", "--out", __file__], ["as a folder", "test_cli.py"], id="out is a file"),
        pytest.param(["--dataset", "moons", "--out", f"{__file__}/x"], ["Not a directory"], id="out in a file"),
        pytest.param(["--dataset", "moons", "--out", "/proc/x/model"], ["/proc/x"], id="out cannot be made"),
    ],
)
def test_train_refuses_with_a_sentence(arguments, words):
    sentence = refused("train", *arguments)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param("{", ["Expected JSON"], id="no JSON"),
        pytest.param("[]", ["object", "got []"], id="a list"),
        pytest.param('{"flow": {"blocks": 99}}', ["flow.blocks", "24", "got 99"], id="outside limits"),
        pytest.param('{"flow": {"blcks": 9}}', ["flow.blcks", "got 9"], id="unknown setting"),
        pytest.param('{"data": {"target": "mons"}}', ["'mons'", "Did you mean moons?"], id="unknown target"),
        pytest.param('{"data": {"target": "moons", "parameters": {"noise": 9}}}', ["0.5, got 9"], id="parameter"),
        pytest.param('{"data": {"target": null}}', ["Add --data FILE"], id="own data, not given"),
        pytest.param('{"data": {"points": 500}}', ["got neither"], id="no target named"),
        pytest.param('{"seed": "\\u001b[31m\\nred"}', [r"got \x1b[31m\nred"], id="text that would colour the screen"),
    ],
)
def test_train_refuses_settings_with_a_sentence(tmp_path, settings, words):
    (tmp_path / "settings.json").write_text(settings)
    sentence = refused("train", "--config", tmp_path / "settings.json")
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("x,y\n1,2\n3,nan\n", ["'nan' in row 2 (line 3)", "Remove that row"], id="NaN"),
        pytest.param("1,2,3\n", ["2 columns, got 3"], id="three columns"),
        pytest.param("1,2\n3,5\n", ["at least 20 points, got 2"], id="too few"),
        pytest.param("".join(f"{i},7\n" for i in range(30)), ["column 2", "constant"], id="constant"),
        pytest.param("".join(f"{i},{1e6 + i % 7 / 10}\n" for i in range(30)), ["column 2", "Subtract"], id="far away"),
        pytest.param("".join(f"{i}e300,{i}\n" for i in range(30)), ["column 1", "another unit"], id="too large"),
        pytest.param("".join(f"{i},{i * i}e-48\n" for i in range(30)), ["column 2", "divide"], id="too small"),
    ],
)
def test_train_refuses_points_with_a_sentence(tmp_path, text, words):
    (tmp_path / "points.csv").write_text(text)
    sentence = refused("train", "--data", tmp_path / "points.csv", "--out", tmp_path / "model")
    for word in words:
        assert word in sentence
    assert not (tmp_path / "model").exists()


def test_train_learns_a_picture_and_knows_its_entropy(tmp_path):
    half_black = Image.new("L", (8, 8), 255)
    half_black.paste(0, (0, 0, 8, 4))
    half_black.save(tmp_path / "picture.png")
    done = run("train", "--data", tmp_path / "picture.png", "--steps", 3, "--json")
    summary = json.loads(done.stdout)
    assert summary["dataset"] == "picture.png"
    assert summary["entropy"] == pytest.approx(math.log(32))  # uniform on 8 by 4: eight cells of side 1 a row
    assert summary["kl"] == pytest.approx(summary["nll"] - summary["entropy"], abs=0.05)


@pytest.mark.parametrize("name", hostile.refused())
def test_train_refuses_a_hostile_picture_with_a_sentence(tmp_path, name):
    (tmp_path / "picture.png").write_bytes(hostile.refused()[name][0])
    assert refused("train", "--data", tmp_path / "picture.png", "--steps", 1).startswith("Expected")


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root, as in containers, may write everywhere
    monkeypatch.setattr(cli, "advance", None)
    assert "can be written to" in refused("train", "--dataset", "moons", "--out", tmp_path / "model")


@pytest.mark.parametrize(
    "arguments",
    [["train", "--datset", "moons"], ["trian"], ["train", "--steps", "many"], ["train", "moons"], ["score"]],
    ids=" ".join,
)
def test_what_typer_refuses_ends_with_2_and_no_box(arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert "─" not in result.stderr
    assert "Traceback" not in result.stderr


# ---------------------------------------------------------------------- score


def test_score_is_log_prob_in_float64(tmp_path, model, own_points):
    _, flow = load_model(model)
    expected = flow.log_prob(torch.from_numpy(own_points)).detach().numpy()
    for name in ("points.csv", "points.npy"):
        write_points(tmp_path / name, own_points)
        result = run("score", "--model", model, "--data", tmp_path / name, "--out", tmp_path / "log_p.npy")
        assert (result.exit_code, result.output) == (0, "")
        log_p = np.load(tmp_path / "log_p.npy", allow_pickle=False)
        assert (log_p.shape, log_p.dtype) == ((len(own_points),), np.float64)
        np.testing.assert_allclose(log_p, expected, rtol=1e-5, atol=1e-5)


def test_score_is_a_density_in_the_units_of_the_data(tmp_path, model):
    """The midpoint rule over 20 standard deviations; the cells have 3 by .25 units."""
    x, y = np.meshgrid(np.arange(-100, 1000, 3.0), np.arange(-90, -5, 0.25))
    write_points(tmp_path / "grid.npy", np.stack([x.ravel(), y.ravel()], axis=1))
    run("score", "--model", model, "--data", tmp_path / "grid.npy", "--out", tmp_path / "log_p.npy")
    p = np.exp(np.load(tmp_path / "log_p.npy"))
    assert p.sum() * 3.0 * 0.25 == pytest.approx(1, abs=0.02)


def test_many_rows_are_scored_in_parts(tmp_path, model, own_points, monkeypatch):
    write_points(tmp_path / "points.npy", own_points)
    arguments = ("score", "--model", model, "--data", tmp_path / "points.npy", "--out")
    run(*arguments, tmp_path / "at_once.npy")
    monkeypatch.setattr(cli, "ROWS_AT_ONCE", 300)
    run(*arguments, tmp_path / "in_parts.npy")
    at_once, in_parts = np.load(tmp_path / "at_once.npy"), np.load(tmp_path / "in_parts.npy")
    np.testing.assert_allclose(in_parts, at_once, rtol=1e-5, atol=1e-5)


def test_points_beyond_single_precision_get_minus_infinity_and_a_note(tmp_path, model):
    write_points(tmp_path / "points.npy", np.array([[420.0, -50.0], [1e300, 0.0], [0.0, -1e39]]))
    result = run("score", "--model", model, "--data", tmp_path / "points.npy", "--out", tmp_path / "log_p.npy")
    assert (result.exit_code, result.stdout) == (0, "")
    log_p = np.load(tmp_path / "log_p.npy")
    assert math.isfinite(log_p[0])
    assert log_p[1:].tolist() == [-math.inf, -math.inf]
    assert "2 of 3 points" in result.stderr


@pytest.mark.parametrize(
    ("data", "out", "words"),
    [
        pytest.param("1,2\n3,\n", "log_p.npy", ["'' in row 2 (line 2), column 2"], id="gap"),
        pytest.param("1,2\nnan,3\n", "log_p.npy", ["'nan' in row 2"], id="NaN"),
        pytest.param("1,2\n", "log_p.csv", ["ends in .npy", "log_p.csv"], id="out a CSV"),
        pytest.param("1,2\n", "missing/log_p.npy", ["Create"], id="out in a missing folder"),
        pytest.param("", "log_p.npy", ["at least one row"], id="empty"),
    ],
)
def test_score_refuses_with_a_sentence_and_writes_nothing(tmp_path, model, data, out, words):
    (tmp_path / "points.csv").write_text(data)
    sentence = refused("score", "--model", model, "--data", tmp_path / "points.csv", "--out", tmp_path / out)
    for word in words:
        assert word in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["points.csv"]


def test_a_model_that_is_none_is_refused(tmp_path):
    (tmp_path / "points.csv").write_text("1,2\n")
    points, out = tmp_path / "points.csv", tmp_path / "out.npy"
    assert "Expected a folder" in refused("score", "--model", tmp_path / "no", "--data", points, "--out", out)
    assert "no file config.json" in refused("sample", "--model", tmp_path, "-n", 3, "--out", out)


# ---------------------------------------------------------------------- sample


def test_sample_writes_the_draws_of_the_flow(tmp_path, model):
    result = run("sample", "--model", model, "-n", 1000, "--out", tmp_path / "drawn.npy", "--seed", 3)
    assert (result.exit_code, result.output) == (0, "")
    drawn = np.load(tmp_path / "drawn.npy", allow_pickle=False)
    assert (drawn.shape, drawn.dtype) == ((1000, 2), np.float32)
    _, flow = load_model(model)
    expected = flow.sample(1000, generator=torch.Generator().manual_seed(3)).detach().numpy()
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-3)


def test_the_draws_are_like_the_points_that_were_learned(tmp_path, model, own_points):
    run("sample", "--model", model, "-n", 20_000, "--out", tmp_path / "drawn.npy")
    drawn = (np.load(tmp_path / "drawn.npy") - own_points.mean(0)) / own_points.std(0)
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.corrcoef(own_points.T), atol=0.2)


def test_the_same_seed_draws_the_same_points_in_either_format(tmp_path, model):
    for name, seed in (("a.npy", 1), ("b.npy", 1), ("c.csv", 1), ("d.npy", 2), ("e.npy", 0)):
        assert run("sample", "--model", model, "-n", 50, "--out", tmp_path / name, "--seed", seed).exit_code == 0
    assert run("sample", "--model", model, "-n", 50, "--out", tmp_path / "f.npy").exit_code == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert (tmp_path / "a.npy").read_bytes() != (tmp_path / "d.npy").read_bytes()
    assert (tmp_path / "e.npy").read_bytes() == (tmp_path / "f.npy").read_bytes()
    a, c = np.load(tmp_path / "a.npy"), read_points(tmp_path / "c.csv")
    np.testing.assert_array_equal(a, c.astype(np.float32))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["-n", 0, "--out", "x.npy"], ["from 1 to 5,000,000", "got 0"], id="none"),
        pytest.param(["-n", -5, "--out", "x.npy"], ["got -5"], id="negative"),
        pytest.param(["-n", 5_000_001, "--out", "x.npy"], ["got 5,000,001"], id="too many"),
        pytest.param(["-n", 5, "--out", "x.txt"], [".csv or .npy"], id="another kind"),
        pytest.param(["-n", 5, "--out", "/none/x.csv"], ["Create /none"], id="a missing folder"),
        pytest.param(["-n", 5, "--out", "x.csv", "--seed", -1], ["seed", "got -1"], id="negative seed"),
    ],
)
def test_sample_refuses_with_a_sentence_and_writes_nothing(tmp_path, monkeypatch, model, arguments, words):
    monkeypatch.chdir(tmp_path)
    sentence = refused("sample", "--model", model, *arguments)
    for word in words:
        assert word in sentence
    assert list(tmp_path.iterdir()) == []


def test_draws_that_overflow_are_refused(tmp_path):
    config = RunConfig(
        flow=FlowConfig(blocks=24, block=BlockConfig(global_affine_type="EXP", global_affine_init=0.01, gin=False))
    )
    save_model(tmp_path / "model", start(config))
    sentence = refused("sample", "--model", tmp_path / "model", "-n", 100, "--out", tmp_path / "drawn.npy")
    assert "overflow" in sentence


# ---------------------------------------------------------------------- datasets, and help


def test_datasets_lists_every_target_with_its_limits():
    result = run("datasets", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    listed = {entry["name"]: entry for entry in json.loads(result.stdout)}
    assert list(listed) == list(TARGETS)
    for name, target in TARGETS.items():
        assert listed[name]["title"] == target.title
        assert listed[name]["entropy"] == target.entropy
        limits = {p["name"]: (p["minimum"], p["maximum"], p["default"]) for p in listed[name]["parameters"]}
        assert limits == {p.name: (p.minimum, p.maximum, p.default) for p in target.parameters}


def test_datasets_for_people_names_every_target_and_parameter():
    text = run("datasets").stdout
    for name, target in TARGETS.items():
        assert f"{name} " in text
        assert f"{target.title}, entropy {target.entropy:.4f} nats" in text
    assert "noise from 0.02 to 0.5, by default 0.05" in text


@pytest.mark.parametrize("command", ["train", "score", "sample", "datasets"])
def test_help_of_each_command_has_an_example_that_parses(command):
    text = run(command, "--help").stdout
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith(f"python -m aio {command}")]
    assert examples
    for example in examples:
        arguments = example.split()[4:]
        result = run(command, *arguments, "--help")
        assert result.exit_code == 0
        known = [word for word in arguments if word.startswith("-")]
        assert all(f"{word} " in text for word in known)


def test_help_tells_the_default_and_the_exit_codes():
    text = " ".join(run("train", "--help").stdout.split())
    assert f"[default, without --steps: {cli.DEFAULT_SECONDS:g}]" in text
    assert "The exit code is 0; 2 if the command was refused; 3 if the loss stopped being a number" in text
    for key in KEYS:
        assert key in text
