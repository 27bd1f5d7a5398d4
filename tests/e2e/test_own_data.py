"""A visitor trains on what they draw, on a picture and on a table, in a browser."""

import io

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

APP = "app.py"
PARTS = ("Gallery", "Draw", "Picture", "Table")
SIZE = {"viewport": {"width": 1280, "height": 1000}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LEARNED_MS = 60_000  # CI shares its cores; on two idle ones it takes a few seconds
REACH = 4.0  # of the plane, to each side
MARGIN, ROOM = {"left": 30, "top": 6}, 36  # of the canvas, and of its axes, as in plane.js
SMALL = "blocks=4&width=16&points=3000"  # a flow that is quick, and learns a shape
ARC = [(2.5 * np.cos(a), 2.5 * np.sin(a)) for a in np.linspace(0, 4, 50)]
LINE = [(-3.0 + 0.2 * i, -3.2) for i in range(31)]


def figure(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} .live-figure")


def canvas(page: Page) -> Locator:
    return page.locator(".st-key-canvas .draw canvas")


def button(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} button:visible")


def step(page: Page) -> int:
    return int(figure(page, "loss").get_attribute("data-step") or -1)


def wait_for_step(page: Page, at_least: int) -> None:
    page.wait_for_function(
        "n => Number(document.querySelector('.st-key-loss .live-figure')?.dataset.step) >= n", arg=at_least,
        timeout=LEARNED_MS,
    )  # fmt: skip


def number(page: Page, name: str) -> str:
    label = page.locator("dt").get_by_text(name, exact=True)
    return page.locator(".numbers div", has=label).locator("dd").inner_text().replace(",", "").split()[0]


def wait_for_kl(page: Page, below: float) -> None:
    page.wait_for_function(
        """below => [...document.querySelectorAll('.numbers div')].some(
             (div) => div.querySelector("dt").innerText.startsWith("KL(")
               && parseFloat(div.querySelector("dd").innerText) < below)""",
        arg=below, timeout=LEARNED_MS,
    )  # fmt: skip


FLOOR = """() => {
    const traces = document.querySelector(".st-key-loss .js-plotly-plot")?.data ?? [];
    const y = traces.find((trace) => trace.name?.startsWith("floor"))?.y;
    return (y?._inputArray ?? y)?.[0];
}"""


def floor(page: Page) -> float | None:
    """Where the loss curve draws H(p); None where it draws no floor."""
    return page.evaluate(FLOOR)


def pixel(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """Where a place of the plane is on the screen."""
    box = canvas(page).bounding_box()
    unit = (box["width"] - ROOM) / (2 * REACH)
    return (
        box["x"] + MARGIN["left"] + (place[0] + REACH) * unit,
        box["y"] + MARGIN["top"] + (REACH - place[1]) * unit,
    )


def drag(page: Page, places: list[tuple[float, float]], pause_ms: int = 0, release: bool = True) -> None:
    page.mouse.move(*pixel(page, places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*pixel(page, place))
        page.wait_for_timeout(pause_ms)
    if release:
        page.mouse.up()


def show(page: Page, part: str) -> None:
    page.locator(".st-key-data_source").get_by_text(part, exact=True).click()
    seen = {
        "Gallery": ".st-key-card_rings img", "Draw": ".st-key-canvas canvas",
        "Picture": ".st-key-picture_file", "Table": ".st-key-table_file",
    }  # fmt: skip
    page.locator(seen[part]).wait_for()


def upload(page: Page, kind: str, name: str, data: bytes) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    page.locator(f".st-key-{kind}_file input[type=file]").set_input_files(file)


def png_bytes() -> bytes:
    image = Image.new("L", (60, 40), 255)
    ImageDraw.Draw(image).ellipse((8, 5, 50, 35), fill=40)
    ImageDraw.Draw(image).ellipse((22, 12, 38, 28), fill=255)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def csv_bytes() -> bytes:
    z = np.random.default_rng(0).normal(size=(400, 3))
    z[:, 1] += z[:, 0] ** 2
    return ("length,depth,mass\n" + "".join(",".join(f"{v:.4f}" for v in row) + "\n" for row in z)).encode()


@pytest.fixture
def open_part(serve, new_page):
    """`open_part(part, **options) -> Page`: a part of the Targets page, in sight."""

    def open_part(part: str, **options) -> Page:
        page = new_page(**(options or SIZE))
        page.goto(f"{serve(APP)}/targets?{SMALL}")
        page.locator(".st-key-card_rings img").wait_for()
        if part != "Gallery":
            show(page, part)
        page.wait_for_timeout(500)
        return page

    return open_part


# ---------------------------------------------------------------------- a drawing


def test_a_shape_drawn_with_the_mouse_is_learned(open_part):
    page = open_part("Draw")
    expect(page.get_by_text("Draw something, then train.")).to_be_visible()
    drag(page, ARC)
    figure(page, "density").wait_for()
    page.wait_for_timeout(1_500)  # until the whole stroke is known
    before = float(number(page, "KL(p‖q)"))
    assert before < 10  # the flow starts from the spread of what was drawn
    button(page, "train").click()
    wait_for_kl(page, 0.5 * before)
    assert floor(page) is not None
    assert "target=" not in page.url
    button(page, "train").click()
    expect(button(page, "train")).to_contain_text("Train")


def test_the_pictures_of_a_run_at_rest_follow_the_drawing(open_part):
    page = open_part("Draw")
    drag(page, ARC)
    figure(page, "density").wait_for()
    page.wait_for_timeout(2_000)
    assert 1 < float(number(page, "KL(p‖q)")) < 5  # a Gaussian of the arc's own spread: nothing is learned
    first = floor(page)
    drag(page, LINE)
    page.wait_for_function(f"first => ({FLOOR})() > first", arg=first)


def test_another_stroke_while_it_trains_changes_the_floor_and_the_run_goes_on(open_part, mount_count):
    page = open_part("Draw")
    drag(page, ARC)
    figure(page, "density").wait_for()
    button(page, "train").click()
    wait_for_step(page, 30)
    mounts = [mount_count(page, selector) for selector in (".js-plotly-plot", "canvas", ".draw")]
    height = page.locator(".st-key-canvas").bounding_box()
    before, first = step(page), floor(page)
    page.evaluate("window.steps = []")
    figure(page, "loss").evaluate(
        """(node) => new MutationObserver(() => window.steps.push(Number(node.dataset.step)))
             .observe(node, { attributes: true, attributeFilter: ["data-step"] })"""
    )
    drag(page, LINE, pause_ms=40, release=False)
    page.wait_for_function(f"first => ({FLOOR})() !== first", arg=first)  # while the pen is down
    between = floor(page)
    page.mouse.up()
    page.wait_for_function(f"between => ({FLOOR})() > between", arg=first)  # there is more room now
    wait_for_step(page, max(before, step(page)) + 30)
    assert between != first
    steps = page.evaluate("window.steps")
    assert steps == sorted(steps)
    assert steps[0] >= before
    assert [mount_count(page, selector) for selector in (".js-plotly-plot", "canvas", ".draw")] == mounts
    assert page.locator(".st-key-canvas").bounding_box() == height  # it keeps its place under the pen
    expect(button(page, "train")).to_contain_text("Pause")
    expect(page.locator(".st-key-canvas .draw")).to_have_attribute("data-strokes", "2")


def test_the_first_stroke_is_not_cut_when_the_pictures_come(open_part, mount_count):
    """While the first stroke is under way a run begins beside it."""
    page = open_part("Draw")
    drag(page, ARC, pause_ms=40, release=False)
    figure(page, "density").wait_for()
    for place in LINE[::-1]:
        page.mouse.move(*pixel(page, place))
        page.wait_for_timeout(20)
    page.mouse.up()
    page.wait_for_timeout(1_000)
    expect(page.locator(".st-key-canvas .draw")).to_have_attribute("data-strokes", "1")
    assert mount_count(page, "canvas") == 1


def test_clearing_the_canvas_keeps_the_run_and_is_no_mistake(open_part):
    page = open_part("Draw")
    drag(page, ARC)
    figure(page, "density").wait_for()
    button(page, "step_10").click()
    wait_for_step(page, 10)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".st-key-canvas .draw")).to_have_attribute("data-strokes", "0")
    page.wait_for_timeout(1_000)
    expect(page.locator("[data-testid=stAlert]")).to_have_count(0)
    assert step(page) == 10
    button(page, "step_10").click()
    wait_for_step(page, 20)


def test_the_drawing_and_its_run_are_there_on_return(open_part):
    page = open_part("Draw")
    drag(page, ARC)
    figure(page, "density").wait_for()
    button(page, "step_10").click()
    wait_for_step(page, 10)
    page.get_by_role("link", name="Train", exact=True).first.click()
    figure(page, "latent_to_data").wait_for()
    expect(page.locator(".st-key-target input")).to_have_value("Your own data")
    page.get_by_role("link", name="Targets", exact=True).first.click()
    page.locator(".st-key-data_source").wait_for()
    show(page, "Draw")
    expect(page.locator(".st-key-canvas .draw")).to_have_attribute("data-strokes", "1")
    wait_for_step(page, 10)
    drag(page, LINE)
    expect(page.locator(".st-key-canvas .draw")).to_have_attribute("data-strokes", "2")
    page.wait_for_timeout(1_000)
    assert step(page) == 10  # the run went on; it did not begin again


def test_a_finger_draws_and_trains_on_a_phone(open_part):
    page = open_part("Draw", **PHONE)
    canvas(page).scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", pixel(page, place), strict=True)) for place in places]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", ARC[0])
    for place in ARC[1:]:
        touch("touchMove", place)
        page.wait_for_timeout(15)
    touch("touchEnd")
    expect(page.locator(".st-key-canvas .draw")).to_have_attribute("data-strokes", "1")
    figure(page, "loss").wait_for()
    figure(page, "loss").scroll_into_view_if_needed()  # a figure out of sight is not drawn
    button(page, "train").tap()
    wait_for_step(page, 5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# ---------------------------------------------------------------------- files


def trains_and_draws(page: Page, mount_count) -> None:
    page.wait_for_url("**/train*")
    wait_for_step(page, 5)
    expect(page.locator(".st-key-target input")).to_have_value("Your own data")
    for key in ("density", "latent_to_data", "data_to_latent", "loss"):
        figure(page, key).scroll_into_view_if_needed()
        frame = int(figure(page, key).get_attribute("data-frame"))
        page.wait_for_function(
            "([key, n]) => Number(document.querySelector(`.st-key-${key} .live-figure`).dataset.frame) > n",
            arg=[key, frame],
        )
    wait_for_step(page, step(page) + 20)
    assert mount_count(page) == 4
    assert "target=" not in page.url


def test_a_picture_is_trained_on(open_part, mount_count):
    page = open_part("Picture")
    upload(page, "picture", "ring.png", png_bytes())
    expect(page.get_by_role("img", name="The density that the picture stands for.")).to_be_visible()
    expect(page.get_by_text("60 × 40")).to_be_visible()
    button(page, "train_on_own").click()
    trains_and_draws(page, mount_count)
    assert floor(page) is not None
    assert float(number(page, "KL(p‖q)")) > 0


def test_a_table_is_trained_on(open_part, mount_count):
    page = open_part("Table")
    upload(page, "table", "fish.csv", csv_bytes())
    expect(page.get_by_text("The first of 400 rows. Columns of numbers: 3 of 3.")).to_be_visible()
    button(page, "train_on_own").click()
    trains_and_draws(page, mount_count)
    assert floor(page) is None
    assert number(page, "KL(p‖q)") == "–"


@pytest.mark.parametrize(
    ("part", "name", "data", "words"),
    [
        ("Picture", "bomb.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "Expected "),
        ("Picture", "page.png", b"<svg onload=alert(1)></svg>", "got an SVG"),
        ("Table", "pickle.npy", b"\x93NUMPY\x01\x00" + bytes(200), "whose header cannot be read"),
        ("Table", "words.csv", b"![x](https://example.org/x.png),<img src=x>\n" * 30, "Expected "),
    ],
    ids=["png", "svg", "npy", "csv"],
)
def test_a_hostile_file_shows_its_sentence_while_another_run_trains(open_part, part, name, data, words):
    page = open_part("Gallery")
    button(page, "train_on_moons").click()
    page.wait_for_url("**/train*")
    wait_for_step(page, 10)
    page.get_by_role("link", name="Targets", exact=True).first.click()
    page.locator(".st-key-data_source").wait_for()
    show(page, part)
    upload(page, part.lower(), name, data)
    alert = page.locator("[data-testid=stAlert]")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text(f"This {part.lower()} cannot be used.")
    expect(page.locator("[data-testid=stMain]").get_by_text(words)).to_be_visible()
    expect(button(page, "train_on_own")).to_have_count(0)
    page.get_by_role("link", name="Train", exact=True).first.click()
    figure(page, "loss").wait_for()
    wait_for_step(page, 20)
    expect(button(page, "train")).to_contain_text("Pause")
    expect(page.locator(".st-key-target input")).to_have_value("Two moons")
    at = step(page)
    wait_for_step(page, at + 10)


# ---------------------------------------------------------------------- how it looks


def fill(page: Page, part: str) -> None:
    """Bring a part of the page to where it shows most."""
    if part == "Draw":
        canvas(page).scroll_into_view_if_needed()
        drag(page, ARC)
        figure(page, "loss").wait_for()
    elif part == "Picture":
        upload(page, "picture", "ring.png", png_bytes())
        button(page, "train_on_own").wait_for()
    elif part == "Table":
        upload(page, "table", "fish.csv", csv_bytes())
        button(page, "train_on_own").wait_for()
    page.wait_for_timeout(1_200)


def violations(page: Page) -> list[dict]:
    """What axe finds, but for the role that Streamlit gives the field that files are dropped on."""
    return Axe().run(page, options={"rules": {"presentation-role-conflict": {"enabled": False}}}).response["violations"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", PARTS)
def test_axe_finds_no_violation(open_part, part, scheme):
    page = open_part(part, viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    for stage in ("at first", "filled"):
        if stage == "filled":
            fill(page, part)
        found = violations(page)
        assert not found, (stage, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found])


@pytest.mark.parametrize("part", ["Picture", "Table"])
def test_axe_finds_no_violation_where_a_file_is_refused(open_part, part):
    page = open_part(part)
    upload(page, part.lower(), "x.png" if part == "Picture" else "x.csv", b"GIF89a")
    page.locator("[data-testid=stAlert]").wait_for()
    page.wait_for_timeout(700)
    found = violations(page)
    assert not found, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found]


@pytest.mark.parametrize("part", PARTS)
def test_no_part_scrolls_sideways_on_a_phone(open_part, part):
    page = open_part(part, **PHONE)
    fill(page, part)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("(node) => node.scrollWidth - node.clientWidth") <= 0
