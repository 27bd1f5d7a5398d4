"""The component that draws Plotly figures in place, in a real browser."""

import math
import re

import plotly.offline
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from aio.ui.live import TRACE_TYPES

pytestmark = pytest.mark.alone

DEMO = "tests/e2e/apps/live_demo.py"
CASES = "tests/e2e/apps/live_cases.py"
KEYS = ("heatmap", "points", "curves")

# Frames are counted while other tests may share the machine; the demo sends ten figures a second.
DRAWS_PER_SECOND = 5
MEASURED_MS = 3_000
# Long enough for a ticking figure to be drawn several times, were it not for what is tested.
PAUSE_MS = 1_000

PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}


def figure(page: Page, key: str = "figure") -> Locator:
    return page.locator(f".st-key-{key} .live-figure")


def frames(live: Locator) -> int:
    return int(live.get_attribute("data-frame"))


def graph(live: Locator, expression: str):
    """Evaluate an expression of `gd`, Plotly's graph division."""
    return live.locator(".js-plotly-plot").evaluate(f"(gd) => {expression}")


def text_colour(live: Locator) -> str:
    return live.locator(".xtick text").first.evaluate("(node) => getComputedStyle(node).fill")


@pytest.fixture
def open_case(serve, page):
    """`open_case(name) -> Page`: one of the situations in live_cases.py."""

    def open_case(name: str) -> Page:
        page.goto(f"{serve(CASES)}?case={name}")
        figure(page).wait_for(state="attached")
        return page

    return open_case


@pytest.fixture
def demo(serve, page, wait_for_frame):
    """The demo, all figures drawn."""
    page.goto(serve(DEMO))
    for key in KEYS:
        wait_for_frame(page, figure(page, key), 2)
    return page


def test_three_figures_draw_five_times_a_second_in_the_same_nodes_and_fetch_nothing(demo, mount_count):
    requests = []
    demo.on("request", lambda request: requests.append(request.url))
    mounts = [mount_count(demo, selector) for selector in (".js-plotly-plot", ".main-svg")]
    before = [frames(figure(demo, key)) for key in KEYS]
    start = demo.evaluate("performance.now()")
    demo.wait_for_timeout(MEASURED_MS)
    after = [frames(figure(demo, key)) for key in KEYS]
    seconds = (demo.evaluate("performance.now()") - start) / 1000

    rates = {key: (b - a) / seconds for key, a, b in zip(KEYS, before, after, strict=True)}
    assert min(rates.values()) >= DRAWS_PER_SECOND, rates
    assert [mount_count(demo, selector) for selector in (".js-plotly-plot", ".main-svg")] == mounts
    assert mounts[0] == len(KEYS)
    assert requests == []


def test_library_is_the_one_that_the_python_side_writes_for(demo):
    assert demo.evaluate("Plotly.version") == plotly.offline.get_plotlyjs_version()
    assert demo.evaluate("Object.keys(Plotly.PlotSchema.get().traces).sort()") == list(TRACE_TYPES)
    assert demo.evaluate("globalThis.moduleName") is None


def test_step_belongs_to_the_drawn_data(demo):
    step, first_loss = figure(demo, "curves").evaluate(
        "(root) => [+root.dataset.step, root.querySelector('.js-plotly-plot').calcdata[0][0].y]"
    )
    assert first_loss == pytest.approx(1 + 0.02 * math.sin(step * 0.1), abs=1e-6)


def test_numbers_drawn_are_the_numbers_sent(open_case, wait_for_frame):
    live = figure(open_case("numbers"))
    wait_for_frame(live.page, live, 1)
    assert live.get_attribute("data-step") == "7"
    # z was sent as uint8 of shape (3, 4), x and y as float32 with a gap.
    assert graph(live, "gd.calcdata[0][0].z.map((row) => [...row])") == [
        [0, 20, 40, 60],
        [80, 100, 120, 140],
        [160, 180, 200, 220],
    ]
    xy = graph(live, "gd.calcdata[1].map((point) => [point.x, point.y ?? null])")
    assert [x for x, y in xy if y is not None] == [0, 1, 2]
    assert [y for _, y in xy if y is not None] == pytest.approx([0, 1 / 3, 2 / 3])
    assert graph(live, "gd._fullData.map((trace) => (trace.z?.[0] ?? trace.x).constructor.name)") == [
        "Uint8Array",
        "Float32Array",
    ]


def test_zoom_survives_updates_and_double_click_resets_it(demo, wait_for_frame):
    live = figure(demo, "curves")
    full = graph(live, "gd._fullLayout.yaxis.range")
    area = live.locator(".nsewdrag.drag").bounding_box()
    left, top = area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.3
    demo.mouse.move(left, top)
    demo.mouse.down()
    demo.mouse.move(left + 200, top + 60, steps=4)
    demo.mouse.up()
    demo.wait_for_function(
        "([gd, y]) => gd._fullLayout.yaxis.range[1] < y",
        arg=[live.locator(".js-plotly-plot").element_handle(), full[1]],
    )

    zoomed = graph(live, "[gd._fullLayout.xaxis.range, gd._fullLayout.yaxis.range]")
    wait_for_frame(demo, live, frames(live) + 5)
    assert graph(live, "[gd._fullLayout.xaxis.range, gd._fullLayout.yaxis.range]") == zoomed

    demo.mouse.dblclick(left, top)
    wait_for_frame(demo, live, frames(live) + 3)
    assert graph(live, "gd._fullLayout.yaxis.range") == full


def test_figure_follows_the_system_theme_in_place(demo, mount_count):
    live = figure(demo, "heatmap")
    light = text_colour(live)
    demo.emulate_media(color_scheme="dark")
    expect(live.locator(".xtick text").first).not_to_have_css("fill", light)
    assert mount_count(demo) == len(KEYS)


def test_figure_follows_the_theme_of_the_menu_in_place(open_case, wait_for_frame, mount_count):
    live = figure(open_case("themed"))
    wait_for_frame(live.page, live, 1)
    light = text_colour(live)
    live.page.get_by_test_id("stMainMenu").click()
    live.page.get_by_test_id("stMainMenuPopover").get_by_text("Dark").click()
    expect(live.locator(".xtick text").first).not_to_have_css("fill", light)
    assert mount_count(live.page) == 1


def test_named_colours_are_those_of_the_theme(open_case, wait_for_frame):
    live = figure(open_case("themed"))
    wait_for_frame(live.page, live, 1)
    expected = live.evaluate(
        """(root) => Object.fromEntries(["primary", "text", "background"].map((name) => {
            const probe = root.appendChild(document.createElement("i"));
            probe.style.color = `var(--st-${name}-color)`;
            const colour = getComputedStyle(probe).color;
            probe.remove();
            return [name, colour.match(/\\d+/g).map(Number)];
        }))"""
    )
    drawn = graph(
        live,
        "[gd._fullData[0].line.color, gd._fullLayout.title.font.color, gd._fullLayout.paper_bgcolor]",
    )
    assert [numbers(colour) for colour in drawn] == [
        [*expected["primary"], 1],
        [*expected["text"], 0.5],
        [*expected["background"], 1],
    ]
    # What the figure leaves open is the theme's too.
    assert numbers(graph(live, "gd._fullLayout.font.color")) == [*expected["text"], 1]
    assert graph(live, "gd._fullLayout.plot_bgcolor") == "rgba(0,0,0,0)"


def numbers(colour: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", colour)]


def test_figures_fit_a_narrow_window(demo, wait_for_frame):
    demo.set_viewport_size({"width": 390, "height": 800})
    for key in KEYS:
        live = figure(demo, key)
        live.scroll_into_view_if_needed()
        expect(live.locator(".main-svg").first).to_have_attribute("width", re.compile(r"^[1-3]?\d?\d$"))
        box = live.locator(".main-svg").first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert demo.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_figure_keeps_its_height_from_the_first_paint(open_case, wait_for_frame):
    page = open_case("numbers")
    assert page.locator(".st-key-figure").bounding_box()["height"] == 300
    wait_for_frame(page, figure(page), 1)
    assert page.locator(".st-key-figure").bounding_box()["height"] == 300
    assert figure(page).bounding_box()["height"] == 300


def test_figure_out_of_sight_waits_and_then_draws_the_newest(open_case, wait_for_frame):
    live = figure(open_case("below"))
    live.page.wait_for_timeout(PAUSE_MS)
    assert frames(live) == 0

    live.scroll_into_view_if_needed()
    wait_for_frame(live.page, live, 3)
    assert int(live.get_attribute("data-step")) > frames(live)  # the steps missed are not made up for

    live.page.get_by_text("Scroll down").evaluate("(node) => node.scrollIntoView({block: 'start'})")
    live.page.wait_for_timeout(PAUSE_MS / 4)  # for a draw under way
    drawn = frames(live)
    live.page.wait_for_timeout(PAUSE_MS)
    assert frames(live) == drawn


def test_same_figure_is_drawn_once_while_its_step_rises(open_case):
    live = figure(open_case("unchanging"))
    expect(live).to_have_attribute("data-step", re.compile(r"^\d\d$"))
    assert frames(live) == 1


def test_malformed_figure_says_so_in_its_box(open_case, wait_for_frame):
    page = open_case("malformed")
    expect(figure(page)).to_have_text(
        "The chart could not be drawn: its data are not a list of traces. Reload the page."
    )
    assert figure(page).bounding_box()["height"] == 300
    wait_for_frame(page, figure(page, "sound"), 1)


def test_missing_library_is_said_in_the_box(serve, page):
    page.route("**/plotly-cartesian.min.js*", lambda route: route.fulfill(body="throw new Error('broken')"))
    page.goto(f"{serve(CASES)}?case=numbers")
    expect(figure(page)).to_have_text("The chart could not be drawn: its library did not load. Reload the page.")


def test_figure_that_leaves_the_page_is_purged(open_case, wait_for_frame):
    live = figure(open_case("removable"))
    wait_for_frame(live.page, live, 1)
    gd = live.locator(".js-plotly-plot").element_handle()
    live.page.get_by_text("Show").click()
    live.wait_for(state="detached")
    live.page.wait_for_function("(gd) => gd.calcdata === undefined", arg=gd)


def test_static_figure_has_no_mode_bar(open_case, wait_for_frame):
    live = figure(open_case("static"))
    wait_for_frame(live.page, live, 1)
    assert live.locator(".modebar-btn").count() == 0


def test_finger_on_a_figure_scrolls_the_page(serve, new_page, wait_for_frame):
    page = new_page(**PHONE)
    page.goto(serve(DEMO))
    live = figure(page, "heatmap")
    wait_for_frame(page, live, 1)
    top = live.bounding_box()["y"]
    swipe_up(page, live)
    page.wait_for_function(
        "([node, top]) => node.getBoundingClientRect().top < top", arg=[live.element_handle(), top - 50]
    )
    assert graph(live, "gd._fullLayout.xaxis.range") == [-2, 2]


def swipe_up(page: Page, live: Locator) -> None:
    """Draw a finger upwards from the middle of the figure."""
    box = live.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = page.context.new_cdp_session(page)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for distance in range(15, 151, 15):
        touch = {"type": "touchMove", "touchPoints": [{"x": x, "y": y - distance}]}
        devtools.send("Input.dispatchTouchEvent", touch)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_component_loads_under_a_base_path(serve, page, wait_for_frame):
    page.goto(serve(CASES, **{"server.baseUrlPath": "lab"}) + "?case=numbers")
    wait_for_frame(page, figure(page), 1)


def test_figures_have_a_name_and_no_accessibility_fault(demo):
    expect(demo.get_by_role("img", name="A ring of density, step")).to_have_count(1)
    result = Axe().run(demo, context=".live-figure")
    assert result.violations_count == 0, result.generate_report()
    buttons = demo.locator(".live-figure .modebar-btn").evaluate_all("(nodes) => nodes.map((node) => node.tabIndex)")
    assert set(buttons) == {-1}
