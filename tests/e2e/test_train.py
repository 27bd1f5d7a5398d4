"""The Train page, as a visitor uses it."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.alone

APP = "app.py"
LIVE = ("density", "latent_to_data", "data_to_latent", "loss")
DRAWS_PER_SECOND = 5
MEASURED_MS = 5_000
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LEARNED_MS = 60_000  # CI shares its cores; on two idle ones it takes a few seconds


def figure(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} .live-figure")


def frames(page: Page) -> dict[str, int]:
    return {key: int(figure(page, key).get_attribute("data-frame")) for key in LIVE}


def step(page: Page, key: str = "density") -> int:
    return int(figure(page, key).get_attribute("data-step") or -1)


def number(page: Page, name: str) -> float:
    label = page.locator("dt").get_by_text(name, exact=True)
    text = page.locator(".numbers div", has=label).locator("dd").inner_text()
    return float(text.replace(",", "").split()[0])


def button(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} button:visible")


def wait_for_step(page: Page, at_least: int) -> None:
    page.wait_for_function(
        "n => Number(document.querySelector('.st-key-loss .live-figure')?.dataset.step) >= n", arg=at_least,
        timeout=LEARNED_MS,
    )  # fmt: skip


def settled_step(page: Page) -> int:
    """The step of a run at rest: seen twice the same, with time for several ticks between."""
    before = -1
    while (now := step(page)) != before:
        before = now
        page.wait_for_timeout(700)
    return now


@pytest.fixture
def open_train(serve, page, wait_for_frame):
    """`open_train(query) -> Page`: the Train page at rest, every figure drawn."""

    def open_train(query: str = "", on: Page = page) -> Page:
        on.goto(f"{serve(APP)}/train{query}")
        for key in LIVE:
            figure(on, key).wait_for(state="attached")
            figure(on, key).scroll_into_view_if_needed()
            wait_for_frame(on, figure(on, key), 1)
        on.evaluate("scrollTo(0, 0)")
        return on

    return open_train


def test_training_draws_every_figure_five_times_a_second_in_its_own_node(open_train, mount_count):
    page = open_train()
    mounts = mount_count(page)
    assert mounts == len(LIVE)
    button(page, "train").click()
    wait_for_step(page, 10)
    before, step_before = frames(page), step(page)
    start = page.evaluate("performance.now()")
    page.wait_for_timeout(MEASURED_MS)
    after, step_after = frames(page), step(page)
    seconds = (page.evaluate("performance.now()") - start) / 1000
    rates = {key: (after[key] - before[key]) / seconds for key in LIVE}
    assert step_after > step_before
    assert min(rates.values()) >= DRAWS_PER_SECOND, rates
    assert mount_count(page) == mounts

    button(page, "train").click()
    expect(button(page, "train")).to_contain_text("Train")
    at_rest = settled_step(page)
    page.wait_for_timeout(1_000)
    assert step(page) == at_rest


def test_the_flow_learns_the_moons(open_train):
    page = open_train()
    button(page, "train").click()
    page.wait_for_function(
        """() => [...document.querySelectorAll('.numbers div')].some(
             (div) => div.querySelector("dt").innerText.startsWith("KL")
               && parseFloat(div.querySelector("dd").innerText) < 0.15)""",
        timeout=LEARNED_MS,
    )
    button(page, "train").click()
    settled_step(page)
    nll, kl = number(page, "Held-out NLL"), number(page, "KL(p‖q)")
    assert nll - kl == pytest.approx(0.289, abs=0.05)  # the entropy of moons with σ = .05, to the noise of 2,000 points


def test_step_buttons_train_so_many_steps(open_train):
    page = open_train()
    for key, expected in (("step_1", 1), ("step_10", 11), ("step_100", 111)):
        button(page, key).click()
        wait_for_step(page, expected)
        assert settled_step(page) == expected
        assert number(page, "Step") == expected


def test_space_trains_and_pauses(open_train):
    page = open_train()
    page.keyboard.press("Space")
    wait_for_step(page, 5)
    expect(button(page, "train")).to_contain_text("Pause")
    page.keyboard.press("Space")
    expect(button(page, "train")).to_contain_text("Train")


def test_reset_goes_back_to_step_zero(open_train):
    page = open_train()
    button(page, "step_10").click()
    wait_for_step(page, 10)
    start = number(page, "Held-out NLL")
    button(page, "reset").click()
    page.wait_for_function("() => document.querySelector('.st-key-loss .live-figure').dataset.step === '0'")
    page.wait_for_timeout(500)
    assert number(page, "Held-out NLL") > start


def test_a_control_changed_while_training_does_not_break_it(open_train, mount_count):
    page = open_train()
    mounts = mount_count(page)
    button(page, "train").click()
    wait_for_step(page, 5)
    page.locator(".st-key-gin label").first.click()
    expect(page.get_by_text("Waiting for a reset: GIN")).to_be_visible()
    page.locator(".st-key-training_group summary").click()
    thumb = page.locator(".st-key-lr input[type=range]").first
    thumb.focus()
    thumb.press("ArrowLeft")
    now = step(page)
    wait_for_step(page, now + 10)
    assert mount_count(page) == mounts
    assert "lr=" in page.url
    assert "gin=1" in page.url
    button(page, "reset").click()
    expect(page.get_by_text("GIN in two dimensions is a shear")).to_be_visible()
    expect(page.get_by_text("Waiting for a reset")).to_have_count(0)


def test_the_link_gives_the_same_page_elsewhere(open_train, new_page):
    page = open_train()
    page.locator(".st-key-target input").click()
    page.get_by_role("option", name="Pinwheel").click()
    page.locator(".st-key-reverse label").first.click()
    button(page, "new_seed").click()
    page.wait_for_url("**seed=1**")
    link = page.url
    assert parse_qs(urlsplit(link).query) == {"v": ["1"], "target": ["pinwheel"], "reverse": ["1"], "seed": ["1"]}
    page.wait_for_timeout(1_500)
    nll = number(page, "Held-out NLL")

    elsewhere = new_page(viewport={"width": 1280, "height": 900})
    open_train("?" + urlsplit(link).query, on=elsewhere)
    expect(elsewhere.locator(".st-key-target input")).to_have_value("Pinwheel")
    expect(elsewhere.locator(".st-key-reverse input")).to_be_checked()
    assert number(elsewhere, "Held-out NLL") == nll
    assert elsewhere.url == link


def test_a_bad_link_is_told_and_the_rest_of_it_holds(open_train):
    page = open_train("?target=rings&blocks=999&colour=red")
    expect(page.get_by_text("blocks=999 was left out")).to_be_visible()
    expect(page.get_by_text("colour=red was left out")).to_be_visible()
    expect(page.locator(".st-key-target input")).to_have_value(re.compile("rings", re.IGNORECASE))


def test_a_dead_axis_is_told_and_drawn_again(open_train):
    page = open_train("?permutation=hard&blocks=1")
    expect(page.get_by_text("no coupling transforms")).to_contain_text("100.00%")
    page = open_train("?permutation=hard&blocks=2&seed=0")
    for _ in range(12):  # each draw leaves an axis with probability ½
        if not page.get_by_text("no coupling transforms").count():
            break
        button(page, "draw_again").click()
        page.wait_for_timeout(1_000)
    expect(page.get_by_text("no coupling transforms")).to_have_count(0)


def test_divergence_is_explained_and_the_best_state_comes_back(open_train):
    page = open_train("?lr=1&clip=1000000&alpha=10&blocks=24&width=8&average=0")
    button(page, "train").click()
    expect(button(page, "back_to_best")).to_be_visible(timeout=LEARNED_MS)
    expect(page.get_by_text("ower the learning rate").or_(page.get_by_text("Lower either"))).to_be_visible()
    button(page, "back_to_best").click()
    expect(button(page, "back_to_best")).to_have_count(0)
    expect(button(page, "train")).to_be_enabled()


def test_the_density_can_be_switched_to_the_truth_and_the_difference(open_train):
    page = open_train()
    cases = (("True", "True", "p(x)"), ("Difference", "Learned − true", "q − p"), ("Learned", "Learned", "q(x)"))
    for label, title, expected in cases:
        page.locator(".st-key-quantity").get_by_text(label, exact=True).click()
        expect(figure(page, "density").locator(".live-figure-title")).to_have_text(f"{title} density")
        expect(figure(page, "density").locator(".live-figure-scale")).to_contain_text(expected)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "/train"])
def test_axe_finds_no_violation(serve, new_page, path, scheme):
    page = new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page.goto(serve(APP) + path)
    (figure(page, "loss") if path else button(page, "train_it_live")).wait_for()
    page.wait_for_timeout(1_500)
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found]


def test_a_phone_trains_in_one_column_with_the_button_in_reach(serve, new_page):
    page = new_page(**PHONE)
    page.goto(f"{serve(APP)}/train")
    figure(page, "density").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = button(page, "train").bounding_box()
    assert box["y"] > 844 * 0.75  # the thumb's third of the screen
    assert box["height"] >= 36
    page.wait_for_timeout(1_000)
    button(page, "train").tap()
    page.wait_for_function("() => Number(document.querySelector('.st-key-density .live-figure').dataset.step) >= 5")


def test_home_leads_to_training_with_one_click(serve, page):
    page.goto(serve(APP))
    button(page, "train_it_live").click()
    page.wait_for_url("**/train*")
    wait_for_step(page, 5)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_the_mouse_reaches_the_pages_and_the_run_goes_on(serve, new_page, size):
    page = new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(f"{serve(APP)}/train")
    figure(page, "density").wait_for()
    button(page, "train").click()
    page.wait_for_function("() => Number(document.querySelector('.st-key-density .live-figure').dataset.step) > 3")
    page.get_by_role("link", name="Home").click()
    button(page, "train_it_live").wait_for()
    page.get_by_role("link", name="Train", exact=True).first.click()
    figure(page, "density").wait_for()
    page.wait_for_function("() => Number(document.querySelector('.st-key-density .live-figure').dataset.step) > 10")
    expect(button(page, "train")).to_contain_text("Pause")
