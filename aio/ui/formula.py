"""A formula term by term, each line a thing one can point at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import latex2mathml.converter
import streamlit as st

__all__ = ["Line", "formula", "mathml"]

NAMESPACE = "http://www.w3.org/1998/Math/MathML"

# What may reach a page; the browser holds to the same lists (components/formula/mathml.js). No attribute that links,
# styles or scripts is among them.
ELEMENTS = frozenset({
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup",
    "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mphantom", "mpadded", "mstyle",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "mathvariant", "stretchy", "fence", "form", "movablelimits", "accent", "accentunder", "width", "height", "depth",
    "columnalign", "displaystyle", "scriptlevel", "linethickness", "lspace", "rspace", "minsize", "maxsize",
})  # fmt: skip
TOKENS = frozenset({"mi", "mn", "mo", "mtext", "mspace"})  # hold text and no elements
# Elements that MathML gives a fixed number of children: half a fraction would be drawn as an error.
CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3}

RELATIONS = frozenset("=←→≈≤≥≡∼:")
FENCES = {"(": ")", "[": "]", "|": "|", "{": "}", "‖": "‖"}
SIGNS = frozenset("−+±∓")
CLOSING = frozenset(")]}")  # a bar closes or opens, and does not say which
THIN_SPACE = "0.167em"  # TeX's \, on both sides of the name of a function

MEND = r"Write it with the commands that latex2mathml knows, and close every brace, \left and \begin."

# A page shows a dozen lines with two formulas each, whose numbers change with every move of a probe: the symbols stay
# in the cache, the numbers pass through it.
CACHED_FORMULAS = 2_048


@dataclass(frozen=True)
class Line:
    r"""One step of a computation.

    Attributes:
        stage: the name of the step that the line belongs to; several lines may share it.
        latex: the step in symbols, such as `s = \alpha \tanh(a_s)`.
        numbers: its right-hand side with numbers put in, such as `2.0 \tanh(-0.107) = -0.213`; the left-hand side may
            stand before it, and is not drawn twice. Empty where there are none. Write all numbers with the same
            digits, a summand's sign as the operator before it, and `\phantom{-}` where a sign may stand and does not:
            then nothing moves when they change.
        title: a short name, shown as a tag and read out by screen readers.
        active: False where a setting passes the step over.
        why: a sentence shown below; needed where the step is passed over.
        below: whether the numbers, being long, stand below the formula and not beside it.

    Raises:
        ValueError: stage or title is empty, or a step is passed over without a reason.

    >>> Line("clamp", r"s = \alpha \tanh(a_s)", "", "Clamp", active=False, why="")
    Traceback (most recent call last):
        ...
    ValueError: Expected a reason why the line 'Clamp' is passed over, got none. Say it in why.
    """

    stage: str
    latex: str
    numbers: str
    title: str
    active: bool
    why: str
    below: bool = False

    def __post_init__(self) -> None:
        for name in ("stage", "title"):
            if not getattr(self, name).strip():
                raise ValueError(f"Expected a {name} for the line {self.latex!r}, got none. A line is known by it.")
        if not self.active and not self.why.strip():
            raise ValueError(f"Expected a reason why the line {self.title!r} is passed over, got none. Say it in why.")


def formula(
    lines: Sequence[Line],
    *,
    key: str,
    chosen: str,
    height: int | Literal["content"] = "content",
    label: str,
    on_point: Callable[[str], None],
    on_choose: Callable[[str], None],
) -> None:
    """Show a computation line by line, and on the next call with the same key change in place what has changed.

    Pointing at a line, with the mouse or by the keyboard, calls `on_point` once the pointer rests; a click, a tap or
    Enter calls `on_choose`. Both are called at the beginning of the rerun of the enclosing fragment, or of the page.
    At most one report is under way: of the lines passed meanwhile only the last is reported, and a choice always is.

    Args:
        lines: from top to bottom.
        key: names the component on its page; also its CSS class, `.st-key-<key>`.
        chosen: the current stage; all its lines are marked. No line need have it.
        height: CSS pixels, within which the list scrolls, or as high as its lines.
        label: what is computed, in words, as screen readers announce the list.
        on_point: called with the stage of the line pointed at.
        on_choose: called with the stage of the line chosen.

    Raises:
        ValueError: a line's LaTeX cannot be converted, or the height is not a number of pixels above 0.
    """
    if height != "content" and (isinstance(height, bool) or not isinstance(height, int) or height <= 0):
        raise ValueError(f'Expected height as "content" or whole CSS pixels above 0, got {height!r}.')
    stages = frozenset(line.stage for line in lines)

    def report() -> None:
        _hear(_report(key), stages, on_point, on_choose)

    _component()(
        data={
            "label": label,
            "chosen": chosen,
            "height": height,
            "heard": _report(key).get("number", 0),
            "lines": [_spelled(line) for line in lines],
        },
        key=key,
        height=height,
        on_report_change=report,
    )


def _spelled(line: Line) -> dict[str, Any]:
    """A line as the browser draws it: its formulas as MathML, cut before the relation so that all align there."""
    left, right = _sides(line.latex)
    numbers = _right_side(line.numbers, left) if line.numbers else ""
    return {
        "stage": line.stage,
        "title": line.title,
        "left": left,
        "right": right,
        "numbers": numbers,
        "active": line.active,
        "why": line.why,
        "below": line.below,
    }


# ------------------------------------------------------------------ what the browser reports


def _report(key: str) -> Mapping[str, Any]:
    """The newest report of the component: its number, kind and stage. Empty before the first."""
    state = st.session_state.get(key) or {}
    report = state.get("report")
    return report if isinstance(report, Mapping) else {}


def _hear(
    report: Mapping[str, Any],
    stages: frozenset[str],
    on_point: Callable[[str], None],
    on_choose: Callable[[str], None],
) -> None:
    """Pass a report on. What comes from a browser may be anything: only stages that were shown are heard of."""
    stage = report.get("stage")
    hear = {"point": on_point, "choose": on_choose}.get(str(report.get("kind")))
    if hear and isinstance(stage, str) and stage in stages:
        hear(stage)


# ------------------------------------------------------------------ from LaTeX to MathML


def mathml(latex: str) -> str:
    r"""A formula as MathML, set as TeX would: upright names with thin spaces, fences as high as what they hold.

    Args:
        latex: a formula without dollar signs.

    Returns:
        One `<math>` element of presentation MathML, displaystyle, without links, styles or colours.

    Raises:
        ValueError: the LaTeX cannot be converted, knows a command that latex2mathml does not, or asks for a link, a
            style or a colour, which are the page's to give.

    >>> mathml("s = t")
    '<math xmlns="http://www.w3.org/1998/Math/MathML" displaystyle="true"><mrow><mi>s</mi><mo>=</mo><mi>t</mi></mrow></math>'
    >>> mathml(r"\frac{1}")
    Traceback (most recent call last):
        ...
    ValueError: Expected a formula in LaTeX, got '\\frac{1}': mfrac has 1 part of 2. Write it with the commands ...
    """  # noqa: E501
    return _converted(latex)[0]


@lru_cache(CACHED_FORMULAS)
def _sides(latex: str) -> tuple[str, str]:
    """A formula cut before its first relation. Without one, all of it stands on the right."""
    return _converted(latex)[1:]


@lru_cache(CACHED_FORMULAS)
def _right_side(numbers: str, left: str) -> str:
    """Numbers from the relation on, to stand below the right side of a formula whose left side is `left`."""
    if not left:
        return mathml(numbers)
    own_left, right = _sides(numbers)
    related = own_left == left or (not own_left and ElementTree.fromstring(right)[0][0].text in RELATIONS)
    return right if related else _sides(f"= {numbers}")[1]


@lru_cache(CACHED_FORMULAS)
def _converted(latex: str) -> tuple[str, str, str]:
    """The whole formula, its left side and its right side with the relation, as MathML."""
    if not isinstance(latex, str) or not latex.strip():
        raise ValueError(f"Expected a formula in LaTeX, got {latex!r}. Leave the formula out where there is none.")
    if latex.replace(r"\{", "").count("{") != latex.replace(r"\}", "").count("}"):
        raise _refusal(latex, "its braces do not match")
    try:
        row = ElementTree.fromstring(latex2mathml.converter.convert(latex))[0]
    except Exception as error:  # latex2mathml's errors have no common base, and IndexError is among them
        raise _refusal(latex, type(error).__name__) from error
    for element in row.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        _check(element, latex)
    _set(row)
    parts = list(row)
    cut = next((i for i, part in enumerate(parts) if _is_relation(part)), 0)
    return _written(parts), _written(parts[:cut]), _written(parts[cut:])


def _refusal(latex: str, reason: str) -> ValueError:
    return ValueError(f"Expected a formula in LaTeX, got {latex!r}: {reason}. {MEND}")


def _check(element: Element, latex: str) -> None:
    """Refuse what latex2mathml lets through: unknown commands, missing parts, links and styles."""
    if element.tag not in ELEMENTS:
        raise _refusal(latex, f"it makes the element {element.tag!r}")
    if strange := set(element.keys()) - ATTRIBUTES:
        raise _refusal(latex, f"it sets {', '.join(sorted(strange))}")
    if (needed := CHILDREN.get(element.tag, len(element))) != len(element):
        raise _refusal(latex, f"{element.tag} has {len(element)} part{'s' * (len(element) != 1)} of {needed}")
    if element.tag in TOKENS and len(element):
        raise _refusal(latex, f"{element.tag} holds more than a sign or a name")
    text = element.text or ""
    if "\\" in text:
        raise _refusal(latex, f"the command {text} is unknown")
    if element.tag == "mi" and text in {"&", "{", "}"}:
        raise _refusal(latex, f"{text!r} stands alone")


def _written(parts: list[Element]) -> str:
    if not parts:
        return ""
    if _is_relation(parts[0]):
        parts[0].set("form", "infix")  # the first in its row would be taken for a sign
    root = Element("math", {"xmlns": NAMESPACE, "displaystyle": "true"})
    row = ElementTree.SubElement(root, "mrow")
    row.extend(parts)
    return ElementTree.tostring(root, encoding="unicode")


# ------------------------------------------------------------------ as TeX would set it


def _set(element: Element) -> None:
    """Mend, from the leaves up, what latex2mathml leaves to the renderer and Chromium's renderer leaves undone."""
    for child in element:
        _set(child)
    if element.tag in {"mrow", "mtd"}:
        _join_letters(element)
        _sign(list(element))
        element[:] = _spaced(_fenced(list(element)))
    elif element.tag == "msup" and element[1].text == "′":
        # The prime of a font is raised already: as an exponent it would be raised twice, and too small.
        element.tag = "mrow"
        element[1].tag, element[1].attrib = "mo", {"form": "postfix"}
    elif element.tag == "mi" and "Α" <= (element.text or "") <= "Ω":
        element.set("mathvariant", "normal")  # TeX's Greek capitals stand upright
    elif element.tag == "mphantom":
        for sign in element.iter("mo"):
            sign.set("form", "prefix")  # room for a sign, not for an operator
    elif element.tag == "mo" and (element.text or "").isalpha():
        element.tag, element.attrib = "mi", {}  # det: a name; an operator would stand off from its argument
    elif element.tag == "mover" and element[1].text == "¯":
        element.set("accent", "true")


def _join_letters(row: Element) -> None:
    r"""Make one name of \mathrm{split}, which comes as five letters and would be spelled out by a screen reader."""
    letters = [child for child in row if child.tag == "mi" and child.get("mathvariant") == "normal"]
    if len(letters) == len(row) > 1:
        name = "".join(letter.text or "" for letter in letters)
        row.clear()
        row.tag, row.text = "mi", name


def _sign(row: list[Element]) -> None:
    """Tell signs from operators: − in 2 · (−1) = −2 is set without the spaces that it has in 2 − 1."""
    for before, part in zip([None, *row], row, strict=False):
        opens = before is None or (before.tag == "mo" and before.text not in CLOSING)
        if part.tag == "mo" and part.text in SIGNS and opens:
            part.set("form", "prefix")


def _fenced(parts: list[Element]) -> list[Element]:
    """Put a table and the fences at its sides in a row of their own, so that they stretch to its height only."""
    done: list[Element] = []
    for part in parts:
        done.append(part)
        if len(done) < 3 or done[-2].tag != "mtable":
            continue
        opening, table, closing = done[-3:]
        if opening.tag == closing.tag == "mo" and FENCES.get(opening.text or "") == closing.text:
            opening.attrib = {"form": "prefix", "fence": "true", "stretchy": "true"}
            closing.attrib = {"form": "postfix", "fence": "true", "stretchy": "true"}
            fenced = Element("mrow")
            fenced.extend([opening, table, closing])
            done[-3:] = [fenced]
    return done


def _spaced(parts: list[Element]) -> list[Element]:
    """Set thin spaces around the names of functions, but for the sides where an operator or a fence stands."""
    done: list[Element] = []
    for part in parts:
        before = done[-1] if done else None
        if before is not None and (
            (_is_function(part) and _ends_a_factor(before))
            or (_is_function(before) and part.tag not in {"mo", "mspace"})
        ):
            done.append(Element("mspace", {"width": THIN_SPACE}))
        done.append(part)
    return done


def _is_function(part: Element) -> bool:
    base = part[0] if part.tag in {"msub", "msup", "msubsup"} else part
    return base.tag == "mi" and len(base.text or "") > 1 and (base.text or "").isalpha()


def _ends_a_factor(part: Element) -> bool:
    return part.tag != "mspace" and (part.tag != "mo" or part.text in CLOSING)


def _is_relation(part: Element) -> bool:
    return part.tag == "mo" and (part.text or "") in RELATIONS


@cache
def _component():
    """Register the component on first use: while this module is imported there may be no Streamlit server yet."""
    # Not isolated: one style sheet of the page for all its components, as for live_figure.
    return st.components.v2.component("aio.formula", js="index.js", css="formula.css", isolate_styles=False)
