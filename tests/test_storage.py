"""What loads is the flow that was saved, to the last bit; anything else is refused with a sentence."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from aio import storage
from aio.config import BaseConfig, BlockConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig
from aio.storage import CONFIG_FILE, WEIGHTS_FILE, load_model, read_config, save_model
from aio.training import TrainState, advance, flow_of, start

SMALL = RunConfig(
    data=DataConfig(points=500),
    flow=FlowConfig(blocks=3, subnet=SubnetConfig(width=8, depth=1)),
    seed=4,
)
SMALL_FLOW = SMALL.flow.model_dump()
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def with_block(**fields: object) -> RunConfig:
    return SMALL.changed_at(("flow", "block"), BlockConfig(**fields))


def points(n: int = 200) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def state() -> TrainState:
    return advance(start(SMALL), 10)


@pytest.fixture
def model(tmp_path: Path, state: TrainState) -> Path:
    save_model(tmp_path / "model", state)
    return tmp_path / "model"


def refusal(model: Path) -> str:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        load_model(model)
    assert type(caught.value) is ValueError
    return str(caught.value)


# ---------------------------------------------------------------------- what is saved comes back


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(SMALL, id="soft permutation"),
        pytest.param(with_block(permutation="hard", reverse_permutation=True), id="hard, reversed"),
        pytest.param(with_block(householder=3, global_affine_type="EXP"), id="reflections"),
        pytest.param(with_block(gin=True, clamp_dialect="freia-main"), id="GIN"),
        pytest.param(SMALL.changed_at(("flow", "overrides"), {1: BlockConfig(clamp=0.7)}), id="overrides"),
        pytest.param(SMALL.changed_at(("flow", "subnet"), SubnetConfig(depth=0)), id="linear subnets"),
        pytest.param(SMALL.changed_at(("flow", "base"), BaseConfig(kind="student", df=2.5)), id="Student's t"),
        pytest.param(SMALL.changed_at(("flow", "base"), BaseConfig(kind="mixture", modes=3)), id="ring of Gaussians"),
        pytest.param(SMALL.changed_at(("data",), DataConfig(target="rings", parameters={"noise": 0.1})), id="rings"),
    ],
)
def test_log_prob_and_samples_are_bit_identical_after_loading(tmp_path, config):
    state = advance(start(config), 10)
    save_model(tmp_path, state)
    config_back, flow = load_model(tmp_path)
    saved = flow_of(state)
    assert config_back == config
    assert torch.equal(flow.log_prob(points()), saved.log_prob(points()))
    drawn = [f.sample(100, generator=torch.Generator().manual_seed(1)) for f in (flow, saved)]
    assert torch.equal(*drawn)


def test_the_average_is_saved_not_the_last_weights(model, state):
    _, flow = load_model(model)
    last = flow_of(state, averaged=False)
    assert not torch.equal(flow.log_prob(points()), last.log_prob(points()))


def test_a_model_of_own_data_comes_back(tmp_path):
    config = SMALL.changed_at(("data", "target"), None)
    state = advance(start(config, 1000 + 50 * points()), 10)
    save_model(tmp_path, state)
    config_back, flow = load_model(tmp_path)
    assert config_back.data.target is None
    x = 1000 + 50 * points()
    assert torch.equal(flow.log_prob(x), flow_of(state).log_prob(x))


def test_a_model_saved_before_there_was_a_choice_of_base_loads(model, state):
    settings = json.loads((model / CONFIG_FILE).read_text())
    del settings["flow"]["base"]
    (model / CONFIG_FILE).write_text(json.dumps(settings))
    tensors = safetensors.torch.load_file(model / WEIGHTS_FILE)
    assert not [name for name in tensors if name.startswith("base")]
    safetensors.torch.save_file(tensors, model / WEIGHTS_FILE, metadata={storage.CONFIG_KEY: json.dumps(settings)})
    config, flow = load_model(model)
    assert config == state.config
    assert torch.equal(flow.log_prob(points()), flow_of(state).log_prob(points()))


def test_settings_with_another_base_are_those_of_another_model(model):
    settings = json.loads((model / CONFIG_FILE).read_text())
    settings["flow"]["base"] = {"kind": "student"}
    (model / CONFIG_FILE).write_text(json.dumps(settings))
    assert "other settings" in refusal(model)


def test_a_model_is_two_plain_files(model, state):
    assert sorted(path.name for path in model.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    assert RunConfig(**json.loads((model / CONFIG_FILE).read_text())) == state.config
    tensors = safetensors.torch.load_file(model / WEIGHTS_FILE)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in flow_of(state).state_dict().items()
    }


def test_saving_again_replaces_the_model_and_makes_missing_folders(tmp_path, state):
    folder = tmp_path / "a" / "b"
    save_model(folder, state)
    longer = advance(start(SMALL.changed(seed=5)), 5)
    save_model(folder, longer)
    config, flow = load_model(folder)
    assert config.seed == 5
    assert torch.equal(flow.log_prob(points()), flow_of(longer).log_prob(points()))
    assert len(list(folder.iterdir())) == 2


def test_weights_without_a_copy_of_the_settings_load(model, state):
    tensors = safetensors.torch.load_file(model / WEIGHTS_FILE)
    safetensors.torch.save_file(tensors, model / WEIGHTS_FILE)
    assert torch.equal(load_model(model)[1].log_prob(points()), flow_of(state).log_prob(points()))


# ---------------------------------------------------------------------- never half a model


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_save_that_fails_never_loads_as_a_mixture(tmp_path, state, monkeypatch, fails_at):
    save_model(tmp_path, state)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    calls = []

    def failing_fsync(file):
        calls.append(file)
        if len(calls) == fails_at:
            raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing_fsync)
        with pytest.raises(OSError, match="disk full"):
            save_model(tmp_path, advance(start(SMALL.changed(seed=5)), 5))
    assert {path.name for path in tmp_path.iterdir()} == set(before)
    if fails_at == 1:
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    else:
        assert "other settings" in refusal(tmp_path)


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_first_save_that_fails_leaves_nothing_that_loads(tmp_path, state, monkeypatch, fails_at):
    calls = []

    def failing_fsync(file):
        calls.append(file)
        if len(calls) == fails_at:
            raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing_fsync)
        with pytest.raises(OSError, match="disk full"):
            save_model(tmp_path, state)
    assert f"no file {CONFIG_FILE}" in refusal(tmp_path)


# ---------------------------------------------------------------------- what is refused, and how


def change_tensors(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    """A change of the weights that keeps the file's copy of the settings."""

    def changed(model: Path) -> None:
        path = model / WEIGHTS_FILE
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        tensors = safetensors.torch.load_file(path)
        change(tensors)
        safetensors.torch.save_file(tensors, path, metadata=metadata)

    return changed


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda model: (model / name).write_bytes(content)


def cut(name: str, keep: float) -> Callable[[Path], None]:
    return lambda model: os.truncate(model / name, int(keep * (model / name).stat().st_size))


def put(name: str, value: Tensor) -> Callable[[Path], None]:
    return change_tensors(lambda tensors: tensors.update({name: value}))


def fill(name: str, value: float) -> Callable[[Path], None]:
    return change_tensors(lambda tensors: tensors[name].view(-1)[0].fill_(value))


def change_settings(**changes: object) -> Callable[[Path], None]:
    def changed(model: Path) -> None:
        path = model / CONFIG_FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return changed


def without_copy(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A change after which the weights carry no copy of the settings, as if another program had written them."""

    def changed(model: Path) -> None:
        path = model / WEIGHTS_FILE
        safetensors.torch.save_file(safetensors.torch.load_file(path), path)
        change(model)

    return changed


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(shutil.rmtree, ["Expected a folder", CONFIG_FILE], id="no folder"),
        pytest.param(lambda m: (m / CONFIG_FILE).unlink(), [f"no file {CONFIG_FILE}"], id="no settings"),
        pytest.param(lambda m: (m / WEIGHTS_FILE).unlink(), [f"no file {WEIGHTS_FILE}"], id="no weights"),
        pytest.param(write(CONFIG_FILE, b""), ["Expected JSON", CONFIG_FILE], id="settings empty"),
        pytest.param(cut(CONFIG_FILE, 0.5), ["Expected JSON", CONFIG_FILE], id="settings cut"),
        pytest.param(write(CONFIG_FILE, b"\xff\xfe"), ["Expected JSON"], id="settings no text"),
        pytest.param(write(CONFIG_FILE, b"[" * 100_000), ["Expected JSON"], id="settings nested deep"),
        pytest.param(write(CONFIG_FILE, b" " * 1_000_001), ["at most 1,000,000 bytes"], id="settings too large"),
        pytest.param(write(CONFIG_FILE, b"[1, 2]"), ["object", "got [1, 2]"], id="settings a list"),
        pytest.param(change_settings(sed=3), ["sed", "got 3"], id="settings unknown"),
        pytest.param(change_settings(seed=-3), ["seed", "got -3"], id="settings outside limits"),
        pytest.param(change_settings(seed=5), ["other settings", CONFIG_FILE], id="settings of another run"),
        pytest.param(
            without_copy(change_settings(flow=SMALL_FLOW | {"blocks": 4})),
            ["got no blocks.3."],
            id="settings of more blocks",
        ),
        pytest.param(
            without_copy(change_settings(flow=SMALL_FLOW | {"blocks": 2})),
            ["got also blocks.2."],
            id="settings of fewer blocks",
        ),
        pytest.param(
            without_copy(change_settings(flow=SMALL_FLOW | {"subnet": {"width": 9, "depth": 1}})),
            ["shape (9, 1), got (8, 1)"],
            id="settings of a wider flow",
        ),
        pytest.param(write(WEIGHTS_FILE, b""), ["whole safetensors file"], id="weights empty"),
        pytest.param(write(WEIGHTS_FILE, b"not weights at all"), ["whole safetensors file"], id="weights text"),
        pytest.param(write(WEIGHTS_FILE, b"\xff" * 64), ["whole safetensors file"], id="weights promise too much"),
        pytest.param(cut(WEIGHTS_FILE, 0.001), ["whole safetensors file"], id="weights cut in the length"),
        pytest.param(cut(WEIGHTS_FILE, 0.1), ["whole safetensors file"], id="weights cut in the header"),
        pytest.param(cut(WEIGHTS_FILE, 0.99), ["whole safetensors file"], id="weights cut"),
        pytest.param(lambda m: os.truncate(m / WEIGHTS_FILE, 100_000_001), ["at most 100 MB"], id="weights too large"),
        pytest.param(
            change_tensors(lambda tensors: tensors.pop("blocks.1.global_scale")),
            ["got no blocks.1.global_scale"],
            id="a tensor missing",
        ),
        pytest.param(put("extra", torch.zeros(2)), ["got also extra"], id="a tensor too many"),
        pytest.param(put("loc", torch.zeros(3)), ["loc of shape (2,), got (3,)"], id="a shape"),
        pytest.param(put("loc", torch.zeros(2, dtype=torch.float64)), ["loc in F32, got F64"], id="a dtype"),
        pytest.param(put("loc", torch.tensor([0.0, torch.nan])), ["finite numbers in loc"], id="NaN"),
        pytest.param(fill("blocks.0.global_scale", torch.inf), ["finite numbers in blocks.0"], id="infinity"),
        pytest.param(fill("scale", 0.0), ["positive scale"], id="a scale of 0"),
        pytest.param(fill("scale", -1.0), ["positive scale"], id="a negative scale"),
        pytest.param(fill("blocks.2.w_perm", 2.0), ["orthogonal blocks.2.w_perm"], id="no rotation"),
        pytest.param(fill("blocks.2.w_perm_inv", 2.0), ["orthogonal blocks.2.w_perm"], id="no inverse"),
    ],
)
def test_a_damaged_model_is_told(model, damage, words):
    damage(model)
    sentence = refusal(model)
    for word in words:
        assert word in sentence


def test_a_reflected_rotation_must_be_orthogonal(tmp_path):
    save_model(tmp_path, start(with_block(householder=2)))
    fill("blocks.0.w_0", 2.0)(tmp_path)
    assert "orthogonal blocks.0.w_0" in refusal(tmp_path)


def test_a_file_in_place_of_the_folder_is_an_error_on_saving(tmp_path, state):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(FileExistsError):
        save_model(tmp_path / "model", state)
    assert (tmp_path / "model").read_text() == "mine"


def test_only_safetensors_is_read(model, state):
    torch.save(flow_of(state).state_dict(), model / WEIGHTS_FILE)
    assert "whole safetensors file" in refusal(model)


@FUZZ
@given(at=st.integers(0, 7000), byte=st.integers(0, 255))
def test_a_changed_byte_of_the_header_never_loads_as_another_flow(tmp_path, state, at, byte):
    save_model(tmp_path, state)
    path = tmp_path / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    at %= 8 + int.from_bytes(content[:8], "little")
    content[at] = byte
    path.write_bytes(content)
    try:
        _, flow = load_model(tmp_path)
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert torch.equal(flow.log_prob(points()), flow_of(state).log_prob(points()))
    assert sentence == "" or sentence.startswith("Expected ")


def test_settings_may_be_partial(tmp_path):
    (tmp_path / "some.json").write_text('{"flow": {"blocks": 2}}')
    assert read_config(tmp_path / "some.json") == RunConfig(flow=FlowConfig(blocks=2))


def test_the_sentence_about_long_settings_is_short(tmp_path):
    (tmp_path / "long.json").write_text(json.dumps({"seed": "9" * 100_000}))
    with pytest.raises(ValueError, match="seed") as caught:
        read_config(tmp_path / "long.json")
    assert len(str(caught.value)) < storage.REASON_SHOWN + len(str(tmp_path)) + 50
