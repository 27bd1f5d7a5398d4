"""The component that shows a computation line by line, in a real browser."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

DEMO = "tests/e2e/apps/formula_demo.py"
LINES = 11
PASSING_MS = 30  # on a line that is only passed over; a rest is 120
PAUSE_MS = 600  # after which a report would have come

PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}

FOCUSED = "document.activeElement.closest('.formula-line')?.dataset.stage"
# A property on every node: a node that was rebuilt has none.
BRAND = "(root) => { for (const node of root.querySelectorAll('*')) node.branded = true; }"
UNBRANDED = "(root) => [...root.querySelectorAll('*')].filter((node) => !node.branded).map((node) => node.nodeName)"


def formula(page: Page) -> Locator:
    return page.locator(".st-key-formula .formula")


def line(page: Page, stage: str, nth: int = 0) -> Locator:
    return formula(page).locator(f".formula-line[data-stage={stage}]").nth(nth)


def said(page: Page) -> Locator:
    """What Python has heard."""
    return page.locator(".st-key-heard")


def rest_on(target: Locator) -> None:
    """Bring the pointer to the middle of a line, as a hand does: not in one jump."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    target.page.mouse.move(x, y - 3)
    target.page.mouse.move(x, y)


def open_demo(page: Page, url: str, wait_for_frame, query: str = "") -> Page:
    page.goto(url + query)
    formula(page).wait_for()
    wait_for_frame(page, formula(page), 1)
    return page


@pytest.fixture
def demo(serve, page, wait_for_frame):
    return open_demo(page, serve(DEMO), wait_for_frame)


def test_every_line_is_drawn_as_mathematics(demo):
    expect(formula(demo).locator(".formula-line")).to_have_count(LINES)
    expect(line(demo, "coupling").locator(".formula-numbers mtable")).to_have_count(2)
    expect(formula(demo)).to_have_attribute("data-chosen", "coupling")
    widths = (
        formula(demo).locator("math").evaluate_all("(all) => all.map((node) => node.getBoundingClientRect().width)")
    )
    assert min(widths) > 5
    assert not formula(demo).locator("merror").count()


def test_resting_on_a_line_reports_its_stage(demo):
    rest_on(line(demo, "subnet"))
    expect(said(demo)).to_have_text("point subnet")
    rest_on(line(demo, "clamp", 1))
    expect(said(demo)).to_have_text("point subnet; point clamp")


def test_passing_over_lines_reports_only_where_the_pointer_rests(demo):
    for stage in ("pre_permutation", "split", "subnet", "coupling"):
        rest_on(line(demo, stage))
        demo.wait_for_timeout(PASSING_MS)
    rest_on(line(demo, "clamp"))
    expect(said(demo)).to_have_text("point clamp")
    demo.wait_for_timeout(PAUSE_MS)
    expect(said(demo)).to_have_text("point clamp")


def test_leaving_the_list_reports_nothing(demo):
    rest_on(line(demo, "split"))
    demo.mouse.move(5, 5)
    demo.wait_for_timeout(PAUSE_MS)
    expect(said(demo)).to_have_text("nothing")


def test_click_chooses_and_marks_every_line_of_the_stage(demo):
    line(demo, "clamp", 1).click()
    expect(formula(demo)).to_have_attribute("data-chosen", "clamp")
    current = formula(demo).locator("[aria-current=true]")
    expect(current).to_have_text(["Clamp", "GIN"])
    expect(said(demo)).to_have_text(re.compile("(point clamp; )?choose clamp$"))
    demo.wait_for_timeout(PAUSE_MS)
    assert said(demo).inner_text().count("choose") == 1


def test_one_report_at_a_time_and_a_choice_is_never_lost(serve, page, wait_for_frame):
    demo = open_demo(page, serve(DEMO), wait_for_frame, "?rerun=slow")
    rest_on(line(demo, "split"))
    demo.wait_for_timeout(200)  # the report is under way, and takes SLOW_SECONDS
    rest_on(line(demo, "subnet"))
    demo.wait_for_timeout(150)
    line(demo, "clamp").click()
    rest_on(line(demo, "coupling"))
    expect(said(demo)).to_have_text("point split; choose clamp; point coupling")


def test_keys_go_from_line_to_line(demo):
    line(demo, "coupling").get_by_role("button").focus()
    for key, stage in [("ArrowDown", "global_affine"), ("Home", "pre_permutation"), ("ArrowUp", "pre_permutation"),
                       ("ArrowDown", "split"), ("End", "output"), ("ArrowDown", "output")]:  # fmt: skip
        demo.keyboard.press(key)
        assert demo.evaluate(FOCUSED) == stage
    expect(said(demo)).to_have_text(re.compile("point output$"))
    demo.keyboard.press("Enter")
    expect(formula(demo)).to_have_attribute("data-chosen", "output")
    assert demo.evaluate(FOCUSED) == "output"
    demo.keyboard.press("ArrowUp")
    demo.keyboard.press("Space")
    expect(formula(demo)).to_have_attribute("data-chosen", "permutation")


def test_keys_show_where_they_are(demo):
    line(demo, "coupling").get_by_role("button").focus()
    demo.keyboard.press("ArrowDown")
    expect(line(demo, "global_affine")).to_have_css("outline-style", "solid")
    expect(line(demo, "coupling")).to_have_css("outline-style", "none")


def test_new_numbers_change_no_node_no_size_and_no_focus(demo, wait_for_frame):
    slider = demo.get_by_role("slider")
    slider.focus()
    formula(demo).evaluate(BRAND)
    numbers = line(demo, "coupling").locator(".formula-numbers math").first
    before, box = numbers.text_content(), numbers.bounding_box()
    frames = int(formula(demo).get_attribute("data-frame"))
    slider.press("ArrowRight")
    expect(numbers).not_to_have_text(before)
    wait_for_frame(demo, formula(demo), frames + 1)
    assert formula(demo).evaluate(UNBRANDED) == []
    assert numbers.bounding_box() == box

    # With the keyboard in the list: a report's own rerun takes neither focus nor nodes.
    line(demo, "clamp").get_by_role("button").focus()
    demo.keyboard.press("ArrowUp")
    expect(said(demo)).to_have_text(re.compile("point subnet$"))
    assert demo.evaluate(FOCUSED) == "subnet"
    assert formula(demo).evaluate(UNBRANDED) == []


def test_number_that_changes_its_sign_changes_one_sign(demo):
    """Room is kept for the sign: the formula keeps its width."""
    numbers = line(demo, "split").locator(".formula-numbers math")
    width = numbers.bounding_box()["width"]
    slider = demo.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    expect(numbers).to_have_text("=(−0.301,−2.000)")  # the first sign is room for one, and not seen
    assert numbers.bounding_box()["width"] == pytest.approx(width, abs=0.5)


def test_line_that_goes_leaves_the_others_alone(demo):
    formula(demo).evaluate(BRAND)
    line(demo, "permutation").get_by_role("button").focus()
    demo.evaluate("document.querySelector('.st-key-no_mirrors input').click()")
    expect(formula(demo).locator(".formula-line")).to_have_count(LINES - 1)
    assert formula(demo).evaluate(UNBRANDED) == []
    demo.evaluate("document.querySelector('.st-key-no_mirrors input').click()")
    expect(formula(demo).locator(".formula-line")).to_have_count(LINES)
    stages = formula(demo).locator(".formula-line").evaluate_all("(all) => all.map((node) => node.dataset.stage)")
    assert stages.index("mirror_2") == stages.index("global_affine") + 1


def test_long_formula_scrolls_in_its_line_on_a_phone(serve, new_page, wait_for_frame):
    page = open_demo(new_page(**PHONE), serve(DEMO), wait_for_frame)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    room = line(page, "global_affine").evaluate("(node) => node.scrollWidth - node.clientWidth")
    assert room > 0
    line(page, "global_affine").get_by_role("button").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(node) => node.scrollLeft > 0", arg=line(page, "global_affine").element_handle())


def test_tap_chooses(serve, new_page, wait_for_frame):
    page = open_demo(new_page(**PHONE), serve(DEMO), wait_for_frame)
    line(page, "split").tap()
    expect(formula(page)).to_have_attribute("data-chosen", "split")
    expect(said(page)).to_have_text("choose split")


def test_height_in_pixels_scrolls_the_list(serve, page, wait_for_frame):
    demo = open_demo(page, serve(DEMO), wait_for_frame, "?height=300")
    assert formula(demo).bounding_box()["height"] == 300
    assert formula(demo).evaluate("(node) => node.scrollHeight") > 600


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_accessibility_fault(serve, new_page, wait_for_frame, scheme, width):
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    open_demo(page, serve(DEMO), wait_for_frame)
    result = Axe().run(page, context=".st-key-formula")
    assert result.violations_count == 0, result.generate_report()
    expect(page.get_by_role("list", name="The block at the probe, line by line")).to_be_visible()
    gin = page.get_by_role("button", name="GIN")
    expect(gin).to_have_accessible_description("Left out: GIN is off, so the block may change volume.")


def test_only_mathematics_reaches_the_page(demo):
    """The browser's own list, with what Python would not let through."""
    result = demo.evaluate(
        """async () => {
          const source = performance.getEntriesByType("resource").find(({ name }) => name.includes("/mathml.js")).name;
          const { show } = await import(source);
          const open = '<math xmlns="http://www.w3.org/1998/Math/MathML">';
          console.warn = () => {};
          return [
            open + '<mi onclick="alert(1)">x</mi></math>',
            open + '<script>alert(1)</' + 'script></math>',
            open + '<mtext><img xmlns="http://www.w3.org/1999/xhtml" src="x"/></mtext></math>',
            open + '<mi>x</math>',
            open + '<mi>x</mi></math>',
          ].map((mathml) => {
            const holder = document.createElement("div");
            show(holder, mathml);
            return [holder.textContent, holder.querySelectorAll("*").length];
          });
        }"""
    )
    assert result == [["This formula could not be drawn.", 0]] * 4 + [["x", 2]]
