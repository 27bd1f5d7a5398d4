"""A film of five maps of the plane on a strip and a stage, with a probe. Used by the browser tests.

`FRAMES` and `stretched` are what the tests compare with: import this file as a module, and it draws nothing.
"""

import numpy as np
import streamlit as st

from aio.ui.stage import Film, Frame, Probe, filmstrip, packed, stage

REACH = 3.5
LINES = 25
POINTS = 300
BEADS = 13
SPAN = 1.0
ANGLE = np.deg2rad(40)
NORMAL = (np.cos(0.5), np.sin(0.5))
SCALE, OFFSET = (1.25, 0.7), (0.3, -0.4)
STILL = {"kind": "none"}


def stretched(x: np.ndarray) -> np.ndarray:
    """The coupling's log stretch at points (N, 2), (N,)."""
    return 0.8 * np.sin(1.3 * x[:, 0])


def coupled(x: np.ndarray, rev: bool = False) -> np.ndarray:
    shift = 0.6 * np.cos(x[:, 0])
    x2 = (x[:, 1] - shift) * np.exp(-stretched(x)) if rev else x[:, 1] * np.exp(stretched(x)) + shift
    return np.stack([x[:, 0], x2], axis=1)


def turned(x: np.ndarray, rev: bool = False) -> np.ndarray:
    cos, sin = np.cos(ANGLE), np.sin(ANGLE)
    turn = np.array([[cos, -sin], [sin, cos]])
    return x @ (turn if rev else turn.T)


def scaled(x: np.ndarray, rev: bool = False) -> np.ndarray:
    return (x - OFFSET) / SCALE if rev else x * SCALE + OFFSET


def mirrored(x: np.ndarray, rev: bool = False) -> np.ndarray:
    return x - 2 * np.outer(x @ NORMAL, NORMAL)


def same(x: np.ndarray, rev: bool = False) -> np.ndarray:
    return x


# name, title, note, active, map, motion
FRAMES = (
    ("input", "Input", "The data, before anything has happened.", True, same, STILL),
    ("pre_permutation", "Pre-permutation", "Off: reverse_permutation is not set.", False, same, STILL),
    ("split", "Split", "x₁ stays and steers, x₂ will be moved.", True, same, STILL),
    ("subnet", "Subnet", "The conditioner reads x₁ and writes s and t.", True, same, STILL),
    ("clamp", "Clamp", "s is held between −α and α.", True, same, STILL),
    ("coupling", "Coupling", "Each vertical line is stretched, then shifted.", True, coupled, {"kind": "couple"}),
    ("global_affine", "Global affine", "Both axes are scaled and shifted, everywhere alike.", True, scaled,
     {"kind": "affine", "scale": SCALE, "offset": OFFSET}),
    ("mirror_1", "Mirror 1", "A Householder reflection.", True, mirrored, {"kind": "mirror", "normal": NORMAL}),
    ("permutation", "Permutation", "A fixed rotation.", True, turned, {"kind": "turn", "angle": ANGLE}),
    ("output", "Output", "The latent space, with the circles of the base.", True, same, STILL),
)  # fmt: skip
NAMES = [frame[0] for frame in FRAMES]


def grid() -> np.ndarray:
    axis = np.linspace(-2.5, 2.5, LINES)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def signed_areas(vertices: np.ndarray) -> np.ndarray:
    v = vertices.reshape(LINES, LINES, 2)
    (ax, ay), (bx, by) = np.moveaxis(v[1:, 1:] - v[:-1, :-1], -1, 0), np.moveaxis(v[1:, :-1] - v[:-1, 1:], -1, 0)
    return (ax * by - ay * bx).ravel() / 2


def states(x: np.ndarray) -> list[np.ndarray]:
    """Points (N, 2) in every frame."""
    found = []
    for *_, apply, _motion in FRAMES:
        x = apply(x)
        found.append(x)
    return found


def ring() -> np.ndarray:
    draw = np.random.default_rng(0)
    angle, radius = draw.uniform(0, 2 * np.pi, POINTS), 1.5 + 0.15 * draw.normal(size=POINTS)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@st.cache_data
def film(colour: str) -> bytes:
    start = grid()
    area = signed_areas(start)
    frames, before = [], (start, ring())
    for (name, title, note, active, _apply, motion), vertices, points in zip(
        FRAMES, states(before[0]), states(before[1]), strict=True
    ):
        signed = signed_areas(vertices) / area
        couples = motion["kind"] == "couple"
        frames.append(
            Frame(
                name, title, note, active, vertices, points, np.log(np.abs(signed)), signed < 0, motion,
                stretched(before[0]) if couples else None, stretched(before[1]) if couples else None,
            )
        )  # fmt: skip
        before = vertices, points
    extent = (-REACH, REACH, -REACH, REACH)
    return packed(Film(frames, (LINES, LINES), extent, SPAN, "log area change", colour, {"output"}))


def followed(start: np.ndarray) -> Probe:
    beads = np.stack([np.full(BEADS, start[0]), np.linspace(-2, 2, BEADS)], axis=1)
    paths, strings = states(start[None]), states(beads)
    k = NAMES.index("coupling")
    stretch = [None] * len(NAMES)
    stretch[k] = float(stretched(start[None])[0])
    strung = [stretched(beads).tolist() if i == k else [] for i in range(len(NAMES))]
    return Probe([path[0] for path in paths], stretch, strings, strung)


def pulled_back(frame: str, place: tuple[float, float]) -> np.ndarray:
    x = np.array([place])
    for *_, apply, _motion in reversed(FRAMES[: NAMES.index(frame) + 1]):
        x = apply(x, rev=True)
    return x[0]


@st.fragment
def demo() -> None:
    state = st.session_state
    state.setdefault("chosen", "coupling")
    state.setdefault("start", (0.5, -0.4))
    state.setdefault("calls", 0)

    def choose(name: str) -> None:
        state.chosen = name

    def move(name: str, x: float, y: float) -> None:
        state.start = tuple(pulled_back(name, (x, y)))
        state.moved = f"{name} {x:.4f} {y:.4f}"
        state.calls += 1

    orange = st.toggle("Orange points", key="orange")
    shown = st.toggle("Displacement", key="displacement")
    if st.toggle("Strip", value=True, key="with_strip"):
        body = film("#d9730d" if orange else "#2f7fd1")
        filmstrip(body, key="strip", chosen=state.chosen, height=150, label="Frames of the demo", on_choose=choose)
    left, right = st.columns([3, 2])
    with left:
        stage(
            film="strip", key="stage", chosen=state.chosen, probe=followed(np.array(state.start)), height=560,
            label="A grid and a ring of points.", displacement=shown, on_choose=choose, on_probe=move,
        )  # fmt: skip
    with right:
        st.text(f"Chosen: {state.chosen}")
        st.text(f"Moved: {state.get('moved', 'never')}")
        st.text(f"Calls: {state.calls}")


if __name__ == "__main__":
    st.set_page_config(layout="wide", page_title="Stage demo")
    st.title("Stage demo")
    demo()
