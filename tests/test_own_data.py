"""Training on a drawing, a picture or a table, as the pages have it; and files that mean harm."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

import aio.ui.draw
from aio.link import from_link
from aio.presets import PRESETS
from aio.runs import Run, RunView
from aio.targets.drawing import DrawnTarget
from aio.targets.picture import PictureTarget
from aio.ui import opening, own_data
from aio.ui.draw import MAX_BYTES
from aio.ui.session import Session
from tests.hostile.pictures import odd, refused

SECONDS = 60
REPOSITORY = Path(__file__).parents[1]
SHORT = {"blocks": "2", "width": "8", "depth": "1", "points": "300"}  # a flow that costs little
PARTS = ("Gallery", "Draw", "Picture", "Table")
STROKE = {"points": [[-1, 0], [1, 0.5]], "width": 0.2, "colour": 0}
DRAWING = json.dumps({"strokes": [STROKE]})
OTHER_DRAWING = json.dumps({"strokes": [STROKE, {"points": [[0, 2]], "width": 0.4, "colour": 3}]})
NO_KL = "–"


def png_bytes() -> bytes:
    image = Image.new("L", (40, 30), 255)
    ImageDraw.Draw(image).rectangle((10, 5, 25, 20), fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def csv_bytes(header: str = "height,width,weight", more: str = "", seed: int = 0) -> bytes:
    lines = [",".join(f"{v:.4f}" for v in row) for row in np.random.default_rng(seed).normal(size=(60, 3))]
    return "\n".join([header, *lines, more, ""]).encode()


def npy_bytes(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


HOSTILE_TABLES = {
    "empty.csv": b"",
    "nothing-but-zeros.csv": bytes(1000),
    "a-picture.csv": png_bytes(),
    "words.csv": b"a,b\n" + b"red,blue\n" * 50,
    "one-column.csv": b"a\n" + b"1\n2\n" * 50,
    "few-rows.csv": b"a,b\n1,2\n3,4\n",
    "many-columns.csv": b",".join(b"1" for _ in range(5_000)) + b"\n",
    "an-open-quote.csv": b'a,b\n"' + b"1,2\n" * 50,
    "gaps.csv": b"a,b\n" + b"1,\n,2\n" * 50,
    "broken-utf16.csv": b"\xff\xfe" + b"\x00\xd8" * 99,
    "empty.npy": b"",
    "a-csv.npy": csv_bytes(),
    "a-pickle.npy": npy_bytes(np.array([{"a": 1}] * 30, dtype=object), allow_pickle=True),
    "a-claim.npy": npy_bytes(np.zeros((30, 2))).replace(b"(30, 2)", b"(9" + b"9" * 3 + b"2)"),
    "cut-off.npy": npy_bytes(np.random.default_rng(0).normal(size=(90, 2)))[:-50],
    "a-vector.npy": npy_bytes(np.arange(90.0)),
    "complex.npy": npy_bytes(np.ones((30, 2), dtype=complex)),
    "not-a-number.npy": npy_bytes(np.full((30, 2), np.nan)),
    "a-string.npy": npy_bytes(np.full((30, 2), "x")),
}


@pytest.fixture(autouse=True)
def here(monkeypatch) -> Iterator[list[Session]]:
    """A new visitor; the session of the page that ran last is the last one here."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(opening, "ECHO_SECONDS", 0.0)  # what is clicked here is clicked at once, and meant
    st.cache_resource.clear()
    st.cache_data.clear()
    sessions: list[Session] = []
    take_link = Session.take_link

    def seen(session: Session, parameters: Any) -> None:
        sessions.append(session)
        take_link(session, parameters)

    monkeypatch.setattr(Session, "take_link", seen)
    yield sessions
    for session in sessions[-1:]:
        session.close()


class Visitor:
    """A page in a test's hands, and the session behind it."""

    def __init__(self, sessions: list[Session], query: dict[str, str] | None = None) -> None:
        self._sessions = sessions
        self.app = AppTest.from_file(REPOSITORY / "app.py", default_timeout=SECONDS)
        for name, value in (SHORT if query is None else query).items():
            self.app.query_params[name] = value

    @property
    def session(self) -> Session:
        return self._sessions[-1]

    @property
    def link(self) -> dict[str, str]:
        """The address bar: a parameter given once comes as a list of one."""
        return {name: value[0] if isinstance(value, list) else value for name, value in self.app.query_params.items()}

    def run(self) -> Visitor:
        self.app.run()
        assert not self.app.exception, [error.message for error in self.app.exception]
        return self

    def at(self, page: str) -> Visitor:
        self.app.switch_page(f"pages/{page}.py")
        return self.run()

    def part(self, name: str) -> Visitor:
        if self.app.session_state["data_source"] != name:
            self.app.segmented_control(key="data_source").set_value(name)
        return self.run()

    def upload(self, name: str, data: bytes) -> Visitor:
        self.app.file_uploader[0].set_value((name, data, "application/octet-stream"))
        return self.run()

    def draw(self, text: str) -> Visitor:
        """As the canvas reports it."""
        own_data._take_drawing(self.session, text)
        return self.run()

    def press(self, key: str) -> Visitor:
        self.app.button(key=key).click()
        return self.run()

    def rest(self) -> RunView:
        """Pause, and wait for what is under way."""
        run = self.session.run
        run.pause()
        assert run.wait(SECONDS)
        self.run()
        return run.view()

    @property
    def numbers(self) -> dict[str, str]:
        (page,) = [h.proto.body for h in self.app.get("html") if '<dl class="numbers">' in h.proto.body]
        pairs = [cell.split("</dt><dd>") for cell in page.split("<dt>")[1:]]
        return {name: value.partition("</dd>")[0] for name, value in pairs}

    @property
    def complaint(self) -> str:
        """The one sentence, with its mend, under the one error on the page."""
        assert len(self.app.error) == 1
        (text,) = [t.value for t in self.app.text]
        assert text.startswith("Expected "), text
        assert text.endswith("."), text
        assert "\n" not in text
        assert "Traceback" not in text
        return text


@pytest.fixture
def visitor(here) -> Visitor:
    return Visitor(here).at("targets")


def on_drawing(visitor: Visitor) -> None:
    visitor.part("Draw").draw(DRAWING)
    visitor.session.run.step(3)


def on_picture(visitor: Visitor) -> None:
    visitor.part("Picture").upload("picture.png", png_bytes()).press("train_on_own")


def on_table(visitor: Visitor) -> None:
    visitor.part("Table").upload("table.csv", csv_bytes()).press("train_on_own")


WAYS = {"drawing": on_drawing, "picture": on_picture, "table": on_table}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def own(visitor) -> Callable[[Callable[[Visitor], None]], Visitor]:
    """`own(way) -> Visitor`: at rest on the Train page, some steps into a run on data of their own."""

    def own(way: Callable[[Visitor], None]) -> Visitor:
        way(visitor)
        visitor.rest()
        visitor.session.run.step(2)
        assert visitor.session.run.wait(SECONDS)
        visitor.at("train")
        assert visitor.session.run.state.step >= 2
        return visitor

    return own


# ---------------------------------------------------------------------- the page


def test_every_part_of_the_page_runs(visitor):
    for name in (*PARTS, *reversed(PARTS)):
        visitor.part(name)
        assert visitor.app.segmented_control(key="data_source").value == name
        assert not visitor.app.error


def test_nothing_is_trained_by_looking(visitor):
    for name in PARTS:
        visitor.part(name)
    assert visitor.session.run is None or visitor.session.run.untouched
    assert visitor.session.config.data.target == "moons"


# ---------------------------------------------------------------------- files that mean harm


@pytest.fixture
def training(visitor) -> tuple[Visitor, Run, Any]:
    """A visitor with a run under way on a target from the gallery."""
    visitor.press("train_on_pinwheel").rest()
    visitor.at("targets")
    return visitor, visitor.session.run, visitor.session.run.state


def untouched(visitor: Visitor, run: Run, state: Any) -> bool:
    session = visitor.session
    return (
        session.run is run and run.state is state and run.config == session.config and session.own is None
        and run.config.data.target == "pinwheel" and run.view().status == "ready"
    )  # fmt: skip


def test_hostile_pictures_end_in_a_sentence_and_leave_the_run_alone(training):
    visitor, *before = training
    visitor.part("Picture")
    for name, (data, words) in refused().items():
        visitor.upload(f"{name}.{'jpg' if 'jpeg' in name else 'png'}", data)
        assert words in visitor.complaint, name
        assert "train_on_own" not in [button.key for button in visitor.app.button], name
        assert untouched(visitor, *before), name


def test_odd_pictures_can_be_trained_on(training):
    visitor, *before = training
    visitor.part("Picture")
    for name, (data, _) in odd().items():
        visitor.upload(f"{name}.{'jpg' if 'jpeg' in name else 'png'}", data)
        assert not visitor.app.error, name
        assert visitor.app.button(key="train_on_own"), name
        assert untouched(visitor, *before), name


def test_hostile_tables_end_in_a_sentence_and_leave_the_run_alone(training):
    visitor, *before = training
    visitor.part("Table")
    for name, data in HOSTILE_TABLES.items():
        visitor.upload(name, data)
        assert visitor.complaint, name
        assert "train_on_own" not in [button.key for button in visitor.app.button], name
        assert untouched(visitor, *before), name


def test_a_sound_file_after_a_hostile_one_is_taken(training):
    visitor, run, _ = training
    visitor.part("Picture").upload("x.png", b"GIF89a")
    assert "got a GIF" in visitor.complaint
    visitor.upload("x.png", png_bytes()).press("train_on_own")
    assert isinstance(visitor.session.own, PictureTarget)
    assert visitor.session.run is run
    assert run.config.data.target is None


def test_names_of_columns_bring_no_markdown_along(visitor):
    name = "![x](https://example.org/x.png) <b>**:red[y]**"
    visitor.part("Table").upload("table.csv", csv_bytes(f"{name},b,c"))
    assert name in visitor.app.selectbox(key="table_first").options
    assert not any("example.org" in m.value for m in (*visitor.app.markdown, *visitor.app.caption))
    visitor.app.selectbox(key="table_second").select(name)
    visitor.run()
    assert "example.org" in visitor.complaint  # plain text


def test_a_picture_is_described_before_it_is_trained_on(visitor):
    visitor.part("Picture").upload("picture.png", png_bytes())
    table = next(h.proto.body for h in visitor.app.get("html") if "Cells" in h.proto.body)
    assert "40 × 30" in table
    assert "Entropy" in table
    assert f"{1 - 16 * 16 / 1200:.0%}" in table  # empty
    visitor.app.toggle(key="picture_invert").set_value(True)
    visitor.run()
    table = next(h.proto.body for h in visitor.app.get("html") if "Cells" in h.proto.body)
    assert f"{16 * 16 / 1200:.0%}" in table


# ---------------------------------------------------------------------- a drawing


@pytest.fixture
def canvas(monkeypatch) -> Callable[[str], None]:
    """`canvas(text)`: report a drawing through the component's own callback, as the browser does."""
    sent: dict[str, Any] = {}
    monkeypatch.setattr(aio.ui.draw, "_component", lambda: lambda **sent_now: sent.update(sent_now))

    def report(text: Any) -> None:
        monkeypatch.setattr(aio.ui.draw, "_told", lambda _key: {"drawing": text, "version": 0, "n": 1})
        sent["on_draw_change"]()

    return report


BAD_DRAWINGS = {
    "no-json": "{", "a-list": "[]", "nothing": "", "infinite": '{"strokes": [{"points": [[Infinity, 0]]}]}',
    "too-long": json.dumps({"strokes": [], "points": "x" * MAX_BYTES}), "deep": '{"points":' * 30_000,
    "half-a-character": '{"points": "\ud800"}', "no-text": 5, "none": None, "bytes": b"{}",
}  # fmt: skip
REFUSED_DRAWINGS = {
    "far-away": ({"points": [[1e9, 0]], "width": 0.1}, "from -10 to 10"),
    "no-width": ({"points": [[0, 0]], "width": 0}, "from 0.02 to 2"),
    "a-word": ({"points": [[0, "a"]], "width": 0.1}, "got 'a'"),
    "no-points": ({"points": [], "width": 0.1}, "got none"),
    "another-colour": ({"points": [[0, 0]], "width": 0.1, "colour": 99}, "from 0 to 7"),
    "more": ({"points": [[0, 0]], "width": 0.1, "evil": 1}, "Expected no"),
    "a-triple": ({"points": [[0, 0, 0]], "width": 0.1}, "Expected"),
}


def test_what_is_no_drawing_is_passed_over(visitor, canvas):
    visitor.part("Draw")
    canvas(DRAWING)
    before, config = visitor.session.own, visitor.session.run.config
    for name, text in BAD_DRAWINGS.items():
        canvas(text)
        assert visitor.run().session.own is before, name
        assert visitor.session.drawing == DRAWING, name
        assert (visitor.session.drawing_problem, len(visitor.app.error)) == ("", 0), name
    assert visitor.session.run.config == config


@pytest.mark.parametrize(("stroke", "words"), REFUSED_DRAWINGS.values(), ids=REFUSED_DRAWINGS)
def test_a_drawing_that_cannot_be_trained_on_is_told_and_the_run_goes_on(visitor, canvas, stroke, words):
    visitor.part("Draw")
    canvas(DRAWING)
    before = visitor.session.own
    canvas(json.dumps({"strokes": [stroke]}))
    assert words in visitor.run().complaint
    assert visitor.session.own is before
    canvas(OTHER_DRAWING)  # mended
    assert not visitor.run().app.error
    assert visitor.session.own is not before


def test_an_empty_drawing_is_no_mistake_and_the_run_keeps_what_it_had(visitor, canvas):
    visitor.part("Draw")
    canvas('{"strokes": []}')
    assert not visitor.run().app.error
    assert visitor.session.own is None
    canvas(DRAWING)
    own = visitor.session.own
    canvas('{"strokes": []}')
    assert not visitor.run().app.error
    assert visitor.session.own is own
    assert visitor.session.drawing == '{"strokes": []}'


def test_the_longest_drawing_is_taken(visitor, canvas):
    visitor.part("Draw")
    rng = np.random.default_rng(0)
    ways = np.clip(rng.normal(0, 0.15, (10, 400, 2)).cumsum(axis=1), -4, 4).round(3).tolist()
    canvas(json.dumps({"strokes": [{"points": way, "width": 0.05, "colour": 1} for way in ways]}))
    assert not visitor.run().app.error
    assert visitor.session.run.wait(SECONDS)
    assert len(visitor.session.run.state.dataset().target.drawing.strokes) == 10


def test_a_first_stroke_starts_a_run_and_a_second_goes_on_with_it(visitor):
    visitor.part("Draw").draw(DRAWING)
    run = visitor.session.run
    run.step(3)
    assert run.wait(SECONDS)
    floor = run.view().snapshot.evaluation.entropy
    run.play()
    visitor.draw(OTHER_DRAWING)
    assert visitor.session.run is run
    assert run.view().status == "playing"
    visitor.rest()
    assert run.state.step >= 3
    assert len(run.state.train_nll.points) > 0
    assert run.view().snapshot.evaluation.entropy != floor
    assert run.state.dataset().target == visitor.session.own
    assert isinstance(visitor.session.own, DrawnTarget)


def test_a_run_that_was_never_trained_starts_from_the_spread_of_the_whole_drawing(visitor):
    """The first report of a stroke is a dot: a flow that kept its spread would begin hundreds of nats away."""
    visitor.part("Draw")
    for end in (0, 2, 4):  # as the stroke grows under the pen
        ways = [[x / 2 - 1, 0.5] for x in range(end + 1)]
        visitor.draw(json.dumps({"strokes": [{"points": ways, "width": 0.15, "colour": 0}]}))
        visitor.rest()
    assert visitor.session.run.state.step == 0
    assert visitor.session.run.view().snapshot.evaluation.kl < 3


# ---------------------------------------------------------------------- a table


def test_rows_with_gaps_are_counted(visitor):
    visitor.part("Table").upload("table.csv", csv_bytes(more="1,,3\n,5,6\nred,1,2"))
    assert [t.value for t in visitor.app.text] == [
        "3 of 63 rows have a gap or a word in one of the two columns and were left out."
    ]
    visitor.press("train_on_own").rest()
    data = visitor.session.run.state.dataset()
    assert len(data.train) + len(data.held_out) == 60


def test_the_same_column_twice_is_told(visitor):
    visitor.part("Table").upload("table.csv", csv_bytes())
    visitor.app.selectbox(key="table_second").select("height")
    assert "Expected two different columns, got “height” twice." in visitor.run().complaint
    assert "train_on_own" not in [button.key for button in visitor.app.button]
    visitor.app.selectbox(key="table_second").select("weight")
    assert not visitor.run().app.error


def test_the_chosen_columns_are_trained_on(visitor):
    visitor.part("Table").upload("table.csv", csv_bytes())
    visitor.app.selectbox(key="table_first").select("weight")
    visitor.run().press("train_on_own").rest()
    expected = np.loadtxt(io.BytesIO(csv_bytes()), delimiter=",", skiprows=1)[:, [2, 1]]
    data = visitor.session.run.state.dataset()
    together = torch.cat([data.train, data.held_out]).numpy()
    assert sorted(map(tuple, together)) == sorted(map(tuple, expected))


def test_another_table_with_other_columns_begins_with_its_first(visitor):
    visitor.part("Table").upload("one.csv", csv_bytes())
    visitor.app.selectbox(key="table_first").select("weight")
    visitor.run().upload("two.csv", csv_bytes("a,b,c", seed=1))
    assert not visitor.app.error
    assert visitor.app.selectbox(key="table_first").value in ("a", "b", "c")
    visitor.press("train_on_own").rest()
    assert visitor.session.run.state.step >= 0


def test_an_npy_is_a_table_too(visitor):
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    visitor.part("Table").upload("points.npy", npy_bytes(points)).press("train_on_own").rest()
    assert len(visitor.session.own) == 50


def test_another_file_is_another_run(own):
    visitor = own(on_table)
    visitor.at("targets").part("Table").upload("two.csv", csv_bytes("a,b,c", seed=1)).press("train_on_own")
    state = visitor.rest() and visitor.session.run.state
    assert len(state.train_nll.points) == state.step
    values = torch.cat([state.dataset().train, state.dataset().held_out])
    assert sorted(map(tuple, values.tolist())) == sorted(map(tuple, visitor.session.own.tolist()))
    expected = np.loadtxt(io.BytesIO(csv_bytes(seed=1)), delimiter=",", skiprows=1)[:, :2]
    assert sorted(map(tuple, values.tolist())) == sorted(map(tuple, expected))


# ---------------------------------------------------------------------- the Train page


@each_way
def test_the_menu_of_targets_says_whose_data_they_are(own, way):
    visitor = own(way)
    menu = visitor.app.selectbox(key="target")
    assert (menu.value, menu.options[0]) == ("own", "Your own data")
    assert not any("Waiting" in info.value for info in visitor.app.info)


@pytest.mark.parametrize(("way", "known"), [(on_drawing, True), (on_picture, True), (on_table, False)], ids=WAYS)
def test_a_kl_is_shown_where_the_density_is_known(own, way, known):
    visitor = own(way)
    numbers = visitor.numbers
    assert (numbers["KL(p‖q)"] != NO_KL) is known
    assert visitor.app.segmented_control(key="quantity").disabled is not known
    toggle = visitor.app.toggle(key="rough_kl")
    assert toggle.disabled is not known
    assert "KL, 150 points" not in numbers
    if known:
        toggle.set_value(True)
        visitor.run()
        rough = visitor.numbers["KL, 150 points"]
        assert float(rough.split()[0]) == pytest.approx(visitor.session.run.view().snapshot.rough_kl, abs=6e-4)
        assert visitor.numbers["KL(p‖q)"] == numbers["KL(p‖q)"]


def test_a_rough_kl_that_was_shown_has_no_number_for_a_table(own):
    visitor = own(on_drawing)
    visitor.app.toggle(key="rough_kl").set_value(True)
    visitor.run().at("targets")
    on_table(visitor)
    visitor.rest()
    visitor.at("train")
    assert visitor.numbers["KL, 150 points"] == NO_KL


@each_way
def test_a_target_of_the_menu_takes_the_place_of_own_data_at_a_reset(own, way):
    visitor = own(way)
    run, state, data = visitor.session.run, visitor.session.run.state, visitor.session.own
    visitor.app.selectbox(key="target").select("rings")
    visitor.run()
    assert [info.value for info in visitor.app.info] == ["Waiting for a reset: Target."]
    assert run.state is state
    visitor.run()
    assert visitor.app.selectbox(key="target").value == "rings"
    assert visitor.app.slider(key="noise").value == pytest.approx(0.08)
    visitor.press("reset").rest()
    assert run.config.data.target == "rings"
    assert (run.state.step, run.state.own_data) == (0, None)
    assert visitor.session.own is data
    assert visitor.link["target"] == "rings"
    run.step(2)
    assert visitor.rest().snapshot.evaluation.kl is not None


@each_way
@pytest.mark.parametrize("key", ["reset", "new_seed"])
def test_reset_and_new_seed_work_with_own_data(own, way, key):
    visitor = own(way)
    before = visitor.session.run.state
    visitor.press(key).rest()
    run = visitor.session.run
    assert run.view().trouble is None
    assert (run.state.step, run.config.data.target) == (0, None)
    same_points = torch.equal(run.state.dataset().train, before.dataset().train)
    assert same_points is (key == "reset")
    assert run.config.seed == (key == "new_seed")
    assert run.state.dataset().target == before.dataset().target
    assert visitor.app.selectbox(key="target").value == "own"


def test_settings_that_wait_take_effect_with_own_data(own):
    visitor = own(on_picture)
    visitor.app.slider(key="blocks").set_value(3)
    visitor.run()
    assert [info.value for info in visitor.app.info] == ["Waiting for a reset: Blocks."]
    visitor.press("reset").rest()
    run = visitor.session.run
    assert (run.config.flow.blocks, run.config.data.target) == (3, None)
    assert run.state.dataset().target == visitor.session.own


def test_a_setting_changed_before_the_first_step_starts_afresh_with_own_data(visitor):
    visitor.part("Draw").draw(DRAWING)
    visitor.rest()
    visitor.at("train")
    visitor.app.slider(key="blocks").set_value(3)
    visitor.run().rest()
    assert visitor.session.run.config.flow.blocks == 3
    assert visitor.session.run.state.dataset().target == visitor.session.own


def test_training_on_a_card_of_the_gallery_leaves_own_data(own):
    visitor = own(on_drawing)
    visitor.at("targets").part("Gallery").press("train_on_rings").rest()
    assert visitor.session.run.config.data.target == "rings"
    visitor.at("targets").part("Draw").draw(OTHER_DRAWING)  # and back, with a fresh run
    visitor.rest()
    assert visitor.session.run.config.data.target is None
    assert visitor.session.run.state.step == 0


# ---------------------------------------------------------------------- the link


@each_way
def test_the_link_of_own_data_carries_no_target(own, here, way):
    visitor = own(way)
    visitor.app.slider(key="blocks").set_value(3)
    visitor.run()
    link = visitor.link
    assert link == {"v": "1", **SHORT, "blocks": "3"}
    config, notices = from_link(link)
    assert (config.data.target, notices) == ("moons", [])
    st.cache_resource.clear()
    elsewhere = Visitor(here, link).at("train")
    assert elsewhere.session.own is None
    assert elsewhere.app.selectbox(key="target").value == "moons"
    assert "own" not in elsewhere.app.selectbox(key="target").options
    elsewhere.rest()
    assert elsewhere.session.run.view().trouble is None


@pytest.mark.parametrize("value", ["own", "None", "", "drawn", "picture"])
def test_no_link_asks_for_data_that_are_not_there(here, value):
    visitor = Visitor(here, {"target": value, **SHORT}).at("train")
    assert visitor.session.config.data.target == "moons"
    assert [w.value for w in visitor.app.warning] == ["Some of this link was left out."]


# ---------------------------------------------------------------------- the Block page


@each_way
def test_the_block_page_opens_own_data_as_drawn_and_as_trained(own, way):
    visitor = own(way).at("block")
    assert visitor.app.segmented_control(key="open_source").value == "trained"
    assert visitor.app.selectbox(key="target").value == "own"
    for source in ("drawn", "trained"):
        visitor.app.segmented_control(key="open_source").set_value(source)
        visitor.run()
        assert not visitor.app.error
    visitor.app.segmented_control(key="open_points").set_value("base")
    visitor.run()
    assert visitor.session.run.config == visitor.session.config


@each_way
def test_a_visit_to_other_settings_gives_own_data_back(own, way):
    visitor = own(way).at("block")
    session, run = visitor.session, visitor.session.run
    config, state, data = session.config, run.state, session.own
    for widget, value in (("statement", 1), ("preset", next(iter(PRESETS)))):
        chooser = visitor.app.pills if widget == "statement" else visitor.app.selectbox
        chooser(key=widget).set_value(value)
        visitor.run()
        assert session.visited_from is not None
        visitor.press("end_visit")
        assert session.config == config
        assert session.own is data
        assert run.state is state
        assert visitor.app.selectbox(key="target").value == "own"
    visitor.app.pills(key="statement").set_value(1)
    visitor.run().at("train")
    assert visitor.app.selectbox(key="target").value == "own"
    assert session.config == config
    visitor.press("reset").rest()
    assert run.view().trouble is None
    assert run.state.dataset().target == state.dataset().target


def test_settings_of_a_preset_that_are_kept_leave_own_data(own):
    visitor = own(on_picture).at("block")
    visitor.app.selectbox(key="preset").set_value(next(iter(PRESETS)))
    visitor.run().press("use_settings").at("train")
    assert visitor.app.selectbox(key="target").value == visitor.session.config.data.target
    visitor.press("reset").rest()
    assert visitor.session.run.view().trouble is None
    assert visitor.session.run.config.data.target == visitor.session.config.data.target
