"""A drawing as a density, against plain loops, plain grids, closed forms and its own draws."""

import json
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from aio.targets import TARGETS, Target
from aio.targets import drawing as module
from aio.targets.drawing import Drawing, DrawnTarget, Stroke, from_json, to_json

DRAWS = 20_000
STANDARD_ERRORS = 4
ROOT_2_PI = math.sqrt(2 * math.pi)
LOG_2_PI_E = math.log(2 * math.pi * math.e)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*strokes: tuple) -> DrawnTarget:
    """A target of strokes given as (points, width) or (points, width, colour)."""
    named = [dict(zip(("points", "width", "colour"), stroke, strict=False)) for stroke in strokes]
    return DrawnTarget(Drawing(strokes=[Stroke(**stroke) for stroke in named]))


def scribble(count: int, seed: int = 0, reach: float = 4.0, step: float = 0.3) -> list[tuple[float, float]]:
    steps = np.random.default_rng(seed).normal(0, step, (count, 2))
    return [tuple(point) for point in np.clip(np.cumsum(steps, axis=0), -reach, reach).tolist()]


def circle(radius: float, count: int = 400) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * math.pi, count).tolist()
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


DRAWINGS = {
    "dot": drawn(([(1.0, -2.0)], 0.3)),
    "line": drawn(([(-1.0, 0.0), (1.0, 0.5)], 0.1)),
    "circle": drawn((circle(2.0), 0.1)),
    "scribble": drawn((scribble(150), 0.1)),
    "two-dots": drawn(([(0.0, 0.0)], 0.1, 1), ([(0.3, 0.0)], 0.1, 2)),
    "two-dots-apart": drawn(([(0.0, 0.0)], 0.1), ([(0.6, 0.0)], 0.1)),
    "beads": drawn(*[([(0.1 * i, 0.1 * j)], 0.02) for i in range(10) for j in range(10)]),
    "widths": drawn(([(0.0, 0.0)], 1.0, 3), ([(-2.0, 1.0), (0.5, 0.5), (2.0, -1.0)], 0.05, 0), (scribble(20), 0.2, 3)),
}
each_drawing = pytest.mark.parametrize("target", [pytest.param(t, id=n) for n, t in DRAWINGS.items()])


def gaussians(target: DrawnTarget) -> list[tuple[float, float, float, float, int]]:
    """Weight, mean, width and colour of each Gaussian, by walking along the strokes half a width at a time.

    Each piece of a way has √(2π) times its length times its width of the mass, each end half a dot of density 1.
    """
    found = []
    for stroke in target.drawing.strokes:
        ways = [math.dist(a, b) for a, b in zip(stroke.points, stroke.points[1:], strict=False)]
        for x, y in (stroke.points[0], stroke.points[-1]):
            found.append((math.pi * stroke.width**2, x, y, stroke.width, stroke.colour))
        count = math.ceil(sum(ways) / (stroke.width / 2))
        for i in range(count):
            mass = ROOT_2_PI * stroke.width * sum(ways) / count
            left = (i + 0.5) * sum(ways) / count
            (x, y), k = stroke.points[0], 0
            while k < len(ways) and left > ways[k]:
                left, k = left - ways[k], k + 1
            if k < len(ways) and ways[k] > 0:
                (x, y), (x1, y1) = stroke.points[k], stroke.points[k + 1]
                x, y = x + (x1 - x) * left / ways[k], y + (y1 - y) * left / ways[k]
            found.append((mass, x, y, stroke.width, stroke.colour))
    total = sum(one[0] for one in found)
    return [(mass / total, *rest) for mass, *rest in found]


def plain_log_prob(parts: list, x: float, y: float) -> float:
    exponents = [
        math.log(w / (2 * math.pi * s * s)) - ((x - mx) ** 2 + (y - my) ** 2) / (2 * s * s) for w, mx, my, s, _ in parts
    ]
    return max(exponents) + math.log(math.fsum(math.exp(e - max(exponents)) for e in exponents))


def canvas(target: DrawnTarget, x: float, y: float) -> float:
    """The log density by the canvas's rule, each straight line in closed form, without a Gaussian of the target."""
    density = mass = 0.0
    for stroke in target.drawing.strokes:
        w = stroke.width
        density += sum(math.exp(-(math.dist((x, y), stroke.points[i]) ** 2) / (2 * w**2)) / 2 for i in (0, -1))
        mass += 2 * math.pi * w**2
        for (ax, ay), (bx, by) in zip(stroke.points, stroke.points[1:], strict=False):
            length = math.dist((ax, ay), (bx, by))
            along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length
            across = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
            share = (math.erf(along / w / 2**0.5) - math.erf((along - length) / w / 2**0.5)) / 2
            density += math.exp(-(across**2) / (2 * w**2)) * share
            mass += ROOT_2_PI * w * length
    return math.log(density / mass)


def plain_grid(target: DrawnTarget) -> tuple[np.ndarray, np.ndarray, float]:
    """Ticks and p on a plain grid, a third of the narrowest width apart, and the area of a step."""
    widths = [stroke.width for stroke in target.drawing.strokes]
    xmin, xmax, ymin, ymax = target.extent
    step, margin = min(widths) / 3, 5 * max(widths)
    x, y = np.arange(xmin - margin, xmax + margin, step), np.arange(ymin - margin, ymax + margin, step)
    points = torch.from_numpy(np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2))
    return points.numpy(), target.log_prob(points).numpy(), step**2


# ---- the density ----


@each_drawing
def test_log_prob_matches_a_plain_loop(target):
    parts = gaussians(target)
    assert len(parts) == target.components
    far = 10 * torch.randn(10, 2, generator=generator(1), dtype=torch.float64)
    x = torch.cat([target.sample(30, generator(), torch.float64), far])
    expected = [plain_log_prob(parts, *point) for point in x.tolist()]
    torch.testing.assert_close(target.log_prob(x), torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-9)


@each_drawing
def test_density_integrates_to_one_and_a_plain_grid_gives_its_entropy(target):
    _, log_p, area = plain_grid(target)
    p = np.exp(log_p)
    assert area * p.sum() == pytest.approx(1, abs=1e-6)
    assert target.entropy == pytest.approx(-area * (p * log_p).sum(), abs=1e-5)


@each_drawing
def test_entropy_has_converged(target):
    low, high = target._means.min(axis=0), target._means.max(axis=0)
    margin = 11 * float(target._sigmas.max())  # another box, hence other cells and panels, and twice the nodes
    side = float((high - low).max()) + 2 * margin
    finer = -target._cell((low + high) / 2 - side / 2, side, np.arange(target.components), nodes=16)
    assert target.entropy == pytest.approx(finer, abs=1e-6)


@each_drawing
def test_entropy_matches_a_monte_carlo_estimate(target):
    surprise = -target.log_prob(target.sample(DRAWS, generator(), torch.float64))
    assert abs(float(surprise.mean()) - target.entropy) <= STANDARD_ERRORS * float(surprise.std()) / DRAWS**0.5


@pytest.mark.parametrize("width", [0.02, 0.3, 2.0])
def test_entropy_of_dots_matches_closed_forms(width):
    one = drawn(([(0.5, 0.25)], width))
    assert one.entropy == pytest.approx(LOG_2_PI_E + 2 * math.log(width), abs=1e-6)
    thrice = drawn(([(0.5, 0.25)] * 3, width))
    assert thrice.entropy == one.entropy
    far = 4 * width + 0.01 if width == 2.0 else 9.0
    two = drawn(([(-far, 0.0)], width), ([(far, 0.0)], width))
    assert two.entropy == pytest.approx(one.entropy + math.log(2), abs=1e-6 if width < 2 else 1e-3)


def test_a_circle_is_a_blurred_ring_with_a_dot_where_it_closes():
    ring, corners = TARGETS["four_circles"], [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    target = drawn(*[([(x + a, y + b) for a, b in circle(2.0, 2000)], 0.1) for x, y in corners])
    dots = drawn(*[([(x + 2.0, y)], 0.1) for x, y in corners])
    share = ROOT_2_PI * 0.1 / (ROOT_2_PI * 0.1 + 2 * math.pi * 2.0)
    x = torch.cat([ring.sample(500, generator(), torch.float64), dots.sample(100, generator(), torch.float64)])
    expected = torch.logaddexp(ring.log_prob(x) + math.log(1 - share), dots.log_prob(x) + math.log(share))
    torch.testing.assert_close(target.log_prob(x), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["dot", "circle", "scribble", "widths"])
def test_samples_follow_the_density(name):
    target = DRAWINGS[name]
    points, log_p, area = plain_grid(target)
    low, high = points.min(axis=0), points.max(axis=0)
    step = math.sqrt(area)
    edges = [np.arange(low[i] - step / 2, high[i] + 6 * step, 5 * step) for i in (0, 1)]  # whole steps in a bin
    mass = np.histogram2d(*points.T, bins=edges, weights=area * np.exp(log_p))[0].ravel()
    x = target.sample(DRAWS, generator(), torch.float64).numpy()
    observed = np.histogram2d(*x.T, bins=edges)[0].ravel()
    common = DRAWS * mass >= 20  # within a bin the grid is good to a percent
    expected = np.append(DRAWS * mass[common], DRAWS * (1 - mass[common].sum()))
    observed = np.append(observed[common], DRAWS - observed[common].sum())
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, df=len(expected) - 1) > 1e-3


def test_log_prob_of_what_is_far_or_no_point():
    inf, nan = math.inf, math.nan
    target = DRAWINGS["widths"]
    log_p = target.log_prob(torch.tensor([[nan, 0.0], [inf, 0.0], [1e200, 0.0], [1e4, 1e4]], dtype=torch.float64))
    assert log_p.isnan().tolist() == [True, False, False, False]
    assert log_p[1:3].tolist() == [-inf, -inf]
    assert log_p[3].item() == pytest.approx(plain_log_prob(gaussians(target), 1e4, 1e4), rel=1e-12)


@each_drawing
def test_extent_is_square_and_holds_the_mass(target):
    xmin, xmax, ymin, ymax = target.extent
    assert xmax - xmin == pytest.approx(ymax - ymin)
    x, y = target.sample(DRAWS, generator()).T
    assert float(((x > xmin) & (x < xmax) & (y > ymin) & (y < ymax)).double().mean()) >= 0.999


# ---- weights, classes and limits ----


def test_a_stroke_weighs_its_length_times_its_width_and_a_dot():
    target = drawn(([(0.0, 0.0), (1.0, 0.0)], 0.1, 0), ([(-5.0, 3.0), (-5.0, 5.0), (-6.0, 5.0)], 0.2, 1))
    weights = [float(target._weights[target._colours == c].sum()) for c in (0, 1)]
    masses = [ROOT_2_PI * w * length + 2 * math.pi * w**2 for w, length in ((0.1, 1.0), (0.2, 3.0))]
    assert weights == pytest.approx([mass / sum(masses) for mass in masses])


def test_strokes_of_all_widths_are_equally_dense_along_their_middles_and_so_is_a_dot():
    target = drawn(([(-8.0, -5.0), (8.0, -5.0)], 0.05), ([(-8.0, 5.0), (8.0, 5.0)], 0.6), ([(0.0, 0.0)], 0.3))
    at = [(x, y) for x in np.linspace(-4, 4, 50).tolist() for y in (-5.0, 5.0)] + [(0.0, 0.0)]
    mass = sum(ROOT_2_PI * w * length + 2 * math.pi * w**2 for w, length in ((0.05, 16), (0.6, 16), (0.3, 0)))
    log_p = target.log_prob(torch.tensor(at, dtype=torch.float64))
    assert log_p.tolist() == pytest.approx([-math.log(mass)] * 101, abs=1e-9)


def test_density_is_what_the_canvas_shows():
    zigzag, slope = [(-3.0, -2.0), (0.0, -1.0), (3.0, -2.0)], [(-3.0, 1.0), (3.0, 2.0)]
    target = drawn((zigzag, 0.05), (slope, 0.6), ([(-2.0, -3.0), (-2.0, 3.0)], 0.2, 1), ([(2.0, 0.0)], 0.3))
    x = target.sample(2_000, generator(), torch.float64)
    expected = [canvas(target, *point) for point in x.tolist()]
    assert target.log_prob(x).tolist() == pytest.approx(expected, rel=0, abs=0.02)


def test_a_way_too_short_to_weigh_anything_is_a_dot():
    target, dot = (drawn((points, 0.02)) for points in ([(0.0, 0.0), (5e-324, 0.0)], [(0.0, 0.0)]))
    x = dot.sample(100, generator(), torch.float64)
    torch.testing.assert_close(target.log_prob(x), dot.log_prob(x))
    assert target.entropy == pytest.approx(dot.entropy)


def test_classes_come_with_the_points_of_sample():
    target = DRAWINGS["widths"]
    x, classes = target.sample_classes(DRAWS, generator(), torch.float64)
    assert torch.equal(x, target.sample(DRAWS, generator(), torch.float64))
    assert classes.dtype == torch.int64
    assert target.drawing.colours == (0, 3)
    share = sum(w for w, *_, colour in gaussians(target) if colour == 3)
    assert abs((classes == 3).double().mean().item() - share) < STANDARD_ERRORS * 0.5 / DRAWS**0.5
    log_p = [DrawnTarget(target.drawing.of_colour(c)).log_prob(x) for c in (0, 3)]
    mixture = torch.logaddexp(log_p[0] + math.log(1 - share), log_p[1] + math.log(share))
    torch.testing.assert_close(mixture, target.log_prob(x), rtol=0, atol=1e-9)
    own = torch.where(classes == 3, log_p[1], log_p[0])
    assert (own > -50).all()  # each point lies near a stroke of its class
    assert target.sample_classes(0)[0].shape == (0, 2)
    with pytest.raises(ValueError, match=r"Expected a colour of the drawing, which has 0, 3, got 1\. Draw"):
        target.drawing.of_colour(1)
    with pytest.raises(ValueError, match=r"Expected n >= 0 points, got -1\."):
        target.sample_classes(-1)


def test_long_drawings_have_fewer_gaussians_and_the_same_weights():
    dots = [([(float(i % 30) / 10, float(i // 30) / 10)], 0.02, 1) for i in range(999)]
    target = drawn((scribble(15_000, reach=10.0, step=1.0), 0.02, 0), *dots)
    assert 3_900 <= target.components <= module.MOST_COMPONENTS
    assert np.isclose(target._weights.sum(), 1)
    length = target.drawing.strokes[0].length
    share = 999 * ROOT_2_PI * 0.02 / (1000 * ROOT_2_PI * 0.02 + length)  # all are equally wide
    assert target._weights[target._colours == 1].sum() == pytest.approx(share)
    surprise = -target.log_prob(target.sample(10_000, generator(), torch.float64))
    assert abs(float(surprise.mean()) - target.entropy) <= STANDARD_ERRORS * float(surprise.std()) / 100


# ---- a value among targets ----


def test_a_drawing_is_a_target_and_a_value():
    target = DRAWINGS["widths"]
    assert isinstance(target, Target)
    assert target.name not in TARGETS
    assert all([target.title, target.summary])
    assert target.parameters == ()
    target.entropy  # noqa: B018 -- what is cached must not travel, nor make a difference
    size = len(pickle.dumps(DRAWINGS["scribble"]))
    assert size < 12_000
    copy = pickle.loads(pickle.dumps(target))
    assert copy == target == target.with_parameters() == DrawnTarget(Drawing(strokes=target.drawing.strokes))
    assert hash(copy) == hash(target)
    assert copy != DRAWINGS["dot"]
    assert repr(target) == "DrawnTarget(3 strokes)"
    assert torch.equal(copy.sample(50, generator()), target.sample(50, generator()))
    with pytest.raises(ValidationError):
        target.drawing.strokes[0].width = 0.1
    with pytest.raises(TypeError, match=r"Expected a Drawing, got list\. Make one"):
        DrawnTarget([])


def test_the_same_generator_gives_the_same_draws():
    target = DRAWINGS["line"]
    before = torch.get_rng_state()
    assert torch.equal(target.sample(100, generator(), torch.float32), target.sample(100, generator()).float())
    assert not torch.equal(target.sample(100, generator()), target.sample(100, generator(1)))
    assert torch.equal(torch.get_rng_state(), before)


# ---- the canvas's form ----

numbers = st.floats(-10, 10, allow_subnormal=False)
strokes = st.builds(
    Stroke,
    points=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5),
    width=st.floats(0.02, 2),
    colour=st.integers(0, 7),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(strokes, min_size=1, max_size=4))
def test_json_comes_back_equal_and_any_drawing_is_a_density(given_strokes):
    drawing = Drawing(strokes=given_strokes)
    assert from_json(to_json(drawing)) == drawing
    assert from_json(json.dumps(json.loads(to_json(drawing))).encode()) == drawing
    target = DrawnTarget(drawing)
    assert math.isfinite(target.entropy)
    assert target.log_prob(target.sample(10, generator())).isfinite().all()


def form(**changes: object) -> str:
    stroke = {"points": [[0, 1], [1, 1]], "width": 0.1, "colour": 0} | changes
    return json.dumps({"strokes": [{k: v for k, v in stroke.items() if v != "absent"}]})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Expected a drawing in JSON, got text that breaks off or is not JSON: ''. Save it again."),
        ('{"strokes": [', "breaks off or is not JSON"),
        ("[" * 100_000, "breaks off or is not JSON"),
        ("[]", 'Expected a drawing as an object {"strokes": [...]}, got []. Draw it again.'),
        ("{}", "Expected strokes, got none. Add it."),
        ('{"strokes": []}', "Expected at least one stroke, got an empty drawing. Draw something first."),
        ('{"strokes": 3}', "Expected strokes as a list of strokes, got 3."),
        ('{"strokes": [3]}', 'Expected stroke 0 as an object {"points": ..., "width": ..., "colour": ...}, got 3.'),
        ('{"strokes": [], "title": 1}', "Expected "),
        (form(title=1), "Expected no 'title' of stroke 0, got 1. Take it away."),
        (form(points="absent"), "Expected points of stroke 0, got none. Add it."),
        (form(width="absent"), "Expected width of stroke 0, got none. Add it."),
        (form(points=[]), "Expected 1 to 20,000 points of stroke 0, got none. Draw it again."),
        (form(points=[[0, 0]] * 20_001), "Expected 1 to 20,000 points of stroke 0, got more. Draw it again."),
        (form(points=[0, 1]), "Expected point 0 of stroke 0 as two numbers [x, y], got 0."),
        (form(points=[[0]]), "Expected y of point 0 of stroke 0, got none. Add it."),
        (form(points=[{"x": 1}]), "Expected point 0 of stroke 0 as two numbers [x, y], got {'x': 1}."),
        (form(title={"points": []}), "Expected no 'title' of stroke 0, got {'points': []}."),
        (form(**{"\n" * 500: 1}), "Expected no '\\n"),
        ('{"strokes": {"0": 1}}', "Expected strokes as a list of strokes, got {'0': 1}. Draw it again."),
        ('{"strokes": "\ud800"}', "Expected a drawing as"),
        (form(points=[[0, 1, 2]]), "Expected point 0 of stroke 0 as two numbers [x, y], got [0, 1, 2]."),
        (form(points=[[0, 11]]), "Expected y of point 0 of stroke 0 as a number from -10 to 10, got 11"),
        (form(points=[[True, 1]]), "Expected x of point 0 of stroke 0 as a number from -10 to 10, got True."),
        (form(points=[[0, math.nan]]), "as a number from -10 to 10, got nan."),
        (form(points=[[0, 1]]).replace("1]", "1e999]"), "as a number from -10 to 10, got inf."),
        (form(points=[[0, 1]]).replace("1]", "1" + "0" * 400 + "]"), "as a number from -10 to 10, got 1000"),
        (form(width=0), "Expected width of stroke 0 as a number from 0.02 to 2, got 0"),
        (form(width="0.1"), "Expected width of stroke 0 as a number from 0.02 to 2, got '0.1'."),
        (form(colour=8), "Expected colour of stroke 0 as a whole number from 0 to 7, got 8."),
        (form(colour=1.5), "Expected colour of stroke 0 as a whole number from 0 to 7, got 1.5."),
        (form(colour="x" * 500), "as a whole number from 0 to 7, got 'xxx"),
        (json.dumps({"strokes": [json.loads(form())["strokes"][0]] * 1_001}), "at most 1,000 strokes, got more."),
        (json.dumps({"strokes": [json.loads(form(points=[[0, 0]] * 11_000))["strokes"][0]] * 2}),
         "Expected at most 20,000 points in all, got 22,000. Leave out a stroke."),
        (" " * 2_000_001, "at most 2,000,000 characters, got 2,000,001. Leave out a stroke."),
        (b"\xff\xfe", "breaks off or is not JSON"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_from_json_says_what_it_expected_and_the_mend(text, sentence):
    with pytest.raises(ValueError, match=r"^Expected .*\.$") as caught:
        from_json(text)
    assert type(caught.value) is ValueError
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 200


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_forms_are_drawings_or_a_sentence(data):
    text = form()
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 4)) :]
    try:
        drawing = from_json(text)
    except ValueError as error:
        kind, sentence = type(error), str(error)
    else:
        DrawnTarget(drawing)
        return
    assert kind is ValueError
    assert sentence.startswith("Expected ")
    assert sentence.endswith(".")
