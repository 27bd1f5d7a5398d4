"""The Block page's upper half: what is open, the filmstrip, the stage, the formula with its source, and the ledger."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st
from torch import Tensor

from aio.bases import StandardNormal
from aio.figures.palette import DATA, LATENT
from aio.inspection import Opened
from aio.inspection.film import Step
from aio.training import TrainState
from aio.ui.opening import Opening
from aio.ui.sections import section
from aio.ui.session import Session
from aio.ui.stage import Film, Frame, Probe, filmstrip, packed, stage
from aio.ui.statements import words

__all__ = ["inside", "tick_of"]

TICK_SECONDS = 0.5  # while the block that is open is being trained
STRIP_HEIGHT = 136
STAGE_HEIGHT = 520
PROBE_DECIMALS, PROBE_REACH = 3, 1e6
COLOUR_NAMES = {"so_far": "so far", "step": "by this step"}
SOURCE_NAMES = {"drawn": "As drawn", "trained": "As trained"}
UNDONE = {"couple": "undone: (u₂ − t) e⁻ˢ", "affine": "undone: (h − o) / Ψ"}
POINT_NAMES = {"data": "Data", "base": "Base"}
DIRECTION_NAMES = {False: "Forward", True: "Inverse"}


def tick_of(session: Session) -> float | None:
    """How often the page is drawn by itself: only while the block that is open is being trained."""
    busy = session.opening.source == "trained" and session.ensure_run().view().busy
    return TICK_SECONDS if busy else None


def inside(session: Session, ticking: bool) -> None:
    """The page below its frame. Drawn again at each change, and at each tick while the block is being trained."""
    opening, run = session.opening, session.ensure_run()
    if session.impose:
        st.rerun()  # a button of this part has changed settings: the controls at the side must be told
    opening.begin(trained=not run.untouched)
    state = opening.state(session.config, run.state, session.own)
    opened = opening.opened(state)
    _toolbar(session, opening, state, opened)
    with st.container(key="words", gap="small"):
        words(session)
    _film(opening, opened)
    left, right = st.columns([10, 11], gap="medium")
    with left, st.container(key="beside"):  # stays in sight while what is beside it is scrolled
        _stage(opening, opened)
    with right:
        section(session, state, opened)
    if ticking != (tick_of(session) is not None):
        st.rerun()  # the whole page: this part needs its tick no longer, or from now on


# ---------------------------------------------------------------------- what is open


def _toolbar(session: Session, opening: Opening, state: TrainState, opened: Opened) -> None:
    blocks = len(opened.flow.blocks)
    with st.container(key="opening", horizontal=True, gap="small", vertical_alignment="bottom"):
        _choice(opening, "source", "Block", SOURCE_NAMES)
        if blocks > 1:
            opening.show("open_index", opening.index + 1)
            st.number_input(f"of {blocks}, from the data", 1, blocks, key="open_index", width=130,
                            on_change=opening.hears("open_index", partial(_take_index, opening)))  # fmt: skip
        _choice(opening, "rev", "Direction", DIRECTION_NAMES, take=lambda rev: _take_direction(opening, opened, rev))
        _choice(opening, "points", "Points", POINT_NAMES,
                "Data as they reach the block. Base: draws of the base, forward put straight into the block, inverse "
                "carried back to it through the blocks after it.")  # fmt: skip
        _choice(opening, "colour", "Colour", COLOUR_NAMES,
                "The log of the change of area: since the film's first frame, or by each step alone. In the frames "
                "subnet and clamp, what they compute.")  # fmt: skip
        opening.show("open_displacement", opening.displacement)
        st.toggle("Paths", key="open_displacement",
                  on_change=opening.hears("open_displacement", partial(setattr, opening, "displacement")),
                  help="Draw each point's way from the frame before.")  # fmt: skip
        if opening.source == "trained":
            _train_button(session, state)
        st.button("Undo", key="undo_by_hand", icon=":material/undo:", disabled=opening.edit.empty and not opening.off,
                  on_click=opening.undo, help="Take back what was set by hand.")  # fmt: skip


def _train_button(session: Session, state: TrainState) -> None:
    """The run goes on while its block is looked at: at which step it is, and a way to stop it."""
    run = session.ensure_run()
    view = run.view()
    playing = view.status == "playing"
    st.button(
        "Pause" if playing else "Train", key="block_train", icon=f":material/{'pause' if playing else 'play_arrow'}:",
        disabled=view.status in ("stopped", "failed"), on_click=run.pause if playing else run.play,
    )  # fmt: skip
    with st.container(key="block_step", width=90):
        st.caption(f"step {state.step:,}")


def _choice(
    opening: Opening, name: str, label: str, names: dict, help: str | None = None, take: Callable | None = None
) -> None:
    """A choice that shows the session's truth, and whose callback changes it."""
    key = f"open_{name}"
    opening.show(key, getattr(opening, name))
    st.segmented_control(label, list(names), key=key, format_func=names.get, required=True, width="content", help=help,
                         on_change=opening.hears(key, take or partial(setattr, opening, name)))  # fmt: skip


def _take_direction(opening: Opening, opened: Opened, rev: bool) -> None:
    """The probe is the same point, seen from the other side."""
    opening.rev = rev
    opening.probe = _bounded(opened.follow(opening.probe).steps[-1].x[0].tolist())


def _take_index(opening: Opening, number: int) -> None:
    index, shown = number - 1, opening.edit
    if opening.statement is not None:  # what is shown is shown on any block
        opening.edits = {(opening.source, index): shown}
    opening.index, opening.off = index, False


# ---------------------------------------------------------------------- film and stage


def _film(opening: Opening, opened: Opened) -> None:
    body = opening.keep("film", (id(opened), opening.colour), lambda: (opened, packed(_as_film(opening, opened))))[1]
    names = ", ".join(step.title for step in opened.grid if step.active)
    filmstrip(body, key="film", chosen=opening.shown_step(opened), pointed=opening.pointed, height=STRIP_HEIGHT,
              label=f"The block step by step: {names}.", on_choose=opening.choose)  # fmt: skip


def _as_film(opening: Opening, opened: Opened) -> Film:
    reach = opened.reach()
    colours, mirrored = opened.colours(opening.colour), opened.mirrored()
    frames = tuple(
        Frame(
            name=grid.name,
            title=grid.title,
            note=grid.why,
            active=grid.active,
            vertices=_float32(grid.x),
            points=_float32(cloud.x),
            cells=_finite(cells.flatten()),
            mirrored=np.full(cells.numel(), flipped),
            motion=_motion(grid, opened),
            vertex_stretch=_stretch(grid),
            point_stretch=_stretch(cloud),
        )
        for grid, cloud, cells, flipped in zip(opened.grid, opened.cloud, colours, mirrored, strict=True)
    )
    base_side = frames[0].name if opened.rev else frames[-1].name
    latent = opened.index == len(opened.flow.blocks) - 1 and isinstance(opened.flow.base, StandardNormal)
    return Film(
        frames=frames,
        shape=opened.shape,
        extent=(-reach, reach, -reach, reach),
        span=opened.span(opening.colour),
        scale_title="log area, nats",
        point_colour=LATENT if opening.points == "base" else DATA,
        circles=(base_side,) if latent else (),
    )


def _stage(opening: Opening, opened: Opened) -> None:
    chosen = opening.shown_step(opened)
    way, beads = opened.follow(opening.probe).steps, opened.slice(opening.probe).steps
    at = next(step for step in way if step.name == chosen)
    probe = Probe(
        path=[tuple(step.x[0].tolist()) for step in way],
        stretch=[None if step.motion.log_stretch is None else step.motion.log_stretch[0].item() for step in way],
        beads=[step.x.tolist() for step in beads],
        bead_stretch=[[] if step.motion.log_stretch is None else step.motion.log_stretch.tolist() for step in beads],
    )
    x1, x2 = at.x[0].tolist()
    label = f"Frame {at.title}. {at.why} The probe is at ({x1:.2f}, {x2:.2f})."
    stage(film="film", key="stage", chosen=chosen, probe=probe, height=STAGE_HEIGHT, label=label,
          displacement=opening.displacement, on_choose=opening.choose,
          on_probe=lambda step, x, y: _bring(opening, opened, step, (x, y)))  # fmt: skip
    with st.container(key="probe", horizontal=True, gap="small"):
        for i, name in enumerate(("Probe x₁", "Probe x₂")):
            opening.show(f"probe_{i + 1}", round(opening.probe[i], PROBE_DECIMALS))
            st.number_input(name, -PROBE_REACH, PROBE_REACH, step=0.1, format="%.3f", key=f"probe_{i + 1}", width=140,
                            on_change=opening.hears(f"probe_{i + 1}", partial(_take_probe, opening, i)))  # fmt: skip


def _bring(opening: Opening, opened: Opened, step: str, x: tuple[float, float]) -> None:
    if step in {known.name for known in opened.grid}:  # a name from the browser
        opening.probe = _bounded(opened.brought(step, x))


def _take_probe(opening: Opening, coordinate: int, typed: float | None) -> None:
    """Only the coordinate that was typed: the other keeps its digits."""
    if typed is not None:  # the box was emptied
        opening.probe = tuple(typed if i == coordinate else value for i, value in enumerate(opening.probe))


def _bounded(place: Sequence[float]) -> tuple[float, float]:
    """Within what the boxes take; a block of extreme stretch may reach beyond."""
    x1, x2 = (max(-PROBE_REACH, min(PROBE_REACH, value)) if math.isfinite(value) else 0.0 for value in place)
    return x1, x2


def _motion(step: Step, opened: Opened) -> dict:
    motion = step.motion
    found = {"kind": motion.kind, "angle": motion.angle, "normal": motion.normal, "scale": motion.scale,
             "offset": motion.offset}  # fmt: skip
    if opened.rev and motion.kind in UNDONE:
        found["words"] = UNDONE[motion.kind]
    return found


def _stretch(step: Step) -> np.ndarray | None:
    return None if step.motion.log_stretch is None else _float32(step.motion.log_stretch)


def _finite(cells: Tensor) -> np.ndarray:
    """Values for cells; one that has collapsed to nothing stays empty."""
    values = _float32(cells)
    return np.where(np.isfinite(values), values, np.float32(np.nan))


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float32)
