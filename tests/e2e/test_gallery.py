"""The gallery of targets, as a visitor uses it."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from aio.targets import TARGETS

APP = "app.py"
CARDS = '[class*="st-key-card_"]'
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PAINTED_MS = 3_000  # on a warm server, all of Streamlit's own loading and CI's shared cores included; idle, half of it
FIRST_MS = 30_000  # the first visitor's pictures and entropies are computed
LEARNED_MS = 60_000
PADDING = 8  # of a card, in pixels, that stays free at least

# Every card with its picture decoded, its formula set and its button there.
WHOLE = """(count) => {
  const cards = [...document.querySelectorAll('[class*="st-key-card_"]')];
  return cards.length === count && cards.every((card) => card.querySelector("img")?.naturalWidth > 0
    && card.querySelector(".katex") && card.querySelector(".stButton button"));
}"""


def open_gallery(page: Page, url: str) -> Page:
    page.goto(f"{url}/targets")
    page.wait_for_function(WHOLE, arg=len(TARGETS), timeout=FIRST_MS)
    return page


@pytest.fixture
def gallery(serve, page) -> Page:
    return open_gallery(page, serve(APP))


@pytest.mark.parametrize("name", ["pinwheel", "checkerboard"])
def test_train_on_it_leads_to_training_on_that_target(gallery, name):
    gallery.locator(f".st-key-train_on_{name} button").click()
    gallery.wait_for_url(re.compile(f"/train.*target={name}"))
    expect(gallery.locator(".st-key-target input")).to_have_value(TARGETS[name].title)
    gallery.wait_for_function(
        "() => Number(document.querySelector('.st-key-density .live-figure')?.dataset.step) >= 5", timeout=LEARNED_MS
    )
    expect(gallery.locator(".st-key-train button:visible")).to_contain_text("Pause")
    expect(gallery.get_by_text("Waiting for a reset")).to_have_count(0)
    gallery.locator(".st-key-train button:visible").click()


def test_a_run_on_another_target_gives_way(gallery):
    gallery.locator(".st-key-train_on_crescent button").click()
    step = "() => Number(document.querySelector('.st-key-density .live-figure')?.dataset.step)"
    gallery.wait_for_function(f"() => ({step})() >= 20", timeout=LEARNED_MS)
    gallery.get_by_role("link", name="Targets").first.click()
    gallery.wait_for_function(WHOLE, arg=len(TARGETS))
    gallery.locator(".st-key-train_on_rings button").click()
    expect(gallery.locator(".st-key-target input")).to_have_value(TARGETS["rings"].title)
    gallery.wait_for_function(f"() => ({step})() >= 5", timeout=LEARNED_MS)
    gallery.locator(".st-key-train button:visible").click()
    assert "target=rings" in gallery.url


def test_all_pictures_are_there_soon_on_a_warm_server(serve, gallery, new_page):
    other = new_page()
    other.goto(serve(APP))
    other.locator(".st-key-train_it_live button").wait_for()
    before = other.evaluate("performance.now()")
    other.get_by_role("link", name="Targets").first.click()
    other.wait_for_function(WHOLE, arg=len(TARGETS))
    assert other.evaluate("performance.now()") - before < PAINTED_MS


def test_cards_of_a_row_are_equally_high_and_their_parts_stand_level(serve, new_page):
    page = open_gallery(new_page(viewport={"width": 1440, "height": 900}), serve(APP))
    boxes = page.locator(CARDS).evaluate_all(
        """(cards) => cards.map((card) => {
             const parts = [card, ...card.querySelectorAll("img, .katex-display, .hard, .stButton button")];
             return parts.map((part) => part.getBoundingClientRect()).map((box) => [box.top, box.bottom]);
           })"""
    )
    rows: dict[int, list] = {}
    for card in boxes:
        rows.setdefault(round(card[0][0]), []).append(card)
    assert max(len(row) for row in rows.values()) == 4
    for (first, *first_parts), *others in rows.values():
        for other, *other_parts in others:
            assert other[1] == pytest.approx(first[1], abs=1)  # the lower edges
            for part, level in zip(other_parts, first_parts, strict=True):
                assert part[0] == pytest.approx(level[0], abs=1)


@pytest.mark.parametrize("width", [360, 390, 800, 1250, 1440])
def test_nothing_reaches_beyond_its_card_or_the_page(serve, new_page, width):
    page = open_gallery(new_page(**{**PHONE, "viewport": {"width": width, "height": 844}}), serve(APP))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.locator(CARDS).evaluate_all(
        """(cards, padding) => cards.filter((card) => {
             const { left, right } = card.getBoundingClientRect();
             return [...card.querySelectorAll("img, .katex-html .base, h3, p, .stButton button")].some((part) => {
               const box = part.getBoundingClientRect();
               return box.left < left + padding || box.right > right - padding;
             });
           }).map((card) => card.className)""",
        PADDING,
    )
    assert not beyond


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_violation(serve, new_page, width, scheme):
    page = open_gallery(new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), serve(APP))
    page.wait_for_timeout(1_000)
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found]
