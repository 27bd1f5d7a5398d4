"""The canvas on which a density is drawn, as a visitor uses it."""

import re
import time

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

DEMO = "tests/e2e/apps/draw_demo.py"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE = {"viewport": {"width": 1280, "height": 1000}}
REACH = 4.0  # of the plane, to each side
MARGIN = {"left": 30, "top": 6}  # of the picture, as in plane.js
ROOM = 36  # of its axes
WIDTH = 0.15  # of the brush, at first
HEIGHT, DRAW_ROOM = 560, 68
PACE_SECONDS = 0.25  # between two reports while a stroke is under way

ARC = [(2.5 * np.cos(a), 2.5 * np.sin(a)) for a in np.linspace(0, 4, 60)]


def pad(page: Page) -> Locator:
    return page.locator(".st-key-draw .draw")


def canvas(page: Page) -> Locator:
    return pad(page).locator("canvas")


def tells(page: Page, strokes: int) -> list[dict]:
    """Wait until canvas and Python have so many strokes, and return them."""
    expect(pad(page)).to_have_attribute("data-strokes", str(strokes))
    expect(page.get_by_text(re.compile(f"^Strokes: {strokes}$"))).to_be_visible()
    agreed = """(root) => {
        const text = document.querySelector(".st-key-known [data-testid=stText]").innerText || '{"strokes": []}';
        return JSON.stringify(JSON.parse(text)) === root.drawing() && JSON.parse(text).strokes;
    }"""
    return page.wait_for_function(agreed, arg=pad(page).element_handle()).json_value()


def pixel(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """Where a place of the plane is on the screen."""
    box = canvas(page).bounding_box()
    unit = (box["width"] - ROOM) / (2 * REACH)
    return (
        box["x"] + MARGIN["left"] + (place[0] + REACH) * unit,
        box["y"] + MARGIN["top"] + (REACH - place[1]) * unit,
    )


def drag(page: Page, places: list[tuple[float, float]], release: bool = True) -> None:
    page.mouse.move(*pixel(page, places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*pixel(page, place))
    if release:
        page.mouse.up()


def distances(places: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(N,): from each place to a line of several points."""
    start, step = line[:-1], np.diff(line, axis=0)
    along = ((places[:, None] - start) * step).sum(-1) / (step**2).sum(-1)
    nearest = start + np.clip(along, 0, 1)[..., None] * step
    return np.linalg.norm(places[:, None] - nearest, axis=-1).min(axis=1)


def choose(page: Page, name: str) -> None:
    pad(page).get_by_role("radio", name=name).click()
    expect(pad(page).get_by_role("radio", name=name)).to_be_checked()


def set_width(page: Page, width: float) -> None:
    pad(page).get_by_role("slider").fill(str(width))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def open_demo(serve, new_page, wait_for_frame):
    """`open_demo(**options) -> Page`: the demo, its empty plane drawn and in sight."""

    def open_demo(**options) -> Page:
        page = new_page(**(options or WIDE))
        page.set_default_timeout(20_000)
        page.goto(serve(DEMO))
        pad(page).wait_for(state="attached")
        canvas(page).scroll_into_view_if_needed()
        wait_for_frame(page, pad(page), 1)
        return page

    return open_demo


def test_a_stroke_of_the_mouse_is_one_stroke_on_its_path(open_demo, mount_count):
    page = open_demo()
    expect(pad(page).get_by_text("No strokes yet")).to_be_visible()
    drag(page, ARC)
    (stroke,) = tells(page, 1)
    points = np.array(stroke["points"])
    assert 5 < len(points) < 60
    assert (np.linalg.norm(np.diff(points, axis=0), axis=1) >= WIDTH / 4).all()
    pointer = 0.5 * 2 * REACH / (HEIGHT - ROOM)  # the screen's own rounding
    assert distances(points, np.array(ARC)).max() < pointer + 0.01
    assert distances(np.array(ARC), points).max() < 0.15 * WIDTH + 2 * pointer
    np.testing.assert_allclose(points[[0, -1]], [ARC[0], ARC[-1]], atol=0.05)
    assert points.round(3).tolist() == stroke["points"]
    assert (stroke["width"], stroke["colour"]) == (WIDTH, 0)
    expect(pad(page).get_by_text(f"1 stroke, {len(points)} points")).to_be_visible()
    expect(canvas(page)).to_have_accessible_name(f"A density to be learned. 1 stroke, {len(points)} points.")
    assert mount_count(page, "canvas") == 1


def test_what_is_drawn_is_soft_and_denser_where_strokes_cross(open_demo):
    page = open_demo()
    set_width(page, 0.4)
    drag(page, [(-3, 0), (3, 0)])
    drag(page, [(0, -3), (0, 3)])
    tells(page, 2)
    opacity = """(node, places) => places.map(([x, y]) => {
        const scale = devicePixelRatio, unit = (node.width / scale - 36) / 8;
        const pixel = [30 + (x + 4) * unit, 6 + (4 - y) * unit].map((value) => Math.round(value * scale));
        return node.getContext("2d").getImageData(...pixel, 1, 1).data[3] / 255;
    })"""
    crossing, ridge, slope, tail = canvas(page).evaluate(opacity, [[0.03, 0.03], [1.5, 0], [1.5, 0.4], [1.5, 1.3]])
    assert crossing > ridge > slope > tail
    assert ridge == pytest.approx(1 - np.exp(-1.4), abs=0.06)
    assert slope == pytest.approx(1 - np.exp(-1.4 * np.exp(-0.5)), abs=0.06)


def test_width_and_class_are_told(open_demo):
    page = open_demo()
    set_width(page, 0.42)
    choose(page, "Class 3")
    drag(page, [(0, 0), (1, 1)])
    set_width(page, 0.05)
    choose(page, "Class 1")
    page.mouse.click(*pixel(page, (-2, 1)))
    wide, dot = tells(page, 2)
    assert (wide["width"], wide["colour"]) == (0.42, 2)
    assert (dot["width"], dot["colour"], len(dot["points"])) == (0.05, 0, 1)
    np.testing.assert_allclose(dot["points"][0], (-2, 1), atol=0.02)


def test_a_ring_shows_the_width_at_the_pointer(open_demo):
    page = open_demo()
    set_width(page, 0.3)
    page.mouse.move(*pixel(page, (1, -1)))
    ring = pad(page).locator(".draw-ring")
    expect(ring).to_be_visible()
    box, (x, y) = ring.bounding_box(), pixel(page, (1, -1))
    radius = 0.3 * (HEIGHT - ROOM) / (2 * REACH)
    np.testing.assert_allclose([*box.values()], [x - radius, y - radius, 2 * radius, 2 * radius], atol=1.5)
    page.mouse.move(5, 5)
    expect(ring).to_be_hidden()


def test_the_eraser_splits_a_stroke_and_undo_mends_it(open_demo):
    page = open_demo()
    drag(page, [(-3, 0), (3, 0)])
    before = tells(page, 1)
    choose(page, "Eraser")
    drag(page, [(0, 1), (0, 0.5), (0, -1)])
    left, right = tells(page, 2)
    radius = 2 * WIDTH
    assert left["points"][0] == before[0]["points"][0]
    np.testing.assert_allclose(left["points"][-1], (-radius, 0), atol=0.03)
    np.testing.assert_allclose(right["points"][0], (radius, 0), atol=0.03)
    press(page, "Undo")
    assert tells(page, 1) == before
    page.keyboard.press("Control+Shift+Z")
    assert len(tells(page, 2)) == 2


def test_undo_redo_and_clear(open_demo):
    page = open_demo()
    for name in ("Undo", "Redo", "Clear"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-disabled", "true")
    for y in (-2, 0, 2):
        drag(page, [(-2, y), (2, y)])
    three = tells(page, 3)
    page.keyboard.press("Control+z")
    assert tells(page, 2) == three[:2]
    press(page, "Undo")
    assert tells(page, 1) == three[:1]
    press(page, "Redo")
    press(page, "Redo")
    assert tells(page, 3) == three
    press(page, "Clear")
    assert tells(page, 0) == []
    press(page, "Undo")
    assert tells(page, 3) == three


def test_a_finger_draws_a_second_one_does_not_and_the_page_stays(open_demo):
    page = open_demo(**PHONE)
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"id": i, **dict(zip("xy", pixel(page, place), strict=True))} for i, place in enumerate(places)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    scrolled = page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    path = [(-1, 3 - 0.3 * i) for i in range(20)]
    touch("touchStart", path[0])
    for place in path[1:10]:
        touch("touchMove", place)
    touch("touchStart", path[10], (1, 1))
    for place in path[11:]:
        touch("touchMove", place, (2, place[1]))
    touch("touchEnd")
    (stroke,) = tells(page, 1)
    np.testing.assert_allclose([stroke["points"][0], stroke["points"][-1]], [path[0], path[-1]], atol=0.08)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == scrolled
    expect(pad(page).locator(".draw-ring")).to_be_hidden()


def test_the_keyboard_draws(open_demo):
    page = open_demo()
    canvas(page).focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(pad(page).locator(".draw-cross")).to_be_visible()
    page.keyboard.press("Space")
    (dot,) = tells(page, 1)
    assert dot["points"] == [[0.5, 0.1]]
    page.keyboard.down("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.up("Space")
    page.keyboard.press("Shift+ArrowDown")  # the brush is lifted
    assert tells(page, 2)[1]["points"] == [[0.5, 0.1], [2.5, 0.1]]
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    assert tells(page, 3)[2]["points"] == [[2.5, -0.4], [2.0, -0.4]]
    page.keyboard.press("Control+Z")
    tells(page, 2)
    expect(pad(page).locator("[aria-live=polite]")).to_have_text("1.9, −0.4")
    expect(pad(page).get_by_role("status")).to_contain_text("2 strokes, 3 points")


def test_a_stroke_that_leaves_the_plane_ends_there(open_demo):
    page = open_demo()
    drag(page, [(0, 3), (2, 3), (5, 3), (5, -3), (2, -3), (0, -3)])
    out, back = tells(page, 2)
    np.testing.assert_allclose(out["points"][-1], (4, 3), atol=0.03)
    np.testing.assert_allclose(back["points"][0], (2, -3), atol=0.03)
    press(page, "Undo")
    tells(page, 0)


def test_python_is_told_while_a_stroke_is_under_way(open_demo):
    page = open_demo()
    page.mouse.move(*pixel(page, ARC[0]))
    page.mouse.down()
    start = time.monotonic()
    for place in ARC:
        page.mouse.move(*pixel(page, place))
        page.wait_for_timeout(25)
    expect(page.get_by_text("Strokes: 1")).to_be_visible()
    passing, seconds = int(page.get_by_text("Calls:").inner_text().split()[1]), time.monotonic() - start
    assert 3 <= passing <= 2 + seconds / PACE_SECONDS
    page.mouse.up()
    (stroke,) = tells(page, 1)
    np.testing.assert_allclose(stroke["points"][-1], ARC[-1], atol=0.05)


def test_reruns_while_drawing_lose_nothing_and_mount_nothing(open_demo, mount_count):
    page = open_demo()
    page.get_by_text("Ticking").click()
    page.wait_for_timeout(300)
    drag(page, [(-3, 3), (3, 3)])
    first = tells(page, 1)
    pad(page).evaluate("""(root) => {
        window.least = Infinity;
        new MutationObserver(() => { window.least = Math.min(window.least, Number(root.dataset.points)); })
          .observe(root, { attributes: true });
    }""")
    page.mouse.move(*pixel(page, ARC[0]))
    page.mouse.down()
    for place in ARC:
        page.mouse.move(*pixel(page, place))
        page.wait_for_timeout(20)
    page.mouse.up()
    both = tells(page, 2)
    assert both[0] == first[0]
    assert distances(np.array(ARC), np.array(both[1]["points"])).max() < 0.05
    assert page.evaluate("window.least") > len(first[0]["points"])  # never back to what Python knew
    assert mount_count(page, "canvas") == 1
    page.mouse.move(5, 5)
    before = pad(page).get_attribute("data-frame")
    page.wait_for_timeout(600)
    assert pad(page).get_attribute("data-frame") == before  # a rerun that changes nothing draws nothing


def test_a_version_imposes_and_may_be_undone(open_demo, mount_count):
    page = open_demo()
    drag(page, [(-3, 0), (3, 0)])
    own = tells(page, 1)
    press(page, "Impose a spiral")
    expect(pad(page)).to_have_attribute("data-points", "80")
    (spiral,) = tells(page, 1)
    assert len(spiral["points"]) == 80
    press(page, "Undo")
    assert tells(page, 1) == own
    press(page, "Impose nothing")
    tells(page, 0)
    drag(page, [(0, 0), (0, 2)])
    assert len(tells(page, 1)) == 1
    press(page, "Impose nonsense")
    expect(pad(page)).to_have_attribute("data-strokes", "1")
    assert mount_count(page, "canvas") == 1


def test_a_version_ends_a_stroke_under_way(open_demo):
    page = open_demo()
    drag(page, [(-3, 0), (0, 0), (1, 0)], release=False)
    expect(page.get_by_text("Strokes: 1")).to_be_visible()
    page.get_by_role("button", name="Impose nothing").dispatch_event("click")
    expect(pad(page)).to_have_attribute("data-strokes", "0")
    page.mouse.move(*pixel(page, (2, 2)))
    page.mouse.up()
    page.wait_for_timeout(500)
    tells(page, 0)
    drag(page, [(0, 0), (0, 2)])
    tells(page, 1)


def test_the_drawing_is_there_on_return(open_demo):
    page = open_demo()
    drag(page, ARC)
    before = tells(page, 1)
    page.get_by_text("Shown").click()
    pad(page).wait_for(state="detached")
    page.get_by_text("Shown").click()
    pad(page).wait_for(state="attached")
    assert tells(page, 1) == before
    expect(page.get_by_role("button", name="Undo", exact=True)).to_have_attribute("aria-disabled", "true")
    drag(page, [(-3, 3), (3, 3)])
    assert tells(page, 2)[0] == before[0]


def test_limits_are_said_in_a_sentence(open_demo):
    page = open_demo()
    status = pad(page).get_by_role("status")
    press(page, "Impose 200 strokes")
    expect(pad(page)).to_have_attribute("data-strokes", "200")
    drag(page, [(0, 0), (1, 1)])
    expect(status).to_have_text("The drawing has 200 strokes, as many as it may. Erase some to draw on.")
    tells(page, 200)
    press(page, "Impose 3,990 points")
    expect(status).to_have_text("10 strokes, 3,990 points")
    drag(page, [(-3 + 0.1 * i, 0.5 * (i % 2)) for i in range(60)])
    expect(status).to_have_text("The drawing has 4,000 points, as many as it may. Erase some to draw on.")
    assert sum(len(stroke["points"]) for stroke in tells(page, 11)) == 4000
    press(page, "Undo")
    expect(status).to_have_text("10 strokes, 3,990 points")


def test_it_fits_its_room_and_a_phone(open_demo):
    page = open_demo()
    assert page.locator(".st-key-draw").bounding_box()["height"] == pytest.approx(HEIGHT + DRAW_ROOM, abs=1)
    tops = {round(node.bounding_box()["y"]) for node in pad(page).locator(".draw-tools > *").all()}
    assert len(tops) == 1  # one line
    phone = open_demo(**PHONE)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    box = canvas(phone).bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=1)
    assert box["width"] <= 390
    for button in phone.locator(".draw .draw-choice, .draw .draw-button").all():
        size = button.bounding_box()
        assert min(size["width"], size["height"]) >= 44
        assert size["x"] >= 0
        assert size["x"] + size["width"] <= 390


def test_axe_finds_no_violation_and_a_change_of_theme_is_drawn(open_demo, wait_for_frame):
    page = open_demo(viewport={"width": 1440, "height": 1000}, color_scheme="light")
    colours = set()
    for scheme in ("light", "dark"):
        frames = int(pad(page).get_attribute("data-frame"))
        page.emulate_media(color_scheme=scheme)
        if scheme == "dark":
            wait_for_frame(page, pad(page), frames + 1)
        for places in ([(0, 0)], ARC):
            drag(page, places)
            found = Axe().run(page, context=".draw").response["violations"]
            assert not found, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found]
        press(page, "Clear")
        look = "(node) => getComputedStyle(node).getPropertyValue('--draw-class-0')"
        colours.add(pad(page).locator(".draw-tools").evaluate(look))
    assert len(colours) == 2
