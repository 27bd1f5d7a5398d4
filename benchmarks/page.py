"""The Train page in a real browser while the default flow trains: draws, long tasks, first paint, first movement."""

from __future__ import annotations

import time

from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import CHROMIUM_FLAGS, find_chromium
from benchmarks.server import serve

FIGURES = ("density", "latent_to_data", "data_to_latent", "loss")
MEASURED_SECONDS = 20
WATCH_LONG_TASKS = """
  window.longTasks = 0;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) window.longTasks += e.duration; })
    .observe({type: "longtask", buffered: true});
"""


def report() -> str:
    """The table, as Markdown."""
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        for _ in range(2):  # the first visit warms the browser's cache
            context = browser.contexts[0] if browser.contexts else browser.new_context()
            page = context.new_page()
            page.set_viewport_size({"width": 1440, "height": 900})
            page.add_init_script(WATCH_LONG_TASKS)
            rows = _visit(page, url)
            page.close()
        browser.close()
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"## The Train page while the default flow trains, {MEASURED_SECONDS} s\n\n| | |\n|---|---|\n{body}\n"


def _visit(page: Page, url: str) -> dict[str, str]:
    began = time.perf_counter()
    page.goto(f"{url}/train")
    page.wait_for_function(
        "() => document.querySelectorAll('.live-figure[data-frame]:not([data-frame=\"0\"])').length >= 4"
    )
    first_paint = time.perf_counter() - began
    page.wait_for_timeout(1_000)
    began = time.perf_counter()
    page.locator(".st-key-train button:visible").click()
    page.wait_for_function("() => Number(document.querySelector('.st-key-density .live-figure').dataset.step) > 0")
    first_movement = time.perf_counter() - began
    page.wait_for_timeout(2_000)

    def frames() -> dict[str, int]:
        return {k: int(page.locator(f".st-key-{k} .live-figure").get_attribute("data-frame")) for k in FIGURES}

    before, step_before = frames(), _step(page)
    nodes = page.locator(".js-plotly-plot").element_handles()
    page.evaluate("longTasks = 0")
    began = time.perf_counter()
    page.wait_for_timeout(MEASURED_SECONDS * 1_000)
    seconds = time.perf_counter() - began
    after, step_after = frames(), _step(page)
    long_tasks = page.evaluate("longTasks") / 1_000 / seconds
    remounts = sum(not node.evaluate("(node) => node.isConnected") for node in nodes)
    return {
        "all figures drawn after a cold link, s": f"{first_paint:.2f}",
        "from click to first movement, s": f"{first_movement:.2f}",
        **{f"draws a second, {k}": f"{(after[k] - before[k]) / seconds:.1f}" for k in FIGURES},
        "remounted figures": str(remounts),
        "time in long tasks": f"{long_tasks:.1%}",
        "training steps a second": f"{(step_after - step_before) / seconds:.0f}",
    }


def _step(page: Page) -> int:
    return int(page.locator(".st-key-density .live-figure").get_attribute("data-step"))
