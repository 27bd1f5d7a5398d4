"""A trained flow in a folder: config.json, which is its RunConfig, and weights.safetensors.

Neither file can run code when it is read. Both are checked against each other and against the flow that the
settings describe, so that what loads is the flow that was saved, to the last bit.

>>> import tempfile, torch
>>> from aio.training import advance, flow_of, start
>>> state = advance(start(RunConfig().changed_at(("flow", "blocks"), 2)), 5)
>>> with tempfile.TemporaryDirectory() as directory:
...     save_model(directory, state)
...     config, flow = load_model(directory)
>>> x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
>>> config == state.config, torch.equal(flow.log_prob(x), flow_of(state).log_prob(x))
(True, True)
"""

from __future__ import annotations

import os
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from aio.config import RunConfig, explain
from aio.flow import Flow, build
from aio.tables import replace_file
from aio.training import TrainState, flow_of

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "load_model", "read_config", "save_model"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
CONFIG_KEY = "config"  # of the copy of the settings in the weights, by which the two files know each other
MAX_CONFIG_BYTES = 1_000_000  # settings with every block overridden have 10 kB
MAX_WEIGHTS_BYTES = 100_000_000  # the largest flow that settings allow has 26 MB
ORTHOGONAL_WITHIN = 1e-5  # a rotation rounded to float32 is orthogonal within 2e-7
NAMES_SHOWN = 3  # tensors that a message names
REASON_SHOWN = 600  # characters: what is wrong with settings may repeat them all


def save_model(directory: str | os.PathLike[str], state: TrainState) -> None:
    """Write the averaged flow of a run and its settings to a folder, made where it is missing.

    Each file is replaced at once. The weights carry a copy of the settings: should the second file fail to follow
    the first, `load_model` refuses the pair.

    Args:
        directory: the folder; a model that is already there is replaced.
        state: the run, as `aio.training.advance` returns it.

    Raises:
        OSError: if the folder or a file in it cannot be written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in flow_of(state).state_dict().items()}
    weights = safetensors.torch.save(tensors, metadata={CONFIG_KEY: state.config.model_dump_json()})
    settings = state.config.model_dump_json(indent=2).encode() + b"\n"
    replace_file(directory / WEIGHTS_FILE, lambda file: file.write(weights))
    replace_file(directory / CONFIG_FILE, lambda file: file.write(settings))


def load_model(directory: str | os.PathLike[str]) -> tuple[RunConfig, Flow]:
    """The settings and the flow that `save_model` wrote.

    Args:
        directory: the folder.

    Returns:
        The settings of the run, and its flow in float32 on the CPU, whose log_prob is that of the
        saved flow, bit for bit.

    Raises:
        OSError: if a file cannot be opened.
        ValueError: if one is missing, damaged, or does not belong to the other.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ValueError(f"Expected a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, got {directory}. Train one: --out.")
    config = read_config(_existing(directory / CONFIG_FILE))
    path = _existing(directory / WEIGHTS_FILE)
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise ValueError(
            f"Expected weights of at most {MAX_WEIGHTS_BYTES / 1e6:,.0f} MB, got {path.stat().st_size / 1e6:,.0f} MB "
            f"in {path}. Save the model again."
        )
    flow = build(config.flow, 0).float()
    flow.load_state_dict(_read_weights(path, config, flow.state_dict()))
    return config, flow


def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """The settings in a JSON file; those left out take their defaults.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is no JSON, or has a setting that is unknown or outside its limits.
    """
    path = Path(path)
    with path.open("rb") as file:
        text = file.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise ValueError(
            f"Expected settings of at most {MAX_CONFIG_BYTES:,} bytes, got more in {path}. "
            "Name the JSON file of a RunConfig."
        )
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":  # explain() would repeat the whole file
            reason = first["msg"].removeprefix("Invalid JSON: ")
            raise ValueError(f"Expected JSON in {path}, got text that is not: {reason}. Mend it there.") from None
        raise ValueError(f"{path}: {_shortened(explain(error))}") from None


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(
            f"Expected {CONFIG_FILE} and {WEIGHTS_FILE} in {path.parent}, got no file {path.name}. "
            "Save the model again."
        )
    return path


def _read_weights(path: Path, config: RunConfig, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, checked against those of a flow before their data are read."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            _check_belongs(path, config, file.metadata())
            _check_names(path, set(expected), set(file.keys()))
            for name, tensor in expected.items():
                found = file.get_slice(name)
                _check_kind(path, name, tensor, found.get_dtype(), tuple(found.get_shape()))
            tensors = {name: file.get_tensor(name) for name in expected}
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"Expected a whole safetensors file in {path}, got {error}. Save or copy the model again."
        ) from None
    _check_numbers(path, tensors)
    return tensors


def _check_belongs(path: Path, config: RunConfig, metadata: dict[str, str] | None) -> None:
    """Compare the settings that the weights carry. Weights that another program wrote carry none."""
    copy = (metadata or {}).get(CONFIG_KEY)
    if copy is None:
        return
    try:
        same = RunConfig.model_validate_json(copy) == config
    except ValidationError:
        same = False
    if not same:
        raise ValueError(
            f"Expected {CONFIG_FILE} as it was saved with {path}, got other settings. "
            "Put back the one that belongs to it, or save the model again."
        )


def _check_names(path: Path, expected: set[str], found: set[str]) -> None:
    for names, problem in ((expected - found, "no"), (found - expected, "also")):
        if names:
            shown = ", ".join(sorted(names)[:NAMES_SHOWN])
            more = ", …" if len(names) > NAMES_SHOWN else ""
            raise ValueError(
                f"Expected the {len(expected)} tensors of the flow in {CONFIG_FILE}, got {problem} {shown}{more} in "
                f"{path}. Put the two files of one model together."
            )


def _check_kind(path: Path, name: str, expected: Tensor, dtype: str, shape: tuple[int, ...]) -> None:
    if shape != tuple(expected.shape):
        raise ValueError(
            f"Expected {name} of shape {tuple(expected.shape)}, got {shape} in {path}. "
            f"Put the {CONFIG_FILE} beside it that belongs to it."
        )
    if dtype != "F32":
        raise ValueError(f"Expected {name} in F32, got {dtype} in {path}. Convert it: tensor.float().")


def _check_numbers(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse numbers with which log_prob would not be a density."""
    again = f"in {path}. Save the model again."
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"Expected finite numbers in {name}, got NaN or infinity {again}")
        last = name.rpartition(".")[2]
        if last == "scale" and not (tensor > 0).all():
            raise ValueError(f"Expected a positive {name}, got {tensor.tolist()} {again}")
        if last in ("w_0", "w_perm", "w_perm_inv"):
            # The log-determinant counts a rotation as 0, and the inverse of w_perm is stored beside it.
            inverse = tensors[name + "_inv"] if last == "w_perm" else tensor.T
            error = (tensor @ inverse - torch.eye(len(tensor))).abs().max().item()
            if not error <= ORTHOGONAL_WITHIN:
                raise ValueError(f"Expected an orthogonal {name} and its inverse, got an error of {error:.2g} {again}")


def _shortened(reason: str) -> str:
    return reason if len(reason) <= REASON_SHOWN else f"{reason[:REASON_SHOWN]}…"
