"""Figures: numpy arrays in, `plotly.graph_objects.Figure` out. Nothing here knows a flow or a screen."""

from aio.figures.conditioner import clamp_curve, conditioner_curves, global_scale
from aio.figures.errors import error_by_depth, error_scale, round_trip_maps
from aio.figures.ledger import ledger_waterfall, log_det_fields, log_det_scale
from aio.figures.loss import loss_curve
from aio.figures.mixing import LETTER_F, permutation_picture, slice_picture, transformed_axes
from aio.figures.plane import carried_grid, colour_scale, density_image
from aio.figures.thumbnail import readable_scale, thumbnail

__all__ = [
    "LETTER_F",
    "carried_grid",
    "clamp_curve",
    "colour_scale",
    "conditioner_curves",
    "density_image",
    "error_by_depth",
    "error_scale",
    "global_scale",
    "ledger_waterfall",
    "log_det_fields",
    "log_det_scale",
    "loss_curve",
    "permutation_picture",
    "readable_scale",
    "round_trip_maps",
    "slice_picture",
    "thumbnail",
    "transformed_axes",
]
