"""What the conditioner says: s and t along x₁, the clamp between its output and s, and Ψ. Arrays in, figures out."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from aio.figures.palette import BACKGROUND, DATA, FAINT, MODEL, SHADE, TEXT, TRUTH, with_opacity
from aio.figures.values import drawable, steady_reach

__all__ = ["clamp_curve", "conditioner_curves", "global_scale"]

HEADROOM = 1.2  # of that reach: room for a line at its end and the word above it
AREA = 0.3  # of a panel's height, for a density along its edge
BINS = 48  # of today's working points
SPREAD = (5, 95)  # per cent of the working points, marked on the curve
G_STEP = 5.0  # in which the axis of g grows
DECADES = (-2, 2)  # of Ψ on the axis, at least
SIGMOID_LIMIT = 10.0
DASHES = {"SIGMOID": "dash", "SOFTPLUS": "dashdot", "EXP": "solid"}  # while another kind is in force
CLAMP_NAMES = {"freia-0.2": "FrEIA 0.2: α tanh a", "freia-main": "FrEIA main: α tanh(a/α)"}
NAMES_OF_THE_CHANNELS = ["channel 1", "channel 2"]


def conditioner_curves(
    x1: np.ndarray,
    before: np.ndarray,
    s: np.ndarray,
    t: np.ndarray,
    data_density: np.ndarray,
    *,
    clamp: float,
    probe: tuple[float, float, float] | None = None,
    gin: bool = False,
) -> go.Figure:
    """Log scale s and shift t of one coupling against the passive coordinate x₁, one above the other.

    Args:
        x1: places along the passive coordinate, growing, (n,).
        before: what enters the clamp, a_s = 0.1 · subnet, (n,).
        s: log scale of the active coordinate, (n,), nats.
        t: shift of the active coordinate, (n,), in its units.
        data_density: how much data there is at x₁, ≥ 0, on any scale, (n,).
        clamp: α > 0. Without GIN s stays within ±α, where lines are drawn.
        probe: x₁, s and t of the point that is looked at.
        gin: s was centred. Its bounds are not ±α then, and no lines are drawn there.

    Both axes are symmetric, reach at least ±1 and grow by leaps, so that they rest while a slider moves. What enters
    the clamp may leave the picture; s and t do not.
    """
    s_reach = steady_reach(s, np.clip(before, -clamp, clamp) if math.isfinite(clamp) else before)
    t_reach = steady_reach(t)
    traces = [
        _area(x1, data_density, s_reach, "y"),
        _area(x1, data_density, t_reach, "y2"),
        _curve(x1, before, "before the clamp, 0.1 · subnet", "y", dash="dash", width=1.2),
        _curve(x1, s, "s", "y", colour=MODEL, width=2.4),
        _curve(x1, t, "t", "y2", colour=MODEL, width=2.4, legend=False),
    ]
    shapes = [_level(0, "y"), _level(0, "y2")]
    bound = clamp if 0 < clamp <= s_reach * HEADROOM and not gin else None
    if bound:
        shapes += [_level(sign * bound, "y", dash="dot", colour=TEXT) for sign in (1, -1)]
    marked = bound or s_reach
    labels = [_beside(sign * marked, f"×{_factor(sign * marked)}") for sign in (-1, 0, 1)]
    labels.append({**_beside(s_reach * HEADROOM, "eˢ"), "yanchor": "bottom", "yshift": 4})
    if bound:
        labels += [_inside(sign * bound, f"{'−' if sign < 0 else ''}α", up=sign > 0) for sign in (1, -1)]
    if gin:
        labels.append(_note("GIN: s − mean(s) = 0, the stretch is 1", "y", s_reach * HEADROOM))
    if probe is not None and math.isfinite(probe[0]):
        at, *values = probe
        shapes.append(_hair(at))
        traces += [_dot(at, v, axis, name) for v, axis, name in zip(values, ("y", "y2"), "st", strict=True)]
    layout = {
        "margin": {"l": 44, "r": 44, "t": 24, "b": 32},
        "xaxis": {**_axis("x₁"), "range": _ends(x1), "anchor": "y2"},
        "yaxis": {**_axis("log scale s"), "range": _around(s_reach), "domain": [0.54, 1], "nticks": 5},
        "yaxis2": {**_axis("shift t"), "range": _around(t_reach), "domain": [0, 0.46], "nticks": 5},
        "shapes": shapes,
        "annotations": labels,
        "hovermode": "closest",
    }
    return _figure(traces, layout)


def clamp_curve(
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    current: str,
    clamp: float,
    working: np.ndarray,
    probe: float | None = None,
    saturated_beyond: float | None = None,
) -> go.Figure:
    """The clamp: s against what enters it, a = 0.1 · subnet, in each dialect, with the points at work today.

    Args:
        curves: by dialect ("freia-0.2", "freia-main", or any name to be shown as it is) a, growing, and s, each (n,).
        current: the dialect in force, drawn full.
        clamp: α > 0, the asymptotes. The axis of s grows by leaps while α does.
        working: a at the data, (m,): a histogram along the bottom, their middle 90 per cent thick on the curve.
            Those beyond the ends of a are counted there.
        probe: a of the point that is looked at.
        saturated_beyond: |a| from which on the clamp passes on hardly any gradient; shaded.
    """
    a, s = (np.asarray(values, dtype=float) for values in curves[current])
    reach = steady_reach(np.array([clamp]))
    low, high = _ends(a)
    seen = np.asarray(working, dtype=float).ravel()
    seen = seen[np.isfinite(seen)]
    traces = []
    if seen.size:
        counts, edges = np.histogram(np.clip(seen, low, high), BINS, (low, high))
        traces.append(_bars_below(edges, counts, reach))
    traces.append(_curve(a, a, "identity", "y", dash="dot", width=1.2, hover=None, legend=False))
    for name, (x, y) in sorted(curves.items(), key=lambda curve: curve[0] == current):
        look = {"colour": MODEL, "width": 2.4} if name == current else {"dash": "dash", "width": 1.2}
        traces.append(_curve(x, y, CLAMP_NAMES.get(name, name), "y", **look, hover="a = %{x:.2f}: s = %{y:.3f}"))
    if seen.size:
        first, last = np.clip(np.percentile(seen, SPREAD), low, high)
        inner = np.unique(np.concatenate([[first], a[(a > first) & (a < last)], [last]]))
        spread = _curve(inner, np.interp(inner, a, s), "", "y", width=9, hover=None, legend=False)
        traces.append({**spread, "line": {**spread["line"], "color": with_opacity(DATA, 0.35)}})
    if probe is not None and math.isfinite(probe):
        traces.append(_dot(probe, float(np.interp(probe, a, s)), "y", "s"))
    bounds = (1, -1) if math.isfinite(clamp) else ()
    shapes = [_level(sign * clamp, "y", dash="dot", colour=TEXT) for sign in bounds]
    labels = [_inside(sign * clamp, f"{'−' if sign < 0 else ''}α", up=sign > 0, left=sign > 0) for sign in bounds]
    labels.append(_name_of_the_identity(low, high, reach))
    if saturated_beyond is not None and math.isfinite(saturated_beyond):
        for start, end in ((low, -saturated_beyond), (saturated_beyond, high)):
            if start < end:
                shapes.append(_shaded(start, end))
        if saturated_beyond < high:
            labels.append({**_inside(0, "saturated", up=False, left=False), "font": {"size": 10, "color": TEXT}})
    layout = {
        "margin": {"l": 40, "r": 10, "t": 42, "b": 34},
        "xaxis": {**_axis("a = 0.1 · subnet"), "range": [low, high], "zeroline": True},
        "yaxis": {**_axis("s"), "range": _around(reach), "nticks": 5, "zeroline": True},
        "shapes": shapes,
        "annotations": labels,
        "hovermode": "closest",
    }
    return _figure(traces, layout)


def global_scale(
    g: np.ndarray, psi: dict[str, np.ndarray], *, current: str, at: np.ndarray, psi_at: np.ndarray
) -> go.Figure:
    """Ψ, the activation of the learned global scale, of each kind, on a logarithmic axis.

    Args:
        g: the parameter, growing, (n,).
        psi: by kind ("SIGMOID", "SOFTPLUS", "EXP") Ψ(g), (n,).
        current: the kind in force, drawn full.
        at: the block's g, one a channel, (2,).
        psi_at: Ψ there, (2,).
    """
    at, psi_at = np.asarray(at, dtype=float), np.asarray(psi_at, dtype=float)
    low, high = _ends(g)
    inside = (at >= low) & (at <= high) | ~np.isfinite(at)
    if not inside.all():
        low, high = _ends(np.concatenate([[low, high], at]), step=G_STEP)
    decades = np.log10(psi_at[np.isfinite(psi_at) & (psi_at > 0)])
    bottom = math.floor(min(DECADES[0], *decades - 0.1)) if decades.size else DECADES[0]
    top = math.ceil(max(DECADES[1], *decades + 0.1)) if decades.size else DECADES[1]
    traces = [_curve(np.array([low, high]), np.ones(2), "", "y", dash="dot", width=1.2, hover=None, legend=False)]
    for name, values in psi.items():
        look = {"colour": MODEL, "width": 2.4} if name == current else {"dash": DASHES.get(name, "solid"), "width": 1.2}
        shown = np.where(np.asarray(values) > 0, values, np.nan)
        traces.append(_curve(g, shown, name, "y", **look, hover="g = %{x:.2f}: Ψ = %{y:.3g}"))
    if "SIGMOID" in psi:
        limit = np.full(2, SIGMOID_LIMIT)
        traces.append(_curve(np.array([low, high]), limit, "", "y", dash="dot", width=1, hover=None, legend=False))
    shown = np.where(psi_at > 0, psi_at, np.nan)
    markers = {
        "type": "scatter",
        "x": drawable(at),
        "y": drawable(shown),
        "mode": "markers+text",
        "text": ["1", "2"],
        "textposition": ["top left", "bottom right"],
        "textfont": {"size": 12, "color": TEXT},
        "marker": {"size": 9, "symbol": ["circle", "diamond"], **_ring()},
        "customdata": NAMES_OF_THE_CHANNELS,
        "hovertemplate": "%{customdata}: g = %{x:.3f}, Ψ = %{y:.4f}<extra></extra>",
        "showlegend": False,
    }
    labels = [_at_the_left(0, "Ψ = 1")]
    if "SIGMOID" in psi:
        labels.append(_at_the_left(math.log10(SIGMOID_LIMIT), "SIGMOID stays below 10"))
    layout = {
        "margin": {"l": 44, "r": 10, "t": 24, "b": 34},
        "xaxis": {**_axis("g"), "range": [low, high], "nticks": 7},
        "yaxis": {**_axis("Ψ(g)"), "type": "log", "range": [bottom, top], "dtick": 1, "exponentformat": "power"},
        "shapes": [],
        "annotations": labels,
        "hovermode": "closest",
    }
    return _figure([*traces, markers], layout)


# ---------------------------------------------------------------------- ranges


def _ends(values: np.ndarray, step: float | None = None) -> list[float]:
    """The least and the largest finite value, moved outwards to multiples of `step`."""
    shown = drawable(values)
    shown = shown[np.isfinite(shown)]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (-1.0, 1.0)
    if step:
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return [low, high] if low < high else [low - 1, high + 1]


def _around(reach: float) -> list[float]:
    return [-reach * HEADROOM, reach * HEADROOM]


def _factor(log_scale: float) -> str:
    """e^s in two digits, in three characters or four.

    >>> _factor(-2.0), _factor(0.0), _factor(2.0), _factor(5.0)
    ('0.14', '1', '7.4', '150')
    """
    value = math.exp(max(-99.0, min(99.0, log_scale)))
    if not 1e-3 < value < 1e4:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}·10<sup>{int(exponent)}</sup>".replace("-", "−")
    return f"{float(f'{value:.2g}'):g}"


# ---------------------------------------------------------------------- parts


def _figure(traces: list[dict], layout: dict) -> go.Figure:
    legend = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "font": {"size": 11}}
    return go.Figure({"data": traces, "layout": {"legend": legend, "uirevision": "kept", **layout}})


def _axis(title: str) -> dict:
    title = {"text": title, "font": {"size": 11}, "standoff": 4}
    return {"title": title, "tickfont": {"size": 10}, "showgrid": False, "zeroline": False}


def _curve(
    x: np.ndarray, y: np.ndarray, name: str, axis: str, *, dash: str = "solid", width: float, colour: str = TRUTH,
    hover: str | None = "x₁ = %{x:.2f}: %{y:.3f}", legend: bool = True,
) -> dict:  # fmt: skip
    return {
        "type": "scatter",
        "x": drawable(x),
        "y": drawable(y),
        "yaxis": axis,
        "name": name,
        "mode": "lines",
        "line": {"width": width, "color": colour, "dash": dash},
        "showlegend": legend,
        **({"hovertemplate": f"{hover}<extra>{name}</extra>"} if hover else {"hoverinfo": "skip"}),
    }


def _area(x: np.ndarray, density: np.ndarray, reach: float, axis: str) -> dict:
    """The data's density as an area that stands on the panel's lower edge."""
    shown = np.nan_to_num(drawable(density), nan=0.0).clip(0)
    bottom = -reach * HEADROOM
    height = bottom + 2 * reach * HEADROOM * AREA * shown / max(float(shown.max(initial=0.0)), 1e-30)
    x = drawable(x)
    return _filled(np.concatenate([x[:1], x, x[-1:]]), np.concatenate([[bottom], height, [bottom]]), axis)


def _bars_below(edges: np.ndarray, counts: np.ndarray, reach: float) -> dict:
    """A histogram as an area that stands on the panel's lower edge."""
    bottom = -reach * HEADROOM
    height = bottom + 2 * reach * HEADROOM * AREA * counts / max(counts.max(), 1)
    return _filled(np.repeat(edges, 2), np.concatenate([[bottom], np.repeat(height, 2), [bottom]]), "y")


def _filled(x: np.ndarray, y: np.ndarray, axis: str) -> dict:
    return {
        "type": "scatter",
        "x": drawable(x),
        "y": drawable(y),
        "yaxis": axis,
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": with_opacity(DATA, 0.2),
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _dot(x: float, y: float, axis: str, name: str) -> dict:
    return {
        "type": "scatter",
        "x": drawable(np.array([x])),
        "y": drawable(np.array([y])),
        "yaxis": axis,
        "mode": "markers",
        "marker": {"size": 9, **_ring()},
        "hovertemplate": f"the probe: {name} = %{{y:.3f}}<extra></extra>",
        "showlegend": False,
    }


def _ring() -> dict:
    return {"color": TEXT, "line": {"width": 1.5, "color": BACKGROUND}}


def _level(y: float, axis: str, *, dash: str = "solid", colour: str = FAINT) -> dict:
    line = {"width": 1, "color": colour, "dash": dash}
    ends = {"x0": 0, "x1": 1, "y0": y, "y1": y}
    return {"type": "line", "xref": "paper", "yref": axis, **ends, "line": line, "layer": "below"}


def _hair(x: float) -> dict:
    line = {"width": 1, "color": FAINT}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}


def _shaded(start: float, end: float) -> dict:
    corners = {"x0": start, "x1": end, "y0": 0, "y1": 1}
    return {
        "type": "rect", "xref": "x", "yref": "paper", **corners, "fillcolor": SHADE, "line": {"width": 0},
        "layer": "below",
    }  # fmt: skip


def _label(text: str, size: int = 10) -> dict:
    return {"text": text, "showarrow": False, "font": {"size": size, "color": TEXT}}


def _beside(y: float, text: str) -> dict:
    """Words in the right-hand margin, at a height of the upper panel."""
    return {**_label(text), "xref": "paper", "x": 1, "xanchor": "left", "xshift": 3, "yref": "y", "y": y}


def _inside(y: float, text: str, *, up: bool, left: bool = True) -> dict:
    """Words on a level line, at the panel's left or right end."""
    side = {"x": 0, "xanchor": "left", "xshift": 4} if left else {"x": 1, "xanchor": "right", "xshift": -4}
    return {**_label(text, 11), "xref": "paper", **side, "yref": "y", "y": y, "yanchor": "bottom" if up else "top"}


def _name_of_the_identity(low: float, high: float, reach: float) -> dict:
    """Words beside the upper end of s = a: in a legend they would cost a phone a third row."""
    end = min(high, reach * HEADROOM)
    side, shift = ("left", 5) if end < high - (high - low) / 8 else ("right", -9)
    place = {"xref": "x", "x": end, "xanchor": side, "xshift": shift}
    return {**_label("s = a"), **place, "yref": "y", "y": end, "yanchor": "top", "yshift": 3}


def _note(text: str, axis: str, top: float) -> dict:
    place = {"xref": "paper", "x": 0.5, "yref": axis, "y": top, "yanchor": "top"}
    return {**_label(text, 11), **place, "bgcolor": BACKGROUND}


def _at_the_left(y: float, text: str) -> dict:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "xshift": 4, "yref": "y", "y": y, "yanchor": "bottom"}
    return {**_label(text), **place}
