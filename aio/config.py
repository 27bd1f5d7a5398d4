"""Settings as values: frozen models for data, block, flow and training, with their limits, JSON and link forms.

A `RunConfig` is everything a run depends on. The same object stands in a link, in a JSON file and beside saved
weights; nothing else leads from a widget or a command line to a flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aio.block import ClampDialect
from aio.global_affine import SIGMOID_MAXIMUM, GlobalAffineType
from aio.subnets import Activation
from aio.targets import Target, get_target

__all__ = [
    "BaseConfig",
    "BlockConfig",
    "DataConfig",
    "FlowConfig",
    "RunConfig",
    "SubnetConfig",
    "TrainingConfig",
    "explain",
    "limits",
    "shown",
]


SHOWN_LENGTH = 60  # characters of a wrong value that a message repeats


class Settings(BaseModel):
    """A frozen, hashable value: equal settings are the same settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __hash__(self) -> int:
        values = (frozenset(v.items()) if isinstance(v, dict) else v for _, v in self)
        return hash((type(self), *values))

    def at(self, path: tuple[str, ...]) -> Any:
        """The value at a path of field names.

        >>> RunConfig().at(("flow", "subnet", "width"))
        64
        """
        value: Any = self
        for field in path:
            value = getattr(value, field)
        return value

    def changed_at(self, path: tuple[str, ...], value: Any) -> Self:
        """A copy with another value at a path of field names, checked against the limits.

        >>> RunConfig().changed_at(("flow", "subnet", "width"), 16).flow.subnet.width
        16
        """
        field, *rest = path
        return self.changed(**{field: getattr(self, field).changed_at(tuple(rest), value) if rest else value})

    def changed(self, **changes: Any) -> Self:
        """A copy with `changes`, checked against the limits.

        >>> BlockConfig().changed(clamp=1.5).clamp
        1.5
        """
        return type(self).model_validate({**dict(self), **changes})


class DataConfig(Settings):
    """Where the points come from: a target of `aio.targets`, or None for points of the visitor's own."""

    target: str | None = "moons"
    parameters: dict[str, float] = Field(default_factory=dict, description="the target's own, by name")
    points: Annotated[int, Field(ge=100, le=200_000, description="size of the training set")] = 50_000

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Check the target's parameters and fill in those left out, so that equal data are equal values."""
        if not isinstance(values, Mapping):
            return values
        name = values.get("target", "moons")
        given = values.get("parameters") or {}
        if name is None and given:
            raise ValueError(f"Expected no parameters without a target, got {shown(given)}. Leave them out.")
        if not isinstance(name, str) or not isinstance(given, Mapping):
            return values
        target = get_target(name, **{parameter: _number(parameter, value) for parameter, value in given.items()})
        return {**values, "parameters": {p.name: getattr(target, p.name) for p in target.parameters}}

    def build(self) -> Target | None:
        """The target with these parameters; None for points of the visitor's own."""
        return None if self.target is None else get_target(self.target, **self.parameters)

    def changed(self, **changes: Any) -> Self:
        """A copy with `changes`; another target starts with its own parameters at their defaults."""
        if changes.get("target", self.target) != self.target:
            changes = {"parameters": {}, **changes}
        return super().changed(**changes)


class BlockConfig(Settings):
    """What one AllInOneBlock is built with; see `aio.block.AllInOneBlock` for the meaning."""

    clamp: Annotated[float, Field(ge=0.1, le=10.0, description="α of the soft clamp")] = 2.0
    clamp_dialect: ClampDialect = "freia-0.2"
    permutation: Literal["hard", "soft"] = "soft"
    householder: Annotated[int, Field(ge=0, le=8, description="number of trained reflections")] = 0
    reverse_permutation: bool = False
    gin: bool = False
    global_affine_type: GlobalAffineType = "SOFTPLUS"
    global_affine_init: Annotated[float, Field(ge=0.01, le=20.0, description="Ψ before training")] = 1.0

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.global_affine_type == "SIGMOID" and self.global_affine_init >= SIGMOID_MAXIMUM:
            raise ValueError(
                f"Expected global_affine_init below {SIGMOID_MAXIMUM:g} for SIGMOID, got "
                f"{self.global_affine_init:g}. Lower it, or choose SOFTPLUS or EXP."
            )
        return self


class SubnetConfig(Settings):
    """The conditioner network of every block."""

    kind: Literal["mlp"] = "mlp"
    width: Annotated[int, Field(ge=1, le=256, description="units in a hidden layer")] = 64
    depth: Annotated[int, Field(ge=0, le=4, description="hidden layers")] = 2
    activation: Activation = "relu"


class BaseConfig(Settings):
    """The distribution that the flow bends; see `aio.bases`. Each kind reads its own settings and no other's."""

    kind: Literal["normal", "student", "mixture"] = "normal"
    df: Annotated[float, Field(ge=1.0, le=100.0, description="ν, degrees of freedom of Student's t")] = 3.0
    modes: Annotated[int, Field(ge=2, le=12, description="number of Gaussians in the ring")] = 8
    radius: Annotated[float, Field(ge=0.5, le=3.0, description="of the ring, in latent space")] = 2.0
    width: Annotated[float, Field(ge=0.1, le=1.0, description="σ of each Gaussian, in latent space")] = 0.25


class FlowConfig(Settings):
    """A stack of blocks on a base. All blocks share `block`, but for those in `overrides`."""

    blocks: Annotated[int, Field(ge=1, le=24, description="number of AllInOneBlocks")] = 8
    block: BlockConfig = BlockConfig()
    subnet: SubnetConfig = SubnetConfig()
    base: BaseConfig = BaseConfig()
    overrides: dict[int, BlockConfig] = Field(default_factory=dict, description="block number from 0 → settings")

    @field_validator("overrides")
    @classmethod
    def _within_the_stack(cls, overrides: dict[int, BlockConfig], info: Any) -> dict[int, BlockConfig]:
        blocks = info.data.get("blocks", 0)
        outside = sorted(i for i in overrides if not 0 <= i < blocks)
        if outside:
            raise ValueError(
                f"Expected overrides for blocks 0 to {blocks - 1}, got {outside}. Remove them or add blocks."
            )
        return dict(sorted(overrides.items()))

    def changed(self, **changes: Any) -> Self:
        """A copy with `changes`; in a shorter stack the settings of blocks that are no more fall away."""
        if "blocks" in changes and "overrides" not in changes and isinstance(changes["blocks"], int):
            changes["overrides"] = {i: block for i, block in self.overrides.items() if i < changes["blocks"]}
        return super().changed(**changes)

    def block_config(self, index: int) -> BlockConfig:
        """The settings of block `index`, counted from 0 at the data."""
        return self.overrides.get(index, self.block)


class TrainingConfig(Settings):
    """How a flow is trained by maximum likelihood: Adam, a schedule, gradient clipping, weight decay."""

    learning_rate: Annotated[float, Field(ge=1e-6, le=1.0, description="Adam's step size at its highest")] = 1e-2
    batch_size: Annotated[int, Field(ge=8, le=4096, description="points in a step")] = 256
    schedule: Literal["constant", "inverse_sqrt", "cosine"] = "inverse_sqrt"
    warmup: Annotated[int, Field(ge=0, le=10_000, description="steps of linear warm-up")] = 50
    horizon: Annotated[int, Field(ge=10, le=1_000_000, description="steps to the end of the cosine, or to the "
                                  "first halving of the inverse square root")] = 1000  # fmt: skip
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0, description="L2 penalty's gradient factor")] = 0.0
    averaging: Annotated[float, Field(ge=0.0, le=0.9999, description="decay of the running average of weights that "
                                     "is shown; 0 shows the weights as they are")] = 0.995  # fmt: skip
    clip_norm: Annotated[float, Field(gt=0.0, le=1e6, description="largest norm of the gradient")] = 5.0


class RunConfig(Settings):
    """Everything a run depends on. The same settings and seed give the same run."""

    data: DataConfig = DataConfig()
    flow: FlowConfig = FlowConfig()
    training: TrainingConfig = TrainingConfig()
    seed: Annotated[int, Field(ge=0, le=2**30 - 1, description="of everything drawn")] = 0


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"Expected {name} as a number, got '{shown(value)}'.") from None


def limits(model: type[Settings], field: str) -> tuple[float, float]:
    """The lowest and highest value of a numeric setting, as widgets and messages use them.

    >>> limits(FlowConfig, "blocks")
    (1, 24)
    """
    bounds: dict[str, float] = {}
    for constraint in model.model_fields[field].metadata:
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(constraint, name):
                bounds[name] = getattr(constraint, name)
    return bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))


def explain(error: ValidationError, *, name_fields: bool = True) -> str:
    """What is wrong with settings, in sentences for the person who gave them.

    Args:
        error: what pydantic raised.
        name_fields: begin each sentence with the name of the setting.
    """
    sentences = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        if not text.endswith((".", "?")):
            text = f"{text}, got {shown(problem['input'])}."
        sentences.append(f"{where}: {text}" if where and name_fields else text)
    return " ".join(sentences)


def shown(value: Any) -> str:
    """A value as it stands in a message: without control characters, and never longer than a line."""
    text = repr(value)[1:-1] if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"
