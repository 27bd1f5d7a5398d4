"""Named settings with where they come from, and ten statements about the block that can be shown in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from aio.by_hand import BlockEdit, HandCurve
from aio.config import BlockConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig, TrainingConfig

__all__ = ["PRESETS", "STATEMENTS", "Preset", "Statement"]

# What a seed draws depends on the size of the networks too. Tests hold these.
DEAD_AXIS_SEED = 152  # four hard blocks with the default network: every permutation is the identity
LIVE_AXES_SEED = 1  # U-Flow's four hard blocks: no axis is dead
TURNING_SEED = 21  # the default flow: its first permutation turns far enough to be seen


@dataclass(frozen=True)
class Preset:
    """A run's settings under a name."""

    name: str
    """Stable: stands in links, files and tests."""
    title: str
    origin: str
    """The repository or paper, in words that can follow "from"; empty for our own."""
    kind: Literal["wild", "start", "failure"]
    """wild: seen in public code; start: to begin with; failure: goes wrong, instructively."""
    config: RunConfig
    look_for: str
    """What to look for, in one or two plain sentences, and what of the origin is not shown here."""


def _flow(blocks: int, subnet: SubnetConfig | None = None, **block: Any) -> FlowConfig:
    return FlowConfig(blocks=blocks, block=BlockConfig(**block), subnet=subnet or SubnetConfig())


def _adam(learning_rate: float, **more: Any) -> TrainingConfig:
    """Adam as most code has it: a constant rate, the gradient as it is, the last weights shown."""
    return TrainingConfig(
        learning_rate=learning_rate, schedule="constant", warmup=0, clip_norm=1e6, averaging=0.0, **more
    )


# A row of public code that does not say how it is trained, or how wide its networks are in two dimensions, is trained
# and sized as this project does by default. Options of the block that it does not name are at the block's defaults.
_WILD = (
    Preset(
        "freia_quickstart", "FrEIA's quickstart", "the quickstart in FrEIA's documentation", "wild",
        RunConfig(
            data=DataConfig(points=100_000),
            flow=_flow(8, SubnetConfig(width=256, depth=1), permutation="soft"),
            training=_adam(1e-3, batch_size=100),
        ),
        "After its 1,000 steps the loss is still well above its floor: the learning rate is low and constant. The "
        "original's networks have 512 hidden units, twice the most that there is here.",
    ),
    Preset(
        "cflow_ad", "CFLOW-AD", "gudovskiy/cflow-ad, anomaly detection in images", "wild",
        RunConfig(flow=_flow(8, SubnetConfig(width=256, depth=1), clamp=1.9, permutation="soft")),
        "Soft permutations mix both axes from the first block on, so none is left out. Its condition, 128 numbers "
        "that encode a place in the image, is not shown; with it the hidden layer would have 258 units.",
    ),
    Preset(
        "anomalib_cflow", "anomalib's CFlow", "anomalib, the model CFlow", "wild",
        RunConfig(
            flow=_flow(8, SubnetConfig(width=256, depth=1), clamp=1.9, permutation="hard"), training=_adam(1e-4)
        ),
        "The same with hard permutations and a learning rate of 0.0001: after hundreds of steps it is still far from "
        "its floor. Not shown are its condition and its loss, −logsigmoid(log p / D) in place of −log p.",
    ),
    Preset(
        "anomalib_fastflow", "anomalib's FastFlow", "anomalib, the model FastFlow", "wild",
        RunConfig(
            flow=_flow(8, SubnetConfig(depth=1), permutation="hard"), training=_adam(1e-3, weight_decay=1e-5)
        ),
        "Eight hard blocks: watch which of them transform which axis. Its convolutions, 3×3 and 1×1 in turn, are not "
        "shown: a point of the plane has no neighbours.",
    ),
    Preset(
        "u_flow", "U-Flow", "U-Flow, as in anomalib", "wild",
        RunConfig(
            flow=_flow(4, SubnetConfig(depth=1), permutation="hard"),
            training=_adam(1e-3, weight_decay=1e-5),
            seed=LIVE_AXES_SEED,
        ),
        "With four hard blocks one draw in eight leaves an axis dead; this one does not. Its convolutions and its U of "
        "several scales are not shown.",
    ),
    Preset(
        "msflow", "MSFlow", "cool-xuan/msflow, anomaly detection at several scales", "wild",
        RunConfig(flow=_flow(8, SubnetConfig(depth=1), clamp=1.9, permutation="hard")),
        "The deepest of its three flows, which have 2, 5 and 8 blocks: try those numbers. Convolutions, layer norm, "
        "the condition and the fusion of the three flows are not shown.",
    ),
    Preset(
        "udt_cinn", "UDT-cINN", "UDT-cINN, unsupervised domain transfer", "wild",
        RunConfig(
            flow=_flow(
                8, clamp=1.0, global_affine_init=0.7, permutation="hard", reverse_permutation=True, householder=2
            )
        ),
        "Every block turns its axes by trained mirrors, couples, and turns back, and shrinks by Ψ = 0.7 at the start. "
        "Its condition is not shown; the numbers of blocks and mirrors are ours.",
    ),
    Preset(
        "ib_inn", "IB-INN", "IB-INN, an ancestor of this block", "wild",
        RunConfig(flow=_flow(8, clamp=0.7, global_affine_init=0.75, permutation="hard")),
        "A tight clamp: one coupling stretches by a factor of about 2 at most. Its convolutions and its classes in "
        "latent space are not shown; the number of blocks is ours.",
    ),
    Preset(
        "chemistry_pinn", "A chemistry PINN", "a physics-informed network for chemistry in two dimensions", "wild",
        RunConfig(
            flow=_flow(6, SubnetConfig(width=5, depth=1, activation="tanh"), clamp=3.0, gin=True, permutation="soft")
        ),
        "GIN with one active channel: every block is a shear, so the clamp of 3 is never felt and all areas stay. Its "
        "physics loss is not shown.",
    ),
)  # fmt: skip

_THIN_MOONS = DataConfig(parameters={"noise": 0.02})

_OWN = (
    Preset(
        "own", "This project's recipe", "", "start", RunConfig(),
        "Two moons within some hundred steps: the loss comes down to its floor, the entropy of the data.",
    ),
    Preset(
        "sigmoid", "Ψ by a sigmoid", "", "start", RunConfig(flow=_flow(8, global_affine_type="SIGMOID")),
        "Didactic, no public use is known: at Ψ = 1 its logarithm moves nine times as far per unit of g as softplus's, "
        "and Ψ = 10 σ(g − 2) never passes 10.",
    ),
    Preset(
        "exp", "Ψ by an exponential", "", "start", RunConfig(flow=_flow(8, global_affine_type="EXP")),
        "Didactic, no public use is known: log Ψ is the parameter g itself, so at Ψ = 1 it moves ten times as far per "
        "unit of g as softplus's, and nothing holds it.",
    ),
    Preset(
        "gin", "GIN in two dimensions", "", "failure", RunConfig(flow=_flow(8, gin=True)),
        "Every block is a shear and keeps areas, so in standardised units the density stays at or below that of the "
        "base at its peak: the moons stay pale and wide.",
    ),
    Preset(
        "dead_axis", "A dead axis", "", "failure",
        RunConfig(flow=_flow(4, permutation="hard"), seed=DEAD_AXIS_SEED),
        "No coupling ever transforms x₁: along it the flow can only shift and scale, and each vertical slice stays "
        "one bell. Another seed mends it in seven cases of eight.",
    ),
    Preset(
        "small_clamp", "A clamp too small", "", "failure",
        RunConfig(data=_THIN_MOONS, flow=_flow(4, clamp=0.1)),
        "The moons are thin, and one coupling may stretch by no more than a factor of 1.11. Here, and with most other "
        "seeds, they stay more blurred than with Clamp α at 2 after as many steps.",
    ),
    Preset(
        "high_learning_rate", "A learning rate too high", "", "failure", RunConfig(training=_adam(0.1)),
        "The loss jumps up within the first steps and does not come back near its floor. Adam moves every number by "
        "about the learning rate at each step, here 0.1, however large the gradient is.",
    ),
)  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in (*_WILD, *_OWN)})


@dataclass(frozen=True)
class Statement:
    """A sentence of maths about the block, and the settings of the Block page under which the eye sees it."""

    number: int
    """From 1."""
    title: str
    """A few words."""
    sentence: str
    """Markdown with LaTeX."""
    see: str
    """What to look at, and which control shows it."""
    step: str
    """The frame of the film to enlarge."""
    config: RunConfig
    edit: BlockEdit = field(default_factory=BlockEdit)
    source: Literal["drawn", "trained"] = "drawn"
    """A flow as it is drawn, or trained for some hundred steps."""
    index: int = 0
    """The block, counted from 0 at the data."""
    points: Literal["data", "base"] = "data"
    """What goes in: points of the data as they reach the block, or of the standard normal base."""
    rev: bool = False
    section: Literal["formula", "conditioner", "permutation", "scale", "round_trip", "loss"] = "conditioner"
    """Where it is seen."""


def _constant(level: float) -> HandCurve:
    return HandCurve(kind="constant", level=level)


_ONE = RunConfig(flow=FlowConfig(blocks=1))
_FOUR = RunConfig(flow=FlowConfig(blocks=4))
_TILT = 30.0  # degrees

STATEMENTS: tuple[Statement, ...] = (
    Statement(
        1,
        "GIN is a shear",
        r"In two dimensions a GIN block is a shear: with one active channel $s - \mathrm{mean}(s) = 0$ and "
        r"$u_2 = x_2 + t(x_1)$, so every area stays what it is. With a standard normal base its density nowhere "
        r"exceeds $1/(2\pi)$, in standardised units.",
        "GIN is on, and t by hand is a sine: columns slide up and down, and no cell of the grid changes its area. "
        "Turn GIN by hand off, and s by hand swells the cells on the right and shrinks those on the left.",
        "coupling",
        RunConfig(flow=_flow(1, gin=True)),
        BlockEdit(
            s=HandCurve(kind="linear", amplitude=1.0), t=HandCurve(kind="sine", amplitude=1.5, rate=2.0)
        ),
    ),
    Statement(
        2,
        "The dead-axis lottery",
        r"A hard permutation of two channels is the identity half of the time. Over $K$ blocks one axis is never "
        r"transformed with probability $2^{-(K-1)}$, which is 12.5 % for four; with reverse_permutation each "
        r"coordinate is never the active one with probability $2^{-K}$.",
        "Permutation is hard, and in this draw it is the identity in all four blocks: t by hand moves points up and "
        "down only, and whichever number of block you choose, its permutation moves nothing. Draw again: one axis is "
        "left out in one draw of eight.",
        "permutation",
        RunConfig(flow=_flow(4, permutation="hard"), seed=DEAD_AXIS_SEED),
        BlockEdit(t=HandCurve(kind="sine", amplitude=1.5, rate=2.0)),
        index=1,
        section="permutation",
    ),
    Statement(
        3,
        "The last permutation is unseen",
        r"The last permutation is invisible to an isotropic base: $z$ and $Pz$ have the same density there, and "
        r"$\log|\det P| = 0$, so the NLL does not move when $P$ turns.",
        "The last block is open, and its angle is set by hand: all of latent space turns, and By hand the NLL rises by "
        "0. Choose an earlier number of block: there the same angle spoils the fit.",
        "permutation",
        _FOUR,
        BlockEdit(angle=-90.0),
        source="trained",
        index=3,
        section="loss",
    ),
    Statement(
        4,
        "Turns and mirrors",
        r"A soft permutation turns the plane, a swap of the channels mirrors it across $x_2 = x_1$, and each "
        r"Householder vector $v$ mirrors it across the line through 0 perpendicular to $v$. Each mirror flips the "
        r"sign of $\det$; $\log|\det|$ stays 0.",
        "Mirrors by hand is 1, and Angle by hand is 0: the moons fold over to the other side of one "
        "line, every cell is mirrored, and none changes its area. Add a second vector, and together they turn.",
        "mirror_1",
        _ONE,
        BlockEdit(angle=0.0, v=((1.0, 0.5),)),
        section="permutation",
    ),
    Statement(
        5,
        "The clamp's budget",
        r"One coupling stretches $x_2$ by a factor $e^s$ within $[e^{-\alpha}, e^{\alpha}]$. Of its slope at 0, "
        r"and so of the gradient, the clamp keeps $1 - \tanh^2$: almost nothing where $s$ comes near $\pm\alpha$.",
        "s by hand is a line as steep as 3, yet s levels off at α = 2: on the right cells are stretched by "
        "almost e² = 7.4, on the left squeezed as much, and no more. Lower α by hand, and both ends come "
        "together.",
        "coupling",
        _ONE,
        BlockEdit(s=HandCurve(kind="linear", amplitude=3.0), t=_constant(0.0)),
    ),
    Statement(
        6,
        "A change of axes",
        r"reverse_permutation is a change of axes: apart from the global scale and offset the block computes "
        r"$P \cdot C \cdot P^\top$, a coupling $C$ along an axis tilted by $P$.",
        "Reverse permutation is on, Angle by hand is 30°, and t by hand is a line: every point slides along an axis "
        "that is tilted by 30°. Set the angle to 0, and they slide straight up and down.",
        "permutation",
        RunConfig(flow=_flow(1, reverse_permutation=True)),
        BlockEdit(s=_constant(0.0), t=HandCurve(kind="linear", amplitude=1.5), angle=_TILT),
        section="permutation",
    ),
    Statement(
        7,
        "A Gaussian slice stays one",
        r"At a fixed $x_1$ one coupling is affine in $x_2$: $u_2 = e^{s(x_1)} x_2 + t(x_1)$. So a vertical slice that "
        r"starts Gaussian stays Gaussian, whatever $s$ and $t$ are.",
        "s by hand is a step, and the points are those of the base: the left half is squeezed flat, the right half "
        "drawn out, yet each vertical slice is still one bell. No α and no curve makes two bells of one.",
        "coupling",
        _ONE,
        BlockEdit(s=HandCurve(kind="step", amplitude=1.0, rate=8.0), t=_constant(0.0)),
        points="base",
    ),
    Statement(
        8,
        "Untrained, it only permutes",
        r"The factor 0.1 makes an untrained flow almost a pure permutation: $s$ and $t$ start near 0, and where "
        r"$\Psi = 1$ and $o = 0$ the block is almost $y = Px$.",
        "A freshly drawn flow with nothing set by hand: in every block, the coupling hardly moves a point, and "
        "only the permutation turns the picture. Then give s by hand a curve, to see what a coupling can do.",
        "coupling",
        RunConfig(seed=TURNING_SEED),
    ),
    Statement(
        9,
        "Bridges do not tear",
        r"A flow and its inverse are continuous, so a flow cannot tear the base: between modes that lie apart a bridge "
        r"of stretched points is left. Steeper steps and more blocks thin it, never to zero.",
        "Direction is Inverse, and t by hand is a steep step: the round cloud of the base is pulled apart "
        "in two, with a thin bridge between them. Raise its steepness: the bridge thins, and stays.",
        "coupling",
        _ONE,
        BlockEdit(s=_constant(0.0), t=HandCurve(kind="step", amplitude=3.0, rate=10.0), angle=0.0),
        points="base",
        rev=True,
    ),
    Statement(
        10,
        "NLL = H + KL",
        r"$\mathrm{NLL} = H(p) + \mathrm{KL}(p \,\|\, q)$, in the mean over data. The KL is never negative, so where "
        r"$p$ is known the floor of the loss curve, $H(p)$, is known.",
        "The loss of the trained flow lies above its floor, and what is left between them is the KL. Use Switch this "
        "block off: the loss rises by exactly what the KL rises.",
        "output",
        _FOUR,
        source="trained",
        section="loss",
    ),
)  # fmt: skip
