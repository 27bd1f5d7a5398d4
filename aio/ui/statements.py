"""Ten statements about the block in two dimensions, and presets: settings that are shown, and left again."""

from __future__ import annotations

import streamlit as st

from aio.config import RunConfig, limits
from aio.presets import PRESETS, STATEMENTS, Statement
from aio.ui.session import Session
from aio.ui.training import notices, waiting

__all__ = ["draw_another", "preset_menu", "statements_panel", "words"]

STEPS_TO_SHOW = 300  # enough for a flow to be worth a look
BY_NUMBER = {statement.number: statement for statement in STATEMENTS}


def statements_panel(session: Session) -> None:
    """The ten statements, to choose one that is shown; another click on it ends that."""
    session.opening.show("statement", session.opening.statement)

    def choose(number: int | None) -> None:
        if number is None:
            session.end_visit()
        else:
            show(session, number)

    st.pills("Ten things to see inside a block", list(BY_NUMBER), key="statement",
             on_change=session.opening.hears("statement", choose),
             format_func=lambda number: f"{number} {BY_NUMBER[number].title}")  # fmt: skip


def show(session: Session, number: int) -> None:
    """Set the page so that a statement can be seen, until the visit ends."""
    session.begin_visit()
    statement, opening = BY_NUMBER[number], session.opening
    opening.statement, opening.preset, opening.source = number, None, statement.source
    opening.index = statement.index
    if statement.source == "trained":
        last = session.ensure_run().config.flow.blocks - 1  # of the visitor's own flow
        is_last = statement.index == statement.config.flow.blocks - 1
        opening.index = last if is_last else min(statement.index, last)
    else:
        session.change(statement.config)
    opening.edits = {(statement.source, opening.index): statement.edit}
    opening.points, opening.rev, opening.off, opening.probe = statement.points, statement.rev, False, None
    opening.choose(statement.step)
    opening.section = statement.section


def words(session: Session) -> None:
    """A word where it matters: what the visitor is looking at, and what waits."""
    notices(session)
    opening = session.opening
    if opening.statement is not None:
        _statement(session, BY_NUMBER[opening.statement])
    elif opening.at_first:
        st.info(
            "Nothing is trained yet, and an untrained block is almost a permutation. So that there is something to "
            "see, s and t of this block are curves set by hand. Undo shows the block as it was drawn.",
            icon=":material/lightbulb:",
        )
    if session.visited_from is None and opening.source == "trained":
        waiting(session, session.ensure_run().view())


def _statement(session: Session, statement: Statement) -> None:
    opening, run = session.opening, session.ensure_run()
    trained = statement.source == "trained"
    st.info(f"**{statement.number}. {statement.sentence}** {statement.see}", icon=":material/visibility:")
    if trained and run.config.flow.base.kind == "mixture":
        st.caption("The base of your flow is a ring of Gaussians, which is not isotropic.")
    if statement.section == "loss" and trained and run.state is not None and run.state.dataset().target is None:
        st.caption("The density of your points is not known, so there is no floor and no KL to be seen here.")
    with st.container(key="statement_buttons", horizontal=True, gap="small"):
        if trained and run.state is not None and run.state.step == 0:
            st.button(f"Train {STEPS_TO_SHOW} steps first", key="train_to_show", type="primary", on_click=run.step,
                      args=(STEPS_TO_SHOW,))  # fmt: skip
        if opening.edit != statement.edit or (not trained and session.config != statement.config):
            st.button("Show again", key="show_again", on_click=show, args=(session, statement.number))


def draw_another(session: Session) -> None:
    """The next seed, for a block as it is drawn."""
    _, last = limits(RunConfig, "seed")
    session.opening.source = "drawn"
    session.change(session.config.changed(seed=(session.config.seed + 1) % (last + 1)))


def preset_menu(session: Session) -> None:
    """Settings to look at, with where they come from; they become the visitor's own where they say so."""
    preset = PRESETS.get(session.opening.preset or "")
    if preset is not None and session.config != preset.config:
        session.opening.preset = preset = None  # something at the side was changed since
    session.opening.show("preset", session.opening.preset)

    def choose(name: str | None) -> None:
        if name is None:
            session.end_visit()
            return
        session.begin_visit()
        opening = session.opening
        opening.preset, opening.statement, opening.source, opening.edits = name, None, "drawn", {}
        session.change(PRESETS[name].config)

    st.selectbox("Preset", list(PRESETS), key="preset", index=None, placeholder="Choose one",
                 on_change=session.opening.hears("preset", choose),
                 format_func=lambda name: PRESETS[name].title, help="Shows a block of other settings.")  # fmt: skip
    if preset is not None:
        origin = f" From {preset.origin}." if preset.origin else ""
        st.caption(f"{preset.look_for}{origin}")
    if session.visited_from is not None:
        st.caption("These settings are shown, and touch no training.")
        with st.container(horizontal=True, gap="small"):
            st.button("Use them", key="use_settings", on_click=session.end_visit, kwargs={"keep": True},
                      help="Make them yours, also on the Train page.")  # fmt: skip
            st.button("Back to mine", key="end_visit", on_click=session.end_visit)
