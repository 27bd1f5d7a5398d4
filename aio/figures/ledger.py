"""The log-det ledger: nats adding up row by row, and where in the plane they come from. Arrays in, figures out."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import plotly.graph_objects as go

from aio.figures.errors import square_image
from aio.figures.palette import FAINT, NEGATIVE, POSITIVE, SHADE, SIGNED, TEXT
from aio.figures.plane import ColourScale, Extent
from aio.figures.values import drawable

__all__ = ["ledger_waterfall", "log_det_fields", "log_det_scale"]

LONGEST = 20  # letters of a row's title; the whole stands in the hover
LETTER_PX = 6.3  # mean width of a letter of 11 px, bold
VALUE_SHARE = 0.26  # of the range, kept free on the right for the numbers: 45 px on a phone
CLEARANCE = 14  # px: twice the distance of a number from what is drawn, past the marks of a zero
BAR = 0.62  # of a row's height
# Of a decade: how far apart the ends of the axis may lie, and the steps by which they move.
SPANS = {1.0: 0.2, 2.0: 0.5, 3.0: 0.5, 5.0: 1.0, 10.0: 2.0}
LEAST_SPAN = 0.2  # nats: what moves the sum by a hundredth looks small
EDGE = 0.02  # of the span, free at either end
PER_ROW = 4
TITLE_LINES = 2
ROW_GAP = 0.3  # of a row of small maps: two lines of title where a row is a hundred pixels high
COLUMN_GAP = 0.025  # of the figure
LETTERS_PER_FIGURE = 52  # that fit side by side at 330 px
MINUS = "−"
NOT_FINITE = "not finite"


def ledger_waterfall(
    titles: list[str],
    values: np.ndarray,
    *,
    first: float,
    total: float,
    chosen: int | None = None,
    first_title: str = "log p(z)",
    total_title: str = "log q(x)",
) -> go.Figure:
    """How the log-density comes about: from the base's, each step moves the running sum left or right.

    Args:
        titles: the steps, n of them, from top to bottom.
        values: their contributions, (n,), nats. One of exactly 0 is a diamond at the running sum; one that is not
            finite a cross, and the sum goes on without it.
        first: log-density of the base at z, nats: where the sum begins.
        total: log-density of the model at x, nats: where it ends.
        chosen: the step that is looked at, counted from 0.
        first_title, total_title: of the first and the last row.

    The axis ends on round numbers, so that it rests while a probe moves a little.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    known = np.isfinite(drawable(values))
    start = first if math.isfinite(first) else 0.0
    ends = start + np.cumsum(np.where(known, values, 0.0))
    starts = np.concatenate([[start], ends[:-1]])
    last = ends[-1] if n else start
    low, high = _round_ends(np.concatenate([[start, last], ends, [total] if math.isfinite(total) else []]))
    marks = [(0, first, start), (n + 1, total, total if math.isfinite(total) else last)]
    traces = [
        _connectors(np.concatenate([[start], ends])),
        _bars(titles, values, starts, ends),
        _ends_of_the_sum(marks, (first_title, total_title)),
        _numbers(values, starts, ends, marks),
    ]
    for symbol, rows in (("diamond", values == 0), ("x-thin", ~known)):
        if rows.any():
            traces.append(
                _marks(symbol, np.flatnonzero(rows) + 1, ends[rows], [titles[i] for i in np.flatnonzero(rows)])
            )
    shown = [textwrap.shorten(t, LONGEST, placeholder="…") if " " in t else t[:LONGEST] for t in titles]
    shown = [f"<b>{_escaped(t)}</b>" if i == chosen else _escaped(t) for i, t in enumerate(shown)]
    longest = max(len(t) for t in (first_title, total_title, *(title[:LONGEST] for title in titles)))
    layout = {
        "margin": {"l": round(14 + LETTER_PX * longest), "r": 6, "t": 4, "b": 34},
        "xaxis": {
            "title": {"text": "nats", "font": {"size": 11}, "standoff": 4},
            "range": [low, high + (high - low) * VALUE_SHARE],
            "tickfont": {"size": 10},
            "nticks": 5,
            "zeroline": True,
        },
        "yaxis": {
            "range": [n + 1.6, -0.6],
            "tickvals": list(range(n + 2)),
            "ticktext": [f"<b>{_escaped(first_title)}</b>", *shown, f"<b>{_escaped(total_title)}</b>"],
            "tickfont": {"size": 11},
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        "shapes": [] if chosen is None else [_band(chosen + 1)],
        "barmode": "overlay",
        "hovermode": "closest",
        "showlegend": False,
        "uirevision": "kept",
    }
    return go.Figure({"data": traces, "layout": layout})


def log_det_fields(fields: np.ndarray, titles: list[str], extent: Extent, *, span: float) -> go.Figure:
    """Where in the plane each step stretches and where it squeezes: small maps on one scale of colours.

    Args:
        fields: contributions to the log-determinant at the centres of square cells, (n, R, C), rows along y, nats.
            What is not finite is drawn in a colour of its own, and hatched.
        titles: of the n steps.
        extent: xmin, xmax, ymin, ymax of the square.
        span: nats at the ends of the scale, > 0. It is given, not found, so that maps can be compared.
    """
    fields = np.asarray(fields, dtype=float)
    n = len(fields)
    rows = max(1, -(-n // PER_ROW))
    columns = max(1, -(-n // rows))
    gap = ROW_GAP / rows
    height = (1 - gap * (rows - 1)) / rows
    width = (1 - COLUMN_GAP * (columns - 1)) / columns
    traces, shapes, annotations, axes = [], [], [], {}
    for i, (field, title) in enumerate(zip(fields, titles, strict=True)):
        name = str(i + 1) if i else ""
        left, top = i % columns * (width + COLUMN_GAP), 1 - i // columns * (height + gap)
        image, hatching = square_image(field, extent, log_det_scale(span), f"x{name}", f"y{name}", ~np.isfinite(field))
        traces.append({**image, "hoverinfo": "skip"})
        shapes += hatching
        axes[f"xaxis{name}"] = {**_frame(), "range": [*extent[:2]], "domain": _within(left, left + width)}
        axes[f"yaxis{name}"] = {**_frame(), "range": [*extent[2:]], "domain": _within(top - height, top)}
        axes[f"xaxis{name}"]["anchor"] = f"y{name}"
        axes[f"yaxis{name}"].update(anchor=f"x{name}", scaleanchor=f"x{name}", constraintoward="top")
        annotations.append(_above(left + width / 2, top, _wrapped(title, LETTERS_PER_FIGURE // columns)))
    layout = {
        "margin": {"l": 4, "r": 4, "t": 32, "b": 4},
        "shapes": shapes,
        "annotations": annotations,
        "hovermode": False,
        "showlegend": False,
        "uirevision": "kept",
    }
    return go.Figure({"data": traces, "layout": {**layout, **axes}})


def log_det_scale(span: float) -> ColourScale:
    """The colours of `log_det_fields`, for a legend beside them.

    >>> log_det_scale(2.0)[:3]
    ('log-det, nats', -2.0, 2.0)
    """
    return ColourScale("log-det, nats", -span, span, SIGNED)


# ---------------------------------------------------------------------- the rows


def _round_ends(sums: np.ndarray) -> tuple[float, float]:
    """Round numbers around all sums, apart by a span that grows by leaps."""
    low, high = float(sums.min()), float(sums.max())
    needed = max(1.1 * (high - low), LEAST_SPAN)
    decade = 10.0 ** math.floor(math.log10(needed))
    span = next(s for s in SPANS if needed <= s * decade * (1 + 1e-9))
    step = SPANS[span] * decade
    edge = EDGE * span * decade
    bottom = math.floor((low - edge) / step) * step
    return bottom, max(bottom + span * decade, math.ceil((high + edge) / step) * step)


def _signed(value: float) -> str:
    """A number of nats with its sign and three decimals.

    >>> _signed(-0.2118), _signed(1.5), _signed(0.0), _signed(-1e-9)
    ('−0.212', '+1.500', '0', '−0.000')
    """
    if not math.isfinite(value):
        return NOT_FINITE
    return "0" if value == 0 else f"{value:+.3f}".replace("-", MINUS)


def _bars(titles: list[str], values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> dict:
    return {
        "type": "bar",
        "orientation": "h",
        "y": list(range(1, len(values) + 1)),
        "x": ends - starts,
        "base": starts.tolist(),
        "width": BAR,
        "marker": {"color": [NEGATIVE if v < 0 else POSITIVE for v in values], "line": {"width": 0}},
        "customdata": [[_escaped(t), _signed(v)] for t, v in zip(titles, values, strict=True)],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]} nats<extra></extra>",
    }


def _connectors(sums: np.ndarray) -> dict:
    """Thin lines that hand the running sum from row to row."""
    rows = np.arange(len(sums))
    x = np.stack([sums, sums, np.full(len(sums), np.nan)], axis=1)
    y = np.stack([rows - BAR / 2, rows + 1 + BAR / 2, np.full(len(sums), np.nan)], axis=1)
    return {
        "type": "scatter",
        "x": x.ravel(),
        "y": y.ravel(),
        "mode": "lines",
        "line": {"width": 1, "color": FAINT},
        "hoverinfo": "skip",
    }


def _ends_of_the_sum(marks: list[tuple[int, float, float]], titles: tuple[str, str]) -> dict:
    """Where the sum begins and ends: upright strokes, or crosses where that is not a number."""
    return {
        "type": "scatter",
        "x": [x for _, _, x in marks],
        "y": [row for row, _, _ in marks],
        "mode": "markers",
        "marker": {
            "symbol": ["line-ns" if math.isfinite(value) else "x-thin" for _, value, _ in marks],
            "size": [16 if math.isfinite(value) else 8 for _, value, _ in marks],
            "opacity": 1,
            "line": {"width": 4, "color": TEXT},
        },
        "customdata": [f"{_escaped(t)} = {_plain(v)}" for t, (_, v, _) in zip(titles, marks, strict=True)],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _marks(symbol: str, rows: np.ndarray, sums: np.ndarray, titles: list[str]) -> dict:
    words = {"diamond": "exactly 0", "x-thin": NOT_FINITE}[symbol]
    return {
        "type": "scatter",
        "x": sums,
        "y": rows,
        "mode": "markers",
        "marker": {"symbol": symbol, "size": 8, "color": TEXT, "line": {"width": 2, "color": TEXT}},
        "customdata": [_escaped(title) for title in titles],
        "hovertemplate": f"%{{customdata}}: {words}<extra></extra>",
    }


def _numbers(values: np.ndarray, starts: np.ndarray, ends: np.ndarray, marks: list[tuple[int, float, float]]) -> dict:
    """Each row's number, to the right of what is drawn in it."""
    (_, first, begin), (_, total, end) = marks
    words = [f"<b>{_plain(first)}</b>", *map(_signed, values), f"<b>{_plain(total)}</b>"]
    return {
        "type": "scatter",
        "x": np.concatenate([[begin], np.maximum(starts, ends), [end]]),
        "y": list(range(len(values) + 2)),
        "mode": "markers+text",
        "marker": {"size": CLEARANCE, "opacity": 0},
        "text": words,
        "textposition": "middle right",
        "textfont": {"size": 11, "color": TEXT},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _plain(value: float) -> str:
    return f"{value:.3f}".replace("-", MINUS) if math.isfinite(value) else NOT_FINITE


def _band(row: int) -> dict:
    """A band behind a row and its title: wider than the figure, so that it has no ends."""
    edges = {"x0": -1, "x1": 2, "y0": row - 0.5, "y1": row + 0.5}
    return {
        "type": "rect", "xref": "paper", "yref": "y", **edges, "fillcolor": SHADE,
        "line": {"width": 1, "color": FAINT}, "layer": "below",
    }  # fmt: skip


# ---------------------------------------------------------------------- the maps


def _frame() -> dict:
    return {
        "showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "fixedrange": True,
        "constrain": "domain", "showline": True, "mirror": True, "linecolor": FAINT, "linewidth": 1,
    }  # fmt: skip


def _within(low: float, high: float) -> list[float]:
    """A domain, which plotly refuses when rounding carries it past 0 or 1."""
    return [max(0.0, low), min(1.0, high)]


def _above(x: float, y: float, text: str) -> dict:
    place = {"xref": "paper", "x": x, "xanchor": "center", "yref": "paper", "y": y, "yanchor": "bottom", "yshift": 1}
    return {"text": text, "showarrow": False, "font": {"size": 10, "color": TEXT}, **place}


def _wrapped(title: str, letters: int) -> str:
    lines = textwrap.wrap(title, letters, max_lines=TITLE_LINES, placeholder="…")
    return "<br>".join(map(_escaped, lines))


def _escaped(text: str) -> str:
    """Plotly reads tags in its texts: a title stays what it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
