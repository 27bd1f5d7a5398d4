"""Two sections of the Block page that measure: the round trip, and what the block is worth in its flow."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st
import torch

from aio.figures import colour_scale, density_image, error_by_depth, error_scale, round_trip_maps
from aio.figures.plane import Extent
from aio.inspection import (
    Opened,
    held_out_change,
    repeated,
    round_trip_errors,
    square_grid,
    without_block,
    worst_by_depth,
    worth,
)
from aio.snapshot import POINTS_SHOWN, data_extent, density_map, true_log_density
from aio.training import TrainState
from aio.ui.by_hand import alpha_slider
from aio.ui.live import live_figure
from aio.ui.opening import Opening
from aio.ui.words import number_row, number_table

__all__ = ["loss_section", "round_trip_section"]

PANEL_HEIGHT = 290
DEPTH_HEIGHT = 250
TOP_QUANTILE = 0.999  # of the density over the cells: the top of the colour scale
MAP_VERTICES = 41
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
DEEPEST = DEPTHS[-1]
DEPTH_VERTICES = 13  # the worst of fewer points is enough for a curve
IDENTITY = (
    " NLL = H(p) + KL(p‖q): NLL − H(p) and KL estimate the same number. Once q is close to p, the paired one has by "
    "far the smaller error."
)
PRECISIONS = (torch.float32, torch.float64)
"""The two that the section compares."""


def round_trip_section(opening: Opening, state: TrainState, opened: Opened) -> None:
    """The error of there and back, over the plane and with depth."""
    grid = square_grid(opened.grid_reach, MAP_VERTICES)
    errors = opening.keep("round_trip", (opening.block_key, opened.unit, opening.depth), lambda: [
        round_trip_errors(repeated(opened.block, opening.depth), grid, dtype) for dtype in PRECISIONS
    ])  # fmt: skip
    whole = opening.keep("whole", (opening.block_key, opened.unit), lambda: [
        round_trip_errors(opened.flow, _in_data(opened, grid), dtype) for dtype in PRECISIONS
    ])  # fmt: skip
    worst = opening.keep("depth", (opening.block_key, opened.unit), lambda: [
        worst_by_depth(opened.block, DEPTHS, square_grid(opened.grid_reach, DEPTH_VERTICES), dtype).numpy()
        for dtype in PRECISIONS
    ])  # fmt: skip
    depth, alpha = st.columns(2, gap="medium")
    with depth:
        opening.show("open_depth", opening.depth)

        st.slider("Repeat the block", 1, DEEPEST, key="open_depth",
                  on_change=opening.hears("open_depth", partial(setattr, opening, "depth")),
                  help="Deeper, and with a larger α, float32 runs out of digits.")  # fmt: skip
    with alpha:
        alpha_slider(opening, opened.block)
    reach = opened.grid_reach
    extent = (-reach, reach, -reach, reach)
    maps = [e.reshape(MAP_VERTICES, MAP_VERTICES).numpy() for e in errors]
    live_figure(
        round_trip_maps(*maps, extent), key="round_trip_maps", step=state.step, height=PANEL_HEIGHT,
        title=f"Error there and back, block × {opening.depth}", scale=error_scale(),
        label=f"Worst error {_short(errors[0])} in float32 and {_short(errors[1])} in float64.",
    )  # fmt: skip
    live_figure(
        error_by_depth(np.array(DEPTHS), *worst, at=opening.depth), key="round_trip_depth", step=state.step,
        height=DEPTH_HEIGHT, static=True, title="Worst error by depth",
        about="The same block, repeated; in units of its input",
        label="Worst round-trip error against the number of repetitions, float32 and float64.",
    )  # fmt: skip
    number_row({
        "Worst, float32": _short(errors[0]),
        "Worst, float64": _short(errors[1]),
        "Not finite, float32": f"{(~errors[0].isfinite()).double().mean().item():.1%}",
        "Whole flow, float32": _short(whole[0]),
        "Whole flow, float64": _short(whole[1]),
    })  # fmt: skip
    st.caption(
        "To see float32 break: set s by hand to linear in the section before, raise α, and repeat the block. Where a "
        "block squeezes by e^−α, its inverse multiplies rounding errors by e^α: each repetition costs about α / ln 10 "
        "digits there, and more where s is steep or the state itself grows."
    )


def _in_data(opened: Opened, grid: torch.Tensor) -> torch.Tensor:
    return grid * opened.flow.scale + opened.flow.loc


def _short(errors: torch.Tensor) -> str:
    worst = errors.max().item()
    return f"{worst:.1e}" if np.isfinite(worst) else "broken"


# ---------------------------------------------------------------------- in its flow


def loss_section(opening: Opening, state: TrainState, opened: Opened) -> None:
    """The held-out loss with the block as it is, by hand, and switched off; what every block is worth."""
    data = state.dataset()
    judged = opening.keep("worth", opened.original, lambda: worth(opened.original, data))
    by_hand = opening.keep("by_hand", opening.block_key, lambda: held_out_change(
        opened.original, opened.flow, data.held_out.double()
    ))  # fmt: skip
    opening.show("open_off", opening.off)

    st.toggle("Switch this block off", key="open_off",
              on_change=opening.hears("open_off", partial(setattr, opening, "off")),
              help="What reaches the block passes as it is; the other blocks stay.")  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        before = opening.keep("as_it_was", opened.original, lambda: density_map(opened.original, _extent(state)))
        _density(state, "as_it_was", "As drawn or trained", before, before)
    with right:
        shown = without_block(opened.original, opened.index) if opening.off else opened.flow
        after = opening.keep("changed", (opened, opening.off), lambda: density_map(shown, _extent(state)))
        _density(state, "changed", "This block off" if opening.off else "With what is set by hand", after, before)
    found = judged.evaluation
    variants = {"as it is": (0.0, 0.0), "by hand": by_hand, "block off": judged.off[opened.index]}
    rows = {"Held-out NLL": [f"{found.nll + change:.4f}" for change, _ in variants.values()]}
    if found.kl is not None:
        rows["KL(p‖q)"] = [f"{found.kl + change:.4f}" for change, _ in variants.values()]
    rows["rises by"] = ["", _change(by_hand), _change(judged.off[opened.index])]
    number_table(rows, head=["", *variants])
    if found.kl is not None:
        number_table({"Floor H(p)": f"{found.entropy:.4f}",
                      "NLL − H(p)": f"{found.nll - found.entropy:.4f} ± {found.nll_stderr:.4f}",
                      "KL(p‖q), paired": f"{found.kl:.4f} ± {found.kl_stderr:.4f}"})  # fmt: skip
    st.caption("Nats per point, over held-out points." + (IDENTITY if found.kl is not None else ""))
    number_table(
        {f"{i + 1}": _change(change) for i, change in enumerate(judged.off)},
        head=["Switched off: block", "NLL rises by"],
    )


def _density(state: TrainState, key: str, title: str, log_density: np.ndarray, scale_of: np.ndarray) -> None:
    truth = true_log_density(state.dataset().target)
    top = float(np.exp(np.quantile(scale_of if truth is None else truth, TOP_QUANTILE)))
    points = state.dataset().train[:POINTS_SHOWN].numpy()
    live_figure(
        density_image(log_density, None, _extent(state), points, top=top), key=key, step=state.step,
        height=PANEL_HEIGHT, static=True, title=title, scale=colour_scale("learned", "linear", top),
        label=f"{title}: learned density as an image, with data points.",
    )  # fmt: skip


def _extent(state: TrainState) -> Extent:
    return data_extent(state.dataset())


def _change(change: tuple[float, float]) -> str:
    mean, stderr = change
    if not np.isfinite(mean):
        return "not finite"
    return f"{mean:+.3f} ± {stderr:.3f}" if abs(mean) >= 0.0005 else f"0.000 ± {stderr:.3f}"
