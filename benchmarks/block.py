"""The Block page in a real browser: how long after a change each picture is drawn again."""

from __future__ import annotations

import statistics

from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import CHROMIUM_FLAGS, find_chromium
from benchmarks.server import serve

CHANGES = 12  # of each kind
REST_MS = 700  # between two changes: each is measured from rest
BESIDE_THE_FORMULA = ("stage", "formula", "ledger")
BESIDE_THE_CLAMP = ("film", "stage", "curves", "clamp", "slice")
STEP = (5, -3)  # CSS pixels by which the probe is dragged
ALL_DRAWN = """(names) => names.every(
  (name) => document.querySelector(`.st-key-${name} [data-frame]`)?.dataset.frame > 0
)"""
# Starts a clock at the next pointer or key event, and stops it for each picture at its next draw.
CLOCK = """(names) => {
  window.drawn = {};
  let start = 0;
  const begin = () => { start ||= performance.now(); };
  for (const event of ["pointermove", "keydown"]) addEventListener(event, begin, { capture: true, once: true });
  for (const name of names) {
    const node = document.querySelector(`.st-key-${name} [data-frame]`);
    const frame = node.dataset.frame;
    const watch = new MutationObserver(() => {
      if (node.dataset.frame === frame) return;
      window.drawn[name] = performance.now() - start;
      watch.disconnect();
    });
    watch.observe(node, { attributes: true });
  }
}"""


def report() -> str:
    """The table, as Markdown."""
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 2000})  # all of it is seen, and drawn
        page.goto(f"{url}/block")
        page.wait_for_function(ALL_DRAWN, arg=list(BESIDE_THE_FORMULA))
        page.wait_for_timeout(2_000)
        plots = page.locator("canvas").element_handles()
        times = {"probe dragged": _dragged(page)}
        page.locator(".st-key-open_section").get_by_text("s, t and the clamp").click()
        page.wait_for_function(ALL_DRAWN, arg=list(BESIDE_THE_CLAMP))
        times["α by hand, a key"] = _keyed(page, ".st-key-hand_alpha input")
        remounts = sum(not node.evaluate("(node) => node.isConnected") for node in plots)
        browser.close()
    rows = [
        f"| {change} | {name} | {statistics.median(found):.0f} | {max(found):.0f} | {len(found)} |"
        for change, by_name in times.items()
        for name, found in by_name.items()
        if found
    ]
    head = "| change | drawn again | median, ms | slowest, ms | of |\n|---|---|---|---|---|\n"
    return (
        f"## The Block page: from a change to the picture\n\n{CHANGES} changes of each kind, each from rest; "
        f"{remounts} remounts. A key's change includes the browser's own wait for the next key.\n\n"
        + head + "\n".join(rows) + "\n"
    )  # fmt: skip


def _dragged(page: Page) -> dict[str, list[float]]:
    box = page.locator(".film-stage-handle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    times: dict[str, list[float]] = {name: [] for name in BESIDE_THE_FORMULA}
    for i in range(1, CHANGES + 1):
        page.evaluate(CLOCK, list(BESIDE_THE_FORMULA))
        page.mouse.move(x + i * STEP[0], y + i * STEP[1])
        _collect(page, times)
    page.mouse.up()
    return times


def _keyed(page: Page, selector: str) -> dict[str, list[float]]:
    page.locator(selector).first.focus()
    times: dict[str, list[float]] = {name: [] for name in BESIDE_THE_CLAMP}
    for i in range(CHANGES):
        page.evaluate(CLOCK, list(BESIDE_THE_CLAMP))
        page.keyboard.press("ArrowRight" if i < CHANGES / 2 else "ArrowLeft")
        _collect(page, times)
    return times


def _collect(page: Page, times: dict[str, list[float]]) -> None:
    page.wait_for_timeout(REST_MS)
    for name, milliseconds in page.evaluate("window.drawn").items():
        times[name].append(milliseconds)
