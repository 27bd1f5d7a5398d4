"""The computation of a block for one probe, line by line. Used by the browser tests."""

import time

import streamlit as st

from aio.ui.formula import Line, formula

SIGN = r"\phantom{-}"
# ?rerun=slow: a rerun takes this long, so that reports come faster than they are heard.
SLOW_SECONDS = 0.6


def number(value: float) -> str:
    """Three decimals, and room for a sign."""
    return f"{'' if value < 0 else SIGN}{value:.3f}"


def summand(value: float) -> str:
    """A number after another one, its sign as the operator."""
    return f"{'-' if value < 0 else '+'} {abs(value):.3f}"


def column(*values: float) -> str:
    return matrix(*((value,) for value in values))


def matrix(*rows: tuple[float, ...]) -> str:
    body = r" \\ ".join(" & ".join(number(value) for value in row) for row in rows)
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


SWAP = r"\begin{pmatrix} 0 & 1 \\ 1 & 0 \end{pmatrix}"


def lines(x2: float) -> list[Line]:
    """Lines such as the Block page shows. The numbers are only for the look: no block computes them."""
    s, t = -0.212, 0.118
    u2 = 0.809 * x2 + t
    v2 = 0.97 * u2 - 0.1
    return [
        Line(
            "pre_permutation", r"x' = P^\top x", "", "Permutation before", False, "Off: reverse permutation is not set."
        ),
        Line(
            "split",
            r"(x_1, x_2) = \mathrm{split}(x')",
            f"({number(0.301)}, {number(x2)})",
            "Split",
            True,
            "x₁ passes, x₂ is moved.",
        ),
        Line(
            "subnet",
            r"(a_s, a_t) = 0.1 \cdot \mathrm{subnet}(x_1)",
            rf"0.1 \cdot ({number(-1.064)}, {number(1.18)}) = ({number(-0.106)}, {number(0.118)})",
            "Subnet",
            True,
            "",
        ),
        Line(
            "clamp",
            r"s = \alpha \tanh(a_s)",
            rf"2.000 \tanh({number(-0.106)}) = {number(s)}",
            "Clamp",
            True,
            "The slope at 0 is α.",
        ),
        Line(
            "clamp",
            r"s \leftarrow s - \bar{s} = 0",
            "",
            "GIN",
            False,
            "Left out: GIN is off, so the block may change volume.",
        ),
        Line(
            "coupling",
            r"u = \begin{pmatrix} x_1 \\ x_2 e^{s} + t \end{pmatrix}",
            rf"\begin{{pmatrix}} {number(0.301)} \\ {number(x2)}\, e^{{{number(s)}}} {summand(t)} \end{{pmatrix}}"
            rf" = {column(0.301, u2)}",
            "Coupling",
            True,
            "",
        ),
        Line(
            "global_affine",
            r"v = \Psi(g) \odot u + o",
            rf"{column(1.02, 0.97)} \odot {column(0.301, u2)} + {column(0.05, -0.1)} = {column(0.357, v2)}",
            "Global affine",
            True,
            "",
        ),
        Line("mirror_2", r"H_i = I - 2 \frac{v_i v_i^\top}{v_i^\top v_i}", "", "Mirrors", False, "None are learned."),
        Line("permutation", r"P = w_0 H_1 \cdots H_k", SWAP, "Permutation", True, ""),
        Line(
            "permutation",
            "y = P v",
            rf"{SWAP} {column(0.357, v2)} = {column(v2, 0.357)}",
            "Permutation",
            True,
            "",
        ),
        Line(
            "output",
            r"\log\left|\det\frac{\partial y}{\partial x}\right| = s + \log\Psi_1 + \log\Psi_2",
            rf"{number(s)} {summand(0.02)} {summand(-0.03)} = {number(-0.222)}",
            "Log-determinant",
            True,
            "In nats.",
        ),
    ]


@st.fragment
def computation() -> None:
    """The list, the words that its reports become, and a slider that changes the numbers."""
    state = st.session_state
    state.setdefault("chosen", "coupling")
    state.setdefault("heard", [])
    x2 = st.slider("x₂", -2.0, 2.0, 0.734, 0.001, key="x2")
    shorter = st.toggle("No mirrors", key="no_mirrors")

    def point(stage: str) -> None:
        state["heard"].append(f"point {stage}")

    def choose(stage: str) -> None:
        state["heard"].append(f"choose {stage}")
        state["chosen"] = stage

    if st.query_params.get("rerun") == "slow":
        time.sleep(SLOW_SECONDS)
    shown = [line for line in lines(x2) if not (shorter and line.stage == "mirror_2")]
    height = st.query_params.get("height", "content")
    formula(
        shown,
        key="formula",
        chosen=state["chosen"],
        height=height if height == "content" else int(height),
        label="The block at the probe, line by line",
        on_point=point,
        on_choose=choose,
    )
    with st.container(key="heard"):
        st.text("; ".join(state["heard"]) or "nothing")


st.set_page_config(layout="wide")
st.title("The formula")
width = int(st.query_params.get("width", 0))
with st.container(width=width or "stretch"):
    computation()
