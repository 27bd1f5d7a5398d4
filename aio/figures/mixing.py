"""Pictures of what P does to a letter, of one slice through a coupling, and of the axes that are transformed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from aio.figures.palette import BACKGROUND, DATA, FAINT, LATENT, MODEL, SHADE, TEXT, TRUTH, with_opacity
from aio.figures.values import LEVELS, drawable, quantised, steady_reach

__all__ = ["LETTER_F", "permutation_picture", "slice_picture", "transformed_axes"]

# F has no symmetry: turned and mirrored, it is told from itself.
LETTER_F = np.array([
    [-0.45, -0.75], [-0.17, -0.75], [-0.17, -0.12], [0.28, -0.12], [0.28, 0.14],
    [-0.17, 0.14], [-0.17, 0.49], [0.5, 0.49], [0.5, 0.75], [-0.45, 0.75],
])  # fmt: skip
LETTER_F.setflags(write=False)

REACH = 1.7  # of the letter's picture: the unit circle and the words around it
UP = math.pi / 2  # an angle is drawn from the letter's upright
ARC_RADIUS = 1.15
ARC_LABEL_RADIUS = 1.3
ARC_LABEL_LEVEL = 0.3  # |cos| above which the words stand beside the arc, not above or below it
BESIDE_A_LINE = (20, 14)  # px, across and up, from a mirror to its name
SMALLEST_ARC = math.radians(1)  # below, an arrow has no direction to the eye
AREA = 0.2  # of the panel, for a density along its edge
SEEN = 1e-3  # of its peak: how low a density may be and still set the range
SHORTEST_NORMAL = 0.5  # between the unit vectors of mirrors and the zero of a mirror that is passed over
NEVER = 1e-12  # a share of an axis that is rounding


def permutation_picture(
    outline: np.ndarray,
    image: np.ndarray,
    mirrors: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    turned_by: float = 0.0,
    mirrored: bool = False,
) -> go.Figure:
    """A shape and its image under P, with the mirrors or the angle that make it.

    Args:
        outline: corners of the shape, such as LETTER_F, (n, 2).
        image: where P takes them, (n, 2).
        mirrors: unit normals v of the mirror lines, (k, 2); k may be 0, and a normal of zero is no mirror.
        names: of the mirrors; ⊥ v₁, ⊥ v₂, … when None.
        turned_by: angle by which P turns, radians, anticlockwise. It is drawn where P turns the shape and does not
            mirror it; with mirrors, only if it is not 0.
        mirrored: P turns the shape over: its image is hatched.
    """
    mirrors = np.asarray(mirrors, dtype=float).reshape(-1, 2)
    angle = np.linspace(0, 2 * math.pi, 91)
    fill = {"fillpattern": {"shape": "/", "size": 6, "solidity": 0.35, "fgcolor": MODEL, "bgcolor": "rgba(0,0,0,0)"}}
    traces = [
        _line(np.cos(angle), np.sin(angle), width=1, colour=FAINT),
        _shape(outline, "before", FAINT, 1.2, {"fillcolor": SHADE}),
        _shape(image, "after P", MODEL, 2.2, fill if mirrored else {"fillcolor": with_opacity(MODEL, 0.4)}),
    ]
    labels = []
    for i, v in enumerate(mirrors):
        if not np.isfinite(v).all() or np.hypot(*v) < SHORTEST_NORMAL:
            continue
        along = np.array([-v[1], v[0]])
        along = along if along[1] > 0 or (along[1] == 0 and along[0] > 0) else -along  # its upper end has the name
        ends = np.stack([-along, along]) * REACH
        traces.append(_line(ends[:, 0], ends[:, 1], width=1.4, colour=TRUTH, dash="dash"))
        # Mirrors that coincide are named on either side of the line, then further down.
        across, up = (-pixels if i % 2 else pixels for pixels in BESIDE_A_LINE)
        shift = {"xshift": round(across * along[1], 1), "yshift": round(-up * along[0], 1)}
        name = _words(names[i] if names else f"⊥ v{_subscript(i + 1)}", *(along * (1.5 - 0.5 * (i // 2 % 3))), size=12)
        labels.append({**name, **shift})
    if not mirrored and math.isfinite(turned_by) and (turned_by or not len(mirrors)):
        traces += _arc(turned_by)
        labels += _arc_labels(turned_by)
    axis = {"showgrid": False, "zeroline": True, "nticks": 5, "tickfont": {"size": 10}, "constrain": "domain"}
    layout = {
        "margin": {"l": 28, "r": 8, "t": 24, "b": 24},
        "xaxis": {**axis, "range": [-REACH, REACH]},
        "yaxis": {**axis, "range": [-REACH, REACH], "scaleanchor": "x", "scaleratio": 1, "constraintoward": "top"},
        "annotations": labels,
        "hovermode": False,
        "legend": {
            "orientation": "h", "x": 0.5, "xanchor": "center", "y": 1, "yanchor": "bottom", "font": {"size": 11},
        },
        "uirevision": "kept",
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def slice_picture(
    x2: np.ndarray,
    u2: np.ndarray,
    *,
    density_in: np.ndarray,
    density_out: np.ndarray,
    probe: tuple[float, float] | None = None,
) -> go.Figure:
    """One vertical slice through the coupling: at a fixed x₁, u₂ is a straight line in x₂, and a Gaussian stays one.

    Args:
        x2: places along the slice, growing, (n,).
        u2: x₂ eˢ + t there, (n,).
        density_in: density at x₂ of what goes in, (n,).
        density_out: density at u₂ of what comes out, (n,).
        probe: x₂ and u₂ of the point that is looked at.

    Each density stands on its own edge, as high as the other: read their place and width. The axis of u₂ covers
    at least that of x₂, and grows by leaps.
    """
    x2, u2 = drawable(x2), drawable(u2)
    going_in, coming_out = (_shares(density) for density in (density_in, density_out))
    known = x2[np.isfinite(x2)]
    left, right = (float(known.min()), float(known.max())) if known.size else (-1.0, 1.0)
    reach_out = steady_reach(known, u2[coming_out >= SEEN])
    bottom = -reach_out
    probed = probe is not None and all(map(math.isfinite, probe))
    traces = [
        _area(x2, bottom + 2 * AREA * reach_out * going_in, (x2, bottom), DATA, "x₂, in"),
        _area(left + AREA * (right - left) * coming_out, u2, (left, u2), LATENT, "u₂, out"),
        _line(x2, x2, width=1.2, colour=TRUTH, dash="dot", name="u₂ = x₂"),
        _line(x2, u2, width=2.4, colour=MODEL, hover="x₂ = %{x:.2f}: u₂ = %{y:.2f}<extra></extra>"),
    ]
    if probed:
        at, to = probe
        traces.append(_line(np.array([at, at, left]), np.array([bottom, to, to]), width=1, colour=TEXT))
        traces.append(_dot(at, to))
    axis = {"showgrid": False, "zeroline": True, "nticks": 5, "tickfont": {"size": 10}}
    title = {"font": {"size": 11}, "standoff": 4}
    layout = {
        "margin": {"l": 44, "r": 10, "t": 24, "b": 34},
        "xaxis": {**axis, "range": [left, right], "title": {**title, "text": "x₂"}},
        "yaxis": {**axis, "range": [bottom, reach_out], "title": {**title, "text": "u₂"}},
        "hovermode": "closest",
        "legend": {
            "orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "font": {"size": 11},
        },
        "uirevision": "kept",
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def transformed_axes(active: np.ndarray) -> go.Figure:
    """Which data axis each block transforms: a row an axis, a column a block.

    Args:
        active: how much of each data axis is in the active channel of block k, from 0 to 1, (K, 2). A row to which
            no block ever comes is outlined and named.
    """
    active = np.abs(np.asarray(active, dtype=float).reshape(-1, 2))
    blocks = len(active)
    image = {
        "type": "heatmap",
        "z": quantised(active.T, 0.0, 1.0),
        "x0": 1,
        "dx": 1,
        "y0": 0,
        "dy": 1,
        "zmin": 0,
        "zmax": LEVELS,
        "colorscale": [[0.0, with_opacity(MODEL, 0.0)], [1.0, with_opacity(MODEL, 1.0)]],
        "showscale": False,
        "customdata": drawable(active.T),
        "hovertemplate": "block %{x}: %{customdata:.0%} of the axis<extra></extra>",
    }
    upright = "".join(f"M{k + 0.5:g},-0.5V1.5" for k in range(blocks + 1))
    level = "".join(f"M0.5,{row - 0.5:g}H{blocks + 0.5:g}" for row in range(3))
    cells = {"type": "path", "path": upright + level, "line": {"width": 1, "color": FAINT}, "layer": "above"}
    shapes, labels = [cells], []
    never = np.flatnonzero(np.nan_to_num(active, posinf=1.0).max(axis=0, initial=0.0) <= NEVER) if blocks else []
    for row in never:
        corners = {"x0": 0.5, "x1": blocks + 0.5, "y0": row - 0.5, "y1": row + 0.5}
        shapes.append({"type": "rect", **corners, "line": {"width": 2.5, "color": TEXT, "dash": "dash"}})
        labels.append({**_words("never transformed", (blocks + 1) / 2, float(row), size=12), "bgcolor": BACKGROUND})
    plain = {"showgrid": False, "zeroline": False, "fixedrange": True}
    layout = {
        "margin": {"l": 28, "r": 8, "t": 6, "b": 34},
        "xaxis": {
            **plain, "range": [0.45, blocks + 0.55], "tickfont": {"size": 10}, "dtick": max(1, -(-blocks // 12)),
            "tick0": 1, "title": {"text": "block", "font": {"size": 11}, "standoff": 4},
        },
        "yaxis": {
            **plain, "range": [1.52, -0.52], "tickvals": [0, 1], "ticktext": ["x₁", "x₂"], "tickfont": {"size": 12},
        },
        "shapes": shapes,
        "annotations": labels,
        "hovermode": "closest",
        "showlegend": False,
        "uirevision": "kept",
    }  # fmt: skip
    return go.Figure({"data": [image], "layout": layout})


# ---------------------------------------------------------------------- parts


def _shares(density: np.ndarray) -> np.ndarray:
    """A density as shares of its peak, 0 where it is not finite."""
    shown = np.nan_to_num(drawable(density), nan=0.0).clip(0)
    return shown / max(float(shown.max(initial=0.0)), 1e-30)


def _area(x: np.ndarray, y: np.ndarray, edge: tuple, colour: str, name: str) -> dict:
    """What lies between a curve and an edge of the panel, of which one coordinate is a number."""
    ends = [np.full(2, e, np.float32) if np.isscalar(e) else e[[-1, 0]] for e in edge] if len(x) else [[], []]
    return {
        "type": "scatter",
        "x": drawable(np.concatenate([x, ends[0]])),
        "y": drawable(np.concatenate([y, ends[1]])),
        "name": name,
        "mode": "lines",
        "line": {"width": 1.2, "color": colour},
        "fill": "toself",
        "fillcolor": with_opacity(colour, 0.25),
        "hoverinfo": "skip",
    }


def _shape(corners: np.ndarray, name: str, colour: str, width: float, fill: dict) -> dict:
    closed = drawable(np.concatenate([corners, corners[:1]]))
    return {
        "type": "scatter",
        "x": closed[:, 0].copy(),
        "y": closed[:, 1].copy(),
        "name": name,
        "mode": "lines",
        "line": {"width": width, "color": colour},
        "fill": "toself",
        **fill,
        "hoverinfo": "skip",
    }


def _line(
    x: np.ndarray, y: np.ndarray, *, width: float, colour: str, dash: str = "solid", name: str = "", hover: str = ""
) -> dict:
    return {
        "type": "scatter",
        "x": drawable(x),
        "y": drawable(y),
        "name": name,
        "mode": "lines",
        "line": {"width": width, "color": colour, "dash": dash},
        "showlegend": bool(name),
        **({"hovertemplate": hover} if hover else {"hoverinfo": "skip"}),
    }


def _dot(x: float, y: float) -> dict:
    return {
        "type": "scatter",
        "x": [x],
        "y": [y],
        "mode": "markers",
        "marker": {"size": 9, "color": TEXT, "line": {"width": 1.5, "color": BACKGROUND}},
        "hovertemplate": "the probe: x₂ = %{x:.3f}, u₂ = %{y:.3f}<extra></extra>",
        "showlegend": False,
    }


def _arc(turned_by: float) -> list[dict]:
    """The angle from the letter's upright to where P turned it."""
    around = UP + np.linspace(0, turned_by, 61)
    x, y = ARC_RADIUS * np.cos(around), ARC_RADIUS * np.sin(around)
    nan = np.array([np.nan])
    rays = [np.concatenate([[0], end[:1], nan, [0], end[-1:]]) for end in (x, y)]
    return [_line(*rays, width=1, colour=FAINT), _line(x, y, width=1.6, colour=TEXT)]


def _arc_labels(turned_by: float) -> list[dict]:
    middle = UP + turned_by / 2
    degrees = f"{math.degrees(turned_by):+.0f}°".replace("-", "−")
    x, y = ARC_LABEL_RADIUS * math.cos(middle), ARC_LABEL_RADIUS * math.sin(middle)
    side = "center" if abs(math.cos(middle)) < ARC_LABEL_LEVEL else "left" if x > 0 else "right"
    labels = [{**_words(degrees if abs(turned_by) >= SMALLEST_ARC else "0°", x, y, size=12), "xanchor": side}]
    if abs(turned_by) >= SMALLEST_ARC:
        tip, tail = UP + turned_by, UP + turned_by - math.copysign(min(abs(turned_by), 0.1), turned_by)
        ends = {"x": ARC_RADIUS * math.cos(tip), "y": ARC_RADIUS * math.sin(tip)}
        start = {"ax": ARC_RADIUS * math.cos(tail), "ay": ARC_RADIUS * math.sin(tail), "axref": "x", "ayref": "y"}
        arrow = {"showarrow": True, "arrowhead": 2, "arrowsize": 1.3, "arrowwidth": 1.6, "arrowcolor": TEXT, "text": ""}
        labels.append({**ends, **start, **arrow})
    return labels


def _words(text: str, x: float, y: float, *, size: int) -> dict:
    return {"text": text, "showarrow": False, "x": float(x), "y": float(y), "font": {"size": size, "color": TEXT}}


def _subscript(number: int) -> str:
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))
