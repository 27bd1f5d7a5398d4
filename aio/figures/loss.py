"""The learning curve with its floor. Arrays in, a figure out."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from aio.figures.palette import BACKGROUND, MODEL, TEXT, TRUTH

__all__ = ["loss_curve"]

HEADROOM = 0.06  # share of the span left free above the start and below the floor
RISE = 1.0  # nats above the first loss that are shown at least
FIRST_SPAN = 100  # steps on the axis before there are as many
KL_LABEL_SIZE = 12


def loss_curve(
    train: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    floor: float | None,
    kl: float | None,
) -> go.Figure:
    """Training and held-out NLL against the step, on a logarithmic axis of steps, over the floor H(p).

    Args:
        train: steps (from 1) and mean training NLL, nats.
        held_out: steps (from 0) and held-out NLL, nats.
        floor: H(p), nats; None where it is unknown.
        kl: KL(p‖q), nats: the height of the bar at the end. The held-out curve ends near its top, within the
            sampling noise of its points.
    """
    finite = held_out[1][np.isfinite(held_out[1])]
    if floor is not None:
        finite = np.append(finite, floor)
    top = float(held_out[1][0]) if np.isfinite(held_out[1][0]) else float(np.max(finite, initial=0.0))
    if floor is not None and floor >= top:  # the data have changed to such as are harder than the first loss
        top = float(np.max(finite))
    lowest = float(np.min(finite, initial=top))
    # A loss that rises is seen, as far as it leaves the rest to be seen.
    top = min(float(np.max(finite, initial=top)), top + max(top - lowest, RISE))
    span = max(top - lowest, 0.1)
    last = max(FIRST_SPAN, int(held_out[0][-1]))
    traces = [
        _line(*train, "training", TEXT, 1.2, opacity=0.35),
        # Step 0 has no place on a logarithmic axis: the curve enters at step 1 with the untrained flow.
        _line(np.maximum(held_out[0], 1), held_out[1], "held out", MODEL, 2.2),
    ]
    layout = _layout()
    if floor is not None:
        traces.append(_line(np.array([1, last]), np.array([floor, floor]), "floor H(p)", TRUTH, 1.4, dash="dash"))
        if kl is not None:
            step, nll = max(1, int(held_out[0][-1])), float(held_out[1][-1])
            traces.append(_gap(step, floor + kl, floor))
            layout["annotations"] = [_gap_label(step, max(nll, floor + kl), kl)]
    layout["xaxis"]["range"] = [0, float(np.log10(last * 1.25))]
    layout["yaxis"]["range"] = [lowest - HEADROOM * span, top + HEADROOM * span]
    return go.Figure({"data": traces, "layout": layout})


def _gap(step: int, nll: float, floor: float) -> dict:
    return {
        "type": "scatter",
        "x": [step, step],
        "y": [floor, nll],
        "mode": "lines+markers",
        "line": {"width": 1.2, "color": MODEL},
        "marker": {"symbol": "line-ew", "size": 7, "line": {"width": 1.2, "color": MODEL}},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _gap_label(step: int, nll: float, kl: float) -> dict:
    return {
        "x": float(np.log10(step)),
        "y": nll,
        "text": f"KL {kl:.3f}",
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "yshift": 6,
        "font": {"size": KL_LABEL_SIZE, "color": MODEL},
        "bgcolor": BACKGROUND,
    }


def _line(
    x: np.ndarray, y: np.ndarray, name: str, colour: str, width: float, *, dash: str = "solid", opacity: float = 1.0
) -> dict:
    return {
        "type": "scatter",
        "x": x.astype(np.float32),
        "y": y.astype(np.float32),
        "name": name,
        "mode": "lines",
        "opacity": opacity,
        "line": {"width": width, "color": colour, "dash": dash},
        "hovertemplate": "step %{x:,}: %{y:.3f} nats<extra>" + name + "</extra>",
    }


def _layout() -> dict:
    small = {"size": 10}
    return {
        "margin": {"l": 44, "r": 10, "t": 24, "b": 34},
        "xaxis": {
            "type": "log",
            "title": {"text": "step", "font": {"size": 11}, "standoff": 4},
            "tickfont": small,
            "dtick": 1,
            "showgrid": False,
        },
        "yaxis": {"title": {"text": "NLL, nats", "font": {"size": 11}, "standoff": 4}, "tickfont": small, "nticks": 5},
        "legend": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "hovermode": "x unified",
        "uirevision": "kept",
    }
