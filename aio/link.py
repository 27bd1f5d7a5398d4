"""Settings in a link: one table of short names drives both directions.

Only what differs from the defaults stands in the link, so that it stays short enough to paste. A name or value that
cannot be understood is left out and told, and the rest still holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from aio.config import BlockConfig, RunConfig, explain, shown
from aio.targets import TARGETS

__all__ = ["LINK_NAMES", "VERSION", "from_link", "to_link"]

VERSION = "1"

BLOCK_NAMES: dict[str, str] = {
    "alpha": "clamp",
    "dialect": "clamp_dialect",
    "permutation": "permutation",
    "mirrors": "householder",
    "reverse": "reverse_permutation",
    "gin": "gin",
    "psi": "global_affine_type",
    "psi0": "global_affine_init",
}
LINK_NAMES: dict[str, tuple[str, ...]] = {
    "target": ("data", "target"),
    "points": ("data", "points"),
    "blocks": ("flow", "blocks"),
    **{name: ("flow", "block", field) for name, field in BLOCK_NAMES.items()},
    "width": ("flow", "subnet", "width"),
    "depth": ("flow", "subnet", "depth"),
    "activation": ("flow", "subnet", "activation"),
    "base": ("flow", "base", "kind"),
    "df": ("flow", "base", "df"),
    "base_modes": ("flow", "base", "modes"),
    "base_radius": ("flow", "base", "radius"),
    "base_width": ("flow", "base", "width"),
    "lr": ("training", "learning_rate"),
    "batch": ("training", "batch_size"),
    "schedule": ("training", "schedule"),
    "warmup": ("training", "warmup"),
    "horizon": ("training", "horizon"),
    "decay": ("training", "weight_decay"),
    "clip": ("training", "clip_norm"),
    "average": ("training", "averaging"),
    "seed": ("seed",),
}
"""Name in the link → path in a RunConfig. Names stay when fields move: stored links keep working."""

BLOCK_PREFIX = "block"  # block3=alpha:1.5,gin:1 sets block 3, counted from 1, apart from the others
PARAMETER_NAMES = frozenset(p.name for target in TARGETS.values() for p in target.parameters)


def to_link(config: RunConfig) -> dict[str, str]:
    """Settings as the parameters of a link; nothing for the default settings.

    Example:
        >>> to_link(RunConfig(seed=3))
        {'v': '1', 'seed': '3'}
    """
    default = RunConfig()
    link: dict[str, str] = {}
    for name, path in LINK_NAMES.items():
        value = config.at(path)
        if value != default.at(path) and value is not None:
            link[name] = _write(value)
    usual = TARGETS[config.data.target].parameters if config.data.target else ()
    for parameter in usual:
        value = config.data.parameters[parameter.name]
        if value != getattr(TARGETS[config.data.target], parameter.name):
            link[parameter.name] = _write(value)
    for index, block in config.flow.overrides.items():
        shared = config.flow.block
        own = {n: getattr(block, f) for n, f in BLOCK_NAMES.items() if getattr(block, f) != getattr(shared, f)}
        link[f"{BLOCK_PREFIX}{index + 1}"] = ",".join(f"{name}:{_write(value)}" for name, value in own.items())
    return {"v": VERSION, **link} if link else {}


def from_link(parameters: Mapping[str, str]) -> tuple[RunConfig, list[str]]:
    """Settings from the parameters of a link, and a sentence for each that could not be taken.

    Example:
        >>> config, notices = from_link({"blocks": "4", "alpha": "-1"})
        >>> config.flow.blocks, notices
        (4, ['alpha=-1 was left out: Input should be greater than or equal to 0.1, got -1.'])
    """
    config, notices = RunConfig(), []
    if parameters.get("v", VERSION) != VERSION:
        notices.append(f"v={shown(parameters['v'])} was left out: this app reads links of version {VERSION}.")
    given = {name: value for name, value in parameters.items() if name != "v"}
    # Later names may depend on earlier ones: a target's parameters on the target, a block's own on the blocks.
    order = [*LINK_NAMES, *sorted(PARAMETER_NAMES)]
    for name in sorted(given, key=lambda n: order.index(n) if n in order else len(order)):
        text = given[name]
        try:
            config = _taken(config, name, text)
        except ValidationError as error:
            notices.append(f"{shown(name)}={shown(text)} was left out: {explain(error, name_fields=False)}")
        except ValueError as error:
            notices.append(f"{shown(name)}={shown(text)} was left out: {error}")
    return config, notices


def _taken(config: RunConfig, name: str, text: str) -> RunConfig:
    if name in LINK_NAMES:
        return config.changed_at(LINK_NAMES[name], text)
    if config.data.target and name in config.data.parameters:
        return config.changed_at(("data", "parameters"), {**config.data.parameters, name: text})
    if name in PARAMETER_NAMES:
        raise ValueError(f"the target {config.data.target} has no {name}.")
    index = name.removeprefix(BLOCK_PREFIX)
    if name.startswith(BLOCK_PREFIX) and index.isdecimal():
        overrides = {**config.flow.overrides, int(index) - 1: _block(config.flow.block, text)}
        return config.changed_at(("flow", "overrides"), overrides)
    raise ValueError("no setting has this name.")


def _block(shared: BlockConfig, text: str) -> BlockConfig:
    """A block's own settings: those that all blocks share, but for what the text says."""
    fields = {}
    for pair in filter(None, text.split(",")):
        name, _, value = pair.partition(":")
        if name not in BLOCK_NAMES:
            raise ValueError(f"Expected settings of a block among {', '.join(BLOCK_NAMES)}, got {name!r}.")
        fields[BLOCK_NAMES[name]] = value
    return shared.changed(**fields)


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        short = f"{value:.12g}"  # 2 rather than 2.0, where nothing is lost
        return short if float(short) == value else repr(value)
    return str(value)
