"""What a round trip through the block loses, over the plane and over depth, in two precisions, as figures."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from aio.figures.palette import BROKEN, DENSITY, FAINT, MODEL, TEXT
from aio.figures.plane import ColourScale, Extent
from aio.figures.values import LEVELS, drawable, quantised

__all__ = ["error_by_depth", "error_scale", "round_trip_maps", "square_image"]

LEAST, MOST = -17, 0  # decades of the maps' scale: float64 keeps 16, and an error of 1 is a lost point
BROKEN_LEVEL = 255  # the byte above all levels
VISIBLE = 1e-3  # of an error in units of the plane: a third of a pixel
TOP = 3  # decades above 1 on the axis of worst errors
CROSSES = 10.0**2.3  # where errors that are not finite are drawn
MOST_TICKS = 8
STROKES = 16  # of the hatching, from the lower edge of an image to its upper
GAP = 0.05  # between two maps, of the figure's width


def round_trip_maps(errors32: np.ndarray, errors64: np.ndarray, extent: Extent) -> go.Figure:
    """The error of forward and back over a square of the plane, in float32 and float64, on one scale of colours.

    Args:
        errors32, errors64: distance of each cell's centre from what comes back, (R, C), rows along y, in the units of
            the input. What is not finite is drawn in a colour of its own, hatched and counted in the title.
        extent: xmin, xmax, ymin, ymax of the square.
    """
    traces, layout = [], _layout()
    layout.update(margin={"l": 30, "r": 8, "t": 34, "b": 24}, hovermode="closest", shapes=[], annotations=[])
    for i, (name, errors) in enumerate((("float32", errors32), ("float64", errors64))):
        n = i + 1 if i else ""
        shown = np.abs(np.asarray(errors, dtype=float))
        broken = ~np.isfinite(shown)
        with np.errstate(divide="ignore"):
            image, hatching = square_image(np.log10(shown), extent, error_scale(), f"x{n}", f"y{n}", broken)
        hover = f"{name}<br>(%{{x:.2f}}, %{{y:.2f}})<br>error %{{customdata:.1e}}<extra></extra>"
        traces.append({**image, "customdata": drawable(shown), "hovertemplate": hover})
        layout["shapes"] += hatching
        across = [i * (0.5 + GAP / 2), 0.5 - GAP / 2 + i * (0.5 + GAP / 2)]
        layout[f"xaxis{n}"] = {**_plane_axis(), "range": [*extent[:2]], "domain": across, "anchor": f"y{n}"}
        square = {"scaleanchor": f"x{n}", "scaleratio": 1, "constraintoward": "top", "showticklabels": i == 0}
        layout[f"yaxis{n}"] = {**_plane_axis(), "range": [*extent[2:]], "anchor": f"x{n}", **square}
        lost = int(broken.sum())
        title = f"<b>{name}</b>" + (f"<br>{lost} of {broken.size} not finite" if lost else "")
        layout["annotations"].append(_title(sum(across) / 2, title))
    return go.Figure({"data": traces, "layout": layout})


def error_scale() -> ColourScale:
    """The colours of `round_trip_maps`, for a legend beside them.

    >>> error_scale()[:3]
    ('log₁₀ of the error', -17, 0)
    """
    return ColourScale("log₁₀ of the error", LEAST, MOST, DENSITY)


def square_image(
    values: np.ndarray, extent: Extent, scale: ColourScale, xaxis: str, yaxis: str, broken: np.ndarray
) -> tuple[dict, list[dict]]:
    """An image of bytes on a pair of axes, and the hatching of the cells that have no value.

    Args:
        values: (R, C), rows along y; clipped to the scale.
        extent: xmin, xmax, ymin, ymax.
        scale: what the colours mean.
        xaxis, yaxis: names of the axes, such as x2 and y2.
        broken: where there is no value, (R, C).

    Returns:
        A trace, and shapes: one path, or none.
    """
    xmin, xmax, ymin, ymax = extent
    rows, columns = values.shape
    dx, dy = (xmax - xmin) / columns, (ymax - ymin) / rows
    levels = np.where(broken, BROKEN_LEVEL, quantised(values, scale.low, scale.high)).astype(np.uint8)
    last = LEVELS / BROKEN_LEVEL
    colours = [[share * last, colour] for share, colour in scale.colours]
    image = {
        "type": "heatmap",
        "z": levels,
        "x0": xmin + dx / 2,
        "dx": dx,
        "y0": ymin + dy / 2,
        "dy": dy,
        "xaxis": xaxis,
        "yaxis": yaxis,
        "zmin": 0,
        "zmax": BROKEN_LEVEL,
        "colorscale": [*colours, [last, BROKEN], [1.0, BROKEN]],  # a leap: no value is ever a shade of broken
        "showscale": False,
    }
    every = max(1, rows // STROKES)
    row, column = np.nonzero(broken & ((np.arange(rows)[:, None] - np.arange(columns)) % every == 0))
    corners = np.stack([column * dx + xmin, row * dy + ymin, (column + 1) * dx + xmin, (row + 1) * dy + ymin], axis=1)
    strokes = "".join("M{:.5g},{:.5g}L{:.5g},{:.5g}".format(*corner) for corner in corners.tolist())
    line = {"color": "#ffffff", "width": 1}  # on the colour of what is broken, in either theme
    hatching = {"type": "path", "path": strokes, "xref": xaxis, "yref": yaxis, "line": line, "layer": "above"}
    return image, [hatching] if strokes else []


def error_by_depth(depth: np.ndarray, worst32: np.ndarray, worst64: np.ndarray, *, at: int) -> go.Figure:
    """The worst error of a round trip against how often the block is repeated, in float32 and float64.

    Args:
        depth: numbers of repetitions, growing, from 1, (D,).
        worst32, worst64: the worst error at each depth, (D,), in units of the input. What is not finite is a cross at
            the top.
        at: the depth that is looked at, marked with a line.
    """
    depth = np.asarray(depth, dtype=float)
    ends = (float(np.min(depth, initial=1.0)), float(np.max(depth, initial=2.0)))
    even = np.allclose(np.diff(depth), np.diff(depth)[:1]) if depth.size > 1 else True
    traces = [_visible(ends)]
    looks = ("float32", MODEL, "circle", "solid"), ("float64", TEXT, "square", "dash")
    words = []
    for (name, colour, symbol, dash), errors in zip(looks, (worst32, worst64), strict=True):
        errors = np.abs(np.asarray(errors, dtype=float))
        broken = ~np.isfinite(errors)
        # A zero has no place on this axis, and what is far above it is as lost as what is a little above.
        shown = np.where(broken, np.nan, np.clip(errors, 10.0**LEAST, CROSSES))
        traces.append(_worst(depth, shown, errors, name, colour, symbol, dash))
        if broken.any():
            height = CROSSES * (1 if name == "float32" else 0.2)
            traces.append(_crosses(depth[broken], height, name, colour))
            words.append((float(depth[broken][0]), height))
    layout = {
        **_layout(),
        "margin": {"l": 46, "r": 12, "t": 24, "b": 34},
        "xaxis": {**_axis("repetitions of the block"), "type": "linear" if even else "log", **_ticks(depth)},
        "yaxis": {**_axis("worst error"), "type": "log", "range": [LEAST, TOP], "dtick": 4, "exponentformat": "power"},
        "hovermode": "closest",
        "showlegend": True,
    }
    place = float if even else np.log10  # plotly places words on a logarithmic axis by the logarithm, lines by value
    margin = 0.04 * (place(ends[1]) - place(ends[0]))
    layout["xaxis"]["range"] = [float(place(ends[0]) - margin), float(place(ends[1]) + margin)]
    layout["annotations"] = [_word("visible", float(place(ends[0])), np.log10(VISIBLE), "left", "bottom")]
    for x, y in words[:1]:
        layout["annotations"].append(_word("broken", float(place(x)), np.log10(y), "right", "middle", shift=-8))
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "layer": "below",
         "line": {"width": 1, "color": FAINT}}
    ]  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def _worst(depth: np.ndarray, shown: np.ndarray, errors: np.ndarray, name: str, colour: str, symbol: str, dash: str):
    return {
        "type": "scatter",
        "x": drawable(depth),
        "y": drawable(shown),
        "customdata": drawable(errors),
        "name": name,
        "mode": "lines+markers",
        "line": {"width": 1.8, "color": colour, "dash": dash},
        "marker": {"size": 6, "symbol": symbol, "color": colour},
        "hovertemplate": "%{x:d} times: %{customdata:.1e}<extra>" + name + "</extra>",
    }


def _crosses(depth: np.ndarray, height: float, name: str, colour: str) -> dict:
    return {
        "type": "scatter",
        "x": drawable(depth),
        "y": np.full(len(depth), height, np.float32),
        "mode": "markers",
        "marker": {"size": 8, "symbol": "x-thin", "line": {"width": 2, "color": colour}},
        "hovertemplate": "%{x:d} times: not finite<extra>" + name + "</extra>",
        "showlegend": False,
    }


def _visible(ends: tuple[float, float]) -> dict:
    return {
        "type": "scatter",
        "x": list(ends),
        "y": [VISIBLE, VISIBLE],
        "mode": "lines",
        "line": {"width": 1.2, "color": TEXT, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _ticks(depth: np.ndarray) -> dict:
    """Ticks at depths that were measured, at most MOST_TICKS of them."""
    every = -(-len(depth) // MOST_TICKS) or 1
    chosen = depth[::every]
    return {"tickvals": chosen.tolist(), "ticktext": [f"{d:g}" for d in chosen]}


def _word(text: str, x: float, y: float, xanchor: str, yanchor: str, shift: int = 0) -> dict:
    font = {"size": 11, "color": TEXT}
    place = {"x": x, "y": float(y), "xanchor": xanchor, "yanchor": yanchor, "xshift": shift}
    return {"text": text, "showarrow": False, "font": font, **place}


def _title(x: float, text: str) -> dict:
    place = {"xref": "paper", "x": x, "xanchor": "center", "yref": "paper", "y": 1, "yanchor": "bottom", "yshift": 2}
    return {"text": text, "showarrow": False, "font": {"size": 11, "color": TEXT}, **place}


def _axis(title: str) -> dict:
    title = {"text": title, "font": {"size": 11}, "standoff": 4}
    return {"title": title, "tickfont": {"size": 10}, "showgrid": False, "zeroline": False}


def _plane_axis() -> dict:
    return {"showgrid": False, "zeroline": False, "nticks": 4, "tickfont": {"size": 10}, "constrain": "domain"}


def _layout() -> dict:
    legend = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "font": {"size": 11}}
    return {"legend": legend, "showlegend": False, "uirevision": "kept"}
