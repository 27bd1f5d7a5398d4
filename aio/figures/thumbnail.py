"""A density as a small picture: a PNG of a few kilobytes that a browser paints without a script."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from aio.figures.palette import DENSITY
from aio.figures.plane import LOG_SPAN, Scale
from aio.figures.values import LEVELS, quantised

__all__ = ["readable_scale", "thumbnail"]

TOP_QUANTILE = 0.999  # of the cells: the top of the colour scale, as on the Train page
BROAD_QUANTILE = 0.99
STEEPEST = np.log(5.0)  # nats between the two: a peak so narrow leaves the rest of a linear picture dark


def readable_scale(log_density: np.ndarray) -> Scale:
    """The scale on which a density can be seen: linear, but for one whose highest hundredth towers above the rest.

    >>> y, x = np.mgrid[-4:4:90j, -4:4:90j]
    >>> readable_scale(-(x**2 + y**2) / 2), readable_scale(-8 * np.hypot(x, y))
    ('linear', 'log')
    """
    top, broad = np.quantile(log_density, [TOP_QUANTILE, BROAD_QUANTILE], method="nearest")
    return "linear" if top - broad <= STEEPEST else "log"


def thumbnail(log_density: np.ndarray, scale: Scale = "linear") -> str:
    """A density as an image in the colours of `density_image`, of which the highest is TOP_QUANTILE of the cells.

    Args:
        log_density: log p at the centres of square cells, (G, G), rows along y, the lowest first; nats.
        scale: colour by the density, from 0, or by its logarithm, from LOG_SPAN nats below the top.

    Returns:
        The PNG, G × G pixels, as an address of the form data:image/png;base64,…

    >>> thumbnail(np.zeros((2, 2)))[:30]
    'data:image/png;base64,iVBORw0K'
    """
    top = float(np.quantile(log_density, TOP_QUANTILE, method="nearest"))  # no mean of log 0 = -inf and another
    upright = log_density[::-1]  # a picture begins at its upper edge
    log_levels, levels = quantised(upright, top - LOG_SPAN, top), quantised(np.exp(upright - top), 0.0, 1.0)
    image = Image.fromarray(log_levels if scale == "log" else levels)  # one byte a pixel
    image.putpalette(_palette().tobytes())
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _palette() -> np.ndarray:
    """The colours of the levels 0 to LEVELS, (LEVELS + 1, 3), red, green, blue."""
    places, names = zip(*DENSITY, strict=True)
    stops = np.array([[int(name[i : i + 2], 16) for i in (1, 3, 5)] for name in names])
    shares = np.arange(LEVELS + 1) / LEVELS
    return np.stack([np.interp(shares, places, stop) for stop in stops.T], axis=-1).round().astype(np.uint8)
