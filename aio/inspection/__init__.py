"""What can be read off a flow, and off the inside of one of its blocks."""

from aio.inspection.axes import active_shares, dead_axes, dead_axis_probability
from aio.inspection.cells import AreaChange, area_change, signed_areas, square_grid
from aio.inspection.conditioner import (
    Conditioner,
    Saturation,
    Slice,
    conditioner,
    density_along,
    gaussian_slice,
    saturated_beyond,
    saturation,
    vertical_slice,
)
from aio.inspection.film import Motion, Step, at_input, between, film
from aio.inspection.formula import DISAGREEMENTS, Disagreement, Term, formula, source
from aio.inspection.ledger import Entry, Ledger, ledger
from aio.inspection.mixing import Mixing, mixing
from aio.inspection.opened import Opened, Path, open_block
from aio.inspection.round_trip import round_trip_errors, worst_by_depth
from aio.inspection.variants import held_out_change, in_double, repeated, with_block, without_block
from aio.inspection.worth import Worth, worth

__all__ = [
    "DISAGREEMENTS",
    "AreaChange",
    "Conditioner",
    "Disagreement",
    "Entry",
    "Ledger",
    "Mixing",
    "Motion",
    "Opened",
    "Path",
    "Saturation",
    "Slice",
    "Step",
    "Term",
    "Worth",
    "active_shares",
    "area_change",
    "at_input",
    "between",
    "conditioner",
    "dead_axes",
    "dead_axis_probability",
    "density_along",
    "film",
    "formula",
    "gaussian_slice",
    "held_out_change",
    "in_double",
    "ledger",
    "mixing",
    "open_block",
    "repeated",
    "round_trip_errors",
    "saturated_beyond",
    "saturation",
    "signed_areas",
    "source",
    "square_grid",
    "vertical_slice",
    "with_block",
    "without_block",
    "worst_by_depth",
    "worth",
]
