"""The pages as scripts, without a browser: they run, and their controls are the settings."""

import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aio.config import RunConfig, limits
from aio.link import LINK_NAMES
from aio.ui.controls import CONTROLS, waiting_for_reset
from aio.ui.frame import PAGES

SECONDS = 60
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def a_new_visitor(monkeypatch):
    """AppTest gives every visitor the same session: forget what the last one left.

    It also leaves the page as `__main__`, which a process that is spawned later would run.
    """
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    st.cache_resource.clear()


def open_page(path: str, query: dict[str, str] | None = None) -> AppTest:
    app = AppTest.from_file(REPOSITORY / "app.py", default_timeout=SECONDS)
    for name, value in (query or {}).items():
        app.query_params[name] = value
    return (app if path == "app.py" else app.switch_page(path)).run()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.title)
def test_every_page_runs(page):
    assert not open_page(page.path).exception


def test_every_setting_in_a_link_has_a_control_with_help():
    assert set(CONTROLS) == set(LINK_NAMES)
    assert all(len(control.help) > 20 for control in CONTROLS.values())


@pytest.mark.parametrize("name", [n for n, c in CONTROLS.items() if c.kind in ("slider", "number")])
def test_a_control_reaches_the_limits_of_its_setting(name):
    base = CONTROLS[name].base  # some are drawn with their kind of base only
    app = open_page("pages/train.py", {"base": base} if base else None)
    widget = next(w for w in (*app.slider, *app.number_input) if w.key == name)
    path = LINK_NAMES[name]
    assert (widget.min, widget.max) == limits(type(RunConfig().at(path[:-1])), path[-1])


def test_the_link_sets_the_controls():
    app = open_page(
        "pages/train.py", {"target": "eight_gaussians", "modes": "5", "alpha": "1.93", "gin": "1", "lr": "0.004"}
    )
    assert app.selectbox(key="target").value == "eight_gaussians"
    assert app.slider(key="modes").value == 5
    assert app.slider(key="alpha").value == pytest.approx(1.93)
    assert app.toggle(key="gin").value is True
    assert app.select_slider(key="lr").value == pytest.approx(0.004)
    assert not app.warning


def test_another_target_starts_with_its_own_parameters():
    app = open_page("pages/train.py", {"noise": "0.3"})
    app.selectbox(key="target").select("rings").run()
    assert app.slider(key="noise").value == pytest.approx(0.08)
    app.selectbox(key="target").select("checkerboard").run()
    assert "noise" not in [s.key for s in app.slider]


def test_an_impossible_combination_is_told_and_the_page_goes_on():
    app = open_page("pages/train.py", {"psi0": "15"})
    app.selectbox(key="psi").select("SIGMOID").run()
    assert not app.exception
    assert "below 10 for SIGMOID" in app.error[0].value


def test_what_waits_for_a_reset_is_named():
    before = RunConfig()
    after = before.changed_at(("flow", "block", "clamp"), 1.0).changed_at(("training", "learning_rate"), 1e-3)
    after = after.changed_at(("data", "parameters"), {"noise": 0.2})
    assert waiting_for_reset(after, before) == ["Clamp α", "Noise σ"]


def test_a_link_brings_no_markdown_along():
    app = open_page("pages/train.py", {"foo": "![x](https://example.org/x.png)" * 50})
    assert [w.value for w in app.warning] == ["Some of this link was left out."]
    assert "foo=![x]" in app.text[0].value
    assert len(app.text[0].value) < 200


def test_the_seed_after_the_last_is_the_first():
    _, last = limits(RunConfig, "seed")
    app = open_page("pages/train.py", {"seed": str(last)})
    app.button(key="new_seed").click().run()
    assert not app.exception
    assert app.number_input(key="seed").value == 0


def test_single_blocks_are_named_and_can_be_given_back():
    app = open_page("pages/train.py", {"blocks": "4", "block3": "gin:1"})
    assert any("block 3" in info.value for info in app.info)
    app.button(key="same_settings").click().run()
    assert not app.exception
    assert not any("block 3" in info.value for info in app.info)
