"""What Python takes from the drawing canvas, and what it refuses. tests/js/draw.mjs has the browser's part."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from aio.ui.draw import MAX_BYTES, _is_object, draw

LONGEST = {
    "strokes": [{"points": [[-3.999, -3.999]] * 400, "width": 0.15, "colour": 3}] * 10
    + [{"points": [], "width": 0.15, "colour": 3}] * 190
}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        pytest.param('{"strokes": []}', True, id="empty"),
        pytest.param(json.dumps(LONGEST), True, id="longest"),
        pytest.param(json.dumps({"x": "y" * MAX_BYTES}), False, id="too-long"),
        pytest.param(json.dumps({"x": "ü" * (MAX_BYTES // 2)}, ensure_ascii=False), False, id="too-many-bytes"),
        pytest.param("[]", False, id="list"),
        pytest.param("", False, id="nothing"),
        pytest.param('{"width": Infinity}', False, id="infinity"),
        pytest.param('{"a":' * 30_000, False, id="deep"),
        pytest.param('{"a": "\ud800"}', False, id="half-a-character"),
    ],
)
def test_a_text_is_taken_if_it_is_a_json_object_of_a_sound_size(text: str, taken: bool) -> None:
    assert _is_object(text) is taken


@pytest.mark.parametrize(
    ("extent", "words"),
    [
        pytest.param((1, -1, -1, 1), "ascending order", id="order"),
        pytest.param((0, float("inf"), 0, 1), "ascending order", id="infinite"),
        pytest.param((-4, 4, -2, 2), "square extent, got 8 × 4", id="oblong"),
    ],
)
def test_an_extent_that_is_no_square_is_refused(extent, words) -> None:
    with pytest.raises(ValueError, match=f"Expected .*{words}"):
        draw(key="d", drawing="", version=0, height=300, label="", extent=extent, on_draw=print)


def canvas() -> None:
    from aio.ui.draw import draw

    draw(key="d", drawing='{"strokes": []}', version=3, height=300, label="A density.", on_draw=print)


def test_the_browser_gets_a_header_and_the_drawing() -> None:
    app = AppTest.from_function(canvas).run()
    assert not app.exception
    (element,) = app.get("bidi_component")
    header, _, drawing = element.proto.bytes.partition(b"\n")
    assert drawing == b'{"strokes": []}'
    assert json.loads(header) == {
        "version": 3, "height": 300, "label": "A density.", "extent": [-4, 4, -4, 4], "answer": 0,
    }  # fmt: skip
