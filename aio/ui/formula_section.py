"""The Block page's first section: the formula with the probe's numbers, the code that ran, and the ledger."""

from __future__ import annotations

import numpy as np
import streamlit as st

from aio.by_hand import HandCurve
from aio.figures import ledger_waterfall
from aio.inspection import Opened, Term, formula, ledger, source
from aio.training import TrainState
from aio.ui.formula import Line
from aio.ui.formula import formula as formula_lines
from aio.ui.live import live_figure
from aio.ui.opening import Opening
from aio.ui.words import number_table

__all__ = ["formula_section"]

LONG = ("coupling", "output")  # terms of several summands
LEDGER_ROW = 21  # CSS pixels
SOURCE_HEIGHT = 260


def formula_section(opening: Opening, state: TrainState, opened: Opened) -> None:
    """The formula, its code, the ledger."""
    terms = _formula(opening, opened)
    _source(opening, terms)
    _ledger(opening, state, opened)


def _formula(opening: Opening, opened: Opened) -> list[Term]:
    start = opened.follow(opening.probe).steps[0].x[0]
    terms = formula(opened.block, start, opened.rev)
    lines = [Line(t.step, t.latex, t.numbers, t.title, t.active, t.why, below=t.step in LONG) for t in terms]
    formula_lines(lines, key="formula", chosen=opening.shown_step(opened), height="content",
                  label="The block's formula with the probe's numbers", on_point=opening.point,
                  on_choose=opening.choose)  # fmt: skip
    return terms


def _source(opening: Opening, terms: list[Term]) -> None:
    step = opening.pointed if opening.pointed in {t.step for t in terms} else opening.step
    code = dict.fromkeys(function for term in terms if term.step == step for function in term.code)
    if not code:
        code = dict.fromkeys(terms[-1].code)
    if step == "subnet" and (opening.edit.s or opening.edit.t):
        code[HandCurve.__call__] = None
    names = ", ".join(f"`{function.__qualname__}`" for function in code)
    with st.expander(f"The block's own code: {names}", key="source"):
        st.code("\n".join(source(function) for function in code), language="python", height=SOURCE_HEIGHT)


def _ledger(opening: Opening, state: TrainState, opened: Opened) -> None:
    found = ledger(opened.flow, opened.index, opened.at_block_input(opening.probe))
    base, *entries = found.entries
    steps = [entry.step for entry in entries]
    figure = ledger_waterfall(
        [entry.title for entry in entries], np.array([entry.value for entry in entries]), first=base.value,
        total=found.log_prob, chosen=steps.index(opening.step) if opening.step in steps else None,
    )  # fmt: skip
    picture, sums = st.columns([5, 4], gap="small", vertical_alignment="center")
    with picture:
        live_figure(figure, key="ledger", step=state.step, height=LEDGER_ROW * (len(entries) + 3), static=True,
                title="Ledger of the probe, nats",
                about="From the base to log q(x), line by line",
                label=f"log q(x) is {found.log_prob:.3f} nats, the sum of {len(found.entries)} lines.")  # fmt: skip
    rows = {
        "Block: its lines": f"{found.block:+.6f}",
        "Block: autograd": f"{found.block_autograd:+.6f}",
        "Difference": f"{found.block - found.block_autograd:+.1e}",
        "Flow: lines − log q(x)": f"{found.total - found.log_prob:+.1e}",
        "Flow: lines − autograd": f"{found.total - found.flow_autograd:+.1e}",
        "Orientation": "mirrored" if found.orientation < 0 else "kept",
        "x in data": f"({found.x[0]:.3f}, {found.x[1]:.3f})",
        "z in latent": f"({found.z[0]:.3f}, {found.z[1]:.3f})",
    }
    with sums:
        number_table(rows)
    if opened.rev:
        st.caption("The ledger runs from data to the base; the inverse formula's log|det| has the other sign.")
