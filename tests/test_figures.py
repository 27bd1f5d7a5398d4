"""A figure shows the numbers it was given, on scales that mean the same in every frame."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import pytest

from aio.figures import carried_grid, colour_scale, density_image, loss_curve
from aio.figures.palette import DATA, DATA_ON_DENSITY, DENSITY, LATENT, SIGNED, with_opacity
from aio.figures.plane import LEVELS, REACH, separated

EXTENT = (-3.0, 5.0, -6.0, 2.0)
TOP = 0.12
G = 8


def normal(mean: tuple[float, float], variance: float) -> np.ndarray:
    """A Gaussian's log-density at the cells of EXTENT, rows along y."""
    centre = (np.arange(G) + 0.5) / G * 8
    x, y = -3 + centre[None, :], -6 + centre[:, None]
    squared = (x - mean[0]) ** 2 + (y - mean[1]) ** 2
    return (-squared / (2 * variance) - math.log(2 * math.pi * variance)).astype(np.float32)


Q, P = normal((1.3, -2.2), 1.0), normal((2.1, 0.3), 2.5)
POINTS = np.array([[0.5, 1.0], [-2.0, -5.0], [4.0, 0.25]], dtype=np.float32)

VALUES: dict[tuple[str, str], tuple[np.ndarray, float, float]] = {
    ("learned", "linear"): (np.exp(Q), 0, TOP),
    ("true", "linear"): (np.exp(P), 0, TOP),
    ("difference", "linear"): (np.exp(Q) - np.exp(P), -TOP, TOP),
    ("learned", "log"): (Q, math.log(TOP) - 8, math.log(TOP)),
    ("true", "log"): (P, math.log(TOP) - 8, math.log(TOP)),
    ("difference", "log"): (np.maximum(Q, math.log(TOP) - 8) - np.maximum(P, math.log(TOP) - 8), -4, 4),
}
each_view = pytest.mark.parametrize(("quantity", "scale"), VALUES, ids=["-".join(view) for view in VALUES])


def image(q: np.ndarray, p: np.ndarray | None = P, **options: Any) -> go.Heatmap:
    options.setdefault("top", TOP)
    return density_image(q, p, EXTENT, POINTS, **options).data[0]


def colour_of(trace: go.Heatmap, value: float) -> tuple[float, ...]:
    """What the browser paints for a value of z."""
    share = (value - trace.zmin) / (trace.zmax - trace.zmin)
    (colour,) = plotly.colors.sample_colorscale([list(pair) for pair in trace.colorscale], [share])
    return plotly.colors.unlabel_rgb(colour)


# ---------------------------------------------------------------------- a density as an image


@each_view
def test_an_image_decodes_to_the_values_within_half_a_level(quantity: str, scale: str) -> None:
    values, low, high = VALUES[quantity, scale]
    bar = colour_scale(quantity, scale, TOP)
    assert (bar.low, bar.high) == (pytest.approx(low), pytest.approx(high))
    trace = image(Q, quantity=quantity, scale=scale)
    assert trace.z.dtype == np.uint8
    assert (trace.zmin, trace.zmax) == (0, LEVELS)
    decoded = low + trace.z / LEVELS * (high - low)
    clipped = np.clip(values, low, high)
    assert np.abs(decoded - clipped).max() <= 0.5001 * (high - low) / LEVELS
    assert len(np.unique(trace.z)) > 15


@each_view
def test_the_scale_does_not_depend_on_what_is_shown(quantity: str, scale: str) -> None:
    one, other = (image(q, p, quantity=quantity, scale=scale) for q, p in ((Q, P), (P - 3, Q + 2)))
    for name in ("zmin", "zmax", "colorscale"):
        assert getattr(one, name) == getattr(other, name)
    assert not np.array_equal(one.z, other.z)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_difference_is_white_where_the_densities_agree(scale: str) -> None:
    trace = image(P.copy(), quantity="difference", scale=scale)
    assert {colour_of(trace, value) for value in np.unique(trace.z)} == {(255.0, 255.0, 255.0)}
    more, less = (image(P + sign, quantity="difference", scale=scale) for sign in (1, -1))
    middle = LEVELS / 2
    assert (more.z >= middle).all()
    assert (more.z > middle).any()
    np.testing.assert_array_equal(more.z > middle, np.asarray(more.z != middle))
    assert (less.z <= middle).all()
    red, _, blue = colour_of(more, LEVELS)
    assert red > blue
    red, _, blue = colour_of(more, 0)
    assert blue > red


@each_view
def test_what_is_empty_or_beyond_the_scale_stands_at_its_ends(quantity: str, scale: str) -> None:
    empty, full = np.full((G, G), -np.inf, np.float32), np.full((G, G), 1000.0, np.float32)
    none = image(empty, empty, quantity=quantity, scale=scale).z
    if quantity == "difference":
        assert np.unique(none).tolist() == [LEVELS // 2]
        assert np.unique(image(full, empty, quantity=quantity, scale=scale).z).tolist() == [LEVELS]
        assert np.unique(image(empty, full, quantity=quantity, scale=scale).z).tolist() == [0]
    else:
        much = image(full, full, quantity=quantity, scale=scale).z
        assert (np.unique(none).tolist(), np.unique(much).tolist()) == ([0], [LEVELS])
        nan = np.full((G, G), np.nan, np.float32)
        assert np.unique(image(nan, nan, quantity=quantity, scale=scale).z).tolist() == [0]


def test_the_logarithmic_difference_is_silent_where_both_are_empty() -> None:
    far = math.log(TOP) - 8
    trace = image(np.full((G, G), far - 30), np.full((G, G), far - 60), quantity="difference", scale="log")
    assert np.unique(trace.z).tolist() == [LEVELS // 2]


def test_rows_of_an_image_run_along_y() -> None:
    q = np.full((G, G), -20.0)
    q[1, 6] = math.log(TOP)  # second row from below, seventh column
    trace = image(q)
    assert np.argwhere(trace.z == LEVELS).tolist() == [[1, 6]]
    assert trace.x0 + 6 * trace.dx == pytest.approx(-3 + 6.5)
    assert trace.y0 + 1 * trace.dy == pytest.approx(-6 + 1.5)
    edges = [trace.x0 - trace.dx / 2, trace.x0 + (G - 0.5) * trace.dx]
    edges += [trace.y0 - trace.dy / 2, trace.y0 + (G - 0.5) * trace.dy]
    assert edges == pytest.approx(EXTENT)


def test_points_lie_on_the_density_where_they_are() -> None:
    assert_dots(density_image(Q, P, EXTENT, POINTS, top=TOP), POINTS, DATA_ON_DENSITY)
    assert_dots(density_image(Q, P, EXTENT, POINTS, top=TOP, quantity="difference"), POINTS, DATA)
    assert len(density_image(Q, P, EXTENT, POINTS, top=TOP, show_points=False).layout.shapes) == 0


@pytest.mark.parametrize("quantity", ["true", "difference"])
def test_a_truth_that_is_not_known_cannot_be_shown(quantity: str) -> None:
    assert isinstance(image(Q, None), go.Heatmap)
    with pytest.raises(ValueError, match=r"Expected true_log_density .*, got None\. Show the learned density\."):
        image(Q, None, quantity=quantity)


@each_view
def test_a_figure_leaves_its_arrays_as_they_were(quantity: str, scale: str) -> None:
    arrays = Q.copy(), P.copy(), POINTS.copy()
    density_image(arrays[0], arrays[1], EXTENT, arrays[2], top=TOP, quantity=quantity, scale=scale)
    assert all(map(np.array_equal, arrays, (Q, P, POINTS)))


def test_each_quantity_is_named_in_its_legend() -> None:
    titles = {view: colour_scale(*view, TOP).title for view in VALUES}
    assert titles == {
        ("learned", "linear"): "q(x)", ("learned", "log"): "log q(x)",
        ("true", "linear"): "p(x)", ("true", "log"): "log p(x)",
        ("difference", "linear"): "q − p", ("difference", "log"): "log q − log p",
    }  # fmt: skip


# ---------------------------------------------------------------------- points


def assert_dots(figure: go.Figure, points: np.ndarray, colour: str, extent: tuple[float, ...] = EXTENT) -> None:
    """The figure's one path is made of small diamonds of this colour, centred on these points."""
    (shape,) = figure.layout.shapes
    pattern = "M{0},{0}L{0},{0}L{0},{0}L{0},{0}Z".format(r"(-?[\d.]+(?:e[+-]?\d+)?)")
    assert re.fullmatch(f"(?:{pattern})*", shape.path)
    corners = np.array(re.findall(pattern, shape.path), dtype=float).reshape(-1, 4, 2)
    width = extent[1] - extent[0]
    np.testing.assert_allclose(corners.mean(axis=1), points, rtol=0, atol=width / 1000)  # a third of a pixel
    reach = np.abs(corners - points[:, None]).sum(axis=2)
    assert (reach > 0.003 * width).all()
    assert (reach < 0.012 * width).all()
    assert np.allclose(reach, reach[0, 0], rtol=0, atol=width / 1000)
    assert shape.fillcolor.startswith(with_opacity(colour, 0.5)[:-4])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3], ids="unit-{:g}".format)
@pytest.mark.parametrize("offset", [0.0, 100.0], ids="offset-{:g}-widths".format)
def test_dots_are_exact_in_any_units(unit: float, offset: float) -> None:
    points, extent = (POINTS.astype(float) + 8 * offset) * unit, tuple((v + 8 * offset) * unit for v in EXTENT)
    assert_dots(density_image(Q, P, extent, points, top=TOP), points, DATA_ON_DENSITY, extent)
    assert_dots(carried_grid(np.zeros((1, 2, 2)), points, extent, of="data"), points, DATA, extent)


def test_no_points_are_no_dots() -> None:
    for points in (np.empty((0, 2)), np.full((3, 2), np.nan)):
        (shape,) = density_image(Q, P, EXTENT, points, top=TOP).layout.shapes
        assert "L" not in shape.path


# ---------------------------------------------------------------------- a carried grid

GRID = np.stack([np.stack([np.linspace(-2, 4, 5), np.full(5, y)], axis=-1) for y in (-5.0, -2.0, 1.0)])


def lines_of(figure: go.Figure, colour: str) -> go.Scatter:
    (found,) = [t for t in figure.data if t.mode == "lines" and t.line.color.startswith(with_opacity(colour, 0.5)[:-4])]
    return found


def test_lines_are_separated_by_a_gap_after_each() -> None:
    x, y = separated(GRID)
    assert (len(x), x.dtype, y.dtype) == (3 * 6, np.float32, np.float32)
    for values, column in ((x, 0), (y, 1)):
        rows = values.reshape(3, 6)
        np.testing.assert_allclose(rows[:, :5], GRID[:, :, column], rtol=1e-6)
        assert np.isnan(rows[:, 5]).all()


@pytest.mark.parametrize(("of", "colour"), [("data", DATA), ("latent", LATENT)])
def test_a_grid_and_its_points_have_the_colour_of_the_space_they_come_from(of: str, colour: str) -> None:
    figure = carried_grid(GRID, POINTS, EXTENT, of=of)
    assert_dots(figure, POINTS, colour)
    lines = lines_of(figure, colour)
    for values, expected in zip((lines.x, lines.y), separated(GRID), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_circles_stand_at_one_two_and_three_standard_deviations() -> None:
    figure = carried_grid(GRID, POINTS, EXTENT, of="data", circles=True)
    circles = lines_of(figure, LATENT)
    radius = np.hypot(circles.x, circles.y)
    parts = [list(part) for gap, part in itertools.groupby(radius, np.isnan) if not gap]
    assert [pytest.approx(r, abs=1e-5) for r in (1, 2, 3)] == [float(np.mean(part)) for part in parts]
    assert max(np.ptp(part) for part in parts) < 1e-5
    ends = np.flatnonzero(np.isnan(circles.x))
    np.testing.assert_allclose(circles.x[ends - 1], [1, 2, 3], atol=1e-5)  # closed
    np.testing.assert_allclose(circles.x[[0, ends[0] + 1, ends[1] + 1]], [1, 2, 3], atol=1e-5)


def test_what_lies_far_outside_the_picture_is_left_out() -> None:
    width = EXTENT[1] - EXTENT[0]
    reach = np.array([1.0, -2.0], dtype=np.float32) + np.array([[0, 0], [0.99, -0.99], [1.01, 0], [0, -1.01]],
                                                                dtype=np.float32) * REACH * width  # fmt: skip
    wild = np.concatenate([reach, [[np.nan, 0], [np.inf, 0], [1e30, -1e30]]]).astype(np.float32)
    figure = carried_grid(wild[None], wild, EXTENT, of="data")
    kept = [True, True, False, False, False, False, False]
    assert np.isfinite(figure.data[0].x[:-1]).tolist() == kept
    assert_dots(figure, wild[kept], DATA)
    assert_dots(density_image(Q, P, EXTENT, wild, top=TOP), wild[kept], DATA_ON_DENSITY)


@pytest.mark.parametrize(
    "figure",
    [density_image(Q, P, EXTENT, POINTS, top=TOP), carried_grid(GRID, POINTS, EXTENT, of="latent", circles=True)],
    ids=["density", "grid"],
)
def test_pictures_of_the_plane_have_equal_axes(figure: go.Figure) -> None:
    assert isinstance(figure, go.Figure)
    assert (figure.layout.yaxis.scaleanchor, figure.layout.yaxis.scaleratio) == ("x", 1)
    assert (*figure.layout.xaxis.range, *figure.layout.yaxis.range) == EXTENT
    assert figure.layout.xaxis.autorange is figure.layout.yaxis.autorange is None
    assert len(figure.to_json()) > 100


# ---------------------------------------------------------------------- the learning curve

TRAIN = np.arange(1, 201), np.linspace(3.5, 1.25, 200)
HELD_OUT = np.arange(0, 201, 20), np.linspace(3.6, 1.3, 11)


def named(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data if trace.name}


def test_the_curves_are_the_values_given() -> None:
    traces = named(loss_curve(TRAIN, HELD_OUT, 0.5, 0.8))
    assert list(traces) == ["training", "held out", "floor H(p)"]
    np.testing.assert_array_equal(traces["training"].x, TRAIN[0])
    np.testing.assert_allclose(traces["training"].y, TRAIN[1], rtol=1e-6)
    np.testing.assert_array_equal(traces["held out"].x, [1, *range(20, 201, 20)])  # step 0 enters at 1
    np.testing.assert_allclose(traces["held out"].y, HELD_OUT[1], rtol=1e-6)


def test_steps_run_on_a_logarithmic_axis_from_1() -> None:
    for last in (0, 40, 200, 10**6):
        held_out = np.array([0, last]) if last else np.array([0]), np.array([3.0, 2.0])[: 2 if last else 1]
        axis = loss_curve((np.empty(0), np.empty(0)), held_out, None, None).layout.xaxis
        assert axis.type == "log"
        low, high = (10**v for v in axis.range)
        assert low == 1
        assert max(100, last) < high < 2 * max(100, last)


def test_the_floor_is_a_dashed_line_at_the_entropy_along_the_axis() -> None:
    figure = loss_curve(TRAIN, HELD_OUT, 0.5, None)
    floor = named(figure)["floor H(p)"]
    assert floor.line.dash == "dash"
    assert (list(floor.x), list(floor.y)) == ([1, 200], [0.5, 0.5])
    assert named(figure)["held out"].line.dash == "solid"
    assert len(figure.layout.annotations) == 0


@pytest.mark.parametrize("floor", [0.5, -2.0, 1.29, None])
def test_start_and_floor_are_both_in_view(floor: float | None) -> None:
    low, high = loss_curve(TRAIN, HELD_OUT, floor, None).layout.yaxis.range
    shown = [HELD_OUT[1][0], HELD_OUT[1].min(), *([] if floor is None else [floor])]
    assert low < min(shown)
    assert high > max(shown)


def test_the_gap_between_curve_and_floor_is_marked_with_the_kl() -> None:
    figure = loss_curve(TRAIN, HELD_OUT, 0.5, 0.8123)
    (gap,) = [trace for trace in figure.data if not trace.name]
    assert (list(gap.x), list(gap.y)) == ([200, 200], [0.5, pytest.approx(1.3123)])
    (label,) = figure.layout.annotations
    assert label.text == "KL 0.812"
    assert label.x == pytest.approx(math.log10(200))  # plotly places labels of a logarithmic axis by the logarithm
    assert 0.5 <= label.y <= 1.3123 + 1e-6


def test_without_a_known_density_there_is_neither_floor_nor_gap() -> None:
    figure = loss_curve(TRAIN, HELD_OUT, None, None)
    assert list(named(figure)) == ["training", "held out"]
    assert len(figure.data) == 2
    assert len(figure.layout.annotations) == 0


def test_a_run_that_has_just_started_has_a_curve_of_one_point() -> None:
    figure = loss_curve((np.empty(0), np.empty(0)), (np.array([0]), np.array([3.0])), 1.0, 2.0)
    assert list(named(figure)["held out"].x) == [1]
    assert len(named(figure)["training"].x) == 0
    assert figure.layout.annotations[0].x == 0
    assert isinstance(figure, go.Figure)


# ---------------------------------------------------------------------- the palette


def contrast(colour: str, background: str) -> float:
    """WCAG 2's contrast ratio."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(colour), luminance(background)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#000000"], ids=["light", "dark"])
@pytest.mark.parametrize("colour", [DATA, LATENT], ids=["data", "latent"])
def test_the_colours_of_data_and_latent_keep_their_contrast(colour: str, background: str) -> None:
    assert contrast(colour, background) >= 3


def test_the_signed_scale_is_white_at_zero_and_as_steep_on_either_side() -> None:
    shares = [share for share, _ in SIGNED]
    assert dict(SIGNED)[0.5] == "#ffffff"
    assert shares == sorted(shares)
    assert [1 - share for share in reversed(shares)] == pytest.approx(shares)


def test_the_scale_of_densities_grows_in_lightness() -> None:
    shares, colours = zip(*DENSITY, strict=True)
    assert np.diff(shares) == pytest.approx(1 / (len(DENSITY) - 1))
    assert (shares[0], shares[-1]) == (0, 1)
    lightness = [contrast(colour, "#000000") for colour in colours]
    assert lightness == sorted(lightness)
    assert plotly.colors.hex_to_rgb(colours[-1]) == plotly.colors.hex_to_rgb(plotly.colors.sequential.Cividis[-1])


# ---------------------------------------------------------------------- colours


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("background", ["#ffffff", "#0f151c"], ids=["light", "dark"])
@pytest.mark.parametrize("colour", [DATA, LATENT], ids=["data", "latent"])
def test_data_and_latent_are_told_from_either_background(colour: str, background: str) -> None:
    darker, lighter = sorted([luminance(colour), luminance(background)])
    assert (lighter + 0.05) / (darker + 0.05) >= 3
