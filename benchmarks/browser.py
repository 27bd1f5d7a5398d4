"""The browser that measurements and browser tests drive: Debian's chromium, without a screen."""

from __future__ import annotations

import os
import shutil

__all__ = ["CHROMIUM_FLAGS", "find_chromium"]

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """The path of a chromium: $CHROMIUM, or the first one on the PATH.

    Raises:
        FileNotFoundError: where there is none, with what to do about it.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise FileNotFoundError(
            f"Expected a browser called {', '.join(NAMES)} on the PATH; found none. "
            "Install it (apt-get install chromium), or set CHROMIUM to its path."
        )
    return found
