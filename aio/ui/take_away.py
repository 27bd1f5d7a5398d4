"""Two sections of the Block page: where the published docstring is wrong, and the block to take away."""

from __future__ import annotations

import streamlit as st

from aio.export import BLOCK_FILE, LIBRARIES, block_line, block_weights
from aio.inspection import DISAGREEMENTS, Disagreement, Opened
from aio.training import TrainState
from aio.ui.opening import Opening

__all__ = ["docstring_section", "take_away_section"]

TWO_MIRRORS = ((1.0, 0.5), (0.2, 1.0))


def docstring_section(opening: Opening) -> None:
    """What the docstring says, what the code computes, and the frame that shows it."""
    st.caption("The docstring of FrEIA's and anomalib's AllInOneBlock, beside what their code computes.")
    for i, row in enumerate(DISAGREEMENTS):
        text, button = st.columns([6, 1.4], vertical_alignment="center")
        text.markdown(f"**Docstring:** {row.published}  \n**Code:** {row.computed}  \n:gray[{row.see}]")

        button.button(
            "Show", key=f"docstring_{i + 1}", icon=":material/visibility:", on_click=_show, args=(opening, row)
        )


def _show(opening: Opening, row: Disagreement) -> None:
    opening.rev = False
    if row.needs == "untrained":
        opening.source = "drawn"
        opening.undo()
    elif row.needs == "mirrors" and not opening.edit.v:
        opening.change(v=TWO_MIRRORS)
    opening.choose(row.step)


def take_away_section(state: TrainState, opened: Opened) -> None:
    """The lines that build this block, in three libraries, and its weights."""
    st.caption("This block as it is now, with what is set by hand.")
    for tab, library in zip(st.tabs(LIBRARIES), LIBRARIES, strict=True):
        tab.code(block_line(opened.block, state.config.flow.subnet, library), language="python", wrap_lines=True)
    st.download_button(
        "Weights, safetensors", block_weights(opened.block), file_name=BLOCK_FILE,
        mime="application/octet-stream", key="weights", icon=":material/download:", on_click="ignore",
        help="The block's state dict. All three load it.",
    )  # fmt: skip
