"""Pictures of the plane: a density as an image, a carried grid with points. Arrays in, figures out."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from aio.figures.palette import DATA, DATA_ON_DENSITY, DENSITY, LATENT, SIGNED, with_opacity
from aio.figures.values import LEVELS, quantised

__all__ = [
    "ColourScale",
    "Extent",
    "Quantity",
    "Scale",
    "carried_grid",
    "colour_scale",
    "density_image",
    "separated",
]

Extent = tuple[float, float, float, float]
Quantity = Literal["learned", "true", "difference"]
Scale = Literal["linear", "log"]

LOG_SPAN = 8.0  # nats below the top that the logarithmic scale shows: a factor of 3000
LOG_DIFFERENCE = 4.0  # nats either way
DOT_RADIUS = 0.0065  # of the picture's width: two pixels in the size it is drawn
REACH = 3.0  # widths of the picture from its centre, beyond which a line is not drawn
CIRCLE_RADII = (1, 2, 3)  # standard deviations of the base


def density_image(
    log_density: np.ndarray,
    true_log_density: np.ndarray | None,
    extent: Extent,
    points: np.ndarray,
    *,
    quantity: Quantity = "learned",
    scale: Scale = "linear",
    top: float,
    show_points: bool = True,
) -> go.Figure:
    """A density on a square of data space, with some data points.

    Args:
        log_density: log q at the centres of square cells, (G, G), rows along y, nats.
        true_log_density: log p at the same places; needed for "true" and "difference".
        extent: xmin, xmax, ymin, ymax of the square.
        points: data, (n, 2).
        quantity: q, p, or q − p (on the log scale log q − log p).
        scale: colour by the density or by its logarithm.
        top: the density at the top of the scale, > 0. It is given, not found, so that colours keep their meaning
            from frame to frame.
        show_points: draw the data.
    """
    q = log_density
    p = true_log_density
    if quantity != "learned" and p is None:
        raise ValueError("Expected true_log_density for this quantity, got None. Show the learned density.")
    bar = colour_scale(quantity, scale, top)
    with np.errstate(over="ignore"):  # a density that overflows is at the top of the scale
        if quantity == "difference" and scale == "log":
            floor = float(np.log(top)) - LOG_SPAN  # where both are empty, their ratio says nothing
            values = np.maximum(q, floor) - np.maximum(p, floor)
        elif quantity == "difference":
            values = np.exp(q) - np.exp(p)
        else:
            shown = q if quantity == "learned" else p
            values = shown if scale == "log" else np.exp(shown)
    xmin, xmax, ymin, ymax = extent
    cells = len(q)
    image = {
        "type": "heatmap",
        "z": quantised(values, bar.low, bar.high),
        "x0": xmin + (xmax - xmin) / cells / 2,
        "dx": (xmax - xmin) / cells,
        "y0": ymin + (ymax - ymin) / cells / 2,
        "dy": (ymax - ymin) / cells,
        "zmin": 0,
        "zmax": LEVELS,
        "zsmooth": "fast",
        "colorscale": bar.colours,
        "showscale": False,  # `colour_scale` says what stands at its ends
        "hoverinfo": "skip",
    }
    colour = DATA if quantity == "difference" else DATA_ON_DENSITY
    shapes = [_dots(points, extent, colour, opacity=0.7)] if show_points else []
    # Plain dicts, checked once: adding to a figure piece by piece takes plotly twice as long, ten times a second.
    return go.Figure({"data": [image], "layout": _square_layout(extent, shapes)})


class ColourScale(NamedTuple):
    """What the colours of a density image mean."""

    title: str
    low: float
    """The value at the first colour."""
    high: float
    """The value at the last colour."""
    colours: list[list]
    """Pairs of a share from 0 to 1 and a colour."""


def colour_scale(quantity: Quantity, scale: Scale, top: float) -> ColourScale:
    """The colours of a density image, for a legend beside it.

    Args:
        quantity, scale, top: as for `density_image`.

    Example:
        >>> colour_scale("learned", "linear", 1.5)[:3]
        ('q(x)', 0.0, 1.5)
    """
    if quantity == "difference":
        high = LOG_DIFFERENCE if scale == "log" else top
        return ColourScale("log q − log p" if scale == "log" else "q − p", -high, high, SIGNED)
    letter = "q" if quantity == "learned" else "p"
    if scale == "log":
        log_top = float(np.log(top))
        return ColourScale(f"log {letter}(x)", log_top - LOG_SPAN, log_top, DENSITY)
    return ColourScale(f"{letter}(x)", 0.0, top, DENSITY)


def carried_grid(
    grid: np.ndarray, points: np.ndarray, extent: Extent, *, of: Literal["data", "latent"], circles: bool = False
) -> go.Figure:
    """A square grid and points of one space, carried to the other.

    Args:
        grid: the carried lines, (lines, points, 2).
        points: the carried points, (n, 2).
        extent: xmin, xmax, ymin, ymax of the square that is shown.
        of: the space that grid and points come from: it sets their colour.
        circles: draw circles of radius 1, 2 and 3, the standard normal's standard deviations.
    """
    colour = DATA if of == "data" else LATENT
    x, y = separated(_near(grid, extent))
    traces = [_lines(x, y, colour, width=1, opacity=0.42)]
    if circles:
        angle = np.linspace(0, 2 * np.pi, 91)
        unit = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        cx, cy = separated(np.stack([radius * unit for radius in CIRCLE_RADII]))
        traces.insert(0, _lines(cx, cy, LATENT, width=1.4, opacity=0.9))
    shapes = [_dots(points, extent, colour, opacity=0.85)]
    return go.Figure({"data": traces, "layout": _square_layout(extent, shapes)})


def separated(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines (L, P, 2) as x and y of one trace, each (L · (P + 1),), float32, with a NaN after each line.

    >>> x, y = separated(np.zeros((2, 3, 2)))
    >>> len(x), int(np.isnan(x).sum())
    (8, 2)
    """
    gap = np.full((lines.shape[0], 1, 2), np.nan)
    joined = np.concatenate([lines, gap], axis=1).reshape(-1, 2).astype(np.float32)
    return joined[:, 0].copy(), joined[:, 1].copy()


def _near(points: np.ndarray, extent: Extent) -> np.ndarray:
    """Lines (…, 2) without what lies far outside the picture: NaN there, which a browser passes over."""
    near = (np.abs(points - _centre(extent)) <= REACH * (extent[1] - extent[0])).all(axis=-1, keepdims=True)
    return np.where(near, points, np.float32(np.nan))


def _centre(extent: Extent) -> np.ndarray:
    xmin, xmax, ymin, ymax = extent
    return np.array([(xmin + xmax) / 2, (ymin + ymax) / 2], dtype=np.float32)


def _dots(points: np.ndarray, extent: Extent, colour: str, *, opacity: float) -> dict:
    """All points as one path of small diamonds: a browser draws it five times faster than as many markers."""
    width = extent[1] - extent[0]
    radius = DOT_RADIUS * width
    seen = points[(np.abs(points - _centre(extent)) <= REACH * width).all(axis=-1)]
    corners = seen[:, None, :] + radius * np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
    decimals = max(0, math.ceil(3.5 - math.log10(width)))  # finer than a thousandth of the width, wherever it lies
    diamond = "M#,#L#,#L#,#L#,#Z".replace("#", f"{{:.{decimals}f}}")
    return {
        "type": "path",
        "path": "".join(diamond.format(*corner) for corner in corners.reshape(-1, 8).tolist()) or "M0,0Z",
        "fillcolor": with_opacity(colour, opacity),
        "fillrule": "nonzero",  # where diamonds overlap there is no hole
        "line": {"width": 0},
        "layer": "above",
    }


def _lines(x: np.ndarray, y: np.ndarray, colour: str, *, width: float, opacity: float) -> dict:
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "lines",
        "line": {"width": width, "color": with_opacity(colour, opacity), "simplify": False},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _square_layout(extent: Extent, shapes: list[dict]) -> dict:
    xmin, xmax, ymin, ymax = extent
    axis = {"showgrid": False, "zeroline": False, "nticks": 5, "tickfont": {"size": 10}, "constrain": "domain"}
    return {
        "margin": {"l": 28, "r": 8, "t": 6, "b": 24},
        "xaxis": {**axis, "range": [xmin, xmax]},
        "yaxis": {**axis, "range": [ymin, ymax], "scaleanchor": "x", "scaleratio": 1},
        "shapes": shapes,
        "hovermode": False,
        "showlegend": False,
        "uirevision": "kept",
    }
