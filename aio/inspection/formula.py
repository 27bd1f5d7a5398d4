"""The block's formula, term by term, with one point's numbers put in and the code that computes each term."""

from __future__ import annotations

import inspect
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from aio.block import AllInOneBlock, soft_clamp
from aio.global_affine import global_affine
from aio.inspection.film import Step, film

__all__ = ["DISAGREEMENTS", "Disagreement", "Term", "formula", "source"]

LARGE, SMALL = 1e4, 5e-4  # outside, a number is written with a power of ten
ROUNDING = 1e-6  # of float32, in which weights are stored: what log Ψ may be where Ψ is 1

PSI = {
    "SIGMOID": r"10\,\sigma(g - 2)",
    "SOFTPLUS": r"0.2 \log(1 + e^{g / 2})",
    "EXP": r"e^{g}",
}


@dataclass(frozen=True)
class Term:
    """One line of the formula."""

    step: str
    """The frame of the film that it belongs to."""
    title: str
    latex: str
    numbers: str
    """The same for one point, in LaTeX; empty where the term is left out."""
    code: tuple[Callable[..., Any], ...]
    """The functions that compute it."""
    active: bool = True
    why: str = ""
    """Why it is left out, or a remark."""


def formula(block: AllInOneBlock, point: Tensor, rev: bool = False) -> list[Term]:
    """The block's formula for one point, in the order of the computation.

    Args:
        block: of two channels, without conditions.
        point: at the block's input, or at its output when `rev`, (2,).
        rev: the inverse.

    Example:
        >>> from aio.config import FlowConfig
        >>> from aio.flow import build
        >>> block = build(FlowConfig(blocks=1), seed=0).blocks[0]
        >>> terms = formula(block, torch.tensor([0.5, -1.0]))
        >>> terms[1].latex, terms[1].numbers
        ("(x_1,\\\\, x_2) = \\\\mathrm{split}(x')", '(0.500,\\\\, -1.000)')
    """
    steps = {step.name: step for step in film(block, point[None].detach(), rev)}
    at = {name: step.x[0].tolist() for name, step in steps.items()}
    passive, active = at["split"]
    with torch.no_grad():
        raw = block.subnet(point.new_tensor([[passive]]))
        s, t = (v.item() for v in block._log_scale_and_shift(raw))
    a_s = steps["subnet"].values.item()
    psi, log_psi = (v.flatten().tolist() for v in global_affine(block.global_scale.detach(), block.global_affine_type))
    mixes = _mixing_terms(block, steps, at, rev)
    before = [_pre(block, steps, at, rev)]
    couple = [
        _split(rev, passive, active),
        Term("subnet", "subnet", r"(a_s,\, a_t) = 0.1 \cdot \mathrm{subnet}(%s)" % ("u_1" if rev else "x_1"),
             rf"({_n(a_s)},\, {_n(t)})", (AllInOneBlock._couple, AllInOneBlock._log_scale_and_shift)),
        *_clamp(block, a_s, s, t),
        _couple(rev, s, t, active, at["coupling"]),
    ]  # fmt: skip
    scale = [_psi(block, psi), _affine(block, rev, psi, at["global_affine"])]
    groups = [before, couple, scale, mixes]
    terms = [term for group in (reversed(groups) if rev else groups) for term in group]
    return [*terms, _log_det(block, rev, s, log_psi, sum(step.log_det.item() for step in steps.values()))]


def source(function: Callable[..., Any]) -> str:
    """The code of a function as it stands in its file, without its indentation."""
    return textwrap.dedent(inspect.getsource(function))


# ---------------------------------------------------------------------- the terms


def _pre(block: AllInOneBlock, steps: dict[str, Step], at: dict[str, list[float]], rev: bool) -> Term:
    step, code = steps["pre_permutation"], (AllInOneBlock._pre_permute,)
    latex = r"x = P x'" if rev else r"x' = P^\top x"
    if not step.active:
        latex = "x = x'" if rev else "x' = x"
    return Term(
        step.name, step.title, latex, _vector(at[step.name]), code, step.active, "" if step.active else step.why
    )


def _split(rev: bool, passive: float, active: float) -> Term:
    latex = r"(u_1,\, u_2) = \mathrm{split}(u)" if rev else r"(x_1,\, x_2) = \mathrm{split}(x')"
    return Term("split", "split", latex, rf"({_n(passive)},\, {_n(active)})", (AllInOneBlock._couple,))


def _clamp(block: AllInOneBlock, a_s: float, s: float, t: float) -> list[Term]:
    alpha = _short(block.affine_clamping)
    code = (AllInOneBlock._log_scale_and_shift, soft_clamp)
    with torch.no_grad():
        clamped = soft_clamp(torch.tensor(a_s, dtype=torch.float64), block.affine_clamping, block.clamp_dialect).item()
    if block.clamp_dialect == "freia-main":
        latex = r"s = \alpha \tanh(a_s / \alpha)"
        numbers = rf"{alpha} \tanh({_n(a_s)} / {alpha}) = {_n(clamped)}"
    else:
        latex, numbers = r"s = \alpha \tanh(a_s)", rf"{alpha} \tanh({_n(a_s)}) = {_n(clamped)}"
    gin = Term("clamp", "GIN", r"s \leftarrow s - \mathrm{mean}(s)",
               rf"{_n(clamped)} - ({_n(clamped)}) = {_n(s)}" if block.gin_block else "",
               code[:1], block.gin_block,
               "With one active channel the mean is s itself: a shear is left." if block.gin_block
               else "Passed over: gin_block is off.")  # fmt: skip
    return [
        Term("clamp", "clamp", latex, numbers, code),
        gin,
        Term("clamp", "shift", "t = a_t", _n(t), code[:1]),
    ]


def _couple(rev: bool, s: float, t: float, active: float, after: list[float]) -> Term:
    if rev:
        latex = r"x_2 = (u_2 - t)\, e^{-s}"
        numbers = rf"({_n(active)} {_minus(t)})\, e^{{{_n(-s)}}} = {_n(after[1])}"
    else:
        latex, numbers = r"u_2 = x_2\, e^{s} + t", rf"{_n(active)}\, e^{{{_n(s)}}} {_plus(t)} = {_n(after[1])}"
    return Term("coupling", "coupling", latex, numbers, (AllInOneBlock._affine,), why="The other half stays as it is.")


def _psi(block: AllInOneBlock, psi: list[float]) -> Term:
    if block.gin_block:
        return Term("global_affine", "Ψ", r"\Psi \equiv 1", "", (AllInOneBlock._global_affine,), False,
                    "Passed over: under GIN the global scale is 1; g has no effect.")  # fmt: skip
    latex = r"\Psi(g) = " + PSI[block.global_affine_type]
    return Term("global_affine", "Ψ", latex, _vector(psi), (global_affine,))


def _affine(block: AllInOneBlock, rev: bool, psi: list[float], after: list[float]) -> Term:
    if block.gin_block:
        latex = "u = h - o" if rev else "h = u + o"
    else:
        latex = r"u = (h - o) \oslash \Psi(g)" if rev else r"h = \Psi(g) \odot u + o"
    offset = block.global_offset.detach().flatten().tolist()
    remark = "o = " + "(" + ", ".join(f"{value:.3f}" for value in offset) + ")"
    return Term("global_affine", "offset" if block.gin_block else "scale, offset", latex, _vector(after),
                (AllInOneBlock._global_affine,), why=remark.replace("-", "−"))  # fmt: skip


def _mixing_terms(block: AllInOneBlock, steps: dict[str, Step], at: dict[str, list[float]], rev: bool) -> list[Term]:
    terms = []
    for name, step in steps.items():
        if name.startswith("mirror_"):
            i = name.removeprefix("mirror_")
            small = step.title.removeprefix("mirror ")
            why = f"H{small[1:]} = I − 2 {small}{small}ᵀ / ({small}ᵀ{small})"
            terms.append(Term(name, step.title, rf"h \leftarrow H_{{{i}}} h", _vector(at[name]),
                              (AllInOneBlock._construct_householder_permutation,), why=why))  # fmt: skip
        elif name == "mirrors":
            terms.append(Term(name, "mirrors", r"h \leftarrow H_1 \cdots H_k\, h", "",
                              (AllInOneBlock._construct_householder_permutation,), False, step.why))  # fmt: skip
        elif name == "permutation":
            matrix = "w_0" if block.householder else "P"
            latex = rf"h = {matrix}^\top y" if rev else rf"y = {matrix}\, h"
            why = r"Together: P = w₀ H₁ … H_k." if block.householder else ""
            terms.append(Term(name, "permutation", latex, _vector(at[name]), (AllInOneBlock._permute,), why=why))
    return terms


def _log_det(block: AllInOneBlock, rev: bool, s: float, log_psi: list[float], total: float) -> Term:
    left, sign = r"\log|\det| = ", "-" if rev else ""
    if block.gin_block:
        latex, numbers = f"{left}{sign}s = 0", _n(total)
    else:
        exact = (s, *(0.0 if abs(value) < ROUNDING else value for value in log_psi))
        parts = [-value if rev else value for value in exact]
        latex = left + (r"-s - \log\Psi_1 - \log\Psi_2" if rev else r"s + \log\Psi_1 + \log\Psi_2")
        numbers = f"{_n(parts[0])} {_plus(parts[1])} {_plus(parts[2])} = {_n(total)}"
    return Term("output", "log-det", latex, numbers, (AllInOneBlock.forward,), why="Permutations and mirrors add 0.")


# ---------------------------------------------------------------------- numbers


def _n(value: float) -> str:
    """A number in LaTeX, with three decimals, or three digits and a power of ten."""
    value += 0.0  # −0 is written as 0
    if not math.isfinite(value):
        return r"\mathrm{nan}" if math.isnan(value) else (r"-\infty" if value < 0 else r"\infty")
    if value and not SMALL <= abs(value) < LARGE:
        mantissa, exponent = f"{value:.2e}".split("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return f"{value:.3f}"


def _plus(value: float) -> str:
    return f"- {_n(-value)}" if value < 0 else f"+ {_n(value)}"


def _minus(value: float) -> str:
    return _plus(-value)


def _short(value: float) -> str:
    return f"{value:g}"


def _vector(values: list[float]) -> str:
    return r"\begin{pmatrix} " + r" \\ ".join(_n(value) for value in values) + r" \end{pmatrix}"


# ---------------------------------------------------------------------- where the published docstring is wrong


@dataclass(frozen=True)
class Disagreement:
    """A place where the published docstring of the block says something else than its code computes."""

    published: str
    """What the docstring says, in Markdown."""
    computed: str
    """What the code computes, in Markdown."""
    step: str
    """The frame of the film that shows it."""
    see: str
    """What to look at there, in a sentence."""
    needs: Literal["", "mirrors", "untrained"] = ""
    """What the block must be for it to be seen."""


DISAGREEMENTS = (
    Disagreement(
        r"$u_1 = x_1 \odot e^{\alpha \tanh s(x_2)} + t(x_2)$, $u_2 = x_2$: the first half is transformed.",
        r"$u_1 = x_1$, $u_2 = x_2 \odot e^{s(x_1)} + t(x_1)$: the second half is transformed.",
        "coupling",
        "In the coupling the grid moves along x₂ only, and its vertical lines stay where they are.",
    ),
    Disagreement(
        r"$y = V R\, \Psi \odot \mathrm{Coupling}(\dots) + t_\mathrm{global}$: the offset comes after the permutation.",
        r"$y = P\,(\Psi \odot u + o)$: the offset is added first, and permuted.",
        "global_affine",
        "Set o by hand: the picture shifts before the permutation, which then turns the shift too.",
    ),
    Disagreement(
        r"$V R$: the reflections act after the fixed permutation.",
        r"$w_0 H_1 \cdots H_k$, that is $R V$: the reflections act before it.",
        "permutation",
        "With mirrors on, the film passes through them first, and then through w₀.",
        "mirrors",
    ),
    Disagreement(
        r"$s(x)$ and $t(x)$ are the subnet's output.",
        r"Both are 0.1 times the subnet's output.",
        "subnet",
        "Draw an untrained block: s and t are small, and the block is almost a permutation.",
        "untrained",
    ),
    Disagreement(
        "A global affine transformation ('ActNorm').",
        "Nothing is initialised from data: Ψ starts at global_affine_init and o at 0, whatever the data.",
        "global_affine",
        "Draw an untrained block: Ψ is 1 and o is 0 for every target.",
        "untrained",
    ),
)
"""Against the docstring of anomalib's and FrEIA's AllInOneBlock. The first four are errors, the last is a name."""
