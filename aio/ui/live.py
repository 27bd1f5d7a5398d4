"""Plotly figures that change while one looks at them."""

import json
from functools import cache
from typing import Literal

import plotly.graph_objects as go
import streamlit as st
from plotly.utils import PlotlyJSONEncoder

from aio.figures.plane import ColourScale

__all__ = ["HEAD_HEIGHT", "TRACE_TYPES", "encoded", "live_figure"]

HEAD_HEIGHT = 50  # CSS pixels of the heading and the line below it; the same in live_figure.css

# What the vendored plotly-cartesian bundle can draw. Plotly would silently draw any other trace as a scatter.
TRACE_TYPES = (
    "bar",
    "box",
    "contour",
    "heatmap",
    "histogram",
    "histogram2d",
    "histogram2dcontour",
    "image",
    "pie",
    "scatter",
    "scatterternary",
    "violin",
)


def live_figure(
    figure: go.Figure | dict | bytes,
    *,
    key: str,
    step: int,
    height: int,
    label: str,
    width: Literal["stretch"] | int = "stretch",
    static: bool = False,
    title: str = "",
    about: str = "",
    scale: ColourScale | None = None,
) -> None:
    """Draw a figure, and on the next call with the same key redraw it in place.

    `st.plotly_chart` builds a new chart whenever its data change; this one keeps its node, its zoom and its size, and
    may be called many times a second. The browser draws only the newest figure, and none while it is out of sight.

    Colours and font come from the visitor's theme wherever the figure leaves them open; the theme takes the place of
    the figure's template. A figure asks for a colour of the theme by name: `theme:text`, `theme:background`,
    `theme:secondary-background`, `theme:border`, `theme:primary` or any other `--st-<name>-color` of Streamlit, with an
    opacity if need be: `theme:text/0.3`. In a `go.Figure`, whose validator knows no such colours, write
    `var(--theme:text/0.3)`.

    A zoom of the visitor's outlives updates unless the figure sets `uirevision`, and a double click resets it.

    Args:
        figure: a figure of the trace types in `TRACE_TYPES`, or its plotly JSON as a dict, or what `encoded` made of
            either. Arrays travel as base64 in a figure, as lists in a dict.
        key: names the chart on its page; also its CSS class, `.st-key-<key>`.
        step: the training step that the figure shows. It stands in the root's `data-step` once it is drawn.
        height: in CSS pixels, reserved from the first paint.
        label: what the picture shows, in words, for those who cannot see it.
        width: `"stretch"`, or CSS pixels.
        static: draw a picture that does not answer to the pointer.
        title: a heading above the picture; it and what follows take HEAD_HEIGHT more.
        about: a line below the heading.
        scale: what the picture's colours mean, drawn as a strip in the place of `about`.

    Raises:
        ValueError: a trace is of a type that the bundle cannot draw.

    >>> carpet = {"data": [{"type": "carpet"}]}
    >>> live_figure(carpet, key="carpet", step=0, height=300, label="A carpet")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Expected traces of the types bar, box, ..., violin; got carpet. Use one of these, or ...
    """
    body = figure if isinstance(figure, bytes) else encoded(figure)
    header = {"step": step, "height": height, "label": label, "static": static}
    if title:
        header["head"] = {"title": title, "about": about, "scale": scale and scale._asdict()}
    # Bytes, because Streamlit encodes JSON twice and parses it once more in the browser. The header stands apart on
    # the first line, so that the browser can compare figures as bytes.
    outer = height + (HEAD_HEIGHT if title else 0)
    _component()(data=json.dumps(header).encode() + b"\n" + body, key=key, height=outer, width=width)


def encoded(figure: go.Figure | dict) -> bytes:
    """A figure as `live_figure` sends it: to be kept where the same figure is drawn again."""
    spec = figure.to_dict() if isinstance(figure, go.Figure) else figure
    _require_known_traces(spec)
    layout = {name: value for name, value in (spec.get("layout") or {}).items() if name != "template"}
    body = {"data": spec.get("data"), "layout": layout}
    return json.dumps(body, cls=PlotlyJSONEncoder, separators=(",", ":")).encode()


def _require_known_traces(spec: dict) -> None:
    """Refuse trace types that the bundle would silently draw as something else."""
    traces = spec.get("data")
    for trace in traces if isinstance(traces, list | tuple) else ():
        kind = trace.get("type", "scatter")
        if kind not in TRACE_TYPES:
            raise ValueError(
                f"Expected traces of the types {', '.join(TRACE_TYPES)}; got {kind}. "
                "Use one of these, or st.plotly_chart for a figure that seldom changes."
            )


@cache
def _component():
    """Register the component on first use: while this module is imported there may be no Streamlit server yet."""
    # Not isolated: Plotly writes its stylesheet into the document's head, which a shadow root would not see.
    return st.components.v2.component("aio.live_figure", js="index.js", css="live_figure.css", isolate_styles=False)
