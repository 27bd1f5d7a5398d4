"""Figures: numpy arrays in, `plotly.graph_objects.Figure` out. Nothing here knows a flow or a screen."""

from aio.figures.loss import loss_curve
from aio.figures.plane import carried_grid, colour_scale, density_image

__all__ = ["carried_grid", "colour_scale", "density_image", "loss_curve"]
