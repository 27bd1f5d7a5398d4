"""One live figure in a situation of its own, named by the address: `?case=numbers`. Used by the browser tests."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from aio.ui.live import live_figure

HEIGHT = 300


def numbers() -> None:
    """Arrays that the test knows."""
    z = (np.arange(12).reshape(3, 4) * 20).astype(np.uint8)
    x = np.array([0, 1, np.nan, 2], dtype=np.float32)
    figure = go.Figure([go.Heatmap(z=z), go.Scatter(x=x, y=x / 3)])
    live_figure(figure, key="figure", step=7, height=HEIGHT, label="Known numbers")


def malformed() -> None:
    """A figure without traces, above one that is as it should be."""
    live_figure({"data": "nonsense"}, key="figure", step=1, height=HEIGHT, label="Nonsense")
    live_figure(go.Figure(go.Scatter(y=[1, 2])), key="sound", step=1, height=HEIGHT, label="A line")


def themed() -> None:
    """Colours of the theme by name, in traces and in the layout."""
    figure = {
        "data": [{"y": [1, 2], "line": {"color": "theme:primary"}}],
        "layout": {
            "title": {"text": "Title", "font": {"color": "theme:text/0.5"}},
            "paper_bgcolor": "theme:background",
        },
    }
    live_figure(figure, key="figure", step=1, height=HEIGHT, label="A themed line")


def static() -> None:
    """A picture that does not answer to the pointer."""
    live_figure(go.Figure(go.Scatter(y=[1, 2])), key="figure", step=1, height=HEIGHT, label="A line", static=True)


def removable() -> None:
    """A figure that leaves the page."""
    if st.checkbox("Show", value=True, key="show"):
        live_figure(go.Figure(go.Scatter(y=[1, 2])), key="figure", step=1, height=HEIGHT, label="A line")


@st.fragment(run_every=0.1)
def ticking(*, changing: bool) -> None:
    """A step that rises, in a figure that changes with it or does not."""
    step = st.session_state["step"] = st.session_state.get("step", 0) + 1
    figure = go.Figure(go.Scatter(y=[1, step if changing else 2]))
    live_figure(figure, key="figure", step=step, height=HEIGHT, label=f"Step {step}")


def below() -> None:
    """A changing figure far below the fold."""
    st.html("<div style='height: 3000px'>Scroll down</div>", width="stretch")
    ticking(changing=True)


def unchanging() -> None:
    """A rising step, the same figure."""
    ticking(changing=False)


CASES = {case.__name__: case for case in (numbers, malformed, themed, static, removable, below, unchanging)}
CASES[st.query_params["case"]]()
