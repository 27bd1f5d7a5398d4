"""A canvas to draw on, what Python knows of it, and buttons that impose a drawing."""

import json
import math

import streamlit as st

from aio.ui.draw import draw

TURNS, RADIUS, WIDTH = 2.5, 3.2, 0.18
TICK_SECONDS = 0.2


def spiral(points: int = 80) -> str:
    angles = [2 * math.pi * TURNS * (i / (points - 1)) for i in range(points)]
    radii = [RADIUS * angle / angles[-1] for angle in angles]
    places = [[round(r * math.cos(a), 3), round(r * math.sin(a), 3)] for r, a in zip(radii, angles, strict=True)]
    return json.dumps({"strokes": [{"points": places, "width": WIDTH, "colour": 0}]})


def many(strokes: int, points: int) -> str:
    """Strokes of so many points each, side by side."""
    places = [[[round(-3.9 + 7.8 * k / strokes, 3), round(-3 + 6 * i / points, 3)] for i in range(points)]
              for k in range(strokes)]  # fmt: skip
    return json.dumps({"strokes": [{"points": line, "width": 0.05, "colour": 0} for line in places]})


IMPOSED = {
    "Impose nothing": "",
    "Impose a spiral": spiral(),
    "Impose 200 strokes": many(200, 2),
    "Impose 3,990 points": many(10, 399),
    "Impose nonsense": '{"strokes": [{"points": [[0, "a"]], "width": 0.1, "colour": 0}, 3, {"points": [[9, 0]], '
    '"width": 5, "colour": 3}]}',
}


def canvas() -> None:
    state = st.session_state
    state.setdefault("drawing", "")
    state.setdefault("version", 0)
    state.setdefault("calls", 0)

    def take(text: str) -> None:
        state.drawing = text
        state.calls += 1

    def impose(text: str) -> None:
        state.drawing = text
        state.version += 1

    left, right = st.columns([3, 2])
    with left:
        if st.session_state.get("shown", True):
            draw(
                key="draw", drawing=state.drawing, version=state.version, height=560,
                label="A density to be learned.", on_draw=take,
            )  # fmt: skip
    with right:
        strokes = json.loads(state.drawing or "{}").get("strokes", [])
        st.text(f"Strokes: {len(strokes)}")
        st.text(f"Calls: {state.calls}")
        st.toggle("Shown", value=True, key="shown")
        for words, text in IMPOSED.items():
            st.button(words, on_click=impose, args=(text,))
        with st.container(key="known", height=120):
            st.text(state.drawing)


if __name__ == "__main__":
    st.set_page_config(layout="wide", page_title="Draw demo")
    st.title("Draw demo")
    ticking = st.toggle("Ticking", help="Reruns all the time, as while a flow is trained.")
    st.fragment(canvas, run_every=TICK_SECONDS if ticking else None)()
