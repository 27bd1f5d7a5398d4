"""A canvas on which a visitor draws a density with a brush, in up to four classes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache

import streamlit as st

__all__ = ["DRAW_ROOM", "MAX_BYTES", "draw"]

DRAW_ROOM = 68  # CSS pixels of the tools above a canvas and the words below it; the same in draw.css

MAX_BYTES = 200_000  # of a drawing's JSON: three times as much as the longest drawing that the canvas makes

Extent = tuple[float, float, float, float]


def draw(
    *,
    key: str,
    drawing: str,
    version: int,
    height: int,
    label: str,
    extent: Extent = (-4, 4, -4, 4),
    on_draw: Callable[[str], None],
) -> None:
    """A square of the plane to draw a density on, with its tools.

    A drawing is JSON text: `{"strokes": [{"points": [[x, y], …], "width": w, "colour": c}, …]}`, points and w in the
    units of the plane, rounded to 3 decimals, and c in 0 … 3. What the canvas shows is the sum over the strokes of

        ρ(p) = ∫ exp(−|p − q(l)|² / 2w²) dl / (√(2π) w) + ½ exp(−|p − q₀|² / 2w²) + ½ exp(−|p − q₁|² / 2w²)

    along the stroke q from its first point q₀ to its last q₁: a Gaussian of standard deviation w carried along the
    line, with the mass √(2π) w for each unit of length and 2π w² for the ends. In the middle of a long straight stroke
    ρ = 1 for every w, and a dot, whose two ends are one point, is as dense there. Each class has a ρ of its own.

    The canvas keeps the drawing. `drawing` is what it shows first, and when `version` grows it takes `drawing` again,
    as a change that the visitor may undo; in every other rerun its own state stands.

    Args:
        key: names the canvas on its page; also its CSS class, `.st-key-<key>`.
        drawing: JSON text as above, or "" for none. The canvas leaves out what it cannot take: strokes that are
            malformed or beyond its limits (400 points a stroke, 200 strokes, 4,000 points).
        version: how often `drawing` was imposed so far.
        height: CSS pixels of the canvas, which is as wide, or smaller where there is no room; all together takes
            DRAW_ROOM more.
        label: what is to be drawn, in words.
        extent: (xmin, xmax, ymin, ymax), a square.
        on_draw: called with the drawing as JSON text before the rerun of the part of the page that holds the canvas:
            at the end of every stroke or other action, and while a stroke is under way at most every 250 ms, when the
            page has answered the call before. The text comes from the browser: it is a JSON object of at most
            MAX_BYTES bytes, and nothing else about it is certain.

    Raises:
        ValueError: the extent is no square.
    """
    _require_square(extent)

    def told() -> None:
        news = _told(key)
        text, seen = news.get("drawing"), news.get("version")
        if isinstance(seen, int) and seen < version:
            return  # drawn before the canvas knew what was imposed on it
        if isinstance(text, str) and _is_object(text):
            on_draw(text)

    number = _told(key).get("n")
    header = {
        "version": version,
        "height": height,
        "label": label,
        "extent": [float(edge) for edge in extent],
        "answer": number if isinstance(number, int) else 0,
    }
    # Bytes, so that the browser parses the drawing only when it takes it.
    body = json.dumps(header, allow_nan=False).encode() + b"\n" + drawing.encode()
    _component()(data=body, key=key, height=height + DRAW_ROOM, on_draw_change=told)


def _told(key: str) -> Mapping:
    """What the browser said in this rerun; empty where it said nothing."""
    told = (st.session_state.get(key) or {}).get("draw")
    return told if isinstance(told, Mapping) else {}


def _is_object(text: str) -> bool:
    """Whether a text is a JSON object of a size that is read.

    >>> _is_object('{"strokes": []}'), _is_object("[]"), _is_object('{"width": NaN}'), _is_object("{")
    (True, False, False, False)
    """
    try:
        # The first comparison spares the encoding of a text that is far too long.
        if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
            return False
        return isinstance(json.loads(text, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):  # half a character, no JSON, or nested deeper than Python follows
        return False


def _refuse(constant: str) -> None:
    raise ValueError(f"Expected JSON, got {constant}. Leave out numbers that are not finite.")


def _require_square(extent: Extent) -> None:
    left, right, bottom, top = extent
    if not (all(math.isfinite(edge) for edge in extent) and left < right and bottom < top):
        raise ValueError(
            f"Expected an extent (xmin, xmax, ymin, ymax) in ascending order, got {extent}. Put the lower edge first."
        )
    if not math.isclose(right - left, top - bottom):
        raise ValueError(f"Expected a square extent, got {right - left:g} × {top - bottom:g}. Widen the shorter side.")


@cache
def _component():
    """Register the component on first use: while this module is imported there may be no Streamlit server yet."""
    # Not isolated, so that tests and the page's sheet of style reach it.
    return st.components.v2.component("aio.draw", js="index.js", css="draw.css", isolate_styles=False)
