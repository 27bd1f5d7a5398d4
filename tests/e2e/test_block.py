"""The Block page, as a visitor uses it."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from safetensors.numpy import load_file

from aio.inspection import DISAGREEMENTS, square_grid
from aio.inspection.opened import GRID_REACH, GRID_VERTICES
from aio.presets import STATEMENTS
from aio.ui.sections import SECTION_NAMES
from aio.ui.take_away import LIBRARIES

APP = "app.py"
SMALL = "width=8&depth=1&points=300"  # a flow that costs little
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MARGIN = {"left": 30, "top": 6}  # of the stage's picture, as in draw.js
ROOM = 26  # of its axes
# The section of each control by hand, by the word after `hand_`.
SECTION_OF = {"s": "conditioner", "t": "conditioner", "alpha": "conditioner", "dialect": "conditioner",
              "gin": "conditioner", "angle": "permutation", "reverse": "permutation", "mirrors": "permutation",
              "v": "permutation", "g": "scale", "o": "scale"}  # fmt: skip
CONDITIONER_FIGURES = ("curves", "clamp", "slice")
PICTURES = ".st-key-film canvas, .st-key-stage canvas"
LEARNED_MS = 60_000
GRID = square_grid(GRID_REACH, GRID_VERTICES).numpy()
# The middle of a slider's thumb, and the left end and width of its track.
PLACE_OF_THUMB = """(input) => {
  const thumb = input.closest('[style*="left"]'), at = thumb.getBoundingClientRect();
  const track = thumb.parentElement.getBoundingClientRect();
  return [at.x + at.width / 2, at.y + at.height / 2, track.x, track.width];
}"""
AT_REST = "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"


# ---------------------------------------------------------------------- the page in a test's hands


@pytest.fixture
def open_block(serve, page, wait_for_frame):
    """`open_block(query) -> Page`: the Block page at rest, as it was drawn unless the opening curves are wanted."""

    def open_block(query: str = "blocks=1", *, by_hand: bool = False, on: Page = page) -> Page:
        on.goto(f"{serve(APP)}/block?{SMALL}&{query}")
        arrived(on, wait_for_frame)
        if not by_hand:
            press(on, "undo_by_hand")
            expect(button(on, "undo_by_hand").and_(on.locator(":enabled"))).to_have_count(0)
            rest(on)
        return on

    return open_block


def arrived(page: Page, wait_for_frame) -> None:
    for root in (strip(page), stage(page), formula(page)):
        root.wait_for(state="attached")
    rest(page)
    for root in (strip(page), stage(page)):
        root.scroll_into_view_if_needed()
        wait_for_frame(page, root, 1)
    page.evaluate("scrollTo(0, 0)")


def rest(page: Page) -> None:
    """Wait until the script has run and the stage stands still."""
    page.wait_for_timeout(60)  # until what was just done has reached the server
    page.wait_for_function(AT_REST)


def strip(page: Page) -> Locator:
    return page.locator(".st-key-film .film-strip")


def stage(page: Page) -> Locator:
    return page.locator(".st-key-stage .film-stage")


def formula(page: Page) -> Locator:
    return page.locator(".st-key-formula .formula")


def line(page: Page, name: str) -> Locator:
    return formula(page).locator(f".formula-line[data-stage={name}]").first


def ledger(page: Page) -> Locator:
    """The numbers beside the waterfall."""
    return section(page, "formula").locator("table.sums")


def figure(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} .live-figure")


def section(page: Page, name: str) -> Locator:
    return page.locator(f".st-key-section_{name}")


def button(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} button:visible")


def statement(page: Page, number: int) -> Locator:
    return page.locator(".st-key-statement button").nth(number - 1)


def box(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} input")


def draws(root: Locator) -> int:
    return int(root.get_attribute("data-frame"))


def probe(page: Page) -> np.ndarray:
    return np.array([float(number) for number in stage(page).get_attribute("data-probe").split(",")])


def typed(page: Page) -> np.ndarray:
    return np.array([float(box(page, f"probe_{i}").input_value()) for i in (1, 2)])


def positions(page: Page) -> np.ndarray:
    """The vertices of the grid that stand on the stage."""
    return np.array(stage(page).evaluate("(root) => [...root.positions()]")).reshape(-1, 2)


def press(page: Page, key: str) -> None:
    button(page, key).first.click()
    rest(page)


def choose(page: Page, key: str, label: str) -> None:
    """Choose in a segmented control, or among pills."""
    bring(page, key)
    page.locator(f".st-key-{key}").get_by_role("radio", name=label, exact=True).click()
    rest(page)


def select(page: Page, key: str, label: str) -> None:
    """Choose in a select box."""
    bring(page, key)
    box(page, key).scroll_into_view_if_needed()
    page.wait_for_timeout(200)  # a list closes when the page scrolls below it
    box(page, key).click()
    page.get_by_role("option", name=label, exact=True).click()
    rest(page)


def switch(page: Page, key: str) -> None:
    bring(page, key)
    page.locator(f".st-key-{key} label").first.click()
    rest(page)


def slider(page: Page, key: str) -> Locator:
    """What of a slider has its value and takes keys."""
    return page.locator(f".st-key-{key} input[type=range]")


def slide(page: Page, key: str, value: float) -> float:
    """Move a slider there."""
    bring(page, key)
    thumb = slider(page, key)
    step = float(thumb.get_attribute("step"))
    back = value - step < float(thumb.get_attribute("min"))
    thumb.fill(f"{value + step if back else value - step:.6g}")  # told to the server only with the key that follows
    thumb.press("ArrowLeft" if back else "ArrowRight")
    page.wait_for_timeout(250)  # sliders tell the server a little later
    rest(page)
    assert float(thumb.input_value()) == pytest.approx(value)
    return value


def grab(page: Page, key: str) -> Callable[[float], float]:
    """Take a slider's thumb with the mouse; what is returned moves it to a value's place, and says where it stands."""
    thumb = slider(page, key)
    x, y, left, width = thumb.evaluate(PLACE_OF_THUMB)
    low, high = (float(thumb.get_attribute(end)) for end in ("min", "max"))
    page.mouse.move(x, y)
    page.mouse.down()

    def move(value: float) -> float:
        page.mouse.move(left + width * (value - low) / (high - low), y)
        return float(thumb.input_value())

    return move


def bring(page: Page, key: str) -> None:
    """Open the section of a control by hand, unless it is on the page."""
    if key.startswith("hand_") and not page.locator(f".st-key-{key}").count():
        go_to(page, SECTION_OF[key.split("_")[1].rstrip("12")])


def go_to(page: Page, name: str) -> None:
    """Open a section."""
    choose(page, "open_section", SECTION_NAMES[name])
    section(page, name).wait_for()
    expect(page.locator("[class*='st-key-section_']")).to_have_count(1)  # one at a time


def read(page: Page, name: str) -> str:
    """A line of the formula."""
    go_to(page, "formula")
    return line(page, name).inner_text()


def look_at(page: Page, name: str) -> None:
    """Choose a frame: by its line of the formula where that is on the page, else in the strip."""
    if name == "input":
        strip(page).get_by_role("radio", checked=True).press("Home")
    elif formula(page).count():
        line(page, name).get_by_role("button").click()
    else:
        title = "scale and offset" if name == "global_affine" else name.replace("_", "-")
        strip(page).get_by_role("radio", name=re.compile(f"^{title}\\.")).click()
    arrive(page, name)


def arrive(page: Page, name: str) -> None:
    """Wait until a frame is shown wherever frames are."""
    for root in (strip(page), stage(page), *formula(page).all()):
        expect(root).to_have_attribute("data-chosen", name)
    expect(stage(page)).to_have_attribute("data-position", re.compile(r"^\d+$"))
    rest(page)


def stands(page: Page, expected: np.ndarray) -> None:
    """Wait until the stage shows the grid there. It is drawn while it is in sight."""
    stage(page).locator("canvas").scroll_into_view_if_needed()
    for _ in range(20):
        if np.allclose(positions(page), expected, atol=2e-3):
            return
        page.wait_for_timeout(100)
    np.testing.assert_allclose(positions(page), expected, atol=2e-3)


def mounts(page: Page, mount_count) -> tuple[int, int]:
    """How many canvases and charts there have been; for as long as one section is open."""
    return mount_count(page, "canvas"), mount_count(page, ".js-plotly-plot")


def pixel(page: Page, place: np.ndarray) -> tuple[float, float]:
    """Where a place of the plane is on the screen."""
    canvas = stage(page).locator("canvas").bounding_box()
    handle = page.locator(".film-stage-handle")
    reach = float(handle.get_attribute("aria-valuemax"))
    unit = (canvas["width"] - ROOM - 10) / (2 * reach)
    return canvas["x"] + MARGIN["left"] + (place[0] + reach) * unit, canvas["y"] + MARGIN["top"] + (
        reach - place[1]
    ) * unit


def drag(page: Page, target: tuple[float, float], steps: int = 12) -> None:
    page.mouse.move(*pixel(page, probe(page)))
    page.mouse.down()
    for place in np.linspace(probe(page), target, steps):
        page.mouse.move(*pixel(page, place))
        page.wait_for_timeout(16)
    page.mouse.up()
    rest(page)


def rotation(degrees: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]])


def mirror(degrees: float) -> np.ndarray:
    """The mirror whose vector points there."""
    v = rotation(degrees)[:, 0]
    return np.eye(2) - 2 * np.outer(v, v)


def faults(page: Page) -> list[tuple]:
    found = Axe().run(page).response["violations"]
    return [(fault["id"], [(n["target"], n["failureSummary"]) for n in fault["nodes"]][:3]) for fault in found]


# ---------------------------------------------------------------------- film, stage, formula, source


def test_a_frame_is_chosen_in_strip_stage_or_formula_and_all_follow(open_block, mount_count):
    page = open_block("blocks=2&mirrors=1")
    pictures = mount_count(page, PICTURES)
    seen(page, "ledger")
    before = mounts(page, mount_count)
    radios = strip(page).get_by_role("radio")
    index = int(stage(page).get_attribute("data-position"))
    radios.nth(index + 1).click()
    arrive(page, "global_affine")
    page.keyboard.press("ArrowRight")
    arrive(page, "mirror_1")
    page.keyboard.press("Home")
    arrive(page, "input")
    stage(page).locator("input[type=range]").focus()
    page.keyboard.press("End")
    arrive(page, "output")
    expect(radios.last).to_have_attribute("aria-checked", "true")

    summary = page.locator(".st-key-source summary")
    summary.click()
    code = page.locator(".st-key-source code").last
    target = line(page, "subnet")
    target.scroll_into_view_if_needed()
    target.hover()
    expect(summary).to_contain_text("log_scale_and_shift")
    named = summary.locator("code").first.inner_text().rpartition(".")[2]
    expect(code).to_contain_text(f"def {named}")
    rest(page)
    expect(strip(page)).to_have_attribute("data-chosen", "output")  # pointing chooses nothing
    line(page, "coupling").get_by_role("button").click()
    arrive(page, "coupling")
    expect(code).to_contain_text("def _affine")
    expect(page.locator(".st-key-source details")).to_have_attribute("open", "")  # a new name closes nothing
    page.mouse.move(5, 5)
    radios.nth(-2).click()
    arrive(page, "permutation")
    expect(code).not_to_contain_text("def _affine")  # what is looked at is what is read
    assert mounts(page, mount_count) == before

    go_to(page, "conditioner")
    for key in CONDITIONER_FIGURES:
        seen(page, key)
    before = mounts(page, mount_count)
    look_at(page, "coupling")
    assert mounts(page, mount_count) == before
    go_to(page, "formula")
    arrive(page, "coupling")
    assert mount_count(page, PICTURES) == pictures


def test_the_probe_is_dragged_typed_and_followed(open_block, mount_count, wait_for_frame):
    page = open_block("blocks=2", by_hand=True)
    seen(page, "ledger")
    before = mounts(page, mount_count)
    films = draws(strip(page))
    look_at(page, "input")
    np.testing.assert_allclose(typed(page), probe(page), atol=1e-3)
    numbers, sums = line(page, "coupling").locator(".formula-numbers"), ledger(page).inner_text()
    coupled, pictures = numbers.inner_text(), seen(page, "ledger")
    stage(page).scroll_into_view_if_needed()
    drag(page, (-1.2, 1.4))
    np.testing.assert_allclose(probe(page), (-1.2, 1.4), atol=0.06)
    page.wait_for_function(
        "(place) => Math.abs(document.querySelector('.st-key-probe_1 input').value - place) < 2e-3",
        arg=probe(page)[0],
    )
    np.testing.assert_allclose(typed(page), probe(page), atol=1e-3)
    expect(numbers).not_to_have_text(coupled)
    assert ledger(page).inner_text() != sums
    assert draws(strip(page)) == films  # the film is the same
    seen(page, "ledger", pictures)

    box(page, "probe_1").fill("0.5")
    box(page, "probe_1").press("Enter")
    rest(page)
    page.wait_for_function("root => root.dataset.probe.startsWith('0.5000,')", arg=stage(page).element_handle())
    for name, key, step in (("coupling", "ArrowUp", (0, 0.05)), ("output", "ArrowRight", (0.05, 0))):
        look_at(page, name)
        at = probe(page)
        page.locator(".film-stage-handle").focus()
        page.keyboard.press(key)
        rest(page)
        page.wait_for_timeout(300)
        np.testing.assert_allclose(probe(page), at + step, atol=2e-3)  # Python took it back through the block, and on
    assert mounts(page, mount_count) == before

    go_to(page, "conditioner")
    drawn = {key: seen(page, key) for key in CONDITIONER_FIGURES}
    before = mounts(page, mount_count)
    look_at(page, "input")
    drag(page, (0.7, -0.6))
    for key in CONDITIONER_FIGURES:
        seen(page, key, drawn[key])
    assert mounts(page, mount_count) == before


def test_a_probe_taken_far_away_is_no_error(open_block):
    """What is dragged where the block squeezes by e^−10 comes from far away."""
    page = open_block()
    select(page, "hand_s", "constant")
    slide(page, "hand_s_level", -5)
    slide(page, "hand_alpha", 10)
    look_at(page, "coupling")
    page.evaluate("scrollTo(0, 0)")
    drag(page, (0.5, 2.5))
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert np.isfinite(probe(page)).all()
    drag(page, (0.5, 0.0), steps=4)
    expect(page.get_by_test_id("stException")).to_have_count(0)


# ---------------------------------------------------------------------- what is open


def test_the_toolbar_moves_what_it_says(open_block, mount_count):
    page = open_block("blocks=2")
    seen(page, "ledger")
    before = mounts(page, mount_count)
    look_at(page, "permutation")
    numbers, first = line(page, "permutation"), positions(page)
    films, stages, text = draws(strip(page)), draws(stage(page)), numbers.inner_text()

    switch(page, "open_displacement")
    page.wait_for_function("([n, k]) => Number(n.dataset.frame) > k", arg=[stage(page).element_handle(), stages])
    assert draws(strip(page)) == films  # paths are the stage's alone
    choose(page, "open_colour", page.locator(".st-key-open_colour").get_by_role("radio").nth(1).inner_text())
    films = grown(strip(page), films)
    np.testing.assert_allclose(positions(page), first)
    choose(page, "open_points", "Base")
    films = grown(strip(page), films)
    np.testing.assert_allclose(positions(page), first)  # the grid stays, the points are others
    box(page, "open_index").fill("2")
    box(page, "open_index").press("Enter")
    films = grown(strip(page), films)
    expect(numbers).not_to_have_text(text)
    assert not np.allclose(positions(page), first, atol=1e-3)
    choose(page, "open_rev", "Inverse")
    films = grown(strip(page), films)
    order = formula(page).locator(".formula-line").evaluate_all("(all) => all.map((node) => node.dataset.stage)")
    assert order.index("permutation") < order.index("global_affine") < order.index("coupling")
    assert page.locator("canvas").count() == before[0]
    assert mounts(page, mount_count) == before


def grown(root: Locator, before: int) -> int:
    root.page.wait_for_function("([n, k]) => Number(n.dataset.frame) > k", arg=[root.element_handle(), before])
    return draws(root)


# ---------------------------------------------------------------------- by hand


def test_s_and_t_by_hand_are_what_the_coupling_does(open_block, mount_count):
    page = open_block()
    look_at(page, "coupling")
    drawn = positions(page)
    select(page, "hand_t", "constant")
    select(page, "hand_s", "constant")
    pictures = mount_count(page, PICTURES)
    x1, x2 = GRID.T
    alpha, shift = 2.0, 0.0

    def coupled(a: np.ndarray | float, dialect: str = "freia-0.2") -> np.ndarray:
        s = alpha * np.tanh(a / alpha if dialect == "freia-main" else a)
        return np.stack([x1, x2 * np.exp(s) + shift], axis=1)

    stands(page, coupled(0.0))
    level = slide(page, "hand_s_level", 0.7)
    shift = slide(page, "hand_t_level", -0.4)
    stands(page, coupled(level))
    text = read(page, "clamp")
    alpha = slide(page, "hand_alpha", 1.5)
    assert read(page, "clamp") != text
    stands(page, coupled(level))
    go_to(page, "conditioner")
    drawn_of = {key: seen(page, key) for key in CONDITIONER_FIGURES}
    before = mounts(page, mount_count)
    choose(page, "hand_dialect", "main")
    stands(page, coupled(level, "freia-main"))
    choose(page, "hand_dialect", "0.2")

    slide(page, "hand_s_level", 0)
    select(page, "hand_s", "linear")
    slope, centre = slide(page, "hand_s_amplitude", 0.6), slide(page, "hand_s_centre", -0.5)
    stands(page, coupled(slope * (x1 - centre)))
    select(page, "hand_s", "step")
    height, rate = slide(page, "hand_s_amplitude", -0.8), slide(page, "hand_s_rate", 3)
    level = slide(page, "hand_s_level", 0.2)

    step = level + height * np.tanh(rate * (x1 - centre))
    stands(page, coupled(step))
    slide(page, "hand_t_level", 0)
    select(page, "hand_t", "sine")
    swing, waves = slide(page, "hand_t_amplitude", 1.5), slide(page, "hand_t_rate", 2.5)
    start = slide(page, "hand_t_centre", 0.3)
    shift = swing * np.sin(waves * (x1 - start))
    stands(page, coupled(step))
    switch(page, "hand_gin")
    stands(page, np.stack([x1, x2 + shift], axis=1))
    for key in CONDITIONER_FIGURES:
        seen(page, key, drawn_of[key])
    assert mounts(page, mount_count) == before
    assert mount_count(page, PICTURES) == pictures

    press(page, "undo_by_hand")
    expect(page.locator(".st-key-hand_s_level")).to_have_count(0)
    expect(box(page, "hand_gin")).not_to_be_checked()
    stands(page, drawn)


def test_permutation_and_scale_by_hand_are_what_the_block_does(open_block, mount_count):
    page = open_block()
    look_at(page, "global_affine")
    drawn = positions(page)
    select(page, "hand_s", "constant")
    select(page, "hand_t", "constant")  # s = t = 0: the coupling does nothing
    go_to(page, "permutation")
    look_at(page, "permutation")
    for key in ("letter", "axes"):
        seen(page, key)
    before = mounts(page, mount_count)
    p = rotation(slide(page, "hand_angle", -72))
    stands(page, GRID @ p.T)
    picture, text = seen(page, "letter"), section(page, "permutation").inner_text()

    slide(page, "hand_mirrors", 2)
    expect(strip(page).get_by_role("radio")).to_have_count(11)
    stands(page, GRID @ p.T)  # two mirrors that are the same
    first, second = slide(page, "hand_v1", -60), slide(page, "hand_v2", 25)
    stands(page, GRID @ (p @ mirror(first) @ mirror(second)).T)
    assert seen(page, "letter", picture) > picture
    assert section(page, "permutation").inner_text() != text
    slide(page, "hand_mirrors", 1)
    stands(page, GRID @ (p @ mirror(first)).T)
    assert mounts(page, mount_count)[1] == before[1]
    slide(page, "hand_mirrors", 0)

    switch(page, "hand_reverse")
    stands(page, GRID)  # P · P⁻¹, with nothing between
    look_at(page, "pre_permutation")
    stands(page, GRID @ p)

    go_to(page, "scale")
    look_at(page, "global_affine")
    stands(page, GRID @ p)
    picture = seen(page, "psi_curves")
    before = mounts(page, mount_count)
    g = [slide(page, "hand_g1", 14), slide(page, "hand_g2", 3)]
    o = [slide(page, "hand_o1", 0.5), slide(page, "hand_o2", -1)]
    stands(page, GRID @ p * (0.1 * np.log1p(np.exp(0.5 * np.array(g)))) * 2 + o)
    assert seen(page, "psi_curves", picture) > picture
    assert mounts(page, mount_count) == before
    press(page, "undo_by_hand")
    stands(page, drawn)


@pytest.mark.parametrize("key", ["hand_alpha", "hand_s_amplitude"])
def test_a_slider_keeps_up_with_keys(open_block, key):
    """Keys that come faster than the page answers are all counted."""
    page = open_block(by_hand=True)
    bring(page, key)
    thumb = slider(page, key)
    before = float(thumb.input_value())
    thumb.focus()
    for _ in range(12):
        thumb.press("ArrowRight")
        page.wait_for_timeout(60)
    page.wait_for_timeout(500)
    rest(page)
    assert float(thumb.input_value()) == pytest.approx(before + 1.2)


@pytest.mark.parametrize(
    ("key", "values"),
    [("hand_s_centre", (1.0, 2.0)), ("hand_v2", (-30.0, 60.0)), ("hand_o1", (1.0, 2.0))],
)
def test_the_stage_is_in_sight_and_follows_while_a_slider_is_moved(open_block, key, values):
    page = open_block("blocks=1&mirrors=2", by_hand=True)
    look_at(page, "output")  # by the last line of the formula
    assert in_sight(page)
    bring(page, key)
    slider(page, key).evaluate("(input) => input.closest('[role=group]').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(200)
    for value in values:
        drawn, stood = draws(stage(page)), positions(page)
        move = grab(page, key)
        for place in np.linspace(float(slider(page, key).input_value()), value, 5):
            move(place)
            assert in_sight(page)
        page.mouse.up()  # Streamlit's sliders tell the server when they are let go
        grown(stage(page), drawn)
        rest(page)
        assert not np.allclose(positions(page), stood, atol=1e-2)
        assert float(slider(page, key).input_value()) == pytest.approx(value, abs=0.1 * abs(value))
        assert in_sight(page)


def in_sight(page: Page) -> bool:
    """Whether all of the stage's picture is within the window, and nothing lies over it."""
    return (
        stage(page)
        .locator("canvas")
        .evaluate("""(canvas) => {
      const { left, top, right, bottom } = canvas.getBoundingClientRect();
      const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
      const corners = [[left + 2, top + 2], [right - 2, top + 2], [left + 2, bottom - 2], [right - 2, bottom - 2]];
      const stage = canvas.closest(".film-stage");
      return inside && corners.every(([x, y]) => stage.contains(document.elementFromPoint(x, y)));
    }""")
    )


# ---------------------------------------------------------------------- sections


def test_sections_measure_the_block_and_let_it_be_taken_away(open_block, tmp_path, mount_count):
    page = open_block("blocks=2", by_hand=True)
    go_to(page, "fields")
    expect(figure(page, "fields")).to_have_attribute("data-frame", re.compile("[1-9]"))

    go_to(page, "round_trip")
    errors = page.locator(".st-key-section_round_trip .numbers dd")
    worst = errors.first.inner_text()
    before = seen(page, "round_trip_maps"), seen(page, "round_trip_depth")
    mounted = mounts(page, mount_count)
    slide(page, "hand_alpha", 10)
    slide(page, "open_depth", 24)
    expect(errors.first).not_to_have_text(worst)
    for key, drawn in zip(("round_trip_maps", "round_trip_depth"), before, strict=True):
        grown(figure(page, key), drawn)
    assert mounts(page, mount_count) == mounted

    go_to(page, "loss")
    drawn = seen(page, "changed")
    mounted = mounts(page, mount_count)
    table, title = section(page, "loss").locator("table.sums"), figure(page, "changed").locator(".live-figure-title")
    expect(table.last.locator("td")).to_have_count(2)
    heading, numbers = title.inner_text(), table.first.inner_text()
    switch(page, "open_off")
    grown(figure(page, "changed"), drawn)
    expect(title).not_to_have_text(heading)
    box(page, "open_index").fill("2")
    box(page, "open_index").press("Enter")
    rest(page)
    expect(box(page, "open_off")).not_to_be_checked()
    expect(title).to_have_text(heading)
    assert table.first.inner_text() != numbers
    assert mounts(page, mount_count) == mounted

    go_to(page, "docstring")
    shows = section(page, "docstring").get_by_role("button", name="Show")
    for i in range(shows.count()):
        shows.nth(i).click()
        rest(page)
        arrive(page, DISAGREEMENTS[i].step)
        go_to(page, "formula")
        arrive(page, DISAGREEMENTS[i].step)
        go_to(page, "docstring")

    go_to(page, "take_away")
    tabs = section(page, "take_away").get_by_role("tab")
    expect(tabs).to_have_text(list(LIBRARIES))
    for tab in tabs.all():
        tab.click()
        code = section(page, "take_away").locator("pre:visible")
        expect(code).to_contain_text("AllInOneBlock(")
        code.hover()
        copy = section(page, "take_away").get_by_role("button", name=re.compile("copy", re.IGNORECASE))
        expect(copy.locator("visible=true")).to_have_count(1)
    with page.expect_download() as download:
        button(page, "weights").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    weights = load_file(path)
    assert path.suffix == ".safetensors"
    assert weights["global_scale"].shape == (1, 2)


def seen(page: Page, key: str, before: int = 0) -> int:
    """How often a figure was drawn, once it is in sight and has been drawn again."""
    figure(page, key).wait_for(state="attached")
    figure(page, key).scroll_into_view_if_needed()
    return grown(figure(page, key), before)


def test_a_statement_is_shown_and_left_again(open_block):
    page = open_block("blocks=2")
    go_to(page, "scale")
    shown = next(s for s in STATEMENTS if s.step == "mirror_1")
    statement(page, shown.number).click()
    arrive(page, "mirror_1")
    section(page, shown.section).wait_for()
    expect(page.locator(".st-key-words")).to_contain_text(f"{shown.number}. ")
    assert "blocks=1" in page.url
    go_to(page, "formula")
    line(page, "mirror_1").wait_for()
    statement(page, shown.number).click()
    rest(page)
    expect(page.locator(".st-key-words").get_by_text(f"{shown.number}. ")).to_have_count(0)
    section(page, "scale").wait_for()
    assert "blocks=2" in page.url
    go_to(page, "formula")
    expect(line(page, "mirror_1")).to_have_count(0)

    learned = next(s for s in STATEMENTS if s.source == "trained")
    statement(page, learned.number).click()
    button(page, "train_to_show").wait_for()
    rest(page)
    films = draws(strip(page))
    button(page, "train_to_show").click()
    grown(strip(page), films + 1)
    expect(button(page, "train_to_show")).to_have_count(0)
    section(page, learned.section).wait_for()
    figure(page, "changed").scroll_into_view_if_needed()
    expect(figure(page, "changed")).to_have_attribute("data-step", re.compile(r"^[1-9]\d+$"))


@pytest.fixture
def playing(serve, page, wait_for_frame):
    """The Block page, with a block that is being trained; the training ends with the test."""
    page.goto(f"{serve(APP)}/train?{SMALL}&blocks=2")
    figure(page, "density").wait_for()
    button(page, "train").click()
    expect(button(page, "train")).to_contain_text("Pause")
    page.get_by_role("link", name="Block", exact=True).click()
    arrived(page, wait_for_frame)
    expect(page.locator(".st-key-open_source").get_by_role("radio", name="As trained")).to_be_checked()
    yield page
    page.get_by_role("link", name="Train", exact=True).first.click()
    button(page, "train").click()
    expect(button(page, "train")).to_contain_text("Train")


def test_what_is_trained_is_watched_as_it_changes(playing, mount_count):
    page = playing
    assert not page.locator(".st-key-undo_by_hand button:enabled").count()
    seen(page, "ledger")
    step = int(figure(page, "ledger").get_attribute("data-step"))
    strip(page).scroll_into_view_if_needed()
    before, films = mounts(page, mount_count), draws(strip(page))
    page.wait_for_function(
        "([n, k]) => Number(n.dataset.frame) > k", arg=[strip(page).element_handle(), films + 3], timeout=LEARNED_MS
    )
    figure(page, "ledger").scroll_into_view_if_needed()
    page.wait_for_function("k => Number(document.querySelector('.st-key-ledger .live-figure').dataset.step) > k",
                           arg=step, timeout=LEARNED_MS)  # fmt: skip
    strip(page).get_by_role("radio").first.click()
    for root in (strip(page), stage(page), formula(page)):
        expect(root).to_have_attribute("data-chosen", "input")
    expect(stage(page)).to_have_attribute("data-position", "0")  # it arrives, whatever is redrawn on the way
    assert mounts(page, mount_count) == before

    page.locator(".st-key-open_source").get_by_role("radio", name="As drawn").click()
    figure(page, "ledger").scroll_into_view_if_needed()
    expect(figure(page, "ledger")).to_have_attribute("data-step", "0")
    strip(page).scroll_into_view_if_needed()
    page.wait_for_timeout(600)
    still = draws(strip(page))
    page.wait_for_timeout(1_200)
    assert draws(strip(page)) == still  # what was drawn does not change
    page.locator(".st-key-open_source").get_by_role("radio", name="As trained").click()
    page.wait_for_function(
        "([n, k]) => Number(n.dataset.frame) > k", arg=[strip(page).element_handle(), still + 3], timeout=LEARNED_MS
    )


def test_a_slider_that_is_moved_while_the_block_is_trained_is_not_thrown_back(playing):
    page = playing
    go_to(page, "conditioner")
    thumb = slider(page, "hand_alpha")
    thumb.evaluate("(input) => input.closest('[role=group]').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(200)
    move, films, stood = grab(page, "hand_alpha"), draws(strip(page)), []
    for value in np.linspace(2.5, 8.0, 24):
        stood.append(move(value))
        assert stood[-1] == pytest.approx(value, abs=0.15)
        page.wait_for_timeout(100)
        assert float(thumb.input_value()) == stood[-1]
        if len(stood) == 12:  # the page is drawn again while the thumb is held
            films = grown(strip(page), films + 2)
            assert float(thumb.input_value()) == stood[-1]
    page.mouse.up()
    grown(strip(page), films + 2)
    assert float(thumb.input_value()) == stood[-1]
    assert f"{stood[-1]:g}" in read(page, "clamp").split()


# ---------------------------------------------------------------------- for everyone


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(open_block, new_page, scheme):
    page = open_block(by_hand=True, on=new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme))
    found = {"formula": faults(page)}
    for name in ("conditioner", "permutation", "scale", "loss", "take_away"):
        go_to(page, name)
        page.wait_for_timeout(800)
        found[name] = faults(page)
    statement(page, STATEMENTS[-1].number).click()
    rest(page)
    page.wait_for_timeout(800)
    found["a statement"] = faults(page)
    assert not {name: of for name, of in found.items() if of}


def test_a_phone_shows_all_of_it_and_a_finger_moves_the_probe(open_block, new_page):
    page = open_block("blocks=2", by_hand=True, on=new_page(**PHONE))
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 390
    stage(page).locator("canvas").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: np.ndarray) -> None:
        points = [dict(zip("xy", pixel(page, place), strict=True)) for place in places]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    start, scrolled = probe(page), page.evaluate("scrollY")
    touch("touchStart", start)
    for place in np.linspace(start, (-1.0, 1.0), 10):
        touch("touchMove", place)
    touch("touchEnd")
    rest(page)
    page.wait_for_timeout(500)
    np.testing.assert_allclose(probe(page), (-1, 1), atol=0.1)
    assert page.evaluate("scrollY") == scrolled
    for name in SECTION_NAMES:
        go_to(page, name)
        page.wait_for_timeout(300)
        assert page.evaluate(width) <= 390, name
    for shown in STATEMENTS[:2]:
        statement(page, shown.number).click()
        rest(page)
        page.wait_for_timeout(300)
        assert page.evaluate(width) <= 390, shown.number
