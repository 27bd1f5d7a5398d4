"""Settings are values: equal ones are the same, none is outside its limits, and a wrong one is told in a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from aio.config import (
    BaseConfig,
    BlockConfig,
    DataConfig,
    FlowConfig,
    RunConfig,
    SubnetConfig,
    TrainingConfig,
    explain,
    limits,
)
from aio.flow import build
from aio.targets import TARGETS

MODELS = (DataConfig, BlockConfig, SubnetConfig, BaseConfig, FlowConfig, TrainingConfig, RunConfig)

# ---------------------------------------------------------------------- the settings, read off the models


def fields_of(*kinds: type) -> list[tuple[type[BaseModel], str]]:
    return [(m, name) for m in MODELS for name, field in m.model_fields.items() if field.annotation in kinds]


def choices_of(model: type[BaseModel], name: str) -> tuple[Any, ...]:
    annotation = model.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


NUMBERS = fields_of(int, float)
CHOICES = [(m, name) for m in MODELS for name in m.model_fields if choices_of(m, name)]
each_number = pytest.mark.parametrize(("model", "name"), NUMBERS, ids=lambda v: v if isinstance(v, str) else v.__name__)
each_choice = pytest.mark.parametrize(("model", "name"), CHOICES, ids=lambda v: v if isinstance(v, str) else v.__name__)


def leaves(model: type[BaseModel] = RunConfig, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all settings of a run that are not settings of settings."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, (*path, name))
        else:
            yield (*path, name)


LEAVES = list(leaves())
each_leaf = pytest.mark.parametrize("path", LEAVES, ids=".".join)


def simple(model: type[BaseModel], **given: st.SearchStrategy) -> st.SearchStrategy:
    """Any settings of a model; its numbers, switches and choices are read off its fields."""
    for name, field in model.model_fields.items():
        if name in given:
            continue
        if field.annotation is bool:
            given[name] = st.booleans()
        elif choices_of(model, name):
            given[name] = st.sampled_from(choices_of(model, name))
        else:
            low, high = limits(model, name)
            # An open lower end, as in clip_norm > 0, is not itself allowed.
            given[name] = st.integers(low, high) if field.annotation is int else st.floats(low or 1e-9, high)
            if field.annotation is float and allowed(model, name, 0.0):
                given[name] |= st.sampled_from((0.0, -0.0))
    return st.fixed_dictionaries(given)


def allowed(model: type[BaseModel], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError:
        return False
    return True


@st.composite
def data_configs(draw: st.DrawFn) -> DataConfig:
    target = TARGETS[draw(st.sampled_from(list(TARGETS)))]
    parameters = {
        p.name: draw(
            st.integers(p.minimum, p.maximum) if isinstance(p.default, int) else st.floats(p.minimum, p.maximum)
        )
        for p in target.parameters
        if draw(st.booleans())
    }
    low, high = limits(DataConfig, "points")
    return DataConfig(target=target.name, parameters=parameters, points=draw(st.integers(low, high)))


block_configs = (
    simple(BlockConfig)
    .filter(lambda v: v["global_affine_type"] != "SIGMOID" or v["global_affine_init"] < 10)
    .map(BlockConfig.model_validate)
)


@st.composite
def run_configs(draw: st.DrawFn) -> RunConfig:
    """Any settings of a run on a target."""
    blocks = draw(st.integers(*limits(FlowConfig, "blocks")))
    overrides = draw(st.dictionaries(st.integers(0, blocks - 1), block_configs, max_size=3))
    parts = {"block": draw(block_configs), "subnet": draw(simple(SubnetConfig)), "base": draw(simple(BaseConfig))}
    flow = FlowConfig(blocks=blocks, overrides=overrides, **parts)
    seed = draw(st.integers(*limits(RunConfig, "seed")))
    return RunConfig(data=draw(data_configs()), flow=flow, training=draw(simple(TrainingConfig)), seed=seed)


# ---------------------------------------------------------------------- values


@hypothesis_settings(max_examples=40, deadline=None)
@given(run_configs())
def test_settings_written_as_json_are_the_same_value(config: RunConfig) -> None:
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert hash(again) == hash(config)


@hypothesis_settings(max_examples=40, deadline=None)
@given(run_configs())
def test_settings_as_plain_json_data_are_the_same_value(config: RunConfig) -> None:
    assert RunConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_settings_cannot_be_assigned(model: type[BaseModel]) -> None:
    value = model()
    for name in model.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, name, getattr(value, name))


@each_leaf
def test_another_value_of_any_setting_is_another_value_of_the_whole(path: tuple[str, ...]) -> None:
    others: dict[str, Any] = {
        "target": "rings", "parameters": {"noise": 0.1}, "overrides": {1: BlockConfig(clamp=1.5)}, "kind": None,
    }  # fmt: skip
    default = RunConfig()
    owner, value = type(default.at(path[:-1])), default.at(path)
    if choices := choices_of(owner, path[-1]):
        other = next((c for c in choices if c != value), None)
    elif path[-1] in others:
        other = others[path[-1]]
    else:
        other = (not value) if isinstance(value, bool) else limits(owner, path[-1])[1]
    if other is None:
        assert choices == (value,)  # a setting with one choice cannot differ
        return
    changed = default.changed_at(path, other)
    assert changed.at(path) == other
    assert changed != default
    assert len({changed, default, RunConfig()}) == 2
    assert default == RunConfig()


def test_equal_settings_hash_alike_however_they_were_written() -> None:
    ways = [
        TrainingConfig(weight_decay=0.0, batch_size=64, averaging=0.0),
        TrainingConfig(weight_decay=-0.0, batch_size=64, averaging=0),
        TrainingConfig.model_validate({"averaging": "0", "batch_size": "64", "weight_decay": 0}),
    ]
    assert all(way == ways[0] for way in ways)
    assert len({hash(way) for way in ways}) == 1


def test_the_order_of_overrides_does_not_matter() -> None:
    a, b = BlockConfig(clamp=1.0), BlockConfig(gin=True)
    one, other = FlowConfig(overrides={3: a, 1: b}), FlowConfig(overrides={1: b, 3: a})
    assert one == other
    assert hash(one) == hash(other)
    assert one.model_dump_json() == other.model_dump_json()


# ---------------------------------------------------------------------- limits


@each_number
def test_a_number_is_allowed_up_to_its_limits_and_no_further(model: type[BaseModel], name: str) -> None:
    low, high = limits(model, name)
    assert low < high
    whole = model.model_fields[name].annotation is int
    step = {True: lambda v, sign: v + sign, False: lambda v, sign: math.nextafter(v, sign * math.inf)}[whole]
    # An open lower end is itself refused, and the next number above it taken.
    lowest = low if allowed(model, name, low) else step(low, +1)
    assert getattr(model.model_validate({name: lowest}), name) == lowest
    assert getattr(model.model_validate({name: high}), name) == high
    for outside in (step(lowest, -1), step(high, +1)):
        with pytest.raises(ValidationError, match="Input should be"):
            model.model_validate({name: outside})


def test_only_the_clip_norm_excludes_its_lower_limit() -> None:
    assert [name for model, name in NUMBERS if not allowed(model, name, limits(model, name)[0])] == ["clip_norm"]


@each_number
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "a lot", None, [1]], ids=str)
def test_what_is_no_finite_number_is_refused(model: type[BaseModel], name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        model.model_validate({name: value})


@each_choice
def test_a_choice_outside_the_list_is_refused_and_the_list_is_told(model: type[BaseModel], name: str) -> None:
    for choice in choices_of(model, name):
        assert getattr(model.model_validate({name: choice}), name) == choice
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: "sideways"})
    assert all(str(choice) in explain(caught.value) for choice in choices_of(model, name))
    assert explain(caught.value).endswith("got sideways.")


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_an_unknown_setting_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"momentum": 0.9})
    assert explain(caught.value) == "momentum: Extra inputs are not permitted, got 0.9."


PARTS = {BlockConfig: "block", SubnetConfig: "subnet", BaseConfig: "base"}


@pytest.mark.parametrize("path", [(m, n) for m, n in NUMBERS if m in PARTS], ids=lambda p: p[1])
@pytest.mark.parametrize("end", [0, 1], ids=["lowest", "highest"])
def test_a_flow_at_the_limits_gives_finite_densities(path: tuple[type[BaseModel], str], end: int) -> None:
    model, name = path
    kind = {"kind": "student" if name == "df" else "mixture"} if model is BaseConfig else {}
    config = FlowConfig(blocks=2, **{PARTS[model]: model.model_validate({name: limits(model, name)[end], **kind})})
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    flow = build(config, 0)
    assert torch.isfinite(flow.log_prob(x)).all()
    assert torch.isfinite(flow.inverse(x)[0]).all()


@pytest.mark.parametrize("kind", ["SIGMOID", "SOFTPLUS", "EXP"])
def test_only_the_sigmoid_cannot_start_at_ten(kind: str) -> None:
    below = math.nextafter(10, 0)
    assert BlockConfig(global_affine_type=kind, global_affine_init=below).global_affine_init == below
    for init in (10.0, 20.0):
        if kind == "SIGMOID":
            with pytest.raises(ValidationError) as caught:
                BlockConfig(global_affine_type=kind, global_affine_init=init)
            assert f"Expected global_affine_init below 10 for SIGMOID, got {init:g}." in explain(caught.value)
        else:
            assert BlockConfig(global_affine_type=kind, global_affine_init=init).global_affine_init == init


def test_choosing_the_sigmoid_checks_the_start_that_was_set_before() -> None:
    with pytest.raises(ValidationError, match="below 10 for SIGMOID"):
        BlockConfig(global_affine_init=12.0).changed(global_affine_type="SIGMOID")


# ---------------------------------------------------------------------- data


@pytest.mark.parametrize("name", TARGETS)
def test_parameters_of_a_target_are_completed_with_its_defaults(name: str) -> None:
    config = DataConfig(target=name)
    assert config.parameters == {p.name: p.default for p in TARGETS[name].parameters}
    assert config == DataConfig(target=name, parameters=dict(config.parameters))
    assert config.build() == TARGETS[name]


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(t.name, p) for t in TARGETS.values() for p in t.parameters],
    ids=lambda v: v if isinstance(v, str) else v.name,
)
def test_parameters_of_a_target_are_held_to_its_limits(name: str, parameter: Any) -> None:
    for value in (parameter.minimum, parameter.maximum):
        built = DataConfig(target=name, parameters={parameter.name: value}).build()
        assert getattr(built, parameter.name) == value
    for value in (parameter.minimum - 1, parameter.maximum + 1, math.nan, math.inf, "wide", None):
        with pytest.raises(ValidationError, match=f"Expected {parameter.name} "):
            DataConfig(target=name, parameters={parameter.name: value})


@pytest.mark.parametrize("name", ["wobble", "name", "self", "title"])
def test_a_parameter_that_the_target_lacks_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"Expected a parameter of moons, which has noise.*got '{name}'"):
        DataConfig.model_validate_json(json.dumps({"target": "moons", "parameters": {name: 1.0}}))


def test_an_unknown_target_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError) as caught:
        DataConfig(target="mons")
    assert "got 'mons'. Did you mean moons?" in explain(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        "moons",
        3,
        ["moons"],
        {"target": 3},
        {"target": ["moons"]},
        {"parameters": "noise"},
        {"parameters": [0.1]},
        {"target": None, "parameters": [0.1]},
        {"target": None, "parameters": {"noise": 0.1}},
    ],
    ids=repr,
)
def test_data_of_another_form_is_refused_as_settings_are(values: Any) -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate({"data": values})


def test_another_target_starts_with_its_own_parameters() -> None:
    moons = DataConfig(parameters={"noise": 0.2}, points=300)
    rings = moons.changed(target="rings")
    assert rings == DataConfig(target="rings", points=300)
    assert rings.changed(target="rings", points=500).parameters == rings.parameters
    assert moons.changed(points=400).parameters == {"noise": 0.2}
    assert moons.changed(target="rings", parameters={"noise": 0.11}).parameters["noise"] == 0.11


def test_points_of_ones_own_have_no_target_and_no_parameters() -> None:
    own = DataConfig(parameters={"noise": 0.2}).changed(target=None)
    assert own == DataConfig(target=None)
    assert own.parameters == {}
    assert own.build() is None
    with pytest.raises(ValidationError, match=r"Expected no parameters without a target, got {'noise': 0.1}\."):
        DataConfig(target=None, parameters={"noise": 0.1})


# ---------------------------------------------------------------------- single blocks


@pytest.mark.parametrize("index", [-1, 4, 100])
def test_settings_of_a_block_that_is_not_there_are_refused(index: int) -> None:
    with pytest.raises(ValidationError) as caught:
        FlowConfig(blocks=4, overrides={index: BlockConfig()})
    assert f"Expected overrides for blocks 0 to 3, got [{index}]. Remove them or add blocks." in explain(caught.value)


def test_a_shorter_stack_drops_the_settings_of_blocks_that_are_no_more() -> None:
    flow = FlowConfig(blocks=4, overrides={1: BlockConfig(clamp=1.0), 3: BlockConfig(gin=True)})
    assert flow.changed(blocks=5).overrides == flow.overrides
    assert flow.changed(blocks=3).overrides == {1: BlockConfig(clamp=1.0)}


def test_a_block_has_its_own_settings_or_those_of_all() -> None:
    own, shared = BlockConfig(gin=True), BlockConfig(clamp=1.0)
    flow = FlowConfig(blocks=3, block=shared, overrides={1: own})
    assert [flow.block_config(i) for i in range(3)] == [shared, own, shared]


# ---------------------------------------------------------------------- changes and sentences


def test_a_change_is_a_checked_copy() -> None:
    before = BlockConfig()
    after = before.changed(clamp="1.5", gin=True)
    assert (after.clamp, after.gin, before.clamp, before.gin) == (1.5, True, 2.0, False)
    assert after == BlockConfig(clamp=1.5, gin=True)
    with pytest.raises(ValidationError, match="greater than or equal to"):
        before.changed(clamp=-1.0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        before.changed(alpha=1.0)


@each_leaf
def test_setting_a_value_to_what_it_is_changes_nothing(path: tuple[str, ...]) -> None:
    config = RunConfig(seed=7)
    assert config.changed_at(path, config.at(path)) == config


def test_a_change_at_a_path_leaves_the_rest_alone() -> None:
    config = RunConfig().changed_at(("flow", "block", "clamp"), 1.5)
    assert config.changed_at(("flow", "block", "clamp"), 2.0) == RunConfig()
    assert config.flow.block == BlockConfig(clamp=1.5)
    assert (config.data, config.training, config.flow.subnet) == (DataConfig(), TrainingConfig(), SubnetConfig())


def test_each_problem_is_told_in_a_sentence_of_what_was_expected_and_what_came() -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({"flow": {"blocks": 99, "subnet": {"activation": "gelu"}}, "seed": "x"})
    assert explain(caught.value) == (
        "flow.blocks: Input should be less than or equal to 24, got 99. "
        "flow.subnet.activation: Input should be 'relu', 'silu' or 'tanh', got gelu. "
        "seed: Input should be a valid integer, unable to parse string as an integer, got x."
    )
    assert "flow.blocks" not in explain(caught.value, name_fields=False)
