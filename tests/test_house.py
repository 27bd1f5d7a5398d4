"""The house stands as docs/architecture.md draws it: imports point one way, and files are read in one sitting."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "aio").rglob("*.py"))
}
PAGES = {path.stem: path for path in [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]}
CORE = {name: path for name, path in MODULES.items() if not name.startswith("aio.ui")}

MOST_LINES = 400
MOST_PAGE_LINES = 120
# One formula, its two directions, its sub-stages and two dialects of state dicts: they are read side by side.
LONGER = {"aio.block": 450}

each_module = pytest.mark.parametrize("name", MODULES)
each_core_module = pytest.mark.parametrize("name", CORE)
each_page = pytest.mark.parametrize("name", PAGES)


def imported(path: Path, *, at_the_top: bool = False) -> set[str]:
    """The modules that a file imports, in full: from a import b is a.b where that is one of ours, else a."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            names |= whole or {node.module or ""}
    return names


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def test_the_house_was_found() -> None:
    assert {"aio.block", "aio.training", "aio.figures.plane", "aio.ui.session"} <= MODULES.keys()
    assert {"app", "train"} <= PAGES.keys()
    assert packages(MODULES["aio.ui.session"]) >= {"streamlit", "torch", "aio"}


@each_core_module
def test_the_core_does_not_know_the_screen(name: str) -> None:
    assert "streamlit" not in packages(CORE[name])
    assert not {n for n in imported(CORE[name]) if n.startswith("aio.ui")}


@each_core_module
def test_only_the_figures_draw(name: str) -> None:
    draws = "plotly" in packages(CORE[name])
    assert not draws or name.startswith("aio.figures.")


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("aio.figures")])
def test_figures_see_arrays_only(name: str) -> None:
    known = imported(MODULES[name])
    assert "torch" not in packages(MODULES[name])
    assert {n for n in known if n.startswith("aio")} <= {n for n in MODULES if n.startswith("aio.figures")}


def test_imports_point_one_way() -> None:
    graph = {name: imported(path, at_the_top=True) & MODULES.keys() for name, path in MODULES.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # a circle is an error
    for first, later in [
        ("aio.block", "aio.flow"), ("aio.subnets", "aio.flow"), ("aio.config", "aio.flow"),
        ("aio.flow", "aio.training"), ("aio.flow", "aio.inspection"), ("aio.training", "aio.snapshot"),
        ("aio.snapshot", "aio.runs"), ("aio.runs", "aio.ui.session"),
    ]:  # fmt: skip
        assert order.index(first) < order.index(later), (first, later)


def test_the_block_stands_alone() -> None:
    """It drops into FrEIA and anomalib code: the block needs the maths beside it and nothing above."""
    needed, names = set(), ["aio.block"]
    while names:
        found = imported(MODULES[names.pop()]) & MODULES.keys() - needed
        needed |= found
        names += found
    assert needed <= {"aio.arguments", "aio.global_affine", "aio.orthogonal"}
    assert packages(MODULES["aio.block"]) - set(sys.stdlib_module_names) == {"aio", "torch"}


def test_training_loads_no_screen() -> None:
    program = (
        "import sys, aio, aio.training, aio.runs, aio.link, aio.inspection\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'streamlit', 'plotly', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["torch"]


@each_module
def test_a_module_is_read_in_one_sitting(name: str) -> None:
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(name, MOST_LINES), f"{lines} lines. Past {MOST_LINES}, look for the second idea."


def test_no_module_is_called_long_that_is_not() -> None:
    for name in LONGER:
        assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) > MOST_LINES


@each_module
def test_a_module_says_what_it_is(name: str) -> None:
    summary = (ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8"))) or "").partition("\n")[0]
    assert summary.endswith((".", ":"))


@each_page
def test_a_page_is_short_and_holds_no_maths(name: str) -> None:
    assert len(PAGES[name].read_text(encoding="utf-8").splitlines()) <= MOST_PAGE_LINES
    assert not packages(PAGES[name]) & {"numpy", "torch", "scipy", "plotly"}


@pytest.mark.parametrize("name", [*MODULES, *PAGES])
def test_no_global_generator_is_seeded(name: str) -> None:
    """Randomness is an argument."""
    path = MODULES.get(name) or PAGES[name]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"torch.manual_seed", "np.random.seed", "random.seed", "torch.seed"}
