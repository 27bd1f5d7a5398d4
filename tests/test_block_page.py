"""The Block page as a script, without a browser: every section, every way of opening a block, and its extremes."""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aio.block import CLAMP_DIALECTS
from aio.by_hand import CURVE_KINDS, MOST_MIRRORS
from aio.link import to_link
from aio.presets import PRESETS, STATEMENTS
from aio.ui import opening
from aio.ui.by_hand import AS_IT_IS, G_REACH
from aio.ui.judging import DEEPEST
from aio.ui.sections import SECTION_NAMES
from aio.ui.take_away import LIBRARIES

SECONDS = 60
REPOSITORY = Path(__file__).parents[1]
CHEAP = ("conditioner", "permutation", "fields", "scale")  # sections whose numbers depend on the film
SHORT = {"blocks": "2", "width": "8", "depth": "1", "points": "300"}  # a flow that costs little
CASES = {
    "one block": {"blocks": "1"},
    "eight blocks": {"blocks": "8"},
    "hard": {"permutation": "hard"},
    "mirrors": {"mirrors": "2"},
    "hard mirrors reversed": {"permutation": "hard", "mirrors": "2", "reverse": "1"},
    "GIN": {"gin": "1"},
    "GIN reversed": {"gin": "1", "reverse": "1", "permutation": "hard"},
    "FrEIA main": {"dialect": "freia-main"},
    "sigmoid": {"psi": "SIGMOID"},
    "exp": {"psi": "EXP", "psi0": "0.5"},
    "a target without a density": {"target": "two_spirals"},
}


@pytest.fixture(autouse=True)
def a_new_visitor(monkeypatch):
    """AppTest gives every visitor the same session: forget what the last one left.

    It also leaves the page as `__main__`, which a process that is spawned later would run.
    """
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(opening, "ECHO_SECONDS", 0.0)  # what is clicked here is clicked at once, and meant
    st.cache_resource.clear()


# ---------------------------------------------------------------------- the page in a test's hands


def open_block(query: dict[str, str] | None = None, *, by_hand: bool = False) -> AppTest:
    """A new visitor's page with a small flow; as it was drawn, unless what the page begins with is wanted."""
    st.cache_resource.clear()
    app = AppTest.from_file(REPOSITORY / "app.py", default_timeout=SECONDS)
    for name, value in (SHORT | (query or {})).items():
        app.query_params[name] = value
    app = ran(app.switch_page("pages/block.py"))
    assert is_by_hand(app)
    return app if by_hand else press(app, "undo_by_hand")


def ran(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, [error.message for error in app.exception]
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return ran(app)


def show_statement(app: AppTest, number: int | None) -> AppTest:
    app.pills(key="statement").set_value(number)
    return ran(app)


def is_by_hand(app: AppTest) -> bool:
    """Whether there is something to undo."""
    return any(button.key == "undo_by_hand" and not button.disabled for button in app.button)


SECTION_OF = {"s": "conditioner", "t": "conditioner", "alpha": "conditioner", "dialect": "conditioner",
              "gin": "conditioner", "angle": "permutation", "reverse": "permutation", "mirrors": "permutation",
              "v": "permutation", "g": "scale", "o": "scale"}  # fmt: skip


def put(app: AppTest, key: str, value: Any) -> AppTest:
    """Set the widget of this key, whatever it is; what is set by hand is looked for in its section."""
    if key.startswith("hand_"):
        name = key.split("_")[1]
        put(app, "open_section", SECTION_OF.get(name) or SECTION_OF[name.rstrip("12345678")])
    kinds = (app.slider, app.selectbox, app.toggle, app.number_input, app.segmented_control, app.select_slider,
             app.pills)  # fmt: skip
    next(widget for kind in kinds for widget in kind if widget.key == key).set_value(value)
    return ran(app)


def formula(app: AppTest) -> bytes:
    put(app, "open_section", "formula")
    return body(app, "formula")


def keys(app: AppTest, kind: str) -> list[str]:
    return [widget.key for widget in app.get(kind)]


def body(app: AppTest, key: str) -> bytes | None:
    """What a component was sent; None where it is not on the page."""
    found = [c.proto for c in app.get("bidi_component") if c.proto.id.endswith(f"-{key}")]
    return (found[0].bytes or found[0].json.encode()) if found else None


def header(app: AppTest, key: str) -> dict:
    return json.loads(body(app, key).partition(b"\n")[0])


def film(app: AppTest) -> dict:
    return json.loads(body(app, "film").split(b"\n", 2)[1])


def frames(app: AppTest) -> dict[str, bool]:
    """Each frame of the film and whether it is active."""
    return {frame["name"]: frame["active"] for frame in film(app)["frames"]}


def visit_sections(app: AppTest, names: Iterable[str] = SECTION_NAMES) -> None:
    for name in names:
        put(app, "open_section", name)
        assert app.pills(key="open_section").value == name


# ---------------------------------------------------------------------- every way of opening a block


@pytest.mark.parametrize("query", CASES.values(), ids=CASES)
def test_every_section_runs_both_ways_with_data_and_base(query):
    app = open_block(query)
    visit_sections(app)
    put(app, "open_rev", True)
    put(app, "open_points", "base")
    visit_sections(app, CHEAP)
    put(app, "open_points", "data")
    put(app, "open_rev", False)
    put(app, "open_points", "base")


def test_every_section_runs_with_what_the_page_begins_with():
    app = open_block(by_hand=True)
    assert any("set by hand" in info.value for info in app.info)
    visit_sections(app)
    press(app, "undo_by_hand")
    assert not app.info


@pytest.mark.parametrize("name", PRESETS)
def test_every_section_runs_for_a_preset(name):
    app = open_block()
    put(app, "preset", name)
    assert dict(app.query_params) == to_link(PRESETS[name].config)
    assert any(PRESETS[name].look_for in caption.value for caption in app.caption)
    assert app.segmented_control(key="open_source").value == "drawn"
    visit_sections(app)


def test_every_section_runs_for_a_trained_flow():
    app = open_block()
    put(app, "open_source", "trained")
    visit_sections(app)
    drawn = body(app, "film")
    app.switch_page("pages/train.py")
    press(ran(app), "step_10")
    deadline = time.monotonic() + SECONDS
    while "dt>Step</dt><dd>10<" not in "".join(html.value for html in app.get("html")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
        ran(app)
    app.switch_page("pages/block.py")
    ran(app)
    assert app.segmented_control(key="open_source").value == "trained"
    assert body(app, "film") != drawn
    put(app, "open_section", "formula")
    assert header(app, "ledger")["step"] == 10
    visit_sections(app)
    put(app, "open_rev", True)
    put(app, "open_source", "drawn")
    put(app, "open_section", "formula")
    assert header(app, "ledger")["step"] == 0


def test_a_first_visit_after_training_opens_what_was_trained():
    app = AppTest.from_file(REPOSITORY / "app.py", default_timeout=SECONDS)
    for name, value in SHORT.items():
        app.query_params[name] = value
    ran(app.switch_page("pages/train.py"))
    press(app, "step_1")
    ran(app.switch_page("pages/block.py"))
    assert app.segmented_control(key="open_source").value == "trained"
    assert not is_by_hand(app)


# ---------------------------------------------------------------------- what is on the page follows its settings


def test_the_film_has_the_frames_of_its_block_in_the_order_of_its_direction():
    app = open_block({"mirrors": "2", "reverse": "1"})
    forward = frames(app)
    order = ["input", "pre_permutation", "split", "subnet", "clamp", "coupling", "global_affine", "mirror_2",
             "mirror_1", "permutation", "output"]  # fmt: skip
    assert list(forward) == order
    assert all(forward.values())
    put(app, "open_rev", True)
    assert list(frames(app))[:4] == ["input", "permutation", "mirror_1", "mirror_2"]
    app = open_block()
    passed_over = {name for name, active in frames(app).items() if not active}
    assert passed_over == {"pre_permutation", "mirrors"}


def test_what_is_set_by_hand_belongs_to_its_block():
    app = open_block({"blocks": "3"})
    assert (app.number_input(key="open_index").min, app.number_input(key="open_index").max) == (1, 3)
    first = film(app)["id"]
    put(app, "hand_alpha", 7.0)
    put(app, "hand_s", "linear")
    put(app, "open_index", 3)
    assert not is_by_hand(app)
    assert app.slider(key="hand_alpha").value == pytest.approx(2.0)
    assert app.selectbox(key="hand_s").value == AS_IT_IS
    assert film(app)["id"] != first
    put(app, "open_index", 1)
    assert app.slider(key="hand_alpha").value == pytest.approx(7.0)
    assert app.selectbox(key="hand_s").value == "linear"
    press(app, "undo_by_hand")
    assert film(app)["id"] == first


def test_what_is_set_by_hand_does_not_pass_to_the_last_block_of_a_shorter_flow():
    app = open_block({"blocks": "4"})
    put(app, "open_index", 4)
    put(app, "hand_alpha", 7.0)
    put(app, "blocks", 2)
    assert app.number_input(key="open_index").value == 2
    assert app.slider(key="hand_alpha").value == pytest.approx(2.0)


def test_a_shorter_flow_has_a_last_block_and_a_single_one_no_number():
    app = open_block({"blocks": "8"})
    put(app, "open_index", 8)
    put(app, "blocks", 3)
    assert (app.number_input(key="open_index").value, app.number_input(key="open_index").max) == (3, 3)
    put(app, "blocks", 1)
    assert "open_index" not in keys(app, "number_input")
    put(app, "blocks", 4)
    assert app.number_input(key="open_index").value == 1


def test_the_chosen_frame_may_be_gone_and_another_takes_its_place():
    app = open_block({"mirrors": "1"})
    show = next(i for i, s in enumerate(STATEMENTS, 1) if s.step.startswith("mirror_"))
    show_statement(app, show)
    assert header(app, "film")["chosen"].startswith("mirror")
    put(app, "open_section", "permutation")
    put(app, "hand_mirrors", 0)
    assert header(app, "film")["chosen"] == "mirrors"
    assert header(app, "film")["chosen"] in frames(app)


def test_the_typed_probe_moves_the_probe():
    app = open_block()
    put(app, "probe_1", -1.25)
    put(app, "probe_2", 0.75)
    assert header(app, "stage")["probe"]["path"][0] == [-1.25, 0.75]
    for extreme in (-20.0, 20.0):
        put(app, "probe_1", extreme)
        put(app, "probe_2", extreme)
        assert header(app, "stage")["probe"]["path"][0] == [extreme, extreme]


# ---------------------------------------------------------------------- by hand


@pytest.mark.parametrize("dialect", CLAMP_DIALECTS)
def test_extreme_curves_break_no_section(dialect):
    app = open_block({"dialect": dialect, "mirrors": "1"})
    put(app, "hand_alpha", 10.0)
    for name in ("s", "t"):
        for kind, extremes in {
            "linear": {"amplitude": 5.0, "centre": -3.0},
            "sine": {"amplitude": -5.0, "rate": 10.0},
            "constant": {"level": -5.0},
            "step": {"amplitude": 5.0, "rate": 50.0, "level": 5.0},
        }.items():
            put(app, f"hand_{name}", kind)
            for field, value in extremes.items():
                put(app, f"hand_{name}_{field}", value)
                assert app.slider(key=f"hand_{name}_{field}").value == pytest.approx(value)
    put(app, "probe_1", 20.0)
    put(app, "probe_2", -20.0)
    put(app, "open_section", "round_trip")
    put(app, "open_depth", DEEPEST)
    for rev in (False, True):
        put(app, "open_rev", rev)
        visit_sections(app, SECTION_NAMES if rev else CHEAP)
    put(app, "open_section", "loss")
    put(app, "open_off", True)
    put(app, "open_colour", "step")
    put(app, "open_displacement", True)


@pytest.mark.parametrize("psi", G_REACH)
def test_the_ends_of_scale_and_offset_break_no_section(psi):
    app = open_block({"psi": psi})
    for end in G_REACH[psi]:
        put(app, "open_section", "scale")
        for key, value in (("g1", end), ("g2", G_REACH[psi][0]), ("o1", 4.0), ("o2", -4.0)):
            put(app, f"hand_{key}", value)
            assert app.slider(key=f"hand_{key}").value == pytest.approx(value)
        visit_sections(app)
        put(app, "open_rev", True)
        put(app, "open_rev", False)


def test_all_mirrors_break_no_section_and_each_turns():
    app = open_block()
    put(app, "open_section", "permutation")
    put(app, "hand_angle", -180.0)
    put(app, "hand_mirrors", MOST_MIRRORS)
    assert sum(name.startswith("mirror_") for name in frames(app)) == MOST_MIRRORS
    for i in range(1, MOST_MIRRORS + 1):
        before = film(app)["id"]
        put(app, f"hand_v{i}", 20.0 + 5 * i)
        assert film(app)["id"] != before
        assert app.slider(key=f"hand_v{i}").value == pytest.approx(20.0 + 5 * i)
    put(app, "hand_reverse", True)
    visit_sections(app)
    put(app, "open_section", "permutation")
    for count in (3, 0):
        put(app, "hand_mirrors", count)
        assert [key for key in keys(app, "slider") if key.startswith("hand_v")] == [
            f"hand_v{i + 1}" for i in range(count)
        ]


def test_every_control_by_hand_changes_the_block_and_undo_takes_all_back():
    app = open_block({"mirrors": "1"})
    drawn, first = film(app)["id"], formula(app)
    changes = {
        "conditioner": [("hand_s", "sine"), ("hand_t", "linear"), ("hand_alpha", 1.5),
                        ("hand_dialect", "freia-main"), ("hand_gin", True), ("hand_gin", False)],
        "permutation": [("hand_angle", 45.0), ("hand_reverse", True), ("hand_mirrors", 2), ("hand_v1", 60.0)],
        "scale": [("hand_g1", 3.0), ("hand_g2", 2.0), ("hand_o1", 1.0), ("hand_o2", -1.0)],
    }  # fmt: skip
    seen = drawn
    for section, controls in changes.items():
        put(app, "open_section", section)
        for key, value in controls:
            put(app, key, value)
            assert film(app)["id"] != seen, key
            seen = film(app)["id"]
    put(app, "open_section", "loss")
    put(app, "open_off", True)
    press(app, "undo_by_hand")
    assert not is_by_hand(app)
    assert app.toggle(key="open_off").value is False
    assert (film(app)["id"], formula(app)) == (drawn, first)
    for section, controls in changes.items():
        put(app, "open_section", section)
        shown = {w.key: w.value for kind in (app.slider, app.selectbox, app.toggle) for w in kind}
        fresh = {"hand_s": AS_IT_IS, "hand_t": AS_IT_IS, "hand_alpha": 2.0, "hand_gin": False, "hand_reverse": False,
                 "hand_mirrors": 1, "hand_o1": 0.0, "hand_o2": 0.0}  # fmt: skip
        for key, _ in controls:
            if key in fresh:
                assert shown[key] == pytest.approx(fresh[key]) if key != "hand_s" else AS_IT_IS


@pytest.mark.parametrize("kind", CURVE_KINDS)
def test_a_curve_has_a_slider_for_everything_that_shapes_it(kind):
    """What was set under another kind of curve must not go on unseen."""
    app = open_block()
    put(app, "hand_s", "step")
    put(app, "hand_s_level", 3.0)
    put(app, "hand_s_centre", 1.5)
    put(app, "hand_s", kind)
    kept = film(app)["id"]
    sliders = {key for key in keys(app, "slider") if key.startswith("hand_s_")}
    app = open_block()
    put(app, "hand_s", kind)
    for key, value in (("hand_s_level", 3.0), ("hand_s_centre", 1.5)):
        if key in sliders:
            put(app, key, value)
    assert film(app)["id"] == kept


# ---------------------------------------------------------------------- statements and what is taken away


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: str(s.number))
def test_show_sets_the_page_for_a_statement(statement):
    app = open_block()
    put(app, "open_section", "loss")
    put(app, "open_off", True)
    show_statement(app, statement.number)
    assert any(statement.see in info.value for info in app.info)
    assert app.segmented_control(key="open_source").value == statement.source
    assert app.segmented_control(key="open_rev").value == statement.rev
    assert app.segmented_control(key="open_points").value == statement.points
    assert header(app, "film")["chosen"] == header(app, "stage")["chosen"] == statement.step
    assert frames(app)[statement.step]
    assert app.pills(key="open_section").value == statement.section
    if statement.source == "drawn":
        assert dict(app.query_params) == to_link(statement.config)
    elif "train_to_show" not in keys(app, "button"):
        pytest.fail("A statement about a trained flow is shown with an untrained one, and no way to train it.")
    assert is_by_hand(app) == (not statement.edit.empty)
    put(app, "open_section", "loss")
    assert app.toggle(key="open_off").value is False


@pytest.mark.parametrize("number", [1, 3], ids=["drawn", "trained"])
def test_leaving_a_statement_gives_back_all_that_was_the_visitors(number):
    app = open_block({"blocks": "3", "lr": "0.002"})
    put(app, "open_index", 2)
    put(app, "hand_alpha", 5.0)
    put(app, "open_section", "permutation")
    before = dict(app.query_params), film(app)["id"]
    show_statement(app, number)
    show_statement(app, 5)
    show_statement(app, None)
    assert (dict(app.query_params), film(app)["id"]) == before
    assert app.number_input(key="open_index").value == 2
    assert app.pills(key="open_section").value == "permutation"


def test_what_is_shown_touches_no_run():
    app = open_block({"lr": "0.002"})
    app.switch_page("pages/train.py")
    press(ran(app), "step_1")
    ran(app.switch_page("pages/block.py"))
    for number in (1, 5):
        show_statement(app, number)
    put(app, "preset", "high_learning_rate")
    ran(app.switch_page("pages/train.py"))
    assert app.select_slider(key="lr").value == pytest.approx(0.002)
    assert dict(app.query_params)["lr"] == "0.002"
    assert not any("Waiting" in info.value for info in app.info)


def test_a_preset_becomes_the_visitors_own_where_they_say_so():
    app = open_block()
    put(app, "preset", "gin")
    press(app, "use_settings")
    ran(app.switch_page("pages/train.py"))
    assert dict(app.query_params) == to_link(PRESETS["gin"].config)
    assert app.toggle(key="gin").value is True


def test_a_preset_is_named_only_while_it_holds():
    app = open_block()
    put(app, "preset", "gin")
    put(app, "gin", False)
    assert app.selectbox(key="preset").value is None
    assert not any(PRESETS["gin"].look_for in caption.value for caption in app.caption)
    press(app, "end_visit")
    assert "gin" not in app.query_params


def test_a_changed_statement_is_shown_again():
    app = open_block()
    show_statement(app, 1)
    assert "show_again" not in keys(app, "button")
    press(app, "undo_by_hand")
    press(app, "show_again")
    assert is_by_hand(app)


def test_words_of_the_first_visit_end_with_training():
    app = open_block(by_hand=True)
    app.switch_page("pages/train.py")
    press(ran(app), "step_1")
    ran(app.switch_page("pages/block.py"))
    assert not any("Nothing is trained" in info.value for info in app.info)
    assert app.segmented_control(key="open_source").value == "trained"


def test_a_large_scale_is_shown_and_set():
    app = open_block({"psi0": "20"})
    put(app, "hand_g1", 150.0)
    assert app.slider(key="hand_g2").value == pytest.approx(200.0)


def test_a_typed_coordinate_leaves_the_other():
    app = open_block()
    put(app, "hand_s", "constant")
    put(app, "hand_s_level", -5.0)
    put(app, "hand_alpha", 10.0)
    put(app, "probe_2", 56110.25)
    put(app, "probe_1", 0.5)
    assert header(app, "stage")["probe"]["path"][0] == [0.5, 56110.25]
    for extreme in (1e6, -1e6):
        put(app, "probe_2", extreme)
        visit_sections(app, ("formula", "conditioner"))


def test_all_statements_one_after_another():
    app = open_block()
    for statement in (*STATEMENTS, *reversed(STATEMENTS)):
        show_statement(app, statement.number)
        assert any(statement.see in info.value for info in app.info)


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if s.source == "trained"], ids=lambda s: str(s.number))
def test_a_statement_about_a_trained_flow_opens_the_block_it_speaks_of(statement):
    """The visitor's own flow has blocks of its own number: a statement about the last block is shown in its last."""
    app = open_block({"blocks": "6"})
    show_statement(app, statement.number)
    number = app.number_input(key="open_index")
    is_last = statement.index == statement.config.flow.blocks - 1
    assert number.value == (number.max if is_last else statement.index + 1)


def test_every_row_of_the_docstring_shows_its_frame_and_code():
    app = open_block({"mirrors": "1", "reverse": "1"})
    put(app, "open_section", "docstring")
    shows = [key for key in keys(app, "button") if key.startswith("docstring_")]
    assert len(shows) >= 3
    for key in shows:
        press(app, key)
        assert header(app, "film")["chosen"] in frames(app)
        put(app, "open_section", "formula")
        assert "def " in app.code[0].value
        put(app, "open_section", "docstring")


def test_lines_to_take_away_are_python_in_every_library():
    app = open_block({"blocks": "1"})
    put(app, "open_section", "take_away")
    lines = [code.value for code in app.code]
    assert len(lines) == len(LIBRARIES)
    for line in lines:
        compile(line, "line", "exec")
        assert "AllInOneBlock" in line


# ---------------------------------------------------------------------- echoes


def test_an_echo_of_where_a_widget_stood_is_nobodys_wish(monkeypatch):
    monkeypatch.setattr(opening, "ECHO_SECONDS", 60.0)
    page, state, taken = opening.Opening(), {}, []
    monkeypatch.setattr(opening.st, "session_state", state)
    callback = page.hears("g", taken.append)
    page.show("g", 1.0)
    page.show("g", 2.0)  # a statement, or a step of training
    for value in (2.0, 1.0, 2.5, 2.5, 1.0):  # where it stands, where it stood, a wish, the same again
        state["g"] = value
        callback()
    assert taken == [2.5]
    page.show("g", 3.0)
    assert state["g"] == 3.0  # the widget that echoed is told again


def test_a_widget_is_told_only_where_the_truth_has_moved(monkeypatch):
    page, state = opening.Opening(), {}
    monkeypatch.setattr(opening.st, "session_state", state)
    page.show("preset", None)
    assert state == {"preset": None}
    state["preset"] = "being chosen"  # on its way, and not heard of yet
    page.show("preset", None)
    assert state["preset"] == "being chosen"
    page.show("preset", "gin")
    assert state["preset"] == "gin"
