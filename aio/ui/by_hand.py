"""What can be set by hand in the open block: sliders that show its numbers, and change a copy of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import streamlit as st

from aio.block import CLAMP_DIALECTS, AllInOneBlock
from aio.by_hand import CURVE_KINDS, MOST_MIRRORS, HandCurve
from aio.config import BlockConfig, limits
from aio.inspection import Mixing, Opened
from aio.ui.opening import Opening

__all__ = ["alpha_slider", "clamp_controls", "curve_controls", "permutation_controls", "scale_controls"]

AS_IT_IS = "as it is"
DIALECT_NAMES = {"freia-0.2": "0.2", "freia-main": "main"}
CURVE_NAMES = {AS_IT_IS: "as it is", "constant": "constant", "linear": "linear", "sine": "sine", "step": "step"}
FIRST_AMPLITUDE = 1.0
# What each kind of curve is set by: field, label, lowest, highest, step.
LEVEL = ("level", "level", -5.0, 5.0, 0.1)
CENTRE = ("centre", "centre", -3.0, 3.0, 0.1)
CURVE_SLIDERS = {
    "constant": (LEVEL,),
    "linear": (("amplitude", "slope", -5.0, 5.0, 0.1), CENTRE),
    "sine": (("amplitude", "swing", -5.0, 5.0, 0.1), ("rate", "rate", 0.1, 10.0, 0.1), CENTRE),
    "step": (("amplitude", "half height", -5.0, 5.0, 0.1), ("rate", "steepness", 0.1, 50.0, 0.1), CENTRE, LEVEL),
}
G_REACH = {"SIGMOID": (-8.0, 12.0), "SOFTPLUS": (-20.0, 40.0), "EXP": (-4.0, 4.0)}
OFFSET_REACH = 4.0
DECIMALS = 6  # finer than any step


def curve_controls(opening: Opening, name: Literal["s", "t"]) -> None:
    """s or t as a chosen curve in the place of the subnet."""
    curve: HandCurve | None = getattr(opening.edit, name)
    key = f"hand_{name}"
    opening.show(key, AS_IT_IS if curve is None else curve.kind)

    def choose(kind: str) -> None:
        start = curve or HandCurve(amplitude=FIRST_AMPLITUDE)
        if kind != AS_IT_IS:  # nothing shapes the curve that its sliders do not show
            shown = {field: (low, high) for field, _, low, high, _ in CURVE_SLIDERS[kind]}
            low, high = shown.get("rate", (start.rate, start.rate))
            start = start.changed(level=start.level if "level" in shown else 0.0, rate=min(max(start.rate, low), high))
        opening.change(**{name: None if kind == AS_IT_IS else start.changed(kind=kind)})

    about = "Before the clamp." if name == "s" else "As it is added."
    st.selectbox(f"{name} by hand", [AS_IT_IS, *CURVE_KINDS], key=key, format_func=CURVE_NAMES.get,
                 on_change=opening.hears(key, choose),
                 help=f"A curve over x₁ in the place of 0.1 · subnet. {about}")  # fmt: skip
    if curve is None:
        return
    for field, label, low, high, step in CURVE_SLIDERS[curve.kind]:

        def take(value: float, field: str = field) -> None:
            now = getattr(opening.edit, name) or curve  # another slider may have moved since this was drawn
            opening.change(**{name: now.changed(**{field: value})})

        _slider(opening, f"{key}_{field}", f"{name}: {label}", low, high, step, getattr(curve, field), take)


def clamp_controls(opening: Opening, block: AllInOneBlock) -> None:
    """α, the dialect of the clamp, and GIN."""
    alpha_slider(opening, block)
    key = "hand_dialect"
    opening.show(key, block.clamp_dialect)
    st.segmented_control("FrEIA's clamp by hand", CLAMP_DIALECTS, key=key, format_func=DIALECT_NAMES.get,
                         required=True,
                         on_change=opening.hears(key, lambda name: opening.change(clamp_dialect=name)))  # fmt: skip
    _switch(opening, "hand_gin", "GIN by hand", block.gin_block, lambda on: opening.change(gin=on),
            "Take the mean out of s: in two dimensions nothing of it is left.")  # fmt: skip


def alpha_slider(opening: Opening, block: AllInOneBlock) -> None:
    """α alone."""
    low, high = limits(BlockConfig, "clamp")
    _slider(opening, "hand_alpha", "α by hand", low, high, 0.1, block.affine_clamping,
            lambda value: opening.change(clamp=value), help="s stays within ±α.")  # fmt: skip


def scale_controls(opening: Opening, block: AllInOneBlock) -> None:
    """g and o of each channel."""
    g, o = (p.detach().flatten().tolist() for p in (block.global_scale, block.global_offset))
    low, high = G_REACH[block.global_affine_type]
    for i, column in enumerate(st.columns(2, gap="medium")):
        with column:
            ends = min(low, math.floor(g[i])), max(high, math.ceil(g[i]))
            _slider(opening, f"hand_g{i + 1}", f"g of channel {i + 1}", *map(float, ends), 0.05, g[i],
                    lambda value, i=i: opening.change(g=_with(opening.edit.g or g, i, value)))  # fmt: skip
            _slider(opening, f"hand_o{i + 1}", f"o of channel {i + 1}", -OFFSET_REACH, OFFSET_REACH, 0.05, o[i],
                    lambda value, i=i: opening.change(o=_with(opening.edit.o or o, i, value)))  # fmt: skip


def permutation_controls(opening: Opening, opened: Opened, found: Mixing) -> None:
    """The rotation's angle, each mirror, and the reversed pre-permutation."""
    block = opened.block
    normals = [tuple(n) for n in found.normals.tolist()]
    left, right = st.columns(2, gap="medium")
    with left:
        _slider(opening, "hand_angle", "Angle by hand, degrees", -180.0, 180.0, 1.0, found.fixed_angle or 0.0,
                lambda value: opening.change(angle=value), format="%.0f",
                help="The fixed matrix becomes a rotation by this angle.")  # fmt: skip
        if found.fixed_angle is None:
            st.caption("As drawn it is a swap, which no angle is: move the slider to turn instead.")
        _switch(opening, "hand_reverse", "Reverse permutation by hand", block.reverse_permutation,
                lambda on: opening.change(reverse_permutation=on), "Apply P⁻¹ before the coupling.")  # fmt: skip
    with right:
        _mirror_count(opening, normals)
        for i, (n1, n2) in enumerate(normals):
            _slider(opening, f"hand_v{i + 1}", f"v{i + 1} points to, degrees", -90.0, 90.0, 1.0, _line_angle(n1, n2),
                    lambda value, i=i: opening.change(v=_with(normals, i, _unit(value))), format="%.0f")  # fmt: skip


def _mirror_count(opening: Opening, normals: list[tuple[float, float]]) -> None:
    key = "hand_mirrors"
    opening.show(key, len(normals))

    def take(wanted: int) -> None:
        fresh = [(1.0, 0.0)] * (wanted - len(normals))
        opening.change(v=(*normals[:wanted], *fresh))

    st.slider("Mirrors by hand", 0, MOST_MIRRORS, key=key, on_change=opening.hears(key, take))


# ---------------------------------------------------------------------- widgets that show the truth


def _slider(
    opening: Opening, key: str, label: str, low: float, high: float, step: float, value: float,
    take: Callable[[float], Any], help: str | None = None, format: str = "%.2f",
) -> None:  # fmt: skip
    """A slider that stands where the block does, at the nearest step; a number beyond its ends is shown at the end."""
    opening.show(key, round(min(max(round(value / step) * step, low), high), DECIMALS))
    st.slider(label, low, high, step=step, key=key, help=help, format=format, on_change=opening.hears(key, take))


def _switch(opening: Opening, key: str, label: str, value: bool, take: Callable[[bool], Any], help: str) -> None:
    opening.show(key, value)
    st.toggle(label, key=key, help=help, on_change=opening.hears(key, take))


def _with(values: Sequence, i: int, value: Any) -> tuple:
    return (*values[:i], value, *values[i + 1 :])


def _line_angle(n1: float, n2: float) -> float:
    """The direction of a line's vector, in (−90°, 90°]: v and −v have one mirror."""
    angle = math.degrees(math.atan2(n2, n1))
    return 90 - (90 - angle) % 180


def _unit(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
