"""Three live figures in one fragment: a heatmap, points with a grid, and lines. Used by the browser tests."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from aio.ui.live import live_figure

TICK_SECONDS = 0.1
EXTENT = 2.0
CELLS = 100
POINTS = 500
GRID_LINES, GRID_POINTS = 21, 41


def heatmap(t: float) -> go.Figure:
    """A ring that grows and shrinks, as bytes."""
    axis = np.linspace(-EXTENT, EXTENT, CELLS)
    radius = np.hypot(axis, axis[:, None])
    z = (255 * np.exp(-8 * (radius - 1 - 0.3 * np.sin(t)) ** 2)).astype(np.uint8)
    return go.Figure(
        go.Heatmap(
            x=axis.astype("f4"), y=axis.astype("f4"), z=z, zmin=0, zmax=255, colorscale="Cividis", showscale=False
        ),
        square(),
    )


def points(t: float) -> go.Figure:
    """Points and a turning grid whose lines are one trace, cut by NaN."""
    xy = np.random.default_rng(0).normal(size=(POINTS, 2)) * (1 + 0.1 * np.sin(t))
    along = np.append(np.linspace(-1, 1, GRID_POINTS), np.nan)
    across = np.linspace(-1, 1, GRID_LINES)
    lines = np.stack(np.broadcast_arrays(along, across[:, None]), axis=-1).reshape(-1, 2)
    grid = np.concatenate([lines, lines[:, ::-1]])
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    grid, xy = (grid @ turn).astype("f4"), xy.astype("f4")
    return go.Figure(
        [
            go.Scatter(x=grid[:, 0], y=grid[:, 1], mode="lines", line={"color": "var(--theme:text/0.3)", "width": 1}),
            go.Scatter(x=xy[:, 0], y=xy[:, 1], mode="markers", marker={"size": 4}),
        ],
        square(),
    )


def curves(t: float) -> go.Figure:
    """Two losses."""
    step = np.arange(300, dtype="f4")
    loss = np.exp(-step / 60) + 0.02 * np.sin(step / 5 + t)
    return go.Figure(
        [
            go.Scatter(x=step, y=loss.astype("f4"), name="train"),
            go.Scatter(x=step, y=(loss + 0.1).astype("f4"), name="held out"),
        ],
        {"margin": {"l": 40, "r": 10, "t": 10, "b": 30}, "yaxis": {"range": [-0.2, 1.4]}},
    )


def square() -> dict:
    """The layout of a panel of the plane."""
    return {
        "margin": {"l": 30, "r": 10, "t": 10, "b": 30},
        "showlegend": False,
        "xaxis": {"range": [-EXTENT, EXTENT], "constrain": "domain"},
        "yaxis": {"range": [-EXTENT, EXTENT], "constrain": "domain", "scaleanchor": "x"},
    }


@st.fragment(run_every=TICK_SECONDS)
def panels() -> None:
    """One tick: the three figures of this moment."""
    step = st.session_state["step"] = st.session_state.get("step", 0) + 1
    t = step * TICK_SECONDS
    left, right = st.columns(2)
    with left:
        live_figure(heatmap(t), key="heatmap", step=step, height=360, label=f"A ring of density, step {step}")
    with right:
        live_figure(points(t), key="points", step=step, height=360, label=f"500 points and a turning grid, step {step}")
    live_figure(curves(t), key="curves", step=step, height=240, label=f"Two falling losses, step {step}")


st.set_page_config(layout="wide")
panels()
