"""Data of the visitor's own: a drawing, a picture, a table."""

from __future__ import annotations

import streamlit as st
import torch

from aio.pictures import read_picture
from aio.targets.drawing import DrawnTarget, from_json
from aio.targets.picture import PictureTarget
from aio.ui.draw import draw
from aio.ui.gallery import picture
from aio.ui.session import Session
from aio.ui.training import let_arrive, live_density, tick_of, transport
from aio.ui.words import number_table
from aio.uploads import MAX_ROWS, Table, read_table

__all__ = ["draw_panel", "picture_panel", "table_panel"]

CANVAS_HEIGHT = 460
PICTURE_WIDTH = 320
PREVIEW_ROWS = 8
POINTS = '"points"'  # stands in the text of every drawing but an empty one
DRAWING, PICTURE, TABLE = "Your drawing", "Your picture", "Your table"


# ---------------------------------------------------------------------- a drawing


def draw_panel(session: Session) -> None:
    """A canvas, and beside it what a flow learns of the drawing while it is drawn."""
    st.caption(
        "What you draw is a mixture of Gaussians as wide as the brush, so its density is known exactly, and its "
        "entropy to six digits. The first stroke starts a fresh run; draw on while it trains, and it goes on with the "
        "new density."
    )
    session.impose = session.drawn_since = False  # this page has no controls that must be told
    drawn = session.ensure_run().view()
    learns_it = session.own_title == DRAWING and session.config.data.target is None
    tick = tick_of(drawn) if learns_it else None
    left, right = st.columns(2, gap="large")
    with left:
        st.fragment(_canvas, key="canvas_part")(session, ticking=tick is not None)
    with right:
        if not learns_it:
            _not_yet(session)
            return
        transport(session)
        st.fragment(live_density, run_every=tick, key="live")(session, drawn, ticking=tick is not None)
    if tick is not None:
        let_arrive()


def _not_yet(session: Session) -> None:
    """In the place of the pictures, while the run learns something else than the drawing."""
    st.html(f'<div class="to-come" style="height: {CANVAS_HEIGHT}px"><p>Draw something, then train.</p></div>')
    if POINTS in session.drawing and not session.drawing_problem:
        st.button("Learn what is drawn", key="learn_drawing", on_click=_take_drawing, args=(session, session.drawing))


def _canvas(session: Session, ticking: bool) -> None:
    draw(key="canvas", drawing=session.drawing, version=0, height=CANVAS_HEIGHT, label="A density to learn",
         on_draw=lambda text: _take_drawing(session, text))  # fmt: skip
    if session.drawing_problem:
        _refused("This drawing cannot be used.", session.drawing_problem)
    if session.impose or (session.drawn_since and not ticking):
        st.rerun()  # the whole page: what stands beside the canvas must follow it


def _take_drawing(session: Session, text: str) -> None:
    session.drawing, session.drawing_problem = text, ""
    try:
        session.take_own(DrawnTarget(from_json(text)), DRAWING)
        session.drawn_since = True
    except ValueError as error:
        if POINTS in text:  # else all was erased, and the run keeps what it had
            session.drawing_problem = str(error)


# ---------------------------------------------------------------------- a picture


def picture_panel(session: Session) -> None:
    """An uploaded picture as a density."""
    st.caption(
        "PNG or JPEG. Dark is dense; at most 256 × 256 cells after scaling. The density is constant in each cell, so "
        "its entropy is exact, and what is left above the floor is the KL."
    )
    file = st.file_uploader("Picture", type=["png", "jpg", "jpeg"], key="picture_file")
    invert = st.toggle("Light is dense", key="picture_invert")
    if file is None:
        return
    try:
        target = _picture_target(file.getvalue(), invert)
    except ValueError as error:
        _refused("This picture cannot be used.", str(error))
        return
    left, right = st.columns([1, 2], gap="large")
    left.image(picture(target)[0], alt="The density that the picture stands for.", width=PICTURE_WIDTH)
    with right:
        rows, columns = target.weights.shape
        xmin, xmax, ymin, ymax = target.box
        number_table({"Cells": f"{columns} × {rows}", "Size": f"{xmax - xmin:.3g} × {ymax - ymin:.3g}",
                      "Entropy H(p)": f"{target.entropy:.4f} nats",
                      "Empty cells": f"{(target.weights == 0).mean():.0%}"})  # fmt: skip
        _train_button(session, target, PICTURE)


@st.cache_data(max_entries=8, show_spinner=False)
def _picture_target(data: bytes, invert: bool) -> PictureTarget:
    return PictureTarget(read_picture(data, invert=invert))


# ---------------------------------------------------------------------- a table


def table_panel(session: Session) -> None:
    """Two columns of an uploaded table."""
    st.caption(
        f"CSV or .npy, at most {MAX_ROWS:,} rows. The density behind your points is not known, so the loss has no "
        "known floor and there is no KL: only the held-out NLL, on rows that are never trained on."
    )
    file = st.file_uploader("Table", type=["csv", "npy"], key="table_file")
    if file is None:
        return
    try:
        table = _table(file.getvalue(), file.name)
    except ValueError as error:
        _refused("This table cannot be used.", str(error))
        return
    st.dataframe(table.preview(PREVIEW_ROWS), hide_index=True, key="table_preview")
    st.caption(f"The first of {table.rows:,} rows. Columns of numbers: {len(table.numeric)} of {len(table.names)}.")
    first, second = st.columns(2)
    x = first.selectbox("First column", table.numeric, index=0, key="table_first")
    y = second.selectbox("Second column", table.numeric, index=min(1, len(table.numeric) - 1), key="table_second")
    try:
        points = table.points(x, y)
    except ValueError as error:
        _refused("These columns cannot be used.", str(error))
        return
    if points.note:
        st.text(points.note)
    _train_button(session, torch.from_numpy(points.x), TABLE)


@st.cache_data(max_entries=2, show_spinner=False)
def _table(data: bytes, name: str) -> Table:
    return read_table(data, name)


# ---------------------------------------------------------------------- shared


def _train_button(session: Session, data: PictureTarget | torch.Tensor, title: str) -> None:
    if st.button("Train on it", key="train_on_own", type="primary", icon=":material/play_arrow:"):
        session.own_title = ""  # another file is another run
        session.take_own(data, title)
        session.ensure_run().play()
        st.switch_page("pages/train.py")


def _refused(headline: str, sentence: str) -> None:
    st.error(headline, icon=":material/error:")
    st.text(sentence)  # plain: a file must not bring markdown along
