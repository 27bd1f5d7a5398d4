"""The formula's numbers are the block's, its code is the code that ran, and it disagrees with the docstring rightly."""

from __future__ import annotations

import ast
import inspect
import math
import re
import sys
import textwrap
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
import torch
from latex2mathml.converter import convert
from torch import Tensor, nn

from aio.block import AllInOneBlock
from aio.by_hand import BlockEdit, HandCurve, edited
from aio.config import FlowConfig
from aio.flow import build
from aio.inspection import DISAGREEMENTS, Term, film, formula, source
from aio.inspection.formula import _n, _plus
from tests.reference import FreiaBlock, Variant, draw, freia_block
from tests.test_inspection_film import (
    DIRECTIONS,
    Case,
    by_formula,
    every_case,
    every_direction,
    every_structure,
    few_cases,
)

POINTS = [(0.6, -1.1), (-0.3, 0.2), (12.0, -30.0)]
# Half a unit of the third decimal; three digits where a power of ten is written.
DECIMALS, DIGITS = 5e-4, 5e-3


# ---------------------------------------------------------------------- reading numbers back

NUMBER = re.compile(r"([+-] ?)?(\d+(?:\.\d+)?)(?: \\cdot 10\^\{(-?\d+)\})?")


def parsed(latex: str) -> list[float]:
    """Every number of a line of LaTeX with the sign before it, powers of ten included.

    >>> parsed(r"2 - 0.500\\, e^{-1.20 \\cdot 10^{-4}}")
    [2.0, -0.5, -0.00012]
    """
    return [float(f"{sign.strip()}{digits}e{power or 0}") for sign, digits, power in NUMBER.findall(latex)]


def assert_reads(latex: str, expected: list[float], message: str) -> None:
    found = parsed(latex)
    assert len(found) == len(expected), f"{message}: {latex} holds {found}, expected {expected}"
    for a, b in zip(found, expected, strict=True):
        within = DIGITS * abs(b) * 1.001 if abs(b) >= 1e4 or 0 < abs(b) < 5e-4 else DECIMALS * 1.001
        assert abs(a - b) <= within, f"{message}: {latex} says {a}, expected {b}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"), (-0.0, "0.000"), (1.0, "1.000"), (-2.3456, "-2.346"), (0.0005, "0.001"), (9999.4, "9999.400"),
        (4.9e-4, r"4.90 \cdot 10^{-4}"), (-1.234e-7, r"-1.23 \cdot 10^{-7}"), (12345.0, r"1.23 \cdot 10^{4}"),
        (1e300, r"1.00 \cdot 10^{300}"), (math.inf, r"\infty"), (-math.inf, r"-\infty"), (math.nan, r"\mathrm{nan}"),
    ],
)  # fmt: skip
def test_a_number_in_latex(value: float, text: str) -> None:
    assert _n(value) == text
    convert(text)
    if math.isfinite(value):
        assert_reads(text, [value], "")


def test_a_number_that_is_added_stands_behind_its_sign() -> None:
    assert [_plus(v) for v in (1.5, -1.5, 0.0, -0.0)] == ["+ 1.500", "- 1.500", "+ 0.000", "+ 0.000"]


# ---------------------------------------------------------------------- the numbers


def expected_numbers(block: AllInOneBlock, case: Case, point: Tensor, rev: bool) -> list[tuple[str, str, list[float]]]:
    """(step, title, numbers) of each line, computed apart, in the order of the computation."""
    n = by_formula(block, case, point[None], rev)
    at = {name: [float(v) for v in state[0]] for name, state, _ in n.frames}
    total = sum(float(log_det[0]) for _, _, log_det in n.frames)
    passive, active = at["split"]
    a_s, clamped, s, t = (float(v[0]) for v in (n.a_s, n.clamped, n.s, n.t))
    sign, log_psi = -1 if rev else 1, np.log(n.psi)
    gin, main = case.variant.gin, case.dialect == "freia-main"
    after = at["coupling"][1]
    pre = [("pre_permutation", "pre-permutation", at["pre_permutation"])]
    couple = [
        ("split", "split", [passive, active]),
        ("subnet", "subnet", [a_s, t]),
        ("clamp", "clamp", [case.alpha, a_s, *[case.alpha] * main, clamped]),
        ("clamp", "GIN", [clamped, clamped, 0.0] if gin else []),
        ("clamp", "shift", [t]),
        ("coupling", "coupling", [active, -t, -s, after] if rev else [active, s, t, after]),
    ]
    psi = ("global_affine", "Ψ", [] if gin else [float(v) for v in n.psi])
    affine = ("global_affine", "offset" if gin else "scale, offset", at["global_affine"])
    mirrors = [(f"mirror_{i + 1}", f"mirror v{'₁₂₃'[i]}", at[f"mirror_{i + 1}"]) for i in range(len(n.mirrors))]
    mixes = [*reversed(mirrors or [("mirrors", "mirrors", [])]), ("permutation", "permutation", at["permutation"])]
    logs = [total] if gin else [sign * s, *(sign * float(v) for v in log_psi), total]
    groups = [mixes[::-1], [psi, affine], couple, pre] if rev else [pre, couple, [psi, affine], mixes]
    return [line for group in groups for line in group] + [("output", "log-det", logs)]


@every_direction
@every_case
def test_every_number_is_the_formulas(case: Case, rev: bool) -> None:
    block = case.block()
    for values in POINTS:
        point = torch.tensor(values, dtype=torch.float64)
        terms, expected = formula(block, point, rev), expected_numbers(block, case, point, rev)
        assert [(term.step, term.title) for term in terms] == [line[:2] for line in expected]
        for term, (step, title, numbers) in zip(terms, expected, strict=True):
            assert_reads(term.numbers, numbers, f"{step}, {title}")


@every_structure
def test_the_formula_of_the_inverse_returns_to_the_point(case: Case) -> None:
    block, point = case.block(), torch.tensor(POINTS[0], dtype=torch.float64)
    y = block([point[None]])[0][0][0].detach()
    assert_reads(formula(block, y, rev=True)[-2].numbers, point.tolist(), "back")
    there, back = formula(block, point), formula(block, y, rev=True)
    assert parsed(there[-1].numbers)[-1] == -parsed(back[-1].numbers)[-1]


def arithmetic(numbers: str) -> tuple[float, float]:
    """The two sides of a line `a = b`, worked out as they are printed."""
    left, right = numbers.split(" = ")
    left = re.sub(r" \\cdot 10\^\{(-?\d+)\}", r"e\1", left)
    left = re.sub(r"e\^\{([^}]*)\}", r"* math.exp(\1)", left.replace(r"\,", ""))
    left = re.sub(r"\\tanh\(([^)]*)\)", r"* math.tanh(\1)", left)
    return eval(left, {"math": math}), parsed(right)[0]


@every_direction
@few_cases
def test_the_printed_sums_come_out(case: Case, rev: bool) -> None:
    block = case.block()
    lines = 0
    for values in POINTS[:2]:
        for term in formula(block, torch.tensor(values, dtype=torch.float64), rev):
            if "=" in term.numbers:
                left, right = arithmetic(term.numbers)
                assert left == pytest.approx(right, abs=5e-3, rel=5e-3), term.numbers
                lines += 1
    assert lines == 6  # clamp, coupling, and the log-det or GIN


def by_hand(case: Case, edit: BlockEdit) -> AllInOneBlock:
    return edited(case.block(), edit)


ZEROS = BlockEdit(s=HandCurve(), t=HandCurve(), g=(0.0, 0.0), o=(0.0, 0.0), angle=0.0)
HUGE = BlockEdit(s=HandCurve(level=10.0), t=HandCurve(level=-10.0), g=(90.0, -90.0), o=(100.0, -100.0), clamp=10.0)


@every_direction
@pytest.mark.parametrize("gin", [False, True], ids=["affine", "gin"])
def test_no_zero_is_negative(gin: bool, rev: bool) -> None:
    block = by_hand(Case(Variant("EXP", gin=gin)), ZEROS)
    for term in formula(block, torch.zeros(2, dtype=torch.float64), rev):
        assert "-0.000" not in term.numbers, term.numbers
        assert "- 0.000" not in term.numbers, term.numbers


@every_direction
@few_cases
def test_numbers_that_are_huge_and_tiny_are_read_back(case: Case, rev: bool) -> None:
    block = by_hand(case, HUGE)
    case = Case(case.variant, case.dialect, alpha=10.0)
    for values in [(1e-5, 2e5), (-3e-9, 1e-6)]:
        point = torch.tensor(values, dtype=torch.float64)
        terms, expected = formula(block, point, rev), expected_numbers(block, case, point, rev)
        for term, (step, title, numbers) in zip(terms, expected, strict=True):
            convert(term.numbers or "0")
            if not rev and step in ("split", "subnet", "clamp"):  # later, rounding eats what is small beside huge
                assert_reads(term.numbers, numbers, f"{step}, {title}")


def test_numbers_that_are_not_finite_are_written_as_such() -> None:
    block = by_hand(Case(Variant("EXP")), HUGE)
    terms = formula(block, torch.tensor([math.inf, math.nan], dtype=torch.float64))
    assert r"\infty" in terms[1].numbers
    assert r"\mathrm{nan}" in terms[1].numbers
    for term in terms:
        convert(term.numbers or "0")


def test_a_float32_block_has_a_formula() -> None:
    case = Case(Variant("EXP", soft=True, householder=1, reverse=True))
    block, point = case.block(dtype=torch.float32), torch.tensor(POINTS[0], requires_grad=True)
    for rev in DIRECTIONS:
        terms, expected = formula(block, point, rev), expected_numbers(case.block(), case, point.detach().double(), rev)
        for term, (step, title, numbers) in zip(terms, expected, strict=True):
            assert_reads(term.numbers, numbers, f"{step}, {title}")


# ---------------------------------------------------------------------- the lines


@every_direction
@every_structure
def test_every_line_belongs_to_a_frame_and_says_why_it_is_off(case: Case, rev: bool) -> None:
    block, point = case.block(), torch.tensor(POINTS[0], dtype=torch.float64)
    steps = {step.name: step for step in film(block, point[None], rev)}
    order = list(steps)
    terms = formula(block, point, rev)
    assert [order.index(term.step) for term in terms] == sorted(order.index(term.step) for term in terms)
    off = {term.title for term in terms if not term.active}
    v = case.variant
    expected = {"pre-permutation": not v.reverse, "GIN": not v.gin, "Ψ": v.gin, "mirrors": not v.householder}
    assert off == {title for title, is_off in expected.items() if is_off}
    for term in terms:
        assert term.step in steps
        if not term.active:
            assert term.why.startswith("Passed over: ")
            assert not term.numbers or term.step == "pre_permutation"
        else:
            assert term.numbers
            assert not term.why.startswith("Passed over")


@every_direction
@every_case
def test_every_line_is_latex(case: Case, rev: bool) -> None:
    for term in formula(case.block(), torch.tensor(POINTS[0], dtype=torch.float64), rev):
        for latex in filter(None, (term.latex, term.numbers)):
            assert latex.count("{") == latex.count("}")
            assert convert(latex).startswith("<math")


def line(case: Case, title: str, rev: bool = False) -> Term:
    point = torch.tensor(POINTS[0], dtype=torch.float64)
    return next(term for term in formula(case.block(), point, rev) if term.title == title)


def test_the_formulas_are_those_of_the_settings() -> None:
    plain, gin, full = Case(Variant()), Case(Variant(gin=True)), Case(Variant(householder=2, reverse=True))
    main = Case(Variant(), "freia-main")
    for case, title, there, back in [
        (plain, "pre-permutation", "x' = x", "x = x'"),
        (full, "pre-permutation", r"x' = P^\top x", "x = P x'"),
        (plain, "split", r"(x_1,\, x_2) = \mathrm{split}(x')", r"(u_1,\, u_2) = \mathrm{split}(u)"),
        (plain, "subnet", r"(a_s,\, a_t) = 0.1 \cdot \mathrm{subnet}(x_1)",
         r"(a_s,\, a_t) = 0.1 \cdot \mathrm{subnet}(u_1)"),
        (plain, "clamp", r"s = \alpha \tanh(a_s)", r"s = \alpha \tanh(a_s)"),
        (main, "clamp", r"s = \alpha \tanh(a_s / \alpha)", r"s = \alpha \tanh(a_s / \alpha)"),
        (plain, "coupling", r"u_2 = x_2\, e^{s} + t", r"x_2 = (u_2 - t)\, e^{-s}"),
        (plain, "scale, offset", r"h = \Psi(g) \odot u + o", r"u = (h - o) \oslash \Psi(g)"),
        (gin, "offset", "h = u + o", "u = h - o"),
        (gin, "Ψ", r"\Psi \equiv 1", r"\Psi \equiv 1"),
        (plain, "permutation", r"y = P\, h", r"h = P^\top y"),
        (full, "permutation", r"y = w_0\, h", r"h = w_0^\top y"),
        (plain, "log-det", r"\log|\det| = s + \log\Psi_1 + \log\Psi_2",
         r"\log|\det| = -s - \log\Psi_1 - \log\Psi_2"),
        (gin, "log-det", r"\log|\det| = s = 0", r"\log|\det| = -s = 0"),
    ]:  # fmt: skip
        assert line(case, title).latex == there
        assert line(case, title, rev=True).latex == back
    mirror = line(full, "mirror v₂")
    assert mirror.latex == r"h \leftarrow H_{2} h"
    assert mirror.why.removesuffix(".") == "H₂ = I − 2 v₂v₂ᵀ / (v₂ᵀv₂)"
    assert line(full, "permutation").why == "Together: P = w₀ H₁ … H_k."
    assert not line(plain, "permutation").why


@pytest.mark.parametrize("kind", ["SIGMOID", "SOFTPLUS", "EXP"])
def test_psi_is_written_as_it_is_computed(kind: str) -> None:
    case = Case(Variant(kind))
    latex = line(case, "Ψ").latex.removeprefix(r"\Psi(g) = ")
    code = latex.replace(r"\,\sigma(", "/(1+exp(-(").replace(r"\log", "*log").replace("^{g / 2}", "xp(g/2)")
    code = code.replace("e^{g}", "exp(g)") + "))" * (kind == "SIGMOID")
    block = case.block()
    g = block.global_scale.detach()[0]
    for value, psi in zip(g.tolist(), by_formula(block, case, draw((2,))[0]).psi, strict=True):
        assert eval(code, {"exp": math.exp, "log": math.log, "g": value}) == pytest.approx(psi, rel=1e-12)


def test_the_offset_is_told() -> None:
    o = by_hand(Case(Variant()), BlockEdit(o=(0.25, -1.5)))
    terms = formula(o, torch.zeros(2, dtype=torch.float64))
    assert next(term for term in terms if term.title == "scale, offset").why == "o = (0.250, −1.500)"


# ---------------------------------------------------------------------- the code


def definitions(file: str) -> list[str]:
    """The source of every function of a file, from its syntax tree."""
    text = Path(file).read_text(encoding="utf-8")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return [textwrap.dedent(ast.get_source_segment(text, node, padded=True)).strip() for node in nodes]


@every_direction
@few_cases
def test_the_code_of_every_line_is_found_in_its_file(case: Case, rev: bool) -> None:
    for term in formula(case.block(), torch.tensor(POINTS[0], dtype=torch.float64), rev):
        assert term.code
        for function in term.code:
            assert inspect.isfunction(function)
            text = source(function)
            assert text.startswith(f"def {function.__name__}(")
            assert text.strip() in definitions(function.__code__.co_filename)


@every_direction
@every_structure
def test_the_code_of_every_line_runs_in_the_block(case: Case, rev: bool) -> None:
    block, point = case.block(), torch.tensor(POINTS[0], dtype=torch.float64)
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        block([point[None]], rev=rev)
    finally:
        sys.setprofile(None)
    for term in formula(block, point, rev):
        for function in term.code:
            if term.active:
                assert function.__code__ in called, (term.title, function.__name__)
    off = {"pre-permutation": AllInOneBlock._pre_permute, "mirrors": AllInOneBlock._construct_householder_permutation}
    for term in formula(block, point, rev):
        if not term.active and term.title in off:
            assert off[term.title].__code__ not in called
            assert term.code == (off[term.title],)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("pre-permutation", ["_pre_permute"]), ("split", ["_couple"]), ("subnet", ["_couple", "_log_scale_and_shift"]),
        ("clamp", ["_log_scale_and_shift", "soft_clamp"]), ("GIN", ["_log_scale_and_shift"]),
        ("shift", ["_log_scale_and_shift"]), ("coupling", ["_affine"]), ("Ψ", ["global_affine"]),
        ("scale, offset", ["_global_affine"]), ("mirror v₁", ["_construct_householder_permutation"]),
        ("permutation", ["_permute"]), ("log-det", ["forward"]),
    ],
)  # fmt: skip
def test_a_line_shows_the_function_that_computes_it(title: str, names: list[str]) -> None:
    case = Case(Variant("EXP", householder=1, reverse=True))
    assert [function.__name__ for function in line(case, title).code] == names


# ---------------------------------------------------------------------- against the published docstring

PUBLISHED = f"{FreiaBlock.__doc__}\n{FreiaBlock.__init__.__doc__}"


class Says(nn.Module):
    """A subnet that says (a_s, a_t) everywhere."""

    def __init__(self, a_s: float, a_t: float) -> None:
        super().__init__()
        self.a = a_s, a_t

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([self.a], dtype=x.dtype).repeat(len(x), 1)


def both(variant: Variant, state: dict[str, Any], subnet: nn.Module | None = None) -> list[nn.Module]:
    """FrEIA 0.2's block and ours, with the same numbers."""
    more = {} if subnet is None else {"subnet_constructor": lambda *_: subnet}
    theirs = freia_block(variant, (2,), **more)
    more.setdefault("subnet_constructor", lambda *_: theirs.subnet)
    ours = AllInOneBlock([(2,)], **more, **variant.arguments)
    state = {name: torch.tensor(value) for name, value in state.items()}
    for block in (theirs, ours):
        block.load_state_dict(theirs.state_dict() | state)
    return [theirs, ours]


IDENTITY, SWAP = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
NO_SCALE = {"global_scale": [[0.0, 0.0]], "global_offset": [[0.0, 0.0]]}  # under EXP


def hard(w: list[list[float]]) -> dict[str, Any]:
    return {"w_perm": w, "w_perm_inv": torch.tensor(w).T.tolist()}


@torch.no_grad()
def images(block: nn.Module, x: Tensor) -> Tensor:
    return block([x])[0][0]


def test_x2_is_moved_and_x1_is_not() -> None:
    x = draw((2,), n=20, dtype=torch.float32)[0]
    for block in both(Variant("EXP"), NO_SCALE | hard(IDENTITY)):
        u = images(block, x)
        assert torch.equal(u[:, 0], x[:, 0])
        assert (u[:, 1] - x[:, 1]).abs().min() > 1e-3
        # The scale depends on x1, not on x2: along x2 the map is affine.
        up = [images(block, x + torch.tensor([0.0, step]))[:, 1] for step in (0.0, 1.0, 2.0)]
        torch.testing.assert_close(up[2] - up[1], up[1] - up[0], atol=1e-4, rtol=1e-4)
    steps = {step.name: step for step in film(block, x)}
    assert torch.equal(steps["coupling"].x[:, 0], x[:, 0])


def test_the_offset_is_permuted() -> None:
    x = draw((2,), dtype=torch.float32)[0]
    for o, moved in (([3.0, 0.0], [0.0, 3.0]), ([0.0, 5.0], [5.0, 0.0])):
        plain = both(Variant("EXP"), NO_SCALE | hard(SWAP))
        for block, without in zip(
            both(Variant("EXP"), NO_SCALE | {"global_offset": [o]} | hard(SWAP)), plain, strict=True
        ):
            difference = images(block, x) - images(without, x)
            torch.testing.assert_close(difference, torch.tensor([moved]).expand(3, 2), atol=1e-5, rtol=0)
        names = [step.name for step in film(block, x)]
        assert names.index("global_affine") < names.index("permutation")
        steps = {step.name: step.x for step in film(block, x)}
        torch.testing.assert_close(steps["global_affine"] - steps["coupling"], torch.tensor([o]).expand(3, 2))


def test_the_reflections_act_before_the_fixed_matrix() -> None:
    angle = 0.7
    w_0 = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    v = [[1.0, 0.2], [0.5, -2.0], [0.3, 0.9]]
    h = [np.eye(2) - 2 * np.outer(n, n) / np.dot(n, n) for n in v]
    before, after = w_0 @ h[0] @ h[1] @ h[2], h[0] @ h[1] @ h[2] @ w_0
    assert np.abs(before - after).max() > 0.1
    for block in both(Variant("EXP", soft=True, householder=3), {"w_0": w_0, "vk_householder": v}):
        np.testing.assert_allclose(block._construct_householder_permutation().detach(), before, atol=1e-6)
    names = [step.name for step in film(block, torch.zeros(1, 2))]
    assert names[-5:-1] == ["mirror_3", "mirror_2", "mirror_1", "permutation"]


def test_both_outputs_of_the_subnet_are_scaled_by_a_tenth() -> None:
    x = draw((2,), dtype=torch.float32)[0]
    for block in both(Variant("EXP"), NO_SCALE | hard(IDENTITY), Says(4.0, -7.0)):
        s = 2.0 * math.tanh(0.4)
        torch.testing.assert_close(images(block, x)[:, 1], x[:, 1] * math.exp(s) - 0.7, atol=1e-5, rtol=1e-5)
        assert block([x])[1].tolist() == pytest.approx([s] * 3, abs=1e-6)
    steps = {step.name: step for step in film(block, x)}
    assert steps["subnet"].values.tolist() == pytest.approx([0.4] * 3)
    # An untrained block is almost a permutation.
    fresh = build(FlowConfig(blocks=1), seed=0).blocks[0]
    (y,), log_det = fresh([x])
    assert (y - x @ fresh.w_perm.T).abs().max() < 0.15
    assert log_det.abs().max() < 0.15


def test_nothing_is_initialised_from_data() -> None:
    far = 50 + 10 * draw((2,), n=200, dtype=torch.float32)[0]
    fresh = build(FlowConfig(blocks=1), seed=0).blocks[0]
    theirs = freia_block(Variant(), (2,))
    with torch.no_grad():
        theirs.global_offset.zero_()
    for block in (fresh, theirs):
        before = {name: w.clone() for name, w in block.state_dict().items()}
        for _ in range(2):
            block.train()([far])
        assert all(torch.equal(w, before[name]) for name, w in block.state_dict().items())
    assert fresh.global_offset.tolist() == [[0.0, 0.0]]
    assert film(fresh, far)[6].motion.scale == pytest.approx((1.0, 1.0), abs=1e-5)
    assert film(fresh, far)[6].motion.offset == (0.0, 0.0)


@pytest.mark.parametrize(
    ("index", "says", "quoted"),
    [
        (0, [r"u_1 &= x_1 \odot \exp \Big( \alpha \; \mathrm{tanh}\big( s(x_2) \big)\Big) + t(x_2)", "u_2 &= x_2"],
         [r"u_1 = x_1 \odot e^{\alpha \tanh s(x_2)} + t(x_2)", "u_2 = x_2"]),
        (1, [r"y = V\,R \; \Psi(s_\mathrm{global}) \odot \mathrm{Coupling}", r"+ t_\mathrm{global}"],
         [r"y = V R\, \Psi \odot \mathrm{Coupling}(\dots) + t_\mathrm{global}"]),
        (2, [r"y = V\,R", "learned householder reflection matrix", r"permutation matrix :math:`R`"], ["$V R$"]),
        (3, ["Predicts coupling coefficients :math:`s, t`."], ["$s(x)$ and $t(x)$"]),
        (4, ["global affine transformation", "('ActNorm')"], ["global affine transformation ('ActNorm')"]),
    ],
    ids=["x1", "offset", "order", "tenth", "actnorm"],
)  # fmt: skip
def test_the_published_docstring_says_so(index: int, says: list[str], quoted: list[str]) -> None:
    published = " ".join(PUBLISHED.split())
    for fragment in says:
        assert fragment in published
    for fragment in quoted:
        assert fragment in DISAGREEMENTS[index].published


def test_the_published_docstring_knows_no_tenth_and_the_code_does() -> None:
    assert "0.1" not in PUBLISHED
    assert "ten" not in PUBLISHED.split()
    assert "a *= 0.1" in inspect.getsource(FreiaBlock._affine)


@pytest.mark.parametrize("index", range(5), ids=["x1", "offset", "order", "tenth", "actnorm"])
def test_each_disagreement_is_shown_in_a_frame(index: int) -> None:
    assert len(DISAGREEMENTS) == 5
    shown = DISAGREEMENTS[index]
    block = Case(Variant()).block()
    assert shown.step in {step.name for step in film(block, draw((2,))[0])}
    assert shown.step == ("coupling", "global_affine", "permutation", "subnet", "global_affine")[index]
    assert shown.see.endswith(".")
    for latex in re.findall(r"\$([^$]+)\$", shown.published + shown.computed):
        convert(latex)
    assert (shown.published + shown.computed).count("$") % 2 == 0


def test_what_is_computed_is_written_as_the_code_has_it() -> None:
    x1, offset, order, tenth, name = (shown.computed for shown in DISAGREEMENTS)
    assert r"$u_1 = x_1$, $u_2 = x_2 \odot e^{s(x_1)} + t(x_1)$" in x1
    assert r"$y = P\,(\Psi \odot u + o)$" in offset
    assert r"$w_0 H_1 \cdots H_k$, that is $R V$" in order
    assert "0.1 times" in tenth
    assert "Nothing is initialised from data" in name
