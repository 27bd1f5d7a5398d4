"""The filmstrip and the stage, as a visitor uses them."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.alone

DEMO = "tests/e2e/apps/stage_demo.py"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MARGIN = {"left": 30, "top": 6}  # of the picture, as in draw.js
ROOM = 26  # of its axes
FRAME_MS = 20  # 50 frames a second
LONG_TASK_MS = 50

specification = importlib.util.spec_from_file_location("stage_demo", Path(__file__).parent / "apps" / "stage_demo.py")
demo = importlib.util.module_from_spec(specification)
specification.loader.exec_module(demo)
N = len(demo.NAMES)


def strip(page: Page) -> Locator:
    return page.locator(".st-key-strip .film-strip")


def stage(page: Page) -> Locator:
    return page.locator(".st-key-stage .film-stage")


def radio(page: Page, name: str) -> Locator:
    return strip(page).get_by_role("radio").nth(demo.NAMES.index(name))


def positions(page: Page) -> np.ndarray:
    return np.array(stage(page).evaluate("(root) => [...root.positions()]")).reshape(-1, 2)


def draws(root: Locator) -> int:
    return int(root.get_attribute("data-frame"))


def probe(page: Page) -> np.ndarray:
    return np.array([float(number) for number in stage(page).get_attribute("data-probe").split(",")])


def arrive(page: Page, name: str) -> None:
    expect(stage(page)).to_have_attribute("data-chosen", name)
    expect(stage(page)).to_have_attribute("data-position", str(demo.NAMES.index(name)))


def scrub(page: Page, position: float) -> None:
    """Hold the scrubber at a position."""
    stage(page).locator("input[type=range]").evaluate(
        "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }", position
    )
    expect(stage(page)).to_have_attribute("data-position", str(position))


def pixel(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """Where a place of the plane is on the screen."""
    box = stage(page).locator("canvas").bounding_box()
    unit = (box["width"] - ROOM - 10) / (2 * demo.REACH)
    return (
        box["x"] + MARGIN["left"] + (place[0] + demo.REACH) * unit,
        box["y"] + MARGIN["top"] + (demo.REACH - place[1]) * unit,
    )


@pytest.fixture
def open_demo(serve, page, wait_for_frame):
    """`open_demo() -> Page`: the demo, everything drawn."""

    def open_demo(on: Page = page) -> Page:
        on.set_default_timeout(20_000)
        on.goto(serve(DEMO))
        for root in (strip(on), stage(on)):
            root.wait_for(state="attached")
            root.scroll_into_view_if_needed()
            wait_for_frame(on, root, 1)
        arrive(on, "coupling")
        return on

    return open_demo


def test_frames_draw_and_one_is_chosen(open_demo, mount_count):
    page = open_demo()
    assert mount_count(page, "canvas") == N + 1
    inked = """(nodes) => nodes.map((node) => {
        const { data } = node.getContext("2d").getImageData(0, 0, node.width, node.height);
        return data.filter((value, i) => i % 4 === 3 && value > 0).length;
    })"""
    assert min(page.locator("canvas").evaluate_all(inked)) > 500
    checked = strip(page).get_by_role("radio").evaluate_all("(nodes) => nodes.map((node) => node.ariaChecked)")
    assert checked == [str(name == "coupling").lower() for name in demo.NAMES]
    expect(radio(page, "pre_permutation")).to_contain_text("off")
    expect(radio(page, "pre_permutation")).to_have_accessible_name(re.compile("passed over"))
    expect(page.get_by_role("img", name="A grid and a ring of points. Coupling: Each vertical")).to_have_count(1)


def test_a_click_on_the_strip_is_told_and_moves_the_stage(open_demo, mount_count):
    page = open_demo()
    radio(page, "mirror_1").click()
    expect(page.get_by_text("Chosen: mirror_1")).to_be_visible()
    arrive(page, "mirror_1")
    expect(radio(page, "mirror_1")).to_have_attribute("aria-checked", "true")
    expect(radio(page, "coupling")).to_have_attribute("aria-checked", "false")
    assert strip(page).get_attribute("data-chosen") == "mirror_1"
    assert mount_count(page, "canvas") == N + 1
    assert draws(strip(page)) == 1  # the film is the same


def test_keys_on_the_strip_choose(open_demo):
    page = open_demo()
    radio(page, "coupling").focus()
    moves = {"ArrowRight": "global_affine", "End": "output", "ArrowDown": "input", "ArrowUp": "output"}
    for key, name in moves.items():
        page.keyboard.press(key)
        expect(radio(page, name)).to_be_focused()
        expect(page.get_by_text(f"Chosen: {name}")).to_be_visible()
        arrive(page, name)
        assert strip(page).locator("[tabindex='0']").count() == 1


def test_keys_on_the_stage_step(open_demo):
    page = open_demo()
    page.get_by_role("button", name="Play").focus()
    for key, name in (("ArrowLeft", "clamp"), ("Home", "input"), ("End", "output")):
        page.keyboard.press(key)
        arrive(page, name)
        expect(page.get_by_text(f"Chosen: {name}")).to_be_visible()


def test_at_rest_the_grid_is_the_frame_itself(open_demo):
    page = open_demo()
    states = demo.states(demo.grid())
    for name in ("input", "coupling", "global_affine", "mirror_1", "permutation"):
        radio(page, name).click()
        arrive(page, name)
        np.testing.assert_allclose(positions(page), states[demo.NAMES.index(name)], atol=1e-5)


def between(before: np.ndarray, after: np.ndarray, motion: dict, sigma: np.ndarray, tau: float) -> np.ndarray:
    match motion["kind"]:
        case "couple":
            x2 = before[:, 1] * np.exp(tau * sigma) + tau * (after[:, 1] - before[:, 1] * np.exp(sigma))
            return np.stack([before[:, 0], x2], axis=1)
        case "affine":
            return np.power(motion["scale"], tau) * before + tau * np.array(motion["offset"])
        case "turn":
            cos, sin = np.cos(tau * motion["angle"]), np.sin(tau * motion["angle"])
            return before @ np.array([[cos, -sin], [sin, cos]]).T
        case "mirror":
            return before - 2 * tau * np.outer(before @ motion["normal"], motion["normal"])
    return before


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.9])
def test_between_frames_the_grid_moves_by_the_steps_own_motion(open_demo, tau):
    page = open_demo()
    states = demo.states(demo.grid())
    for k, (_name, *_, motion) in enumerate(demo.FRAMES[1:], 1):
        scrub(page, k - 1 + tau)
        expected = between(states[k - 1], states[k], motion, demo.stretched(states[k - 1]), tau)
        np.testing.assert_allclose(positions(page), expected, atol=1e-4)
    paths = demo.followed(np.array([0.5, -0.4])).path
    k = demo.NAMES.index("coupling")
    scrub(page, k - 1 + tau)
    sigma = demo.stretched(paths[k - 1][None])
    np.testing.assert_allclose(
        probe(page), between(paths[k - 1][None], paths[k][None], {"kind": "couple"}, sigma, tau)[0], atol=1e-4
    )


def test_letting_the_scrubber_go_snaps_to_the_nearest_frame_and_tells_it(open_demo):
    page = open_demo()
    scrub(page, 6.7)
    page.wait_for_timeout(400)
    assert stage(page).get_attribute("data-position") == "6.7"
    expect(page.get_by_text("Chosen: coupling")).to_be_visible()  # nothing is told on the way
    stage(page).locator("input[type=range]").dispatch_event("change")
    arrive(page, "mirror_1")
    expect(page.get_by_text("Chosen: mirror_1")).to_be_visible()


def test_the_scrubber_answers_to_the_mouse(open_demo):
    page = open_demo()
    box = stage(page).locator("input[type=range]").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.56, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.98, y, steps=8)
    page.mouse.up()
    arrive(page, "output")
    expect(page.get_by_text("Chosen: output")).to_be_visible()


def test_dragging_the_probe_tells_where_it_is_and_mounts_nothing(open_demo, mount_count):
    page = open_demo()
    mounts = mount_count(page, "canvas")
    assert mounts == N + 1
    page.evaluate("""() => {
        window.long = [];
        new PerformanceObserver((list) => window.long.push(...list.getEntries().map((entry) => entry.duration)))
          .observe({ type: "longtask" });
    }""")
    page.mouse.move(*pixel(page, tuple(probe(page))))
    page.mouse.down()
    for target in np.linspace(probe(page), (-1.2, 1.4), 20):
        page.mouse.move(*pixel(page, tuple(target)))
        page.wait_for_timeout(16)
    page.wait_for_function("root => root.dataset.probe.startsWith('-1.')", arg=stage(page).element_handle())
    np.testing.assert_allclose(probe(page), (-1.2, 1.4), atol=0.03)  # at once, whatever Python knows
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"Moved: coupling -1\.(19|2\d?)\d* 1\.(39|4\d?)\d*"))).to_be_visible()
    page.wait_for_timeout(500)
    calls = int(page.get_by_text("Calls:").inner_text().split()[1])
    assert 2 <= calls <= 22
    np.testing.assert_allclose(probe(page), (-1.2, 1.4), atol=0.03)
    assert mount_count(page, "canvas") == mounts
    assert max(page.evaluate("window.long"), default=0) < 4 * LONG_TASK_MS  # Streamlit's own rerun included
    radio(page, "output").click()
    arrive(page, "output")
    start = demo.pulled_back("coupling", (-1.2, 1.4))
    np.testing.assert_allclose(probe(page), demo.states(start[None])[-1][0], atol=0.1)


def test_a_press_beside_the_probe_brings_it_there(open_demo):
    page = open_demo()
    page.mouse.click(*pixel(page, (1.0, 2.0)))
    expect(page.get_by_text(re.compile("Moved: coupling (1.0|0.9)"))).to_be_visible()
    np.testing.assert_allclose(probe(page), (1, 2), atol=0.03)


def test_keys_move_the_probe(open_demo):
    page = open_demo()
    before = probe(page)
    handle = page.get_by_role("slider", name="Probe in the frame Coupling")
    handle.focus()
    for key, step in (("ArrowRight", (0.05, 0)), ("ArrowUp", (0, 0.05)), ("Shift+ArrowLeft", (-0.5, 0))):
        page.keyboard.press(key)
        before = before + step
        page.wait_for_function(
            "([root, x, y]) => { const p = root.dataset.probe.split(','); "
            "return Math.abs(p[0] - x) < 2e-3 && Math.abs(p[1] - y) < 2e-3; }",
            arg=[stage(page).element_handle(), *before.tolist()],
        )
    expect(page.get_by_text(f"Moved: coupling {before[0]:.2f}"[:-1])).to_be_visible()
    expect(handle).to_have_attribute("aria-valuetext", re.compile("x₁ .*, x₂ .*"))
    expect(stage(page)).to_have_attribute("data-chosen", "coupling")


def test_a_finger_drags_the_probe(serve, new_page, open_demo):
    page = open_demo(on=new_page(**PHONE))
    stage(page).locator("canvas").scroll_into_view_if_needed()
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", pixel(page, place), strict=True)) for place in places]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    start = probe(page)
    touch("touchStart", tuple(start))
    for target in np.linspace(start, (-1.0, 1.0), 10):
        touch("touchMove", tuple(target))
    touch("touchEnd")
    expect(page.get_by_text(re.compile("Moved: coupling -(1.0|0.9)"))).to_be_visible()
    np.testing.assert_allclose(probe(page), (-1, 1), atol=0.05)


def test_play_runs_to_the_end_and_tells_it(open_demo):
    page = open_demo()
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(stage(page).locator(".film-stage-caption")).to_contain_text("mirrored across")
    expect(page.get_by_text("Chosen: coupling")).to_be_visible()
    arrive(page, "output")
    expect(page.get_by_text("Chosen: output")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_space_plays_and_pauses_between_frames(open_demo):
    page = open_demo()
    stage(page).locator("input[type=range]").focus()
    page.keyboard.press("Space")
    page.wait_for_function("root => Number(root.dataset.position) > 5.3", arg=stage(page).element_handle())
    page.keyboard.press("Space")
    paused = stage(page).get_attribute("data-position")
    assert 5 < float(paused) < 9
    page.wait_for_timeout(400)
    assert stage(page).get_attribute("data-position") == paused
    page.keyboard.press("Space")
    arrive(page, "output")


def test_the_animation_is_fluent(open_demo):
    page = open_demo()
    gaps = page.evaluate("""(root) => new Promise((resolve) => {
        const gaps = [];
        let before = performance.now();
        const look = (now) => {
          gaps.push(now - before);
          before = now;
          if (gaps.length < 120) requestAnimationFrame(look);
          else resolve(gaps);
        };
        root.querySelector(".film-stage-play").click();
        requestAnimationFrame(look);
    })""", stage(page).element_handle())  # fmt: skip
    assert np.median(gaps) < FRAME_MS, sorted(gaps)[-10:]


def test_reduced_motion_jumps(new_page, open_demo):
    page = open_demo(on=new_page(reduced_motion="reduce"))
    page.evaluate("""(root) => {
        window.seen = [];
        new MutationObserver(() => window.seen.push(root.dataset.position))
          .observe(root, { attributes: true, attributeFilter: ["data-position"] });
    }""", stage(page).element_handle())  # fmt: skip
    radio(page, "output").click()
    arrive(page, "output")
    assert set(page.evaluate("window.seen")) <= {"5", "9"}


def test_new_data_are_drawn_at_once_in_place(open_demo, mount_count):
    page = open_demo()
    mounts, before = mount_count(page, "canvas"), draws(stage(page))
    page.get_by_text("Orange points").click()
    page.wait_for_function("([root, n]) => Number(root.dataset.frame) > n", arg=[stage(page).element_handle(), before])
    assert draws(strip(page)) == 2
    page.get_by_text("Displacement").click()
    page.wait_for_function(
        "([root, n]) => Number(root.dataset.frame) > n + 1", arg=[stage(page).element_handle(), before]
    )
    assert draws(strip(page)) == 2
    assert mount_count(page, "canvas") == mounts
    arrive(page, "coupling")


def test_a_rerun_that_changes_nothing_draws_nothing(open_demo):
    page = open_demo()
    before = draws(strip(page)), draws(stage(page))
    page.get_by_text("Strip", exact=True).click()
    strip(page).wait_for(state="detached")
    page.get_by_text("Strip", exact=True).click()
    strip(page).wait_for(state="attached")
    page.wait_for_timeout(500)
    assert (draws(strip(page)), draws(stage(page))) in (before, (before[0], before[1] + 1))  # the strip's film is new
    arrive(page, "coupling")


def test_a_change_of_theme_is_drawn(new_page, open_demo):
    page = open_demo(on=new_page(viewport={"width": 1280, "height": 900}, color_scheme="light"))
    # The mean of what is drawn: text and lines turn from dark to bright.
    ink = """(node) => {
        const { data } = node.getContext("2d").getImageData(0, 0, node.width, node.height);
        const drawn = data.filter((_, i) => i % 4 !== 3 && data[i - (i % 4) + 3] > 0);
        return drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
    }"""
    light = stage(page).locator("canvas").evaluate(ink)
    before = draws(strip(page)), draws(stage(page))
    page.emulate_media(color_scheme="dark")
    for root, n in ((strip(page), before[0]), (stage(page), before[1])):
        page.wait_for_function("([root, n]) => Number(root.dataset.frame) > n", arg=[root.element_handle(), n])
    assert abs(stage(page).locator("canvas").evaluate(ink) - light) > 20


def test_nothing_jumps_and_a_phone_has_no_gap(new_page, open_demo):
    page = open_demo()
    assert page.locator(".st-key-strip").bounding_box()["height"] == 150
    assert page.locator(".st-key-stage").bounding_box()["height"] == pytest.approx(560 + 84, abs=1)
    phone = open_demo(on=new_page(**PHONE))
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    box = stage(phone).locator("canvas").bounding_box()
    assert box["width"] == box["height"] <= 390
    assert phone.locator(".st-key-stage").bounding_box()["height"] == pytest.approx(box["height"] + 84, abs=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(new_page, open_demo, scheme):
    page = open_demo(on=new_page(viewport={"width": 1440, "height": 1000}, color_scheme=scheme))
    for context in (".film-strip", ".film-stage"):
        found = Axe().run(page, context=context).response["violations"]
        assert not found, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found]
