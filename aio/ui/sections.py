"""The Block page, lower half: one section at a time, with its figures, its numbers and what can be set by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import streamlit as st
import torch

from aio.block import CLAMP_DIALECTS, soft_clamp
from aio.figures import (
    LETTER_F,
    clamp_curve,
    conditioner_curves,
    global_scale,
    log_det_fields,
    log_det_scale,
    permutation_picture,
    slice_picture,
    transformed_axes,
)
from aio.global_affine import GLOBAL_AFFINE_TYPES, global_affine, log_slope
from aio.inspection import (
    Opened,
    active_shares,
    conditioner,
    dead_axes,
    dead_axis_probability,
    density_along,
    gaussian_slice,
    mixing,
    saturated_beyond,
    saturation,
    vertical_slice,
)
from aio.training import TrainState
from aio.ui.by_hand import clamp_controls, curve_controls, permutation_controls, scale_controls
from aio.ui.formula_section import formula_section
from aio.ui.judging import loss_section, round_trip_section
from aio.ui.live import live_figure
from aio.ui.opening import Opening
from aio.ui.session import Session
from aio.ui.statements import draw_another
from aio.ui.take_away import docstring_section, take_away_section
from aio.ui.words import number_table

__all__ = ["section"]

CURVES_HEIGHT = 330
PANEL_HEIGHT = 300
AXES_HEIGHT = 150
FIELD_HEIGHT = 300
SAME_EVERYWHERE = 1e-12  # nats
NONE = "–"
PLACES = 241  # along a curve
CURVE_REACH = 3.5
A_REACH = 4.0  # of 0.1 · subnet on the clamp's axis: beyond saturation for α up to 2 in either dialect
G_AXIS = (-20.0, 40.0)
SECTION_NAMES = {
    "formula": "Formula and ledger",
    "conditioner": "s, t and the clamp",
    "permutation": "Permutation",
    "scale": "Ψ and offset",
    "fields": "Log-det fields",
    "round_trip": "Round trip",
    "loss": "In its flow",
    "docstring": "Docstring and code",
    "take_away": "Take it away",
}


def section(session: Session, state: TrainState, opened: Opened) -> None:
    """The chosen section, below the choice of sections."""
    opening = session.opening
    opening.show("open_section", opening.section)
    st.pills("Section", list(SECTION_NAMES), key="open_section", format_func=SECTION_NAMES.get, required=True,
             label_visibility="collapsed",
             on_change=opening.hears("open_section", partial(setattr, opening, "section")))  # fmt: skip
    with st.container(key=f"section_{opening.section}"):
        match opening.section:
            case "formula":
                formula_section(opening, state, opened)
            case "conditioner":
                _conditioner(opening, state, opened)
            case "permutation":
                _permutation(session, state, opened)
            case "scale":
                _scale(opening, state, opened)
            case "fields":
                _fields(state, opened)
            case "round_trip":
                round_trip_section(opening, state, opened)
            case "loss":
                loss_section(opening, state, opened)
            case "docstring":
                docstring_section(opening)
            case "take_away":
                take_away_section(state, opened)


# ---------------------------------------------------------------------- s, t and the clamp


def _conditioner(opening: Opening, state: TrainState, opened: Opened) -> None:
    block, passive = opened.block, opened.passive()
    x1 = opened.unit * torch.linspace(-CURVE_REACH, CURVE_REACH, PLACES, dtype=torch.float64)
    curves, found = conditioner(block, x1), saturation(block, passive)
    at = next(step.x[0] for step in opened.follow(opening.probe).steps if step.name == "split")
    here = conditioner(block, at[:1])
    density = density_along(x1, passive)
    s_by_hand, t_by_hand, clamp_by_hand = st.columns(3, gap="medium")
    with s_by_hand:
        curve_controls(opening, "s")
    with t_by_hand:
        curve_controls(opening, "t")
    with clamp_by_hand:
        clamp_controls(opening, block)
    left, right = st.columns(2, gap="medium")
    with left:
        live_figure(
            conditioner_curves(x1.numpy(), curves.before.numpy(), curves.s.numpy(), curves.t.numpy(), density.numpy(),
                               clamp=block.affine_clamping, gin=block.gin_block,
                               probe=(at[0].item(), here.s.item(), here.t.item())),
            key="curves", step=state.step, height=CURVES_HEIGHT, static=True, title="s(x₁) and t(x₁)",
            about="Dashed: before the clamp. Area: the points",
            label=f"s and t over x₁. At the probe s is {here.s.item():.3f} and t is {here.t.item():.3f}.",
        )  # fmt: skip
    with right:
        live_figure(
            clamp_curve(_clamp_curves(block.affine_clamping), current=block.clamp_dialect, clamp=block.affine_clamping,
                        working=found.working.numpy(), probe=here.before.item(),
                        saturated_beyond=saturated_beyond(block.affine_clamping, block.clamp_dialect)),
            key="clamp", step=state.step, height=CURVES_HEIGHT, static=True, title="The clamp, and where it works",
            about="Bars: 0.1 · subnet at the points. Shaded: saturated",
            label=f"The clamp, and where {len(passive)} points work on it.",
        )  # fmt: skip
    with left:
        s, t = here.s.item(), here.t.item()
        cut = gaussian_slice(block, at[0].item(), torch.linspace(-CURVE_REACH, CURVE_REACH, PLACES).double())
        u2 = vertical_slice(block, at[0].item(), at[1:])[0].item()
        live_figure(
            slice_picture(cut.x2.numpy(), cut.u2.numpy(), density_in=cut.density_in.numpy(),
                          density_out=cut.density_out.numpy(), probe=(at[1].item(), u2)),
            key="slice", step=state.step, height=CURVES_HEIGHT, static=True, title="The slice at the probe's x₁",
            about="A straight line: a Gaussian stays one",
            label=f"At this x₁ the coupling is u₂ = {math.exp(s):.3f} x₂ + {t:.3f}.",
        )  # fmt: skip
    low, high = found.stretch
    with right:
        number_table({
            "Stretch of one coupling": f"{low:.3g} to {high:.3g}",
            "Points that are saturated": NONE if block.gin_block else f"{found.share:.1%}",
            "Gradient left, median": f"{found.gradient_left.median().item():.3f}",
            "Gradient left at the probe": f"{saturation(block, at[:1]).gradient_left.item():.3f}",
            "Largest |s| over x₁": f"{curves.s.abs().max().item():.3f}",
            "Largest |t| over x₁": f"{curves.t.abs().max().item():.3f}",
        })  # fmt: skip
        st.caption(
            "Saturated: less than a tenth of the clamp's slope at 0 is left, and with it of the gradient. One coupling "
            "stretches by no less than e^−α and no more than e^α. Under GIN nothing of s is left, nor of its gradient."
        )


def _clamp_curves(alpha: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    a = torch.linspace(-A_REACH, A_REACH, PLACES, dtype=torch.float64)
    return {dialect: (a.numpy(), soft_clamp(a, alpha, dialect).numpy()) for dialect in CLAMP_DIALECTS}


# ---------------------------------------------------------------------- permutation


def _permutation(session: Session, state: TrainState, opened: Opened) -> None:
    opening, found = session.opening, mixing(opened.block)
    permutation_controls(opening, opened, found)
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with left:
        turned = 0.0 if found.mirrored else math.radians(found.angle)
        mirrors = torch.cat([found.normals, found.fixed_normal[None]])
        names = [*(f"⊥ v{i + 1}" for i in range(len(found.normals))), "w₀" if len(found.normals) else "P"]
        live_figure(
            permutation_picture(LETTER_F, LETTER_F @ found.matrix.T.numpy(), mirrors.numpy(), names=names,
                                turned_by=turned, mirrored=found.mirrored),
            key="letter", step=state.step, height=PANEL_HEIGHT, static=True, title="What P does to a letter",
            about="Dashed: mirrors",
            label=("P mirrors the plane." if found.mirrored else f"P turns the plane by {found.angle:.0f} degrees."),
        )  # fmt: skip
    with right:
        (a, b), (c, d) = found.matrix.tolist()
        st.latex(rf"P = \begin{{pmatrix}} {a:.3f} & {b:.3f} \\ {c:.3f} & {d:.3f} \end{{pmatrix}}")
        number_table({
            "det P": "−1, mirrored" if found.mirrored else "+1",
            "Mirror's line at" if found.mirrored else "Turns by": f"{found.angle:.1f}°",
            "log|det P|": f"{found.log_abs_det:.1e}",
            "Orthogonality error, float32": f"{found.stored_error:.1e}",
        })  # fmt: skip
    shares = active_shares(opened.flow)
    never = [("x₁", "x₂")[axis] for axis in dead_axes(opened.flow)]
    live_figure(
        transformed_axes(shares.numpy()), key="axes", step=state.step, height=AXES_HEIGHT, static=True,
        title="Which axis of the data each coupling transforms",
        about=f"Never transformed: {' and '.join(never)}" if never else "Both axes are transformed",
        label=f"Axes never transformed: {', '.join(never) or 'none'}.",
    )  # fmt: skip
    text, button = st.columns([4, 1.5], vertical_alignment="center")
    chance = dead_axis_probability(state.config.flow)
    text.caption(
        f"A draw of these settings leaves an axis untransformed with probability {chance:.3g}. With hard permutations "
        "and $K$ blocks it is $2^{-(K-1)}$; with a reversed permutation each axis alone is left out with probability "
        "$2^{-K}$. With rotations or mirrors it is 0, from two blocks on."
    )
    button.button("Draw again", key="draw_another", icon=":material/casino:", on_click=draw_another, args=(session,),
                  help="The next seed: other permutations and other weights.")  # fmt: skip


# ---------------------------------------------------------------------- Ψ


def _scale(opening: Opening, state: TrainState, opened: Opened) -> None:
    block = opened.block
    g = torch.linspace(*G_AXIS, PLACES, dtype=torch.float64)
    at = block.global_scale.detach().flatten()
    scale_controls(opening, block)
    psi = global_affine(at, block.global_affine_type)[0]
    live_figure(
        global_scale(g.numpy(), {kind: global_affine(g, kind)[0].numpy() for kind in GLOBAL_AFFINE_TYPES},
                     current=block.global_affine_type, at=at.numpy(), psi_at=psi.numpy()),
        key="psi_curves", step=state.step, height=PANEL_HEIGHT, static=True, title="Ψ(g), three activations",
        about="Full: this block's. Marks: its two channels",
        label=f"Ψ is {psi[0].item():.3f} and {psi[1].item():.3f}.",
    )  # fmt: skip
    reaches = {"SIGMOID": "0 to 10", "SOFTPLUS": "0 to ∞", "EXP": "0 to ∞"}
    number_table(
        {kind: (f"{log_slope(1.0, kind):.3f}", reaches[kind]) for kind in GLOBAL_AFFINE_TYPES},
        head=("", "d log Ψ / dg at Ψ = 1", "range of Ψ"),
    )
    st.caption(
        "Under Adam every number moves about as far in a step: a smaller slope at the start means a scale that is "
        "learned more slowly."
    )
    if block.gin_block:
        st.info("Under GIN the scale is 1 whatever g is; the offset still holds.", icon=":material/lightbulb:")


# ---------------------------------------------------------------------- fields of log-det


def _fields(state: TrainState, opened: Opened) -> None:
    titles, fields = opened.fields()
    span = opened.span("so_far")
    reach = opened.grid_reach
    extent = (-reach, reach, -reach, reach)
    varies = [(field.max() - field.min()).item() > SAME_EVERYWHERE for field in fields]
    if any(varies):
        shown = [title for title, v in zip(titles, varies, strict=True) if v]
        live_figure(
            log_det_fields(fields[torch.tensor(varies)].numpy(), shown, extent, span=span), key="fields",
            step=state.step, height=FIELD_HEIGHT, static=True, title="Contribution of each step to the log-determinant",
            scale=log_det_scale(span), label="Maps over the film's input: " + ", ".join(shown) + ".",
        )  # fmt: skip
    constant = {
        f"{title}, everywhere": f"{field[0, 0].item():+.4f}" if field.any() else "0"
        for title, field, v in zip(titles, fields, varies, strict=True)
        if not v
    }
    number_table(constant)
    st.caption(
        "Nats, over the square that the film starts from. Permutations and mirrors contribute 0; Ψ contributes the "
        "same everywhere; what depends on the place comes from the coupling alone."
    )
