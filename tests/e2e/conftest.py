"""What the browser tests share: a Streamlit server, a page that fails on any console error, and two helpers.

Each is a fixture: a test that draws reads

    def test_it_draws(serve, page, wait_for_frame):
        page.goto(serve("tests/e2e/apps/live_demo.py"))
        wait_for_frame(page, page.locator(".st-key-heatmap .live-figure"), 1)
"""

import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, sync_playwright

from benchmarks.browser import CHROMIUM_FLAGS, find_chromium

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 60  # torch and plotly may be imported for the first time
WAIT_MS = 20_000
LOG_LINES = 60

# The apps are Streamlit scripts: collected as modules, they would run.
collect_ignore = ["apps"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as `e2e`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@dataclass
class Server:
    """A running `streamlit run`."""

    script: str
    process: subprocess.Popen
    url: str
    log: Path

    def wait_until_healthy(self) -> None:
        """Return once the server answers; fail with its log if it does not."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"streamlit run {self.script} did not start:\n{self.log.read_text()}", pytrace=False)


@dataclass
class Servers:
    """The servers of this session, one for each script and set of options."""

    folder: Path
    running: dict[tuple, Server] = field(default_factory=dict)

    def serve(self, script: str, **options: str) -> str:
        """Start `streamlit run script`, or find it running; return its address.

        Args:
            script: path below the repository, which is the working folder.
            options: Streamlit's, such as `**{"server.baseUrlPath": "lab"}`.
        """
        known = (script, *sorted(options.items()))
        if known not in self.running:
            self.running[known] = self._start(script, options)
            self.running[known].wait_until_healthy()
        return self.running[known].url

    def _start(self, script: str, options: dict[str, str]) -> Server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = {
            "server.port": str(port),
            "server.address": "127.0.0.1",
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
            **options,
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        log = self.folder / f"{port}.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", script, *arguments],
                cwd=REPOSITORY,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        base = options.get("server.baseUrlPath", "").strip("/")
        return Server(script, process, f"http://127.0.0.1:{port}/{base}".rstrip("/"), log)

    def stop(self) -> None:
        for server in self.running.values():
            server.process.kill()  # there is nothing to save, and a polite end takes seconds
            server.process.wait()


SERVERS = pytest.StashKey[Servers]()


@pytest.fixture(scope="session")
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """`serve(script, **options) -> url`: a Streamlit server that lives until the end of the session."""
    with tempfile.TemporaryDirectory() as folder:
        servers = request.config.stash[SERVERS] = Servers(Path(folder))
        yield servers.serve
        servers.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the servers' logs below a test that failed."""
    report = yield
    if report.failed and SERVERS in item.config.stash:
        for server in item.config.stash[SERVERS].running.values():
            if not server.log.exists():  # the session is at its end
                continue
            lines = server.log.read_text().splitlines()[-LOG_LINES:]
            report.sections.append((f"streamlit run {server.script}", "\n".join(lines)))
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for the session."""
    try:
        executable = find_chromium()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def warm_context(browser: Browser) -> BrowserContext:
    """The context of all ordinary pages: its cache makes every load but the first about twice as fast."""
    return open_context(browser)


def open_context(browser: Browser, **options) -> BrowserContext:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(COUNT_MOUNTS)
    return context


def is_error(message: ConsoleMessage) -> bool:
    """Whether the page complained of something of its own.

    On a cold deep link Streamlit's front end looks for its server below the page's path first, and finds it above.
    """
    probe = message.location["url"].endswith(("/_stcore/health", "/_stcore/host-config"))
    return message.type == "error" and not probe


@pytest.fixture
def new_page(browser: Browser, warm_context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """`new_page(**options) -> Page`, with Playwright's options of a browser context, such as `has_touch`.

    When the test ends it fails if a page wrote an error to its console or threw an exception.
    """
    problems: list[str] = []
    pages: list[Page] = []

    def open_page(**options) -> Page:
        page = (open_context(browser, **options) if options else warm_context).new_page()
        page.on("console", lambda message: is_error(message) and problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        # Streamlit keeps the chosen theme there. A page that went nowhere has no storage to clear.
        page.evaluate("location.protocol === 'http:' && localStorage.clear()")
        page.close() if page.context is warm_context else page.context.close()
    assert not problems, "The page reported errors:\n" + "\n".join(problems)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """One page, 1280 × 900, light."""
    return new_page()


@pytest.fixture(scope="session")
def wait_for_frame() -> Callable[[Page, Locator, int], None]:
    """`wait_for_frame(page, locator, n)`: wait until the live component has drawn n times."""

    def wait(page: Page, locator: Locator, n: int) -> None:
        page.wait_for_function("([node, n]) => Number(node.dataset.frame) >= n", arg=[locator.element_handle(), n])

    return wait


# Every node ever seen under a selector, from before the page loads. A node counts once, however often it changes.
COUNT_MOUNTS = """(() => {
  const seen = new Map([".js-plotly-plot", ".main-svg", "canvas"].map((selector) => [selector, new Set()]));
  const look = () => {
    for (const [selector, nodes] of seen) for (const node of document.querySelectorAll(selector)) nodes.add(node);
  };
  new MutationObserver(look).observe(document, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["class"],
  });
  window.mountCount = (selector) => {
    if (!seen.has(selector)) seen.set(selector, new Set());
    look();
    return seen.get(selector).size;
  };
})()"""


@pytest.fixture(scope="session")
def mount_count() -> Callable[[Page, str], int]:
    """`mount_count(page, selector)`: how many different nodes have matched since the page loaded.

    `.js-plotly-plot`, `.main-svg` and `canvas` are watched from the start, another selector from the first call on.
    """

    def count(page: Page, selector: str = ".js-plotly-plot") -> int:
        return page.evaluate("(selector) => mountCount(selector)", selector)

    return count
