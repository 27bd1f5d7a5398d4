"""The Train page's parts: the transport, the live pictures, the numbers, and a word where it matters."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from aio.config import RunConfig, limits
from aio.figures import carried_grid, colour_scale, density_image, loss_curve
from aio.inspection import dead_axis_probability
from aio.runs import RunView
from aio.snapshot import Snapshot
from aio.ui.controls import waiting_for_reset
from aio.ui.live import HEAD_HEIGHT, encoded, live_figure
from aio.ui.session import Session

__all__ = ["let_arrive", "live", "live_density", "notices", "reset", "tick_of", "transport", "waiting"]

TICK_SECONDS = 0.1  # as often as snapshots come
ARRIVAL_SECONDS = 0.1  # ten times the server's pause between two looks at what there is to send
PANEL_HEIGHT = 345
LOSS_HEIGHT = 210
LATENT_EXTENT = (-4.0, 4.0, -4.0, 4.0)  # the three circles of the base and some room
TOP_QUANTILE = 0.999  # of p over the cells: the top of the colour scale
NOTICES_SHOWN = 5
STEP_BUTTONS = (1, 10, 100)
NOTHING = "–"
AXIS_NAMES = ("x₁", "x₂")
ROUGH_HELP = (
    "Beside the exact KL the same from histograms of 150 points of each density, as tools show it that do not know "
    "their densities. It jitters with every draw, and does not go to 0."
)
QUANTITY_NAMES = {"learned": "Learned", "true": "True", "difference": "Difference"}


def tick_of(view: RunView) -> float | None:
    """How often the live part is drawn: not at all while nothing can change."""
    return TICK_SECONDS if view.busy else None


def reset(session: Session) -> None:
    """Start afresh with what the controls say; a run that was playing plays on."""
    playing = session.ensure_run().view().status == "playing"
    run = session.restart()
    if playing:
        run.play()


def new_seed(session: Session) -> None:
    """Start afresh with the next seed."""
    _, last = limits(RunConfig, "seed")
    session.change(session.config.changed(seed=(session.config.seed + 1) % (last + 1)))
    reset(session)


def same_settings(session: Session) -> None:
    """Give every block the settings that the controls show, and start afresh."""
    session.change(session.config.changed_at(("flow", "overrides"), {}))
    reset(session)


def transport(session: Session) -> None:
    """Train, pause, step, reset, and a word where it matters: what changes when the visitor or the run decides."""
    view = session.ensure_run().view()
    with st.container(key="toolbar", horizontal=True, gap="medium", vertical_alignment="center"):
        _transport(session, view)
        _density_choice(session, view)
    with st.container(key="words", gap="small"):  # always there: what follows keeps its place, and its live figures
        _words(session, view)


def live(session: Session, drawn: RunView, ticking: bool) -> None:
    """The numbers and pictures. Drawn again at each tick; it never waits for training.

    Args:
        session: the visitor's.
        drawn: the run as the rest of the page shows it.
        ticking: whether this part is drawn again by itself.
    """
    view = session.ensure_run().view()
    _numbers(session, view)
    _pictures(session, view)
    _follow(view, drawn, ticking)


def live_density(session: Session, drawn: RunView, ticking: bool) -> None:
    """The numbers, the density and the loss: as `live`, for a page that has less room."""
    view = session.ensure_run().view()
    _numbers(session, view)
    if view.snapshot is None:
        _empty(PANEL_HEIGHT)
        _empty(LOSS_HEIGHT)
    else:
        _density(session, view.snapshot)
        _loss(session, view.snapshot)
    _follow(view, drawn, ticking)


def _follow(view: RunView, drawn: RunView, ticking: bool) -> None:
    changed = (view.status, view.trouble is None) != (drawn.status, drawn.trouble is None)
    if changed or (ticking and not view.busy):
        st.rerun()  # the whole page: its words and buttons have changed, or this part needs its tick no longer


def let_arrive() -> None:
    """Give the server time to send what this run of the page drew, before the first tick.

    When a tick begins, Streamlit throws away what a run of the whole page drew in the ticking part and has not sent
    yet, but still tells the browser that the run has finished: the browser then takes those figures down, and mounts
    new ones at the tick. (`ForwardMsgQueue.clear` in streamlit 1.67.) No tick begins while the page's script runs.
    """
    time.sleep(ARRIVAL_SECONDS)


# ---------------------------------------------------------------------- transport


def _transport(session: Session, view: RunView) -> None:
    run = session.ensure_run()
    playing = view.status == "playing"
    halted = view.status in ("stopped", "failed")
    with st.container(key="transport", horizontal=True, gap="small", vertical_alignment="center", width="content"):
        st.button(
            "Pause" if playing else "Train",
            key="train",
            type="primary",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            shortcut="Space",
            disabled=halted,
            on_click=run.pause if playing else run.play,
        )
        for steps in STEP_BUTTONS:
            about = f"Train {steps} step{'s' if steps > 1 else ''}, then pause."
            st.button(
                f"+{steps}", key=f"step_{steps}", disabled=halted, help=about, on_click=run.step, args=(steps,)
            )  # fmt: skip
        st.button("Reset", key="reset", icon=":material/restart_alt:", on_click=reset, args=(session,))
        about = "Start afresh with the next seed."
        st.button("New seed", key="new_seed", icon=":material/casino:", help=about, on_click=new_seed, args=(session,))


def _density_choice(session: Session, view: RunView) -> None:
    unknown = view.snapshot is not None and view.snapshot.true_log_density is None
    with st.container(key="density_choice", horizontal=True, gap="small", vertical_alignment="center", width="content"):
        session.quantity = st.segmented_control(
            "Density shown", list(QUANTITY_NAMES), key="quantity", format_func=QUANTITY_NAMES.get, required=True,
            label_visibility="collapsed", disabled=unknown, default=session.quantity,
        )  # fmt: skip
        session.scale = "log" if st.toggle("log", session.scale == "log", key="log_scale") else "linear"
        session.rough = st.toggle("Rough KL", session.rough, key="rough_kl", disabled=unknown, help=ROUGH_HELP)


# ---------------------------------------------------------------------- words


def notices(session: Session) -> None:
    """What could not be taken from the visitor's link."""
    if session.notices:
        with st.container(key="notices"):
            st.warning("Some of this link was left out.", icon=":material/link_off:")
            st.text("\n".join(session.notices[:NOTICES_SHOWN]))  # plain: a link must not bring markdown along


def waiting(session: Session, view: RunView) -> None:
    """The settings that wait for a reset."""
    labels = waiting_for_reset(session.config, view.config)
    if labels:
        st.info(f"Waiting for a reset: {', '.join(labels)}.", icon=":material/restart_alt:")
        st.button("Reset now", key="reset_now", on_click=reset, args=(session,))


def _words(session: Session, view: RunView) -> None:
    run, flow = session.ensure_run(), view.config.flow
    notices(session)
    waiting(session, view)
    if view.trouble:
        st.error(view.trouble, icon=":material/error:")
        if view.best_step is not None:
            about = f"Back to step {view.best_step:,}, the best so far"
            st.button(about, key="back_to_best", icon=":material/history:", on_click=run.back_to_best)
    if all(flow.block_config(i).gin for i in range(flow.blocks)):
        st.info(
            "GIN in two dimensions is a shear: with one active channel, s minus its mean is 0, and neither α nor Ψ has "
            "an effect. Areas stay as they are, so in standardised units the density can nowhere exceed the highest "
            "value of the base; of the standard normal that is 1/(2π).",
            icon=":material/lightbulb:",
        )
    if flow.overrides:
        blocks = ", ".join(str(i + 1) for i in flow.overrides)
        st.info(f"Set apart from the others by the link: block {blocks}.", icon=":material/tune:")
        st.button("Give all blocks the same settings", key="same_settings", on_click=same_settings, args=(session,))
    shot = view.snapshot
    if shot is not None and shot.dead_axes and (shot.config.flow, shot.config.seed) == (flow, view.config.seed):
        axes = " and ".join(AXIS_NAMES[axis] for axis in shot.dead_axes)
        blocks = "one block" if flow.blocks == 1 else f"{flow.blocks} blocks"
        st.info(
            f"In this draw of hard permutations no coupling transforms {axes}: the flow can only shift and scale it. "
            f"With {blocks}, a random draw leaves an axis out with probability {dead_axis_probability(flow):.2%}.",
            icon=":material/lightbulb:",
        )
        st.button("Draw again", key="draw_again", icon=":material/casino:", on_click=new_seed, args=(session,))


# ---------------------------------------------------------------------- pictures


def _pictures(session: Session, view: RunView) -> None:
    shot = view.snapshot
    left, middle, right = st.columns(3, gap="small")
    if shot is None:
        for place in (left, middle, right):
            with place:
                _empty(PANEL_HEIGHT)
        _empty(LOSS_HEIGHT)
        return
    with left:
        _density(session, shot)
    with middle:
        _picture(
            session, shot, "latent_to_data", PANEL_HEIGHT,
            lambda: carried_grid(shot.base_grid_in_data, shot.samples, shot.extent, of="latent"),
            label="A square grid of latent space and samples, carried to data space.",
            title="Latent → data",
            about="A square grid of the base, and samples, carried to data space",
        )  # fmt: skip
    with right:
        _picture(
            session, shot, "data_to_latent", PANEL_HEIGHT,
            lambda: carried_grid(shot.grid_in_latent, shot.data_in_latent, LATENT_EXTENT, of="data",
                                 circles=shot.config.flow.base.kind != "mixture"),
            label="A square grid of data space and data points, carried to latent space.",
            title="Data → latent",
            about="A square grid of data space, and data, carried to the base",
        )  # fmt: skip
    _loss(session, shot)


def _loss(session: Session, shot: Snapshot) -> None:
    measured = shot.evaluation
    gap = "" if measured.kl is None else f", {measured.kl:.3f} nats above the floor"
    _picture(
        session, shot, "loss", LOSS_HEIGHT,
        lambda: loss_curve(shot.train_curve, shot.held_out_curve, measured.entropy, measured.kl),
        label=f"Held-out negative log-likelihood {measured.nll:.3f} nats{gap}.",
        title="Loss",
        about="NLL of each batch (weights as they are) and of held-out points (averaged weights)"
        + ("" if measured.entropy is None else ", above the floor H(p)"),
    )  # fmt: skip


def _density(session: Session, shot: Snapshot) -> None:
    truth = shot.true_log_density
    quantity, scale = (session.quantity if truth is not None else "learned"), session.scale
    top = float(np.exp(np.quantile(truth if truth is not None else shot.log_density, TOP_QUANTILE)))
    _picture(
        session, shot, "density", PANEL_HEIGHT,
        lambda: density_image(shot.log_density, truth, shot.extent, shot.data, quantity=quantity, scale=scale, top=top),
        label=f"{QUANTITY_NAMES[quantity]} density, {scale} scale, as an image with data points.",
        title="Learned − true density" if quantity == "difference" else f"{QUANTITY_NAMES[quantity]} density",
        scale=colour_scale(quantity, scale, top),
    )  # fmt: skip


def _picture(
    session: Session, shot: Snapshot, key: str, height: int, draw: Callable[[], go.Figure], *, label: str, **head: Any
) -> None:
    """Draw a figure of a snapshot, or send again what was sent of it before: ticks may come faster than snapshots."""
    what = (id(shot), session.quantity, session.scale)
    if session.sent.get(key, (None,))[0] != what:
        session.sent[key] = what, shot, encoded(draw())  # the snapshot is kept, so that its id stays its own
    body = session.sent[key][-1]
    live_figure(body, key=key, step=shot.step, height=height, label=f"Step {shot.step}: {label}", **head)


def _numbers(session: Session, view: RunView) -> None:
    shot = view.snapshot
    measured = shot.evaluation if shot else None
    known = measured is not None and measured.kl is not None
    items = {
        "Step": f"{shot.step:,}" if shot else NOTHING,
        "Steps per second": NOTHING if view.steps_per_second is None else f"{view.steps_per_second:,.0f}",
        "Held-out NLL": f"{measured.nll:.3f} <small>nats</small>" if measured else NOTHING,
        "KL(p‖q)": f"{measured.kl:.3f} <small>± {measured.kl_stderr:.3f} nats</small>" if known else NOTHING,
        "Round-trip error": f"{measured.round_trip_error:.1e}" if measured else NOTHING,
        "Learning rate": f"{shot.learning_rate:.1e}" if shot else NOTHING,
        "Parameters": f"{shot.parameters:,}" if shot else NOTHING,
    }
    if session.rough:
        rough = None if shot is None else shot.rough_kl
        items["KL, 150 points"] = NOTHING if rough is None else f"{rough:.3f} <small>nats</small>"
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in items.items())
    st.html(f'<dl class="numbers">{cells}</dl>')


def _empty(height: int) -> None:
    """The place of a figure that is still to come."""
    st.html(f'<div class="to-come" style="height: {height + HEAD_HEIGHT}px"></div>')
