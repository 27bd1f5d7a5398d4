"""A link holds all settings of a run, and a broken one still opens with what can be understood."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aio.config import BaseConfig, BlockConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig, TrainingConfig, shown
from aio.link import BLOCK_NAMES, LINK_NAMES, PARAMETER_NAMES, from_link, to_link
from aio.targets import TARGETS
from tests.test_config import LEAVES, run_configs

# ---------------------------------------------------------------------- there and back


@settings(max_examples=150, deadline=None)
@given(run_configs())
def test_a_link_brings_back_the_same_settings(config: RunConfig) -> None:
    assert from_link(to_link(config)) == (config, [])


@settings(max_examples=30, deadline=None)
@given(run_configs())
def test_a_link_survives_being_an_address(config: RunConfig) -> None:
    address = urlencode(to_link(config))
    assert from_link(dict(parse_qsl(address, keep_blank_values=True, strict_parsing=bool(address)))) == (config, [])


@pytest.mark.parametrize("target", TARGETS)
def test_a_link_brings_back_every_target_with_its_parameters_at_both_ends(target: str) -> None:
    for end in ("minimum", "maximum"):
        parameters = {p.name: getattr(p, end) for p in TARGETS[target].parameters}
        config = RunConfig(data=DataConfig(target=target, parameters=parameters))
        assert from_link(to_link(config)) == (config, [])


def test_the_default_settings_need_no_link() -> None:
    assert to_link(RunConfig()) == {}
    assert from_link({}) == (RunConfig(), [])


@pytest.mark.parametrize(
    ("config", "link"),
    [
        (RunConfig(seed=3), {"seed": "3"}),
        (RunConfig(training=TrainingConfig(learning_rate=1e-5, clip_norm=1e6)), {"lr": "1e-05", "clip": "1000000"}),
        (RunConfig(flow=FlowConfig(block=BlockConfig(clamp=3.0, gin=True))), {"alpha": "3", "gin": "1"}),
        (RunConfig(data=DataConfig(target="rings")), {"target": "rings"}),
        (RunConfig(data=DataConfig(parameters={"noise": 0.25})), {"noise": "0.25"}),
        (RunConfig(flow=FlowConfig(base=BaseConfig(kind="student"))), {"base": "student"}),
        (RunConfig(flow=FlowConfig(overrides={0: BlockConfig()})), {"block1": ""}),
        (
            RunConfig(flow=FlowConfig(blocks=4, overrides={2: BlockConfig(clamp=0.5, reverse_permutation=True)})),
            {"blocks": "4", "block3": "alpha:0.5,reverse:1"},
        ),
    ],
    ids=lambda v: ",".join(v) if isinstance(v, dict) else "",
)
def test_only_what_differs_from_the_default_stands_in_a_link(config: RunConfig, link: dict[str, str]) -> None:
    assert to_link(config) == {"v": "1", **link}


@settings(max_examples=40, deadline=None)
@given(run_configs())
def test_a_name_stands_in_the_link_exactly_where_its_value_differs(config: RunConfig) -> None:
    link, default = to_link(config), RunConfig()
    for name, path in LINK_NAMES.items():
        assert (name in link) == (config.at(path) != default.at(path)), name
    usual = TARGETS[config.data.target]
    assert PARAMETER_NAMES & link.keys() == {n for n, v in config.data.parameters.items() if v != getattr(usual, n)}


def test_points_of_ones_own_stay_out_of_a_link_and_the_rest_stands_in_it() -> None:
    own = RunConfig(data=DataConfig(target=None, points=300), seed=5)
    config, notices = from_link(to_link(own))
    assert config == RunConfig(data=DataConfig(points=300), seed=5)
    assert notices == []


# ---------------------------------------------------------------------- names


def test_every_setting_has_a_name_in_the_link() -> None:
    written_otherwise = {
        ("data", "parameters"),  # each under its own name
        ("flow", "overrides"),  # block1, block2, …
        ("flow", "subnet", "kind"),  # there is one
    }
    assert set(LEAVES) - set(LINK_NAMES.values()) == written_otherwise
    assert set(LINK_NAMES.values()) < set(LEAVES)
    assert len(SubnetConfig.model_json_schema()["properties"]["kind"].get("enum", [1])) == 1
    assert {("flow", "block", field) for field in BLOCK_NAMES.values()} == {
        p for p in LEAVES if p[:2] == ("flow", "block")
    }


def test_no_two_settings_share_a_name() -> None:
    assert len(set(LINK_NAMES.values())) == len(LINK_NAMES)
    assert not PARAMETER_NAMES & LINK_NAMES.keys()
    taken = [name for name in LINK_NAMES.keys() | PARAMETER_NAMES if name.removeprefix("block").isdecimal()]
    assert taken == []
    assert "v" not in LINK_NAMES.keys() | PARAMETER_NAMES


# Links that stand in notebooks and messages. They are never edited: names and values of version 1 keep their meaning.
STORED = {
    "all-blocks": (
        {"v": "1", "blocks": "4", "alpha": "1.9", "dialect": "freia-main", "permutation": "hard", "mirrors": "2",
         "reverse": "1", "gin": "1", "psi": "EXP", "psi0": "0.7"},
        RunConfig(flow=FlowConfig(blocks=4, block=BlockConfig(
            clamp=1.9, clamp_dialect="freia-main", permutation="hard", householder=2, reverse_permutation=True,
            gin=True, global_affine_type="EXP", global_affine_init=0.7))),
    ),
    "subnet": (
        {"v": "1", "width": "128", "depth": "3", "activation": "silu"},
        RunConfig(flow=FlowConfig(subnet=SubnetConfig(width=128, depth=3, activation="silu"))),
    ),
    "student-base": (
        {"v": "1", "base": "student", "df": "2.5"},
        RunConfig(flow=FlowConfig(base=BaseConfig(kind="student", df=2.5))),
    ),
    "ring-of-a-base-and-ring-of-a-target": (
        {"v": "1", "target": "eight_gaussians", "width": "16", "base": "mixture", "base_modes": "5",
         "base_radius": "1.5", "base_width": "0.4", "modes": "5"},
        RunConfig(
            data=DataConfig(target="eight_gaussians", parameters={"modes": 5}),
            flow=FlowConfig(
                subnet=SubnetConfig(width=16), base=BaseConfig(kind="mixture", modes=5, radius=1.5, width=0.4))),
    ),
    "training": (
        {"v": "1", "lr": "0.001", "batch": "100", "schedule": "cosine", "warmup": "0", "horizon": "2500",
         "decay": "1e-05", "clip": "0.5", "average": "0.99", "seed": "42"},
        RunConfig(seed=42, training=TrainingConfig(
            learning_rate=0.001, batch_size=100, schedule="cosine", warmup=0, horizon=2500, weight_decay=1e-5,
            clip_norm=0.5, averaging=0.99)),
    ),
    "target": (
        {"v": "1", "target": "eight_gaussians", "points": "1000", "noise": "0.4", "modes": "5"},
        RunConfig(data=DataConfig(target="eight_gaussians", points=1000, parameters={"noise": 0.4, "modes": 5})),
    ),
    "single-blocks": (
        {"v": "1", "blocks": "3", "block1": "alpha:0.5,mirrors:1", "block3": "permutation:hard,psi:SIGMOID,psi0:9"},
        RunConfig(flow=FlowConfig(blocks=3, overrides={
            0: BlockConfig(clamp=0.5, householder=1),
            2: BlockConfig(permutation="hard", global_affine_type="SIGMOID", global_affine_init=9.0)})),
    ),
    "without-version": ({"blocks": "2"}, RunConfig(flow=FlowConfig(blocks=2))),
}  # fmt: skip


@pytest.mark.parametrize(("link", "config"), STORED.values(), ids=STORED)
def test_a_stored_link_of_version_1_keeps_its_meaning(link: dict[str, str], config: RunConfig) -> None:
    assert from_link(link) == (config, [])
    assert to_link(config) == {"v": "1", **link}


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_the_order_in_a_link_does_not_matter(reverse: bool) -> None:
    link = {"block12": "gin:1", "noise": "0.1", "modes": "3", "psi0": "5", "blocks": "12", "target": "eight_gaussians"}
    config, notices = from_link(dict(sorted(link.items(), reverse=reverse)))
    assert notices == []
    assert config.flow.overrides == {11: BlockConfig(gin=True, global_affine_init=5.0)}  # psi0 is all blocks'
    assert config.data.parameters == {"noise": 0.1, "modes": 3}


# ---------------------------------------------------------------------- what cannot be understood

BROKEN = {
    "too-large": ({"blocks": "25"}, "blocks=25 was left out: Input should be less than or equal to 24, got 25."),
    "no-number": (
        {"alpha": "two"},
        "alpha=two was left out: Input should be a valid number, unable to parse string as a number, got two.",
    ),
    "not-finite": ({"lr": "nan"}, "lr=nan was left out: Input should be a finite number, got nan."),
    "no-choice": (
        {"activation": "gelu"},
        "activation=gelu was left out: Input should be 'relu', 'silu' or 'tanh', got gelu.",
    ),
    "no-base": ({"base": "t"}, "base=t was left out: Input should be 'normal', 'student' or 'mixture', got t."),
    "base-limit": ({"df": "0.5"}, "df=0.5 was left out: Input should be greater than or equal to 1, got 0.5."),
    "no-name": ({"colour": "red"}, "colour=red was left out: no setting has this name."),
    "no-target": (
        {"target": "mons"},
        f"target=mons was left out: Expected a target among {', '.join(TARGETS)}, got 'mons'. Did you mean moons?",
    ),
    "another-target's": ({"blades": "3"}, "blades=3 was left out: the target moons has no blades."),
    "parameter-limit": ({"noise": "9"}, "noise=9 was left out: Expected noise of moons as a number from"),
    "no-block": ({"block9": "gin:1"}, "block9=gin:1 was left out: Expected overrides for blocks 0 to 7, got [8]."),
    "no-block-name": (
        {"block1": "width:3"},
        "block1=width:3 was left out: Expected settings of a block among alpha, dialect,",
    ),
    "block-limit": (
        {"block1": "alpha:-1"},
        "block1=alpha:-1 was left out: Input should be greater than or equal to 0.1, got -1.",
    ),
    "no-pair": ({"block1": "gin"}, "block1=gin was left out: "),
    "combination": (
        {"psi": "SIGMOID", "psi0": "12"},
        "psi0=12 was left out: Expected global_affine_init below 10 for SIGMOID, got 12.",
    ),
}


@pytest.mark.parametrize(("link", "sentence"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_taken_is_told_and_the_rest_holds(link: dict[str, str], sentence: str) -> None:
    config, notices = from_link({**link, "seed": "4", "width": "16"})
    assert len(notices) == 1
    assert notices[0].startswith(sentence)
    assert notices[0].endswith((".", "?"))
    rest = {name: value for name, value in link.items() if not sentence.startswith(f"{name}=")}
    assert config == from_link({**rest, "seed": "4", "width": "16"})[0]
    assert (config.seed, config.flow.subnet.width) == (4, 16)


@settings(max_examples=40, deadline=None)
@given(run_configs(), st.dictionaries(st.text(min_size=1).map("?{}".format), st.text(), min_size=1, max_size=3))
def test_names_that_mean_nothing_take_nothing_away(config: RunConfig, junk: dict[str, str]) -> None:
    read, notices = from_link({**junk, **to_link(config)})
    assert read == config
    assert len(notices) == len(junk)


names = st.sampled_from([*LINK_NAMES, *sorted(PARAMETER_NAMES), "v", "block0", "block1", "block8", "block99"])
odd = st.sampled_from(["", "-1", "0", "1e999", "nan", "-inf", "٣", "1_000", " 4 ", "0x10", "9" * 5000, "\ud800", "\0"])
words = st.sampled_from(["rings", "True", "hard", "EXP", "alpha:1", "gin:", ":", ",", "alpha:1,alpha:2", "mirrors:x"])
anything = st.text(st.characters(), max_size=20)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names | st.builds("block{}".format, anything) | anything, odd | words | anything, max_size=6))
def test_any_link_opens_with_valid_settings(link: dict[str, str]) -> None:
    config, notices = from_link(link)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert from_link(to_link(config)) == (config, [])
    assert len(notices) <= len(link)
    for notice in notices:
        assert any(notice.startswith(f"{shown(given)}={shown(value)}") for given, value in link.items())
        assert " was left out: " in notice
