"""The film as bytes, and the formulas of its motions in the browser's own language."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aio.ui.stage import Film, Frame, Probe, filmstrip, packed, stage

ROOT = Path(__file__).parents[1]
SHAPE = (3, 4)
VERTICES, CELLS, POINTS = 12, 6, 5


def frame(name: str = "input", **changes) -> Frame:
    draw = np.random.default_rng(len(name))
    plain = Frame(
        name, name.title(), "A note.", True, draw.normal(size=(VERTICES, 2)), draw.normal(size=(POINTS, 2)),
        draw.normal(size=CELLS), np.arange(CELLS) % 2 == 0, {"kind": "none"},
    )  # fmt: skip
    return replace(plain, **changes)


def couple(name: str = "coupling") -> Frame:
    return frame(
        name,
        motion={"kind": "couple"},
        vertex_stretch=np.ones(VERTICES),
        point_stretch=np.full(POINTS, 2.0),
        cells=None,
    )


def film(*frames: Frame, **changes) -> Film:
    return replace(Film(frames, SHAPE, (-1, 1, -1, 1), 0.5), **changes)


def unpacked(body: bytes) -> tuple[dict, np.ndarray, np.ndarray]:
    """Header, numbers, flags."""
    line, _, rest = body.partition(b"\n")
    header = json.loads(line)
    flags = CELLS * len(header["frames"])
    return header, np.frombuffer(rest[:-flags], "<f4"), np.frombuffer(rest[-flags:], np.uint8)


def test_numbers_stand_frame_by_frame_and_flags_last() -> None:
    first, second = frame(), couple()
    header, numbers, flags = unpacked(packed(film(first, second, circles={"coupling"})))
    expected = [
        first.vertices, first.points, first.cells,
        second.vertices, second.points, second.vertex_stretch, second.point_stretch,
    ]  # fmt: skip
    np.testing.assert_array_equal(numbers, np.concatenate([part.ravel() for part in expected]).astype("f4"))
    np.testing.assert_array_equal(flags, np.concatenate([first.mirrored, second.mirrored]))
    assert (header["shape"], header["points"]) == ([*SHAPE], POINTS)
    assert [(f["cells"], f["vertex_stretch"], f["circles"]) for f in header["frames"]] == [
        (True, False, False),
        (False, True, True),
    ]


def test_the_id_stands_first_and_names_the_content() -> None:
    body = packed(film(frame()))
    assert body.startswith(b'{"id": "')
    assert body == packed(film(frame()))
    for other in (
        film(frame(note="Another.")),
        film(frame(mirrored=np.zeros(CELLS, bool))),
        film(frame(), span=0.6),
        film(frame(vertices=np.zeros((VERTICES, 2)))),
    ):
        assert unpacked(packed(other))[0]["id"] != unpacked(body)[0]["id"]


def test_a_motion_may_hold_numpy_numbers() -> None:
    motion = {"kind": "mirror", "normal": np.array([0.6, 0.8]), "angle": np.float32(0)}
    header, _, _ = unpacked(packed(film(frame(motion=motion))))
    assert header["frames"][0]["motion"] == {"kind": "mirror", "normal": [0.6, 0.8], "angle": 0}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(lambda: film(frame(vertices=np.zeros((11, 2)))), r"vertices of shape \(12, 2\)", id="vertices"),
        pytest.param(lambda: film(frame(), frame("b", points=np.zeros((4, 2)))), r"points of shape", id="points"),
        pytest.param(lambda: film(frame(cells=np.zeros(12))), r"cells of shape \(6,\)", id="cells"),
        pytest.param(lambda: film(frame(mirrored=np.zeros(5, bool))), r"mirrored of shape \(6,\)", id="mirrored"),
        pytest.param(lambda: film(frame(), frame()), "a name of its own", id="names"),
        pytest.param(lambda: film(), "at least one frame", id="empty"),
        pytest.param(lambda: film(frame(), shape=(1, 12)), "at least 2 × 2", id="shape"),
        pytest.param(lambda: film(frame(), extent=(1, -1, -1, 1)), "ascending order", id="extent"),
        pytest.param(lambda: film(frame(), span=0.0), "span above 0", id="span"),
        pytest.param(lambda: film(frame(), circles={"output"}), "name of a frame", id="circles"),
        pytest.param(lambda: film(frame(motion={"kind": "jump"})), "motion of the kind", id="motion"),
        pytest.param(lambda: film(frame(motion={"kind": "couple"})), "vertex_stretch and point_stretch", id="stretch"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(wrong, words) -> None:
    with pytest.raises(ValueError, match=f"Expected .*{words}.*"):
        packed(wrong())


def test_a_strip_refuses_a_frame_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"got 'output'\. Use one of input"):
        filmstrip(packed(film(frame())), key="s", chosen="output", height=150, label="", on_choose=print)


def test_a_stage_refuses_a_probe_of_several_lengths() -> None:
    probe = Probe(path=[(0, 0), (1, 1)], stretch=[None])
    with pytest.raises(ValueError, match="stretch for each of the 2 frames"):
        stage(
            film="s", key="t", chosen="input", probe=probe, height=300, label="", displacement=False,
            on_choose=print, on_probe=print,
        )  # fmt: skip


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the browser's modules")
def test_the_browsers_modules() -> None:
    done = subprocess.run(
        ["node", "--test", *sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.mjs"))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
