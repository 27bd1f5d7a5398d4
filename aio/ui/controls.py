"""The controls of a run, drawn from one table: each is a widget whose key is the setting's name in the link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st
from pydantic import ValidationError

from aio.block import CLAMP_DIALECTS
from aio.config import RunConfig, explain, limits
from aio.global_affine import GLOBAL_AFFINE_TYPES
from aio.link import LINK_NAMES
from aio.subnets import ACTIVATIONS
from aio.targets import TARGETS

__all__ = ["CONTROLS", "Control", "settings_panel", "waiting_for_reset"]


@dataclass(frozen=True)
class Control:
    """A setting as a widget."""

    name: str
    """In the link, and the widget's key."""
    label: str
    kind: Literal["slider", "choice", "switch", "steps", "menu", "number"]
    help: str
    options: tuple[Any, ...] = ()
    step: float | None = None
    format: str | None = None
    at_reset: bool = True
    """Whether a change waits for a reset; else it holds from the next step on."""
    base: str | None = None
    """The one kind of base that reads it; it is drawn with that base only."""


TARGET = Control(
    "target", "Target", "menu",
    "The density that the points come from, and that the flow has to learn. Its entropy is the floor of the loss.",
    options=tuple(TARGETS),
)  # fmt: skip
BLOCK = (
    Control("alpha", "Clamp α", "slider",
            "One coupling stretches or squeezes its active channel by a factor between e^−α and e^α. A small α "
            "leaves it little to work with.", step=0.1, format="%.1f"),
    Control("permutation", "Permutation", "choice",
            "What mixes the two channels after each coupling. Hard: the identity or a swap, drawn at random. Soft: a "
            "fixed random rotation. With mirrors below, it is what they start from.", options=("hard", "soft")),
    Control("mirrors", "Householder mirrors", "slider",
            "Trained reflections per block, multiplied onto the permutation; 0 turns them off. Each flips the "
            "orientation of the plane; areas stay as they are.", step=1),
    Control("gin", "GIN: keep volumes", "switch",
            "Take the mean out of s, and leave the global scale out. In two dimensions s becomes 0, the block is a "
            "shear, and areas stay as they are."),
    Control("reverse", "Reverse permutation", "switch",
            "Apply the inverse permutation before the coupling: the block couples along turned axes, and turns back."),
)  # fmt: skip
FLOW = (
    Control("blocks", "Blocks", "slider", "AllInOneBlocks in a row. More blocks bend more, and train slower.", step=1),
    Control("width", "Subnet width", "steps", "Units in each hidden layer of the networks that compute s and t.",
            options=(4, 8, 16, 32, 64, 128, 256)),
    Control("depth", "Subnet depth", "slider", "Their hidden layers; 0 leaves an affine map of x₁.", step=1),
    Control("activation", "Activation", "choice", "The nonlinearity of those networks.", options=tuple(ACTIVATIONS)),
    Control("base", "Base", "menu",
            "What the flow bends. The standard normal; Student's t, whose tails are heavy; or Gaussians in a ring, for "
            "data whose modes are apart. Nothing in it is trained.", options=("normal", "student", "mixture")),
    Control("df", "Degrees of freedom ν", "steps",
            "The fewer, the heavier the tails of the base; at 2 or fewer its variance is infinite, and with many it is "
            "nearly the standard normal.", options=(1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0), base="student"),
    Control("base_modes", "Gaussians in the ring", "slider", "How many Gaussians the base has.", step=1,
            base="mixture"),
    Control("base_radius", "Radius of the ring", "slider",
            "Distance of the base's Gaussians from the origin of latent space.", step=0.1, format="%.1f",
            base="mixture"),
    Control("base_width", "Width σ of each", "slider", "Standard deviation of each Gaussian of the base.", step=0.05,
            format="%.2f", base="mixture"),
    Control("seed", "Seed", "number",
            "Draws data, permutations, weights and batches. The same settings and seed give the same run.", step=1),
    Control("points", "Training points", "steps",
            "Size of the training set. With few points the flow learns them by heart: the two curves part.",
            options=(100, 300, 1000, 3000, 10_000, 50_000, 200_000)),
)  # fmt: skip
AFFINE = (
    Control("psi", "Activation Ψ", "menu",
            "How the learned number g becomes the global scale. At Ψ = 1, log Ψ moves per unit of g by 0.099 "
            "(softplus), 0.900 (sigmoid) or 1 (exp): softplus learns its scale about ten times slower.",
            options=GLOBAL_AFFINE_TYPES),
    Control("psi0", "Ψ at the start", "number", "1 starts without scaling. Below 10 for the sigmoid.", step=0.1),
    Control("dialect", "Clamp dialect", "menu",
            "FrEIA 0.2 and anomalib: s = α tanh(0.1 a). FrEIA's main branch: s = α tanh(0.1 a / α), whose slope at 0 "
            "does not depend on α.", options=CLAMP_DIALECTS),
)  # fmt: skip
TRAINING = (
    Control("lr", "Learning rate", "steps", "Adam's step size at its highest.",
            options=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.3, 1.0), at_reset=False),
    Control("batch", "Batch", "steps", "Training points that one step looks at.",
            options=(8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096), at_reset=False),
    Control("schedule", "Schedule", "menu",
            "Constant; falling as the inverse square root of the step, without end; or a cosine to 0 at the horizon.",
            options=("constant", "inverse_sqrt", "cosine"), at_reset=False),
    Control("warmup", "Warm-up", "number", "Steps over which the learning rate rises to its highest.", step=10,
            at_reset=False),
    Control("horizon", "Horizon", "number",
            "Steps until the cosine reaches 0, or until the inverse square root has halved the learning rate.",
            step=100, at_reset=False),
    Control("decay", "Weight decay", "steps", "Adam's L2 penalty on all trained numbers.",
            options=(0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0), at_reset=False),
    Control("clip", "Gradient clipping", "steps", "Largest norm of the gradient; a longer one is shortened to it.",
            options=(0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0, 1e6), at_reset=False),
    Control("average", "Averaging", "steps",
            "The pictures show a running average of the weights with this decay; 0 shows the weights as they are, "
            "with all their noise.", options=(0.0, 0.9, 0.99, 0.995, 0.998, 0.999, 0.9999), at_reset=False),
)  # fmt: skip
OWN = "own"  # in the menu of targets, where the settings name none
CONTROLS = {c.name: c for c in (TARGET, *BLOCK, *FLOW, *AFFINE, *TRAINING)}

OPTION_LABELS = {
    "hard": "Hard", "soft": "Soft", "relu": "ReLU", "silu": "SiLU", "tanh": "tanh", "SIGMOID": "sigmoid",
    "SOFTPLUS": "softplus", "EXP": "exp", "freia-0.2": "FrEIA 0.2", "freia-main": "FrEIA main",
    "normal": "standard normal", "student": "Student's t", "mixture": "ring of Gaussians",
    OWN: "Your own data", "constant": "constant", "inverse_sqrt": "1/√step", "cosine": "cosine",
    **{name: target.title for name, target in TARGETS.items()},
}  # fmt: skip


def settings_panel(config: RunConfig, *, impose: bool = False) -> RunConfig:
    """Draw all controls, set to `config`; return the settings that they now stand for.

    A combination that no flow can have is told where it stands, and leaves the settings as they were.

    Args:
        config: what the controls show.
        impose: whether controls that are on the screen already must be told, because someone else than the visitor
            changed a setting. Else a control keeps what the visitor did last.
    """
    before = config.data.target
    config = _apply(config, [TARGET], impose)
    # Another target's parameters may have the same names, but they have values of their own.
    config = _target_parameters(config, impose or config.data.target != before)
    st.subheader("Block", anchor=False, help="Target and block take effect at a reset, or at once where nothing was "
                 "trained yet.")  # fmt: skip
    config = _apply(config, BLOCK, impose)
    groups = (
        ("Flow :gray[at reset]", "flow_group", FLOW),
        ("Global scale and clamp :gray[at reset]", "affine_group", AFFINE),
        ("Training :gray[at once]", "training_group", TRAINING),
    )
    for title, key, controls in groups:
        with st.expander(title, key=key):
            config = _apply(config, controls, impose)
    return config


def waiting_for_reset(config: RunConfig, run: RunConfig) -> list[str]:
    """The labels of the settings in which `config` differs from those of a run, and which wait for a reset."""
    labels = [
        control.label
        for name, control in CONTROLS.items()
        if control.at_reset and config.at(LINK_NAMES[name]) != run.at(LINK_NAMES[name])
    ]
    if config.data.target == run.data.target and config.data.parameters != run.data.parameters:
        parameters = TARGETS[config.data.target].parameters
        own, other = config.data.parameters, run.data.parameters
        labels += [p.label for p in parameters if own[p.name] != other[p.name]]
    if config.flow.overrides != run.flow.overrides:
        labels.append("single blocks")
    return labels


def _apply(config: RunConfig, controls: Iterable[Control], impose: bool) -> RunConfig:
    for control in controls:
        if control.base not in (None, config.flow.base.kind):
            continue
        path = LINK_NAMES[control.name]
        value = _widget(control, config.at(path), path, impose)
        if value in (None, OWN) or value == config.at(path):
            continue
        try:
            config = config.changed_at(path, value)
        except ValidationError as error:
            st.error(explain(error, name_fields=False))
    return config


def _target_parameters(config: RunConfig, impose: bool) -> RunConfig:
    for p in TARGETS[config.data.target].parameters if config.data.target else ():
        kind = type(p.default)
        value = kind(config.data.parameters[p.name])
        chosen = st.slider(
            p.label, kind(p.minimum), kind(p.maximum), step=kind(p.step), key=p.name, help=p.help,
            **_start(p.name, "value", value, impose),
        )  # fmt: skip
        if chosen != value:
            config = config.changed_at(("data", "parameters"), {**config.data.parameters, p.name: chosen})
    return config


def _widget(control: Control, value: Any, path: tuple[str, ...], impose: bool) -> Any:
    when = "Takes effect at a reset." if control.at_reset else "Holds from the next step on."
    common = {"label": control.label, "key": control.name, "help": f"{control.help} {when}"}
    match control.kind:
        case "switch":
            return st.toggle(**common, **_start(control.name, "value", value, impose))
        case "choice":
            return st.segmented_control(
                **common,
                options=control.options,
                format_func=_name,
                required=True,
                width="stretch",
                **_start(control.name, "default", value, impose),
            )
        case "menu":
            options = control.options if value is not None else (OWN, *control.options)
            value = OWN if value is None else value
            start = _start(control.name, "index", options.index(value), impose, value)
            return st.selectbox(**common, options=options, format_func=_name, **start)
        case "steps":
            options = sorted({*control.options, value})  # a link may hold a value between the steps
            start = _start(control.name, "value", value, impose)
            return st.select_slider(**common, options=options, format_func=_name, **start)
    kind = type(value)
    low, high = limits(type(RunConfig().at(path[:-1])), path[-1])
    common |= {"min_value": kind(low), "max_value": kind(high), "step": kind(control.step)}
    start = _start(control.name, "value", value, impose)
    if control.kind == "slider":
        return st.slider(**common, format=control.format, **start)
    return st.number_input(**common, **start)


def _start(key: str, argument: str, value: Any, impose: bool, state: Any = None) -> dict[str, Any]:
    """How a widget gets its value: as its default, or, where it may be on the screen already, through its state.

    The default alone would be enough for a new widget and nothing for an old one; the state alone is forgotten when
    a script run is interrupted before the widget is drawn.
    """
    if not impose:
        return {argument: value}
    st.session_state[key] = value if state is None else state
    return {}


def _name(option: Any) -> str:
    if isinstance(option, float):
        return f"{option:g}"
    if isinstance(option, int):
        return f"{option:,}"
    return OPTION_LABELS.get(option, str(option))
