"""The figures of the Block page draw the numbers they are given, on axes that rest, whatever the numbers are."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from aio.figures import (
    LETTER_F,
    clamp_curve,
    conditioner_curves,
    error_by_depth,
    error_scale,
    global_scale,
    ledger_waterfall,
    log_det_fields,
    log_det_scale,
    permutation_picture,
    round_trip_maps,
    slice_picture,
    transformed_axes,
)
from aio.figures.palette import BROKEN, MODEL, NEGATIVE, POSITIVE, SIGNED
from aio.figures.plane import LEVELS
from aio.figures.values import drawable, steady_reach
from aio.ui.live import TRACE_TYPES, encoded

EXTENT = (-3.0, 3.0, -2.0, 4.0)
X1 = np.linspace(-3, 3, 61)
A = np.linspace(-4, 4, 161)
G = np.linspace(-6, 12, 91)
PSI = {"SIGMOID": 10 / (1 + np.exp(2 - G)), "SOFTPLUS": 0.2 * np.log1p(np.exp(G / 2)), "EXP": np.exp(G)}
TITLES = ["pre-permutation", "coupling", "global affine", "mirror 1", "permutation"]
VALUES = np.array([0.0, -0.2118, 0.0132, 0.0, 0.0])
FIELDS = np.stack([np.linspace(-3, 3, 30).reshape(5, 6) * k for k in (0.2, 1.0, 0.5)])
ERRORS = 10.0 ** np.linspace(-18, 1, 36).reshape(6, 6)
DEPTH = 2 ** np.arange(8)
SWAP = np.array([[0.0, 1.0], [1.0, 0.0]])
ACROSS = np.array([[1.0, -1.0]]) / math.sqrt(2)  # normal of the mirror y = x


def conditioner(amplitude: float = 0.7, **options: Any) -> go.Figure:
    before = amplitude * np.sin(X1)
    options = {"clamp": 2.0, "probe": (0.5, 0.3, -0.2), "gin": False} | options
    s = options.pop("s", options["clamp"] * np.tanh(before))
    return conditioner_curves(X1, before, s, options.pop("t", 0.5 * np.cos(X1)), np.exp(-(X1**2)), **options)


def clamp(alpha: float = 2.0, **options: Any) -> go.Figure:
    curves = {"freia-0.2": (A, alpha * np.tanh(A)), "freia-main": (A, alpha * np.tanh(A / alpha))}
    working = np.random.default_rng(0).normal(0.5, 0.3, 400)
    options = {"current": "freia-0.2", "working": working, "probe": 0.6, "saturated_beyond": 1.5} | options
    return clamp_curve(curves, clamp=alpha, **options)


def psi(at: tuple[float, float] = (9.0, 10.4), current: str = "SOFTPLUS") -> go.Figure:
    return global_scale(G, PSI, current=current, at=np.array(at), psi_at=np.interp(at, G, PSI[current]))


def ledger(values: np.ndarray = VALUES, first: float = -2.134, chosen: int | None = 1, **options: Any) -> go.Figure:
    options = {"titles": TITLES, "total": first + float(np.sum(values))} | options
    return ledger_waterfall(options.pop("titles"), values, first=first, chosen=chosen, **options)


def slice_(slope: float = 1.8, shift: float = 0.7, **options: Any) -> go.Figure:
    x2 = np.linspace(-4, 4, 81)
    densities = {"density_in": np.exp(-(x2**2) / 2), "density_out": np.exp(-(x2**2) / 2) / slope}
    return slice_picture(x2, slope * x2 + shift, **{**densities, "probe": (0.5, slope * 0.5 + shift), **options})


ALL: dict[str, Callable[[], go.Figure]] = {
    "conditioner": conditioner,
    "clamp": clamp,
    "psi": psi,
    "ledger": ledger,
    "fields": lambda: log_det_fields(FIELDS, TITLES[:3], EXTENT, span=2.0),
    "turn": lambda: permutation_picture(LETTER_F, LETTER_F, np.empty((0, 2)), turned_by=0.9),
    "mirror": lambda: permutation_picture(LETTER_F, LETTER_F @ SWAP, ACROSS, mirrored=True),
    "slice": slice_,
    "axes": lambda: transformed_axes(np.array([[0.0, 1.0], [0.3, 0.7]])),
    "maps": lambda: round_trip_maps(ERRORS, ERRORS * 1e-9, EXTENT),
    "depth": lambda: error_by_depth(DEPTH, 1e-7 * DEPTH, 1e-16 * DEPTH, at=8),
}
each_figure = pytest.mark.parametrize("figure", [pytest.param(make(), id=name) for name, make in ALL.items()])


def named(figure: go.Figure, name: str) -> go.Scatter:
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return trace


def words(figure: go.Figure) -> list[str]:
    return [label.text for label in figure.layout.annotations if label.text]


# ---------------------------------------------------------------------- every figure


@each_figure
def test_a_figure_is_one_that_the_browser_can_draw(figure: go.Figure) -> None:
    assert {trace.type for trace in figure.data} <= set(TRACE_TYPES)
    body = json.loads(encoded(figure))
    assert body["data"]
    assert body["layout"]["uirevision"] == "kept"
    assert "title" not in body["layout"]


@each_figure
def test_no_word_is_smaller_than_ten_pixels(figure: go.Figure) -> None:
    sizes: list[float] = []

    def look(node: Any, name: str = "") -> None:
        if isinstance(node, dict):
            if "font" in name:
                sizes.append(node["size"])
            for key, value in node.items():
                look(value, key)
        elif isinstance(node, list | tuple):
            for value in node:
                look(value)

    look(json.loads(encoded(figure)))
    assert all(size >= 10 for size in sizes)
    assert all(label.font.size >= 10 for label in figure.layout.annotations if label.text)
    for name in figure.layout:
        if name.startswith(("xaxis", "yaxis")) and figure.layout[name].showticklabels is not False:
            assert figure.layout[name].tickfont.size >= 10


@each_figure
def test_no_axis_is_left_to_find_its_own_range(figure: go.Figure) -> None:
    for name in figure.layout:
        if name.startswith(("xaxis", "yaxis")):
            assert np.isfinite(np.asarray(figure.layout[name].range, dtype=float)).all()


N = np.nan
WILD = np.array([1.0, np.inf, -np.inf, np.nan, 1e300])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300], ids=str)
@pytest.mark.parametrize("share", [0.1, 1.0], ids=["some", "all"])
def test_numbers_that_are_not_finite_neither_raise_nor_blank_the_figure(bad: float, share: float) -> None:
    def spoilt(values: np.ndarray) -> np.ndarray:
        values = np.array(values, dtype=float)
        values.ravel()[: math.ceil(share * values.size)] = bad
        return values

    two, wild_psi = np.array([bad, 1.0]), {name: spoilt(values) for name, values in PSI.items()}
    figures = [
        conditioner_curves(X1, spoilt(X1), spoilt(X1), spoilt(X1), spoilt(X1), clamp=2.0, probe=(bad, 0, 0)),
        conditioner_curves(X1, spoilt(X1), X1, X1, np.zeros_like(X1), clamp=bad, probe=(0.0, bad, bad), gin=True),
        clamp(probe=bad, working=spoilt(A), saturated_beyond=bad),
        clamp_curve({"one": (A, spoilt(A))}, current="one", clamp=bad, working=np.empty(0)),
        global_scale(G, wild_psi, current="EXP", at=two, psi_at=two),
        ledger(spoilt(VALUES), total=bad),
        ledger(first=bad, total=1.0),
        log_det_fields(spoilt(FIELDS), TITLES[:3], EXTENT, span=2.0),
        permutation_picture(LETTER_F, spoilt(LETTER_F), spoilt(ACROSS), turned_by=bad),
        permutation_picture(LETTER_F, spoilt(LETTER_F), np.empty((0, 2)), turned_by=bad),
        slice_picture(A, spoilt(A), density_in=spoilt(A), density_out=spoilt(A), probe=(bad, bad)),
        transformed_axes(spoilt(np.ones((10, 2)))),
        round_trip_maps(spoilt(ERRORS), ERRORS, EXTENT),
        error_by_depth(DEPTH, spoilt(DEPTH), DEPTH, at=1),
    ]
    for figure in figures:
        body = json.loads(encoded(figure))
        assert body["data"]
        for name, axis in body["layout"].items():
            if name.startswith(("xaxis", "yaxis")):
                assert all(isinstance(end, int | float) for end in axis["range"])


def test_empty_arrays_are_drawn_as_empty_figures() -> None:
    none = np.empty(0)
    for figure in (
        conditioner_curves(none, none, none, none, none, clamp=2.0),
        ledger_waterfall([], none, first=-1.0, total=-1.0),
        log_det_fields(np.empty((0, 4, 4)), [], EXTENT, span=1.0),
        slice_picture(none, none, density_in=none, density_out=none),
        transformed_axes(np.empty((0, 2))),
        error_by_depth(none, none, none, at=1),
    ):
        assert encoded(figure)


def test_what_is_drawn_is_finite_or_left_out() -> None:
    shown = drawable(WILD)
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown, np.float32([1, N, N, N, N]))


@pytest.mark.parametrize("value", [1e-9, 0.2, 1.0, 1.0001, 2.0, 4.9, 5.1, 9.0, 730.0])
def test_an_axis_rests_on_1_2_or_5_times_a_power_of_ten(value: float) -> None:
    reach = steady_reach(np.array([value, -value / 2]))
    assert reach >= max(1.0, value)
    assert reach <= max(1.0, 2.5 * value)
    mantissa = reach / 10 ** math.floor(math.log10(reach) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-9


# ---------------------------------------------------------------------- the conditioner


def test_the_curves_of_the_conditioner_are_those_given() -> None:
    figure = conditioner()
    curves = [t for t in figure.data if t.mode == "lines" and t.fill is None]
    before, s, t = curves
    np.testing.assert_allclose(before.y, 0.7 * np.sin(X1), rtol=1e-6)
    np.testing.assert_allclose(s.y, 2 * np.tanh(0.7 * np.sin(X1)), rtol=1e-6)
    np.testing.assert_allclose(t.y, 0.5 * np.cos(X1), rtol=1e-6)
    assert all(np.allclose(curve.x, X1) for curve in curves)
    assert (before.line.dash, s.line.dash, s.line.color, t.line.color) == ("dash", "solid", MODEL, MODEL)
    assert (s.yaxis, t.yaxis) == ("y", "y2")


def test_both_panels_rest_while_s_and_t_move_within_a_step() -> None:
    ranges = {
        (figure.layout.yaxis.range, figure.layout.yaxis2.range)
        for figure in (conditioner(a, t=b * X1 / 3) for a, b in ((0.55, 1.1), (0.7, 1.5), (3.0, 1.9)))
    }
    assert len(ranges) == 1
    ((s, t),) = ranges
    assert s[0] == -s[1]
    assert t[0] == -t[1]
    assert s[1] > 2


def test_what_enters_the_clamp_does_not_squeeze_what_leaves_it() -> None:
    """α tanh(a/α) takes in anything: it may leave the picture, s may not."""
    wild = conditioner(50.0)
    assert wild.layout.yaxis.range == conditioner(0.7).layout.yaxis.range
    assert wild.layout.yaxis.range[1] >= np.nanmax(named(wild, "s").y)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.9, 2.0, 3.0])
def test_the_bounds_and_their_stretch_are_marked(alpha: float) -> None:
    figure = conditioner(5.0, clamp=alpha)
    levels = {shape.y0 for shape in figure.layout.shapes if shape.type == "line" and shape.line.dash == "dot"}
    assert levels == {alpha, -alpha}
    factors = {label.y: float(label.text[1:]) for label in figure.layout.annotations if label.text.startswith("×")}
    assert sorted(factors) == [-alpha, 0, alpha]
    for s, factor in factors.items():
        assert factor == pytest.approx(math.exp(s), rel=0.05)


def test_bounds_that_do_not_hold_or_are_out_of_sight_are_not_drawn() -> None:
    for figure in (conditioner(0.1, clamp=8.0, s=0.1 * X1), conditioner(gin=True, s=0 * X1)):
        assert not [shape for shape in figure.layout.shapes if shape.line.dash == "dot"]
        assert [label.y for label in figure.layout.annotations if label.text.startswith("×")] == [-1, 0, 1]


def test_the_density_of_the_data_stands_on_both_lower_edges() -> None:
    figure = conditioner()
    areas = [t for t in figure.data if t.fill == "toself"]
    for area, axis in zip(areas, (figure.layout.yaxis, figure.layout.yaxis2), strict=True):
        low, high = axis.range
        assert float(area.y[0]) == pytest.approx(low)
        heights = (area.y[1:-1] - low) / (high - low)
        np.testing.assert_allclose(heights / heights.max(), np.exp(-(X1**2)), atol=1e-5)
        assert heights.max() < 0.4


def test_the_probe_is_a_dot_on_each_panel_and_a_hair_through_both() -> None:
    figure = conditioner(probe=(0.5, 0.3, -0.2))
    dots = [(float(t.x[0]), round(float(t.y[0]), 6), t.yaxis) for t in figure.data if t.mode == "markers"]
    assert dots == [(0.5, 0.3, "y"), (0.5, -0.2, "y2")]
    (hair,) = [shape for shape in figure.layout.shapes if shape.yref == "paper"]
    assert (hair.x0, hair.x1, hair.y0, hair.y1) == (0.5, 0.5, 0, 1)
    assert not [t for t in conditioner(probe=None).data if t.mode == "markers"]


# ---------------------------------------------------------------------- the clamp


@pytest.mark.parametrize(("current", "other"), [("freia-0.2", "freia-main"), ("freia-main", "freia-0.2")])
def test_the_dialect_in_force_is_full_and_the_other_dashed(current: str, other: str) -> None:
    names = {"freia-0.2": "FrEIA 0.2: α tanh a", "freia-main": "FrEIA main: α tanh(a/α)"}
    oracle = {"freia-0.2": 2 * np.tanh(A), "freia-main": 2 * np.tanh(A / 2)}
    figure = clamp(current=current)
    for dialect, dash in ((current, "solid"), (other, "dash")):
        trace = named(figure, names[dialect])
        np.testing.assert_allclose(trace.y, oracle[dialect], rtol=1e-5)
        assert trace.line.dash == dash
    identity = named(figure, "identity")
    np.testing.assert_array_equal(identity.x, identity.y)
    assert "s = a" in words(figure)
    (dot,) = [t for t in figure.data if t.mode == "markers"]
    assert float(dot.y[0]) == pytest.approx(float(np.interp(0.6, A, oracle[current])))


def test_the_working_points_stand_below_and_their_middle_on_the_curve() -> None:
    working = np.random.default_rng(1).normal(0.5, 0.3, 4000)
    figure = clamp(working=working)
    (bars,) = [t for t in figure.data if t.fill == "toself"]
    weight = bars.y[1:-1] - bars.y[0]
    assert np.average(bars.x[1:-1], weights=weight) == pytest.approx(working.mean(), abs=0.02)
    (spread,) = [t for t in figure.data if t.mode == "lines" and t.line.width > 5]
    inside = (working >= spread.x[0]) & (working <= spread.x[-1])
    assert inside.mean() == pytest.approx(0.9, abs=0.005)
    np.testing.assert_allclose(spread.y, 2 * np.tanh(spread.x), atol=2e-3)


def test_saturation_is_shaded_from_where_it_is_said_to_begin() -> None:
    areas = sorted((s.x0, s.x1) for s in clamp(saturated_beyond=1.5).layout.shapes if s.type == "rect")
    assert areas == [(-4, -1.5), (1.5, 4)]
    assert not [s for s in clamp(saturated_beyond=9.0).layout.shapes if s.type == "rect"]
    assert "saturated" not in words(clamp(saturated_beyond=None))


def test_a_larger_alpha_is_drawn_higher() -> None:
    """The axis grows by leaps: within one the asymptote moves, not the axis."""
    low, high = clamp(1.2), clamp(1.9)
    assert low.layout.yaxis.range == high.layout.yaxis.range
    levels = [max(s.y0 for s in f.layout.shapes if s.type == "line") for f in (low, high)]
    assert levels == [1.2, 1.9]


# ---------------------------------------------------------------------- Ψ


def test_psi_is_drawn_on_a_logarithmic_axis_with_both_channels() -> None:
    figure = psi((9.0, 10.4))
    assert figure.layout.yaxis.type == "log"
    for name, values in PSI.items():
        trace = named(figure, name)
        np.testing.assert_allclose(trace.y, values, rtol=1e-5)
        assert (trace.line.color == MODEL) == (name == "SOFTPLUS")
    (markers,) = [t for t in figure.data if t.mode == "markers+text"]
    assert list(markers.text) == ["1", "2"]
    np.testing.assert_allclose(markers.x, [9.0, 10.4], rtol=1e-6)
    np.testing.assert_allclose(markers.y, np.interp([9.0, 10.4], G, PSI["SOFTPLUS"]), rtol=1e-5)
    one, ten = (label.y for label in figure.layout.annotations)
    assert (one, ten) == (0, 1)  # plotly places words on a logarithmic axis by the logarithm


def test_the_axes_of_psi_hold_the_channels_wherever_they_are() -> None:
    at = np.array([-31.0, 17.0])
    figure = global_scale(G, PSI, current="EXP", at=at, psi_at=np.exp(at))
    for axis, values in ((figure.layout.xaxis, at), (figure.layout.yaxis, at / math.log(10))):
        assert axis.range[0] < values.min()
        assert axis.range[1] > values.max()
    assert psi((9.0, 9.5)).layout.yaxis.range == psi((8.0, 11.0)).layout.yaxis.range


# ---------------------------------------------------------------------- the ledger


def test_each_bar_begins_where_the_sum_stands_and_ends_where_it_goes() -> None:
    figure = ledger()
    (bars,) = [t for t in figure.data if t.type == "bar"]
    sums = [-2.134]
    for value in VALUES:
        sums.append(sums[-1] + value)
    np.testing.assert_allclose(np.asarray(bars.base, dtype=float), sums[:-1], atol=1e-12)
    np.testing.assert_allclose(np.asarray(bars.base, dtype=float) + bars.x, sums[1:], atol=1e-12)
    assert [bars.marker.color[i] for i in (1, 2)] == [NEGATIVE, POSITIVE] == [SIGNED[0][1], SIGNED[-1][1]]
    low, high = figure.layout.xaxis.range
    assert low < min(sums)
    assert high > max(sums)


def test_the_ledger_reads_from_top_to_bottom_with_its_numbers() -> None:
    figure = ledger()
    top, bottom = figure.layout.yaxis.range[1], figure.layout.yaxis.range[0]
    assert top < 0
    assert bottom > len(VALUES) + 1
    assert [t.replace("<b>", "").replace("</b>", "") for t in figure.layout.yaxis.ticktext] == [
        "log p(z)", *TITLES, "log q(x)",
    ]  # fmt: skip
    (numbers,) = [t for t in figure.data if t.text is not None]
    assert list(numbers.text) == ["<b>−2.134</b>", "0", "−0.212", "+0.013", "0", "0", "<b>−2.333</b>"]


def test_a_contribution_of_exactly_0_is_a_diamond_at_the_sum() -> None:
    figure = ledger()
    (diamonds,) = [t for t in figure.data if t.type == "scatter" and t.marker.symbol == "diamond"]
    assert list(diamonds.y) == [1, 4, 5]
    np.testing.assert_allclose(diamonds.x, [-2.134, -2.3326, -2.3326], atol=1e-9)


def test_a_contribution_that_is_not_finite_is_crossed_and_passed_over() -> None:
    figure = ledger(np.array([0.5, -np.inf, 0.25, np.nan, 1.0]), first=-1.0, total=math.nan)
    (bars,) = [t for t in figure.data if t.type == "bar"]
    np.testing.assert_allclose(np.asarray(bars.base, dtype=float), [-1, -0.5, -0.5, -0.25, -0.25])
    np.testing.assert_allclose(bars.x, [0.5, 0, 0.25, 0, 1])
    (crosses,) = [t for t in figure.data if t.type == "scatter" and t.marker.symbol == "x-thin"]
    assert list(crosses.y) == [2, 4]
    (numbers,) = [t for t in figure.data if t.text is not None]
    assert [i for i, word in enumerate(numbers.text) if "not finite" in word] == [2, 4, 6]


def test_the_chosen_row_is_marked() -> None:
    figure = ledger(chosen=2)
    (band,) = figure.layout.shapes
    assert (band.y0, band.y1) == (2.5, 3.5)
    assert figure.layout.yaxis.ticktext[3] == "<b>global affine</b>"
    assert not ledger(chosen=None).layout.shapes


def test_long_titles_leave_room_for_the_bars_and_stand_whole_in_the_hover() -> None:
    long = ["the permutation that comes before the split", *["a<b>&" + "c" * 40] * 4]
    figure = ledger(titles=long)
    assert figure.layout.margin.l <= 150  # of 330
    assert ledger(titles=["t"] * 5).layout.margin.l < 0.6 * figure.layout.margin.l
    (bars,) = [t for t in figure.data if t.type == "bar"]
    assert bars.customdata[0][0] == long[0]
    assert bars.customdata[1][0].startswith("a&lt;b&gt;&amp;ccc")


def test_the_ledgers_axis_moves_by_leaps() -> None:
    """While a probe carries the sum through one nat, the axis stands still most of the time, in view of all of it."""
    ranges = [ledger(first=first).layout.xaxis.range for first in np.linspace(-2, -1, 400)]
    assert len(set(ranges)) < 25
    lengths = {round(high - low, 6) for low, high in ranges}
    assert max(lengths) <= 1.5 * min(lengths)


# ---------------------------------------------------------------------- small maps


def decoded(trace: go.Heatmap, low: float, high: float) -> np.ndarray:
    return low + np.asarray(trace.z, dtype=float) / LEVELS * (high - low)


def test_log_det_maps_decode_to_the_fields_within_half_a_level() -> None:
    figure = log_det_fields(FIELDS, TITLES[:3], EXTENT, span=2.0)
    scale = log_det_scale(2.0)
    assert scale[:3] == ("log-det, nats", -2.0, 2.0)
    assert len(figure.data) == 3
    for trace, field in zip(figure.data, FIELDS, strict=True):
        assert trace.z.dtype == np.uint8
        error = np.abs(decoded(trace, scale.low, scale.high) - np.clip(field, -2, 2))
        assert error.max() <= 0.5001 * 4 / LEVELS
        assert (trace.y0, trace.dy) == (pytest.approx(-2 + 0.6), pytest.approx(1.2))
        assert (trace.x0, trace.dx) == (pytest.approx(-3 + 0.5), pytest.approx(1.0))


def test_zero_is_white_and_the_ends_of_the_scale_are_reached() -> None:
    (zero,) = log_det_fields(np.zeros((1, 2, 2)), ["none"], EXTENT, span=0.7).data
    share = float(zero.z[0, 0]) / zero.zmax
    stops = dict(zero.colorscale)
    assert stops[min(stops, key=lambda s: abs(s - share))] == "#ffffff"
    assert min(abs(s - share) for s in stops) < 1e-9
    (full,) = log_det_fields(np.full((1, 2, 2), 9.0), ["all"], EXTENT, span=0.7).data
    assert float(full.z[0, 0]) == LEVELS


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (3, 1, 3), (4, 1, 4), (5, 2, 3), (8, 2, 4), (9, 3, 3)])
def test_small_maps_wrap_and_do_not_overlap(n: int, rows: int, columns: int) -> None:
    figure = log_det_fields(np.zeros((n, 3, 3)), [f"step {i}" for i in range(n)], EXTENT, span=1.0)
    places = []
    for i in range(n):
        name = str(i + 1) if i else ""
        x, y = figure.layout[f"xaxis{name}"], figure.layout[f"yaxis{name}"]
        assert (y.scaleanchor, figure.data[i].xaxis) == (f"x{name}", f"x{name}")
        places.append((tuple(x.domain), tuple(y.domain)))
    assert (len({x for x, _ in places}), len({y for _, y in places})) == (columns, rows)
    assert len(set(places)) == n
    for axis in (0, 1):
        domains = sorted({place[axis] for place in places})
        assert all(a[1] < b[0] for a, b in itertools.pairwise(domains))
        assert domains[0][0] >= 0
        assert domains[-1][1] <= 1
    assert words(figure) == [f"step {i}" for i in range(n)]


def test_error_maps_share_one_logarithmic_scale() -> None:
    figure = round_trip_maps(ERRORS, ERRORS * 1e-9, EXTENT)
    scale = error_scale()
    assert (scale.low, scale.high) == (-17, 0)
    for trace, errors in zip(figure.data, (ERRORS, ERRORS * 1e-9), strict=True):
        expected = np.clip(np.log10(errors), -17, 0)
        assert np.abs(decoded(trace, -17, 0) - expected).max() <= 0.5001 * 17 / LEVELS
        np.testing.assert_allclose(trace.customdata, errors, rtol=1e-6)
    assert words(figure) == ["<b>float32</b>", "<b>float64</b>"]
    assert np.asarray(round_trip_maps(0 * ERRORS, ERRORS, EXTENT).data[0].z).max() == 0  # exact: the least


def test_cells_without_a_value_have_their_own_colour_hatching_and_count() -> None:
    errors = ERRORS.copy()
    errors[1, 2], errors[4, 0] = np.nan, np.inf
    figure = round_trip_maps(errors, ERRORS, EXTENT)
    first, second = figure.data
    assert np.argwhere(np.asarray(first.z) > LEVELS).tolist() == [[1, 2], [4, 0]]
    assert first.colorscale[-1] == (1.0, BROKEN)
    assert first.colorscale[-2] == (pytest.approx(LEVELS / 255), BROKEN)
    assert BROKEN not in [colour for share, colour in first.colorscale if share < LEVELS / 255]
    assert np.asarray(second.z).max() <= LEVELS
    (hatching,) = figure.layout.shapes
    assert hatching.path.count("M") == 2
    assert hatching.path.startswith("M-1,-1L0,0")  # the cell in row 1, column 2 of EXTENT
    assert words(figure)[0].endswith("2 of 36 not finite")


# ---------------------------------------------------------------------- errors over depth


def test_errors_over_depth_are_the_values_given_with_a_line_at_visible() -> None:
    figure = error_by_depth(DEPTH, 1e-7 * DEPTH, 1e-16 * DEPTH, at=8)
    for name, unit in (("float32", 1e-7), ("float64", 1e-16)):
        np.testing.assert_allclose(named(figure, name).y, unit * DEPTH, rtol=1e-5)
        np.testing.assert_array_equal(named(figure, name).x, DEPTH)
    assert figure.layout.yaxis.type == "log"
    (visible,) = [t for t in figure.data if t.mode == "lines" and t.line.dash == "dot"]
    assert list(visible.y) == [1e-3, 1e-3]
    assert words(figure) == ["visible"]
    (hair,) = figure.layout.shapes
    assert (hair.x0, hair.x1) == (8, 8)


def test_errors_that_are_not_finite_are_crosses_at_the_top() -> None:
    worst = 1e-7 * DEPTH
    worst[-2:] = np.nan, np.inf
    figure = error_by_depth(DEPTH, worst, 1e-16 * DEPTH, at=8)
    (crosses,) = [t for t in figure.data if t.mode == "markers"]
    assert list(crosses.x) == [64, 128]
    low, high = figure.layout.yaxis.range
    assert (math.log10(crosses.y[0]) - low) / (high - low) > 0.9
    assert "broken" in words(figure)
    assert np.isnan(named(figure, "float32").y[-2:]).all()


@pytest.mark.parametrize(("depth", "kind"), [(np.arange(1, 33), "linear"), (DEPTH, "log"), (np.array([3]), "linear")])
def test_depths_stand_evenly(depth: np.ndarray, kind: str) -> None:
    axis = error_by_depth(depth, 1e-7 * depth, 1e-16 * depth, at=1).layout.xaxis
    assert axis.type == kind
    assert set(axis.tickvals) <= set(depth.tolist())
    assert len(axis.tickvals) <= 8
    ends = [10**v for v in axis.range] if kind == "log" else axis.range
    assert ends[0] < depth.min()
    assert ends[1] > depth.max() or len(depth) == 1


# ---------------------------------------------------------------------- P, a slice, the axes


def test_the_letter_shows_turning_and_mirroring() -> None:
    """No rotation and no mirror takes F to itself, and it lies about the origin, within the unit circle."""

    def filled(points: np.ndarray) -> np.ndarray:
        x, y = LETTER_F.T
        x2, y2 = np.roll(x, -1), np.roll(y, -1)
        px, py = points[..., 0, None], points[..., 1, None]
        crosses = ((y > py) != (y2 > py)) & (px < x + (py - y) * (x2 - x) / np.where(y2 == y, 1, y2 - y))
        return crosses.sum(-1) % 2 == 1

    axis = np.linspace(-1, 1, 81)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = filled(points)
    assert np.hypot(*LETTER_F.T).max() < 1
    assert np.abs(points[inside].mean(axis=0)).max() < 0.2
    for degrees in range(0, 360, 15):
        a = math.radians(degrees)
        turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
        for matrix in (turn, turn @ np.diag([1, -1])):
            same = filled(points @ matrix) == inside
            assert same.all() == np.allclose(matrix, np.eye(2))
    assert not LETTER_F.flags.writeable


@pytest.mark.parametrize("mirrored", [False, True], ids=["turned", "mirrored"])
def test_the_image_that_is_drawn_is_the_one_given(mirrored: bool) -> None:
    image = LETTER_F @ np.array([[0.6, -0.8], [0.8, 0.6]])
    figure = permutation_picture(LETTER_F, image, ACROSS, mirrored=mirrored)
    for name, corners in (("before", LETTER_F), ("after P", image)):
        trace = named(figure, name)
        drawn = np.stack([trace.x, trace.y], axis=1)
        np.testing.assert_allclose(drawn[:-1], corners, atol=1e-6)
        np.testing.assert_array_equal(drawn[-1], drawn[0])
    assert (named(figure, "after P").fillpattern.shape == "/") == mirrored
    assert (figure.layout.yaxis.scaleanchor, figure.layout.yaxis.scaleratio) == ("x", 1)
    assert figure.layout.xaxis.range == figure.layout.yaxis.range


def test_a_mirror_line_is_perpendicular_to_its_normal_and_named() -> None:
    normals = np.array([[1, -1], [2, 1], [0, 1]]) / np.sqrt([[2], [5], [1]])
    figure = permutation_picture(LETTER_F, LETTER_F, normals)
    lines = [t for t in figure.data if t.line.dash == "dash"]
    for line, v in zip(lines, normals, strict=True):
        along = np.array([line.x[1] - line.x[0], line.y[1] - line.y[0]])
        assert abs(along @ v) < 1e-6
        assert np.hypot(*along) > 2
        np.testing.assert_allclose([line.x.sum(), line.y.sum()], 0, atol=1e-6)  # through the origin
    assert words(figure) == ["⊥ v₁", "⊥ v₂", "⊥ v₃"]


@pytest.mark.parametrize(("degrees", "text"), [(38, "+38°"), (-90, "−90°"), (170, "+170°"), (0, "0°")])
def test_a_rotation_shows_its_angle(degrees: float, text: str) -> None:
    figure = permutation_picture(LETTER_F, LETTER_F, np.empty((0, 2)), turned_by=math.radians(degrees))
    assert words(figure) == [text]
    arc = figure.data[-1]
    ends = np.unwrap(np.arctan2(arc.y, arc.x))
    assert ends[-1] - ends[0] == pytest.approx(math.radians(degrees), abs=1e-5)
    assert len([label for label in figure.layout.annotations if label.showarrow]) == (degrees != 0)


def test_an_angle_is_shown_only_where_the_plane_is_turned() -> None:
    none = np.empty((0, 2))
    assert words(permutation_picture(LETTER_F, LETTER_F @ SWAP, none, mirrored=True)) == []
    twice = np.array([[1.0, 0.0], [0.8, 0.6]])
    assert words(permutation_picture(LETTER_F, LETTER_F, twice)) == ["⊥ v₁", "⊥ v₂"]
    assert words(permutation_picture(LETTER_F, LETTER_F, twice, turned_by=1.0)) == ["⊥ v₁", "⊥ v₂", "+57°"]
    assert words(permutation_picture(LETTER_F, LETTER_F, 0 * twice, turned_by=1.0)) == ["+57°"]


def test_a_slice_is_the_line_given_with_a_gaussian_on_each_edge() -> None:
    slope, shift = 1.8, 0.7
    figure = slice_(slope, shift)
    (line,) = [t for t in figure.data if t.line.color == MODEL and t.fill is None]
    np.testing.assert_allclose(line.y, slope * line.x + shift, rtol=1e-5, atol=1e-5)
    going_in, coming_out = named(figure, "x₂, in"), named(figure, "u₂, out")
    left, right = figure.layout.xaxis.range
    bottom, top = figure.layout.yaxis.range
    height, width = going_in.y[:-2] - bottom, coming_out.x[:-2] - left
    for weight, place, mean, std in (
        (height, going_in.x[:-2], 0.0, 1.0),
        (width, coming_out.y[:-2], shift, slope),
    ):
        assert np.average(place, weights=weight) == pytest.approx(mean, abs=0.01)
        assert np.average((place - mean) ** 2, weights=weight) ** 0.5 == pytest.approx(std, rel=0.01)
    assert height.max() < 0.3 * (top - bottom)
    assert width.max() < 0.3 * (right - left)
    assert bottom <= -4


def test_the_axes_of_a_slice_rest_while_the_stretch_changes_a_little() -> None:
    assert slice_(1.6, 0.2).layout.yaxis.range == slice_(1.8, 0.4).layout.yaxis.range
    assert slice_(0.1).layout.yaxis.range == slice_(1.0, 0.0).layout.yaxis.range


def test_shares_of_axes_are_drawn_and_an_axis_left_alone_is_named() -> None:
    active = np.array([[0.0, 1.0], [0.3, 0.7], [0.5, 0.5]])
    figure = transformed_axes(active)
    (image,) = figure.data
    np.testing.assert_allclose(np.asarray(image.z) / image.zmax, active.T, atol=0.5 / LEVELS)
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # x₁ on top
    assert list(figure.layout.yaxis.ticktext) == ["x₁", "x₂"]
    assert words(figure) == []
    for dead in (0, 1):
        alone = np.ones((4, 2))
        alone[:, dead] = 1e-15  # rounding
        figure = transformed_axes(alone)
        assert words(figure) == ["never transformed"]
        (outline,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
        assert outline.y0 < dead < outline.y1
        assert outline.x1 - outline.x0 == 4
