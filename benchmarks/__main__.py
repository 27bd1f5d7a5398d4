"""Run every measurement and write benchmarks/RESULTS.md: `make bench`."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import block, page, training

RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("torch", "FrEIA", "streamlit", "plotly", "numpy")


def main() -> None:
    sections = [training.report(), page.report(), block.report()]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    head = (
        "# Results\n\n"
        f"`make bench`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {versions}. Ratios within this run count; absolute times are the machine's.\n"
    )
    RESULTS.write_text("\n".join([head, *sections]))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
