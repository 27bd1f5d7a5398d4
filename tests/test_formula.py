"""Formulas as the page shows them: from LaTeX to MathML, and what is heard from the browser."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import aio.ui.formula as module
from aio.ui.formula import ATTRIBUTES, ELEMENTS, Line, formula, mathml

COMPONENT = Path(module.__file__).parent / "components" / "formula"

# The lines of the Block page, and numbers as they come.
REAL = [
    r"x' = P^\top x",
    r"(x_1, x_2) = \mathrm{split}(x')",
    r"(a_s, a_t) = 0.1 \cdot \mathrm{subnet}(x_1)",
    r"s = \alpha \tanh(a_s)",
    r"s = \alpha\tanh(a_s/\alpha)",
    r"t = a_t",
    r"s \leftarrow s - \bar{s} = 0",
    r"u = \begin{pmatrix} x_1 \\ x_2 e^{s} + t \end{pmatrix}",
    r"v = \Psi(g) \odot u + o",
    r"H_i = I - 2 \frac{v_i v_i^\top}{v_i^\top v_i}",
    r"y = P v",
    r"P = w_0 H_1 \cdots H_k",
    r"\log\left|\det\frac{\partial y}{\partial x}\right| = s + \log\Psi_1 + \log\Psi_2",
    r"0.734\, e^{-0.212} + 0.118 = 0.712",
    r"\begin{pmatrix} \phantom{-}0.301 \\ -0.734 \end{pmatrix}",
    r"\begin{bmatrix} 1 & 2 \\ 3 & -4 \end{bmatrix}",
]

REFUSED = {
    "unknown_command": (r"\foo x", r"the command \\foo is unknown"),
    "half_a_fraction": (r"\frac{1}", "mfrac has 1 part of 2"),
    "open_brace": ("{x", "braces do not match"),
    "closed_brace": ("x}", "braces do not match"),
    "nothing_to_raise": ("x^", "MissingSuperScriptOrSubscriptError"),
    "left_without_right": (r"\left( x", "ExtraLeftOrMissingRightError"),
    "open_table": (r"\begin{pmatrix} 1", "MissingEndError"),
    "two_subscripts": ("a_1_2", "DoubleSubscriptsError"),
    "column_outside_a_table": ("2 & 3", "ParseError"),
    "control_character": ("x\0y", "ParseError"),
    "link": (r"\href{javascript:alert(1)}{x}", "it sets href"),
    "style": (r"\style{color:red}{x}", "it sets style"),
    "colour": (r"\color{red} x", "it sets mathcolor"),
    "tag_in_text": (r"\text{<img src=x>}", "ParseError"),
    "element_in_text": (r"\text{<img/>}", "mtext holds more than"),
    "name_as_operator": (r"\mathop{\mathrm{split}}(x)", "holds more than"),
    "empty": ("", "Leave the formula out"),
    "blank": ("  ", "Leave the formula out"),
}


def tokens(latex: str) -> list[tuple[str, str]]:
    """The (element, text) of a formula's leaves, in the order of reading."""
    leaves = (node for node in ElementTree.fromstring(mathml(latex)).iter() if not len(node))
    return [(node.tag.partition("}")[2], node.text or "") for node in leaves]


def the(latex: str, name: str, text: str) -> ElementTree.Element:
    """The first element of that name and text."""
    found = ElementTree.fromstring(mathml(latex)).iter(f"{{{module.NAMESPACE}}}{name}")
    return next(node for node in found if (node.text or "") == text)


def line(latex: str = "s = t", numbers: str = "", **changes) -> Line:
    return Line(
        **{"stage": "clamp", "latex": latex, "numbers": numbers, "title": "Clamp", "active": True, "why": ""} | changes
    )


# ------------------------------------------------------------------ MathML


@pytest.mark.parametrize("latex", REAL)
def test_mathml_holds_known_parts_only(latex: str) -> None:
    root = ElementTree.fromstring(mathml(latex))
    assert root.tag == f"{{{module.NAMESPACE}}}math"
    for node in root.iter():
        assert node.tag.removeprefix(f"{{{module.NAMESPACE}}}") in ELEMENTS
        assert set(node.keys()) <= ATTRIBUTES


@pytest.mark.parametrize("latex", REAL)
def test_sides_are_the_formula_cut_in_two(latex: str) -> None:
    def texts(xml: str) -> str:
        return "".join(ElementTree.fromstring(xml).itertext()) if xml else ""

    left, right = module._sides(latex)
    assert texts(left) + texts(right) == texts(mathml(latex))
    assert bool(left) == (latex not in REAL[-2:])


@pytest.mark.parametrize(("latex", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_latex_comes_with_a_mend(latex: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"Expected a formula in LaTeX, got .*{reason}.*\\.$"):
        mathml(latex)


def test_a_name_is_one_word() -> None:
    assert ("mi", "split") in tokens(r"\mathrm{split}(x)")
    assert ("mi", "split") in tokens(r"\operatorname{split}(x)")
    assert ("mi", "det") in tokens(r"\det J")


def test_functions_stand_off_from_factors_and_not_from_fences() -> None:
    assert [name for name, _ in tokens(r"\alpha \tanh(x)")] == ["mi", "mspace", "mi", "mo", "mi", "mo"]
    assert [name for name, _ in tokens(r"s + \log \Psi")] == ["mi", "mo", "mi", "mspace", "mi"]


@pytest.mark.parametrize("latex", ["= -2", r"3 \cdot -2", "(-2)", "-2", "1, -2", r"\phantom{-}2"])
def test_a_sign_has_no_space_of_an_operator(latex: str) -> None:
    assert the(latex, "mo", "−").get("form") == "prefix"


@pytest.mark.parametrize("latex", ["3 - 2", "(3) - 2", r"\begin{pmatrix} 1 \end{pmatrix} - 2"])
def test_an_operator_is_no_sign(latex: str) -> None:
    assert the(latex, "mo", "−").get("form") is None


def test_fences_of_a_column_stretch_in_a_row_of_their_own() -> None:
    root = ElementTree.fromstring(mathml(r"u = \begin{pmatrix} 1 \\ 2 \end{pmatrix}"))
    (row,) = (node for node in root.iter() if any(child.tag.endswith("mtable") for child in node))
    assert [child.tag.partition("}")[2] for child in row] == ["mo", "mtable", "mo"]
    assert [row[0].get("form"), row[2].get("form")] == ["prefix", "postfix"]


def test_letters_stand_as_tex_has_them() -> None:
    assert the(r"\Psi(g)", "mi", "Ψ").get("mathvariant") == "normal"
    assert the(r"\alpha", "mi", "α").get("mathvariant") is None
    assert tokens("x'") == [("mi", "x"), ("mo", "′")]


# ------------------------------------------------------------------ lines


@pytest.mark.parametrize("numbers", ["3 + 1", "s = 3 + 1", "= 3 + 1"])
def test_numbers_stand_below_the_right_side(numbers: str) -> None:
    spelled = module._spelled(line("s = a + t", numbers))
    assert "".join(ElementTree.fromstring(spelled["left"]).itertext()) == "s"
    assert "".join(ElementTree.fromstring(spelled["numbers"]).itertext()) == "=3+1"


def test_numbers_may_have_a_relation_of_their_own() -> None:
    numbers = module._spelled(line("s = a", r"\approx 3"))["numbers"]
    assert "".join(ElementTree.fromstring(numbers).itertext()) == "≈3"


def test_without_a_relation_nothing_is_added() -> None:
    spelled = module._spelled(line("a + t", "3 + 1"))
    assert spelled["left"] == ""
    assert "".join(ElementTree.fromstring(spelled["numbers"]).itertext()) == "3+1"


def test_a_line_without_numbers_has_none() -> None:
    assert module._spelled(line())["numbers"] == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": ""}, "Expected a stage for the line 's = t', got none."),
        ({"title": " "}, "Expected a title for the line 's = t', got none."),
        ({"active": False}, "Expected a reason why the line 'Clamp' is passed over, got none."),
    ],
    ids=["stage", "title", "why"],
)
def test_a_line_says_what_it_is(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        line(**changes)


@pytest.mark.parametrize("height", [0, -1, True, 1.5, "stretch"])
def test_height_is_checked(height: object) -> None:
    with pytest.raises(ValueError, match="Expected height as"):
        formula([line()], key="f", chosen="", height=height, label="f", on_point=print, on_choose=print)


# ------------------------------------------------------------------ reports


@pytest.mark.parametrize(
    ("report", "heard"),
    [
        ({"number": 1, "kind": "point", "stage": "clamp"}, ["point clamp"]),
        ({"number": 2, "kind": "choose", "stage": "clamp"}, ["choose clamp"]),
        ({"number": 3, "kind": "point", "stage": "elsewhere"}, []),
        ({"number": 4, "kind": "shout", "stage": "clamp"}, []),
        ({"number": 5, "kind": ["point"], "stage": ["clamp"]}, []),
        ({}, []),
    ],
    ids=["point", "choose", "unknown_stage", "unknown_kind", "not_words", "none"],
)
def test_only_reports_of_shown_stages_are_heard(report: dict, heard: list[str]) -> None:
    said: list[str] = []
    module._hear(
        report,
        frozenset({"clamp"}),
        lambda stage: said.append(f"point {stage}"),
        lambda stage: said.append(f"choose {stage}"),
    )
    assert said == heard


@pytest.mark.parametrize(("name", "known"), [("ELEMENTS", ELEMENTS), ("ATTRIBUTES", ATTRIBUTES)])
def test_the_browser_holds_to_the_same_lists(name: str, known: frozenset[str]) -> None:
    source = (COMPONENT / "mathml.js").read_text(encoding="utf-8")
    (body,) = re.findall(rf"const {name} = new Set\((.*?)\.split", source, re.DOTALL)
    assert set(" ".join(re.findall(r'"([^"]*)"', body)).split()) == known
