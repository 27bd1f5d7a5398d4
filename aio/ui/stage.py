"""A film of the plane: a strip of its frames, and a stage on which one frame stands large and a probe is moved."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

import numpy as np
import streamlit as st

__all__ = ["FRAME_ROOM", "STAGE_ROOM", "Film", "Frame", "Probe", "filmstrip", "packed", "stage"]

FRAME_ROOM = 46  # CSS pixels of a strip that are not its pictures; the same in strip.js
STAGE_ROOM = 84  # CSS pixels of the legend above a stage and the controls below it; the same in stage.css

ID_BYTES = 8  # of a film's hash: two different films of one visitor will not meet
MOTIONS = ("none", "couple", "affine", "turn", "mirror")

Place = Sequence[float]


@dataclass(frozen=True)
class Frame:
    """One sub-stage: where a grid and some points are after it, and the motion that led there."""

    name: str
    """Unique in its film; what callbacks are given."""
    title: str
    """A word or two, below the picture."""
    note: str
    """What is seen, in a sentence."""
    active: bool
    """False where a setting leaves the sub-stage out: drawn faded, marked "off"."""
    vertices: np.ndarray
    """(R·C, 2): the grid's vertices, row by row."""
    points: np.ndarray
    """(N, 2)."""
    cells: np.ndarray | None
    """((R−1)·(C−1),): a signed value for each cell, row by row; NaN leaves a cell empty."""
    mirrored: np.ndarray
    """((R−1)·(C−1),) bool: cells that are the wrong way round."""
    motion: Mapping
    """Of the step that leads here: kind ("none", "couple", "affine", "turn", "mirror") and, as the kind needs them,
    angle (radians), normal, scale, offset (pairs), as in `aio.inspection.Motion`. An entry "words" takes the place of
    the caption's description."""
    vertex_stretch: np.ndarray | None = None
    """(R·C,): the log stretch σ at each vertex before the step; needed by "couple"."""
    point_stretch: np.ndarray | None = None
    """(N,): the same at each point."""


@dataclass(frozen=True)
class Film:
    """The frames of a block in the order of their computation."""

    frames: Sequence[Frame]
    shape: tuple[int, int]
    """(R, C): rows and columns of the grid's vertices."""
    extent: tuple[float, float, float, float]
    """(xmin, xmax, ymin, ymax), of every frame; widened to a square."""
    span: float
    """The value at the end of the scale of colours, > 0."""
    scale_title: str = ""
    """What the colours mean."""
    point_colour: str = "#2f7fd1"
    circles: Collection[str] = field(default=())
    """Names of the frames that show the base's circles of radius 1, 2 and 3."""


@dataclass(frozen=True)
class Probe:
    """A point that is followed through a film, with a string of beads beside it: one entry for each frame."""

    path: Sequence[Place]
    """(x, y) in each frame."""
    stretch: Sequence[float | None] = ()
    """The log stretch σ at the probe before the step to each frame; None where the step is no coupling."""
    beads: Sequence[Sequence[Place]] = ()
    """Some points (x, y) in each frame, as many in all; or empty."""
    bead_stretch: Sequence[Sequence[float]] = ()
    """Their σ in each frame; empty where the step is no coupling."""


def packed(film: Film) -> bytes:
    """A film as the browser takes it: keep it where the same film is drawn again.

    The first line is a header in JSON, which begins with `id`, a hash of everything else: the browser decodes a film
    of the same id only once. Then float32, little endian, frame by frame: vertices (x, y of each), points (x, y of
    each), and where the header says so cells, stretches of the vertices, stretches of the points. Last one byte for
    each cell, frame by frame: 1 where it is mirrored.

    Args:
        film: all frames of the shapes that `Frame` and `Film` name.

    Returns:
        About 10 kB a frame for 25 × 25 vertices and 300 points.

    Raises:
        ValueError: shapes or names do not fit each other, a number of the film's own is not finite, or a motion is
            unknown.

    >>> corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float32)
    >>> frame = Frame("input", "Input", "x.", True, corners, corners[:0], None, np.zeros(1, bool), {"kind": "none"})
    >>> packed(Film((frame,), (2, 2), (-1, 1, -1, 1), 1.0)).partition(b"\\n")[2] == corners.tobytes() + b"\\0"
    True
    """
    _require_sound(film)
    count = len(film.frames[0].points)
    floats, flags, headers = [], [], []
    for frame in film.frames:
        arrays = _arrays(frame, film.shape, count)
        floats += [array.tobytes() for array in arrays.values() if array is not None]
        flags.append(_shaped(frame, "mirrored", (_cells(film.shape),), np.uint8).tobytes())
        headers.append(
            {
                "name": frame.name,
                "title": frame.title,
                "note": frame.note,
                "active": bool(frame.active),
                "circles": frame.name in film.circles,
                "motion": _plain(frame.motion),
                **{name: arrays[name] is not None for name in ("cells", "vertex_stretch", "point_stretch")},
            }
        )
    header = {
        "shape": list(film.shape),
        "points": count,
        "extent": [float(edge) for edge in film.extent],
        "span": float(film.span),
        "scale_title": film.scale_title,
        "point_colour": film.point_colour,
        "frames": headers,
    }
    body = b"".join(floats + flags)
    known = blake2b(json.dumps(header).encode() + body, digest_size=ID_BYTES).hexdigest()
    return _line({"id": known, **header}) + body


def filmstrip(
    body: bytes, *, key: str, chosen: str, height: int, label: str, on_choose: Callable[[str], None], pointed: str = ""
) -> None:
    """A film's frames side by side, one of them chosen. It also brings the film to the stages of its key.

    Args:
        body: what `packed` made. The browser draws it anew only when it differs.
        key: names the strip on its page; also its CSS class, `.st-key-<key>`.
        chosen: the name of the frame that is marked.
        height: CSS pixels; pictures are FRAME_ROOM less at most, and shrink to fit a row.
        label: what the strip shows, in words.
        on_choose: called with the name of the frame that the visitor chose, before the rerun of the part of the page
            that holds the strip. The mark moves when `chosen` does.
        pointed: the name of a frame that is spoken of elsewhere on the page; it is marked more lightly.

    Raises:
        ValueError: the film has no frame of that name.
    """
    header, _, _ = body.partition(b"\n")
    names = [frame["name"] for frame in json.loads(header)["frames"]]
    _require_known(chosen, names)

    def choose() -> None:
        name = _told(key, "choose").get("frame")
        if name in names:
            on_choose(name)

    mount = {
        "view": "strip",
        "key": key,
        "chosen": chosen,
        "pointed": pointed,
        "height": height,
        "label": label,
        "answers": _answers(key, "choose"),
    }
    _component()(data=_line(mount) + body, key=key, height=height, on_choose_change=choose)


def stage(
    *,
    film: str,
    key: str,
    chosen: str,
    probe: Probe | None,
    height: int,
    label: str,
    displacement: bool,
    on_choose: Callable[[str], None],
    on_probe: Callable[[str, float, float], None],
) -> None:
    """One frame of a film, large: it moves from frame to frame, plays and scrubs, and carries a probe.

    Args:
        film: the key of the strip whose film it shows. The strip may come later on the page.
        key: names the stage on its page; also its CSS class, `.st-key-<key>`.
        chosen: the name of the frame to show. When it changes, the stage moves there through the frames between.
        probe: the probe in every frame, or None for none. While it does not fit the film it is not drawn.
        height: CSS pixels of the picture, which is as wide or narrower where there is no room; all together takes
            STAGE_ROOM more.
        label: what the picture shows, in words; the frame's title, its note and the probe's place are added.
        displacement: draw a line from each point to where it was a frame before.
        on_choose: called with the name of the frame that the visitor went to, before the rerun of the part of the page
            that holds the stage. The name comes from the browser: look it up before use.
        on_probe: called with the frame's name and the place in it to which the probe was moved; while it is dragged,
            again whenever the page has answered. Both come from the browser; the numbers are finite.

    Raises:
        ValueError: the parts of the probe differ in length.
    """
    header = {
        "view": "stage",
        "film": film,
        "chosen": chosen,
        "probe": None if probe is None else _followed(probe),
        "height": height,
        "label": label,
        "displacement": displacement,
        "answers": _answers(key, "choose", "probe"),
    }

    def choose() -> None:
        name = _told(key, "choose").get("frame")
        if isinstance(name, str):
            on_choose(name)

    def move() -> None:
        told = _told(key, "probe")
        name, place = told.get("frame"), (told.get("x"), told.get("y"))
        if isinstance(name, str) and all(isinstance(value, int | float) and math.isfinite(value) for value in place):
            on_probe(name, float(place[0]), float(place[1]))

    callbacks = {"on_choose_change": choose, "on_probe_change": move}
    _component()(data=_line(header), key=key, height=height + STAGE_ROOM, **callbacks)


def _told(key: str, event: str) -> Mapping:
    """What the browser said in this rerun; empty where it said nothing."""
    told = (st.session_state.get(key) or {}).get(event)
    return told if isinstance(told, Mapping) else {}


def _answers(key: str, *events: str) -> dict[str, int]:
    """The numbers of the messages that this rerun answers, 0 for none: by them the browser keeps to Python's pace."""
    numbers = {event: _told(key, event).get("n") for event in events}
    return {event: n if isinstance(n, int) else 0 for event, n in numbers.items()}


def _line(header: Mapping) -> bytes:
    """A header as one line of JSON."""
    return json.dumps(header, allow_nan=False).encode() + b"\n"


def _cells(shape: tuple[int, int]) -> int:
    return (shape[0] - 1) * (shape[1] - 1)


def _arrays(frame: Frame, shape: tuple[int, int], count: int) -> dict[str, np.ndarray | None]:
    """A frame's numbers as little-endian float32, in the order in which they are packed."""
    vertices = shape[0] * shape[1]
    shapes = {
        "vertices": (vertices, 2),
        "points": (count, 2),
        "cells": (_cells(shape),),
        "vertex_stretch": (vertices,),
        "point_stretch": (count,),
    }
    return {name: _shaped(frame, name, expected, "<f4") for name, expected in shapes.items()}


def _shaped(frame: Frame, name: str, expected: tuple[int, ...], dtype: str | type) -> np.ndarray | None:
    value = getattr(frame, name)
    if value is None and name in ("cells", "vertex_stretch", "point_stretch"):
        return None
    array = np.ascontiguousarray(value, dtype=dtype)
    if array.shape != expected:
        raise ValueError(
            f"Expected {name} of shape {expected} in the frame {frame.name!r}, got {array.shape}. "
            "Give every frame the grid of the film's shape and the same points."
        )
    return array


def _plain(motion: Mapping) -> dict:
    """A motion as JSON takes it: numpy's numbers and tuples become Python's."""
    return {name: np.asarray(value).tolist() for name, value in motion.items()}


def _require_sound(film: Film) -> None:
    if not film.frames:
        raise ValueError("Expected a film of at least one frame, got none. Begin with the input.")
    if min(film.shape) < 2:
        raise ValueError(f"Expected a grid of at least 2 × 2 vertices, got {film.shape}. Add rows or columns.")
    left, right, bottom, top = film.extent
    if not (np.isfinite(film.extent).all() and left < right and bottom < top):
        raise ValueError(f"Expected an extent (xmin, xmax, ymin, ymax) in ascending order, got {film.extent}.")
    if not (math.isfinite(film.span) and film.span > 0):
        raise ValueError(f"Expected a span above 0, got {film.span}. Give the end of the scale.")
    names = [frame.name for frame in film.frames]
    if len(set(names)) < len(names):
        raise ValueError(f"Expected each frame to have a name of its own, got {', '.join(names)}. Number them.")
    for name in film.circles:
        _require_known(name, names)
    for frame in film.frames:
        kind = frame.motion.get("kind")
        if kind not in MOTIONS:
            raise ValueError(
                f"Expected a motion of the kind {', '.join(MOTIONS)} in the frame {frame.name!r}, got {kind!r}. "
                "Use none where nothing moves."
            )
        if kind == "couple" and (frame.vertex_stretch is None or frame.point_stretch is None):
            raise ValueError(
                f"Expected the stretch of vertices and points in the frame {frame.name!r}, got None. "
                "A coupling moves by them: give vertex_stretch and point_stretch."
            )


def _require_known(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise ValueError(f"Expected the name of a frame, got {name!r}. Use one of {', '.join(names)}.")


def _followed(probe: Probe) -> dict:
    """A probe as JSON takes it: what is not finite becomes null."""
    frames = len(probe.path)
    for name, rest in (("stretch", probe.stretch), ("beads", probe.beads), ("bead_stretch", probe.bead_stretch)):
        if len(rest) not in (0, frames):
            raise ValueError(
                f"Expected {name} for each of the {frames} frames of the path, got {len(rest)}. "
                "Give one entry a frame, or none at all."
            )
    return {
        "path": [_finite(place) for place in probe.path],
        "stretch": _finite(probe.stretch),
        "beads": [[_finite(place) for place in beads] for beads in probe.beads],
        "bead_stretch": [_finite(stretches) for stretches in probe.bead_stretch],
    }


def _finite(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None or not math.isfinite(value) else float(value) for value in values]


@cache
def _component():
    """Register the component on first use: while this module is imported there may be no Streamlit server yet."""
    # Not isolated, so that tests and the page's sheet of style reach it.
    return st.components.v2.component("aio.stage", js="index.js", css="stage.css", isolate_styles=False)
