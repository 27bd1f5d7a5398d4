"""The gallery of targets: formulas and words are true, and a card starts a run on its target."""

import base64
import io
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from scipy import ndimage, stats
from streamlit.testing.v1 import AppTest

from aio.config import RunConfig
from aio.figures import readable_scale, thumbnail
from aio.figures.palette import DENSITY
from aio.snapshot import snapshot
from aio.targets import TARGETS, Target
from aio.training import advance, start
from aio.ui.gallery import GROUPS, LETTERS, all_groups, parameters_in_words, picture

SECONDS = 60
REPOSITORY = Path(__file__).parents[1]
DRAWS = 20_000
BINS = 14  # along each side of the viewing box
TAU = 2 * math.pi
WITH_A_BUTTON = "train_on_"

each_target = pytest.mark.parametrize("target", [pytest.param(t, id=n) for n, t in TARGETS.items()])


# ---- the formulas: each written again as the draws, or the density, that it describes ----


def about_curve(rng: np.random.Generator, curve: np.ndarray, sigma: float) -> np.ndarray:
    return curve + sigma * rng.standard_normal(curve.shape)


def around(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def moons(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, math.pi, n)
    other = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return about_curve(rng, np.where(rng.random((n, 1)) < 0.5, around(angle), other), t.noise)


def ring(*radii: float) -> Callable:
    return lambda t, n, rng: about_curve(
        rng, rng.choice(radii, (n, 1)) * around(rng.uniform(0, TAU, n)), t.noise
    )  # fmt: skip


def four_circles(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
    return about_curve(rng, rng.choice([-1, 1], (n, 2)) + t.radius * around(rng.uniform(0, TAU, n)), t.noise)


def eight_gaussians(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
    return about_curve(rng, 4 / 1.414 * around(TAU * rng.integers(1, t.modes + 1, n) / t.modes), t.noise)


def pinwheel(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
    z1, z2 = rng.standard_normal((2, n))
    f = 1 + 0.3 * z1
    theta = TAU * rng.integers(1, t.blades + 1, n) / t.blades + np.exp(f) / 4
    x = 2 * (f + 1j * t.noise * z2) * np.exp(-1j * theta)
    return np.column_stack([x.real, x.imag])


def swissroll(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(1.5 * math.pi, 1.5 * math.pi + TAU * t.turns, n)
    return about_curve(rng, angle[:, None] / 5 * around(angle), t.noise)


def two_spirals(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
    angle = TAU * t.turns * np.sqrt(rng.random(n))
    arm = angle[:, None] / 3 * np.column_stack([-np.cos(angle), np.sin(angle)]) + rng.uniform(0, 1 / 6, (n, 2))
    return about_curve(rng, rng.choice([-1, 1], (n, 1)) * arm, t.noise)


def given(mean: Callable, sigma: Callable, scale: Callable, first: int = 0) -> Callable:
    """One coordinate Gaussian, the other Gaussian given it."""

    def draw(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
        a = scale(t) * rng.standard_normal(n)
        b = mean(t, a) + sigma(t, a) * rng.standard_normal(n)
        return np.column_stack([b, a] if first else [a, b])

    return draw


def band(*branches: tuple[float, Callable, float]) -> Callable:
    """x1 uniform, x2 from one of several (share, mean given x1, width in σ)."""

    def draw(t: Target, n: int, rng: np.random.Generator) -> np.ndarray:
        x1 = rng.uniform(-4, 4, n)
        which = rng.choice(len(branches), n, p=[share for share, *_ in branches])
        mean = np.choose(which, [np.sin(math.pi / 2 * x1) - d(x1) for _, d, _ in branches])
        width = t.noise * np.choose(which, [w for *_, w in branches])
        return np.column_stack([x1, mean + width * rng.standard_normal(n)])

    return draw


def flat(x1: np.ndarray) -> np.ndarray:
    return np.zeros_like(x1)


DRAWN = {
    "moons": moons,
    "circles": ring(1.5, 3),
    "rings": ring(0.75, 1.5, 2.25, 3),
    "four_circles": four_circles,
    "eight_gaussians": eight_gaussians,
    "pinwheel": pinwheel,
    "swissroll": swissroll,
    "two_spirals": two_spirals,
    "crescent": given(lambda t, a: t.bend * a**2 - 1, lambda t, a: t.noise, lambda t: 1),
    "sine_wave": given(lambda t, a: np.sin(t.frequency * a), lambda t, a: t.noise, lambda t: 1),
    "banana": given(lambda t, a: t.bend * a**2, lambda t, a: t.noise, lambda t: 2, first=1),
    "funnel": given(lambda t, a: 0, lambda t, a: np.exp(a / 2), lambda t: t.spread, first=1),
    "u2": band((1, flat, 1)),
    "u3": band((0.5, flat, 1), (0.5, lambda x1: 3 * np.exp(-((x1 - 1) ** 2) / 0.72), 1)),
    "u4": band((8 / 15, flat, 1), (7 / 15, lambda x1: 3 / (1 + np.exp(-(x1 - 1) / 0.3)), 7 / 8)),
}


def checkerboard(t: Target, x: np.ndarray) -> np.ndarray:
    even = np.floor(x / 2).sum(axis=1) % 2 == 0
    return np.where(even & (np.abs(x) <= 4).all(axis=1), 1 / 32, 0)


def corners(t: Target, x: np.ndarray) -> np.ndarray:
    a, b = (np.abs(x) - t.gap).T
    bars = ((a <= 3) & (b <= 1)).astype(int) + ((a <= 1) & (b <= 3))
    return np.where((a >= 0) & (b >= 0), bars / 24, 0)


def u1(t: Target, x: np.ndarray) -> np.ndarray:
    lobes = np.exp(-((x[:, 0] - t.radius) ** 2) / 0.72) + np.exp(-((x[:, 0] + t.radius) ** 2) / 0.72)
    return np.exp(-((np.hypot(*x.T) - t.radius) ** 2) / (2 * t.noise**2)) * lobes


WRITTEN = {"checkerboard": checkerboard, "corners": corners, "u1": u1}


def variants(names: dict) -> list:
    """Each target at its defaults, and with all of its sliders at the low end."""
    return [
        pytest.param(t, id=f"{name}-{which}")
        for name in names
        for which, t in (
            ("default", TARGETS[name]),
            ("least", TARGETS[name].with_parameters(**{p.name: p.minimum for p in TARGETS[name].parameters})),
        )
    ]


def counts(x: np.ndarray, target: Target) -> np.ndarray:
    """Points in each cell of the viewing box, and outside."""
    edges = [np.linspace(*target.extent[i : i + 2], BINS + 1) for i in (0, 2)]
    inside = np.histogram2d(*x.T, bins=edges)[0].ravel()
    return np.append(inside, len(x) - inside.sum())


@pytest.mark.parametrize("target", variants(DRAWN))
def test_draws_as_the_formula_says_follow_the_density(target):
    x = DRAWN[target.name](target, DRAWS, np.random.default_rng(0))
    surprise = -target.log_prob(torch.from_numpy(x)).numpy()
    assert abs(surprise.mean() - target.entropy) <= 4 * surprise.std() / math.sqrt(DRAWS)
    ours = counts(x, target)
    theirs = counts(target.sample(DRAWS, torch.Generator().manual_seed(0), torch.float64).numpy(), target)
    common = ours + theirs >= 10
    statistic = ((ours - theirs)[common] ** 2 / (ours + theirs)[common]).sum()
    assert stats.chi2.sf(statistic, df=common.sum() - 1) > 1e-3


@pytest.mark.parametrize("target", variants(WRITTEN))
def test_the_formula_of_a_density_is_its_density(target):
    xmin, xmax, ymin, ymax = target.extent
    x = np.random.default_rng(0).uniform((xmin, ymin), (xmax, ymax), (DRAWS, 2))
    p, formula = np.exp(target.log_prob(torch.from_numpy(x)).numpy()), WRITTEN[target.name](target, x)
    if "propto" in target.formula:
        formula *= p.sum() / formula.sum()
    np.testing.assert_allclose(formula, p, rtol=1e-9, atol=1e-12)


def test_every_formula_was_written_again():
    assert DRAWN.keys() | WRITTEN.keys() == TARGETS.keys()


@each_target
def test_every_parameter_stands_in_the_formula_by_its_letter(target):
    macros = {"σ": r"\sigma", "ω": r"\omega"}
    for parameter in target.parameters:
        letter = LETTERS[parameter.name]
        written = macros.get(letter) or rf"(?<![a-z\\]){letter}(?![a-z])"
        assert re.search(re.escape(written) if letter in macros else written, target.formula), parameter.name


# ---- the words ----


def peaks(target: Target, start: tuple[float, float], angle: float) -> int:
    """How many peaks p has along a line, of at least a fifth of the highest."""
    way = np.linspace(-1, 1, 4001)[:, None] * (target.extent[1] - target.extent[0])
    p = np.exp(target.log_prob(torch.from_numpy(np.array(start) + way * around(np.array(angle)))).numpy())
    return int(((p[1:-1] > p[:-2]) & (p[1:-1] > p[2:]) & (p[1:-1] > p.max() / 5)).sum())


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("banana", -1.0, 1), ("banana", 4.0, 2), ("u4", -1.0, 1), ("u4", 3.0, 2), ("rings", 0.0, 8),
        ("u3", -1.0, 1), ("u3", 1.0, 2), ("u3", 3.0, 1), ("pinwheel", 0.0, 2), ("eight_gaussians", 2.0, 2),
    ],
)  # fmt: skip
def test_a_column_holds_as_many_peaks_as_the_card_says(name, column, expected):
    assert peaks(TARGETS[name], (column, 0.0), math.pi / 2) == expected


@pytest.mark.parametrize(("name", "expected"), [("swissroll", 3), ("two_spirals", 6)])
@pytest.mark.parametrize("angle", [1.8, 2.0])
def test_a_line_through_the_middle_meets_each_strip_at_every_half_turn(name, expected, angle):
    assert expected == {"swissroll": 1, "two_spirals": 2}[name] * round(2 * TARGETS[name].turns)
    assert peaks(TARGETS[name], (0.0, 0.0), angle) == expected


@pytest.mark.parametrize("name", ["crescent", "banana", "sine_wave"])
def test_a_shift_alone_straightens_what_is_said_to_be_one_shift_away(name):
    """One coupling with s = 0: the density of a Gaussian without correlation, at the shifted point."""
    t = TARGETS[name]
    x = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = x[:, t.first].numpy()
    shift = {"crescent": 0.5 * a**2 - 1, "banana": 0.25 * a**2, "sine_wave": np.sin(5 * a)}[name]
    b = x[:, 1 - t.first].numpy() - shift
    straight = stats.norm.logpdf(a, scale=t.scale) + stats.norm.logpdf(b, scale=t.noise)
    np.testing.assert_allclose(t.log_prob(x), straight, rtol=1e-10)


def test_four_circles_enclose_thirteen_cells():
    side = np.linspace(-4, 4, 1601)
    x, y = np.meshgrid(side, side)
    within = [np.hypot(x - a, y - b) < TARGETS["four_circles"].radius for a in (-1, 1) for b in (-1, 1)]
    code = sum(inside.astype(int) << i for i, inside in enumerate(within))
    cells = sum(ndimage.label(code == c)[1] for c in range(1, 16))
    holes = ndimage.label(code == 0)[1] - 1  # but for what lies outside
    assert cells + holes == 13


def kl_after(name: str, steps: int) -> float:
    config = RunConfig().changed_at(("data", "target"), name).changed_at(("data", "points"), 2_000)
    return snapshot(advance(start(config), steps)).evaluation.kl


def test_from_easy_to_hard():
    firsts = [kl_after(next(iter(group.words)), 150) for group in (GROUPS[0], GROUPS[-1])]
    last = kl_after(list(GROUPS[-1].words)[-1], 150)
    assert firsts[0] < firsts[1] < last


def test_every_target_stands_in_one_group():
    placed = [name for group in GROUPS for name in group.words]
    assert sorted(placed) == sorted(TARGETS)
    assert all_groups() == GROUPS


def test_a_target_of_no_group_is_shown_too(monkeypatch):
    monkeypatch.setattr("aio.ui.gallery.GROUPS", GROUPS[1:])
    assert set(all_groups()[-1].words) == set(GROUPS[0].words)


# ---- the pictures ----


def pixels(address: str) -> np.ndarray:
    kind, _, data = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def colour(name: str) -> list[int]:
    return [int(name[i : i + 2], 16) for i in (1, 3, 5)]


def test_a_picture_has_the_colours_of_the_density_and_its_rows_from_the_top():
    image = pixels(thumbnail(np.log(np.array([[0.5, 0.0], [0.25, 1.0]]) + 1e-300)))
    assert image[0, 1].tolist() == colour(DENSITY[-1][1])
    assert image[1, 1].tolist() == colour(DENSITY[0][1])
    assert image[1, 0].sum() > image[0, 0].sum() > image[1, 1].sum()


def test_a_density_without_bounds_below_can_be_drawn():
    log_p = np.full((8, 8), -np.inf)
    log_p[2, 3] = 0.0
    for scale in ("linear", "log"):
        assert pixels(thumbnail(log_p, scale)).shape == (8, 8, 3)


def test_only_the_funnel_needs_a_logarithmic_scale():
    assert [name for name, target in TARGETS.items() if picture(target)[1] == "log"] == ["funnel"]
    assert readable_scale(np.zeros((4, 4))) == "linear"


def test_hard_edges_are_sharp():
    board = pixels(picture(TARGETS["checkerboard"])[0])
    assert len(np.unique(board.reshape(-1, 3), axis=0)) == 2
    filled = (board == colour(DENSITY[-1][1])).all(axis=2).mean()
    assert filled == pytest.approx(32 / 8.8**2, rel=1e-12)


def test_a_picture_is_computed_once():
    target = TARGETS["rings"].with_parameters(noise=0.1)
    assert picture(target) is picture(TARGETS["rings"].with_parameters(noise=0.1))
    assert picture(target) != picture(TARGETS["circles"].with_parameters(noise=0.1))


# ---- the page ----


@pytest.fixture(autouse=True)
def a_new_visitor(monkeypatch) -> Iterator[None]:
    """AppTest gives every visitor the same session: forget what the last one left."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def open_gallery(**query: str) -> AppTest:
    app = AppTest.from_file(REPOSITORY / "app.py", default_timeout=SECONDS)
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page("pages/targets.py").run()


def pause(app: AppTest) -> None:
    """Once training is under way."""
    deadline = time.monotonic() + SECONDS
    while app.button(key="train").label != "Pause":
        assert time.monotonic() < deadline
        app.switch_page("pages/train.py").run()  # AppTest itself stays on the page that was left
    app.button(key="train").click().run()


def test_one_card_for_each_target_with_its_entropy_formula_and_words():
    app = open_gallery()
    assert not app.exception
    buttons = [b.key.removeprefix(WITH_A_BUTTON) for b in app.button if b.key.startswith(WITH_A_BUTTON)]
    assert sorted(buttons) == sorted(TARGETS)
    heads = [h.proto.body for h in app.get("html") if 'class="plate"' in h.proto.body]
    hard = [h.proto.body for h in app.get("html") if 'class="hard"' in h.proto.body]
    images = [image.proto.imgs[0] for image in app.get("image")]
    assert len(heads) == len(hard) == len(images) == len(TARGETS)
    for name, head, words, formula, image in zip(buttons, heads, hard, app.latex, images, strict=True):
        target = TARGETS[name]
        assert f"<h3>{target.title}</h3>" in head
        assert f"H(p) = <b>{target.entropy:.4f}</b> nats" in head
        assert parameters_in_words(target) in head
        assert target.formula in formula.value
        assert target.hard in words
        assert image.url == picture(target)[0]


def test_train_on_it_takes_the_target_with_its_own_parameters_and_leaves_the_rest():
    app = open_gallery(target="rings", noise="0.2", alpha="1.5", points="300")
    app.button(key="train_on_moons").click().run()
    assert not app.exception
    assert app.selectbox(key="target").value == "moons"
    assert app.slider(key="noise").value == pytest.approx(TARGETS["moons"].noise)
    assert app.slider(key="alpha").value == pytest.approx(1.5)
    assert not app.info  # nothing waits for a reset
    pause(app)


def test_train_on_it_again_starts_afresh_from_the_defaults():
    app = open_gallery(target="moons", noise="0.3", points="300")
    app.button(key="train_on_moons").click().run()
    assert app.slider(key="noise").value == pytest.approx(TARGETS["moons"].noise)
    pause(app)
