"""Every frame of the film is a state of the formula, every motion ends there, and cells tell areas."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aio.block import AllInOneBlock
from aio.inspection import Motion, Step, area_change, at_input, between, film, signed_areas, square_grid
from tests.reference import KINDS, Variant, assert_close, draw, jacobians, log_abs_det, own_block, subnet_for

DIRECTIONS = {False: "forward", True: "reverse"}
FRACTIONS = (0.1, 0.5, 0.85)


@dataclass(frozen=True)
class Case:
    """A block of two channels: a variant and a dialect of the clamp."""

    variant: Variant
    dialect: str = "freia-0.2"
    alpha: float = 1.3

    def block(self, **more: Any) -> AllInOneBlock:
        """Perturbed, float64."""
        return own_block(self.variant, (2,), clamp_dialect=self.dialect, affine_clamping=self.alpha, **more)

    def __str__(self) -> str:
        return f"{self.variant}{'-main' * (self.dialect == 'freia-main')}"


CASES = [
    Case(Variant(kind, gin, soft, householder, reverse), dialect)
    for kind, gin, soft, householder, reverse, dialect in itertools.product(
        KINDS, (False, True), (False, True), (0, 1, 3), (False, True), ("freia-0.2", "freia-main")
    )
    if kind == "SOFTPLUS" or not gin  # under GIN Ψ is 1, whatever its kind
]
FEW_CASES = [
    Case(Variant("EXP", soft=True)),
    Case(Variant("SOFTPLUS", householder=1), "freia-main"),
    Case(Variant("SIGMOID", soft=True, householder=3, reverse=True)),
    Case(Variant("EXP", reverse=True)),
    Case(Variant("SOFTPLUS", gin=True, soft=True, householder=1, reverse=True)),
]

STRUCTURES = [case for case in CASES if case.variant.kind == "SOFTPLUS"]  # where Ψ does not matter

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_structure = pytest.mark.parametrize("case", STRUCTURES, ids=str)
few_cases = pytest.mark.parametrize("case", FEW_CASES, ids=str)
every_direction = pytest.mark.parametrize("rev", DIRECTIONS, ids=DIRECTIONS.get)


# ---------------------------------------------------------------------- the formula in numpy


@dataclass(frozen=True)
class Numbers:
    """What a block computes, from its state dict and the papers' formulas."""

    frames: list[tuple[str, np.ndarray, np.ndarray]]
    """(name, state, log-determinant), in the order of the computation."""
    a_s: np.ndarray
    clamped: np.ndarray
    s: np.ndarray
    t: np.ndarray
    psi: np.ndarray
    o: np.ndarray
    w: np.ndarray
    """w_0, or P without mirrors."""
    mirrors: list[np.ndarray]
    """H_1 … H_k."""

    @property
    def p(self) -> np.ndarray:
        p = self.w
        for mirror in self.mirrors:
            p = p @ mirror
        return p


def by_formula(block: AllInOneBlock, case: Case, x: Tensor, rev: bool = False) -> Numbers:
    weights = {name: w.double().numpy() for name, w in block.state_dict().items()}
    g, o = weights["global_scale"][0], weights["global_offset"][0]
    psi = {"EXP": np.exp(g), "SIGMOID": 10 / (1 + np.exp(2 - g)), "SOFTPLUS": 0.2 * np.log1p(np.exp(g / 2))}
    psi = np.ones(2) if case.variant.gin else psi[case.variant.kind]
    w = weights.get("w_0", weights.get("w_perm"))
    vectors = weights.get("vk_householder", np.empty((0, 2)))
    mirrors = [np.eye(2) - 2 * np.outer(v, v) / (v @ v) if v.any() else np.eye(2) for v in vectors]
    p = np.linalg.multi_dot([w, *mirrors]) if mirrors else w
    frames: list[tuple[str, np.ndarray, np.ndarray]] = []

    def reach(name: str, y: np.ndarray, log_det: np.ndarray | float = 0.0) -> np.ndarray:
        frames.append((name, y, np.broadcast_to(log_det, len(y))))
        return y

    y = reach("input", x.numpy())
    if rev:
        y = reach("permutation", np.einsum("ji,nj->ni", w, y))
        for i, mirror in enumerate(mirrors, start=1):
            y = reach(f"mirror_{i}", np.einsum("ij,nj->ni", mirror, y))
        if not mirrors:
            y = reach("mirrors", y)
        y = reach("global_affine", (y - o) / psi, -np.log(psi).sum())
    elif case.variant.reverse:
        y = reach("pre_permutation", np.einsum("ji,nj->ni", p, y))
    else:
        y = reach("pre_permutation", y)
    for name in ("split", "subnet", "clamp"):
        reach(name, y)
    raw = block.subnet(torch.tensor(y[:, :1])).detach().numpy() / 10
    a_s, t = raw[:, 0], raw[:, 1]
    clamped = case.alpha * np.tanh(a_s / case.alpha if case.dialect == "freia-main" else a_s)
    s = np.zeros_like(clamped) if case.variant.gin else clamped
    if rev:
        y = reach("coupling", np.stack([y[:, 0], (y[:, 1] - t) * np.exp(-s)], 1), -s)
        y = reach("pre_permutation", np.einsum("ij,nj->ni", p, y) if case.variant.reverse else y)
    else:
        y = reach("coupling", np.stack([y[:, 0], y[:, 1] * np.exp(s) + t], 1), s)
        y = reach("global_affine", psi * y + o, np.log(psi).sum())
        for i, mirror in reversed(list(enumerate(mirrors, start=1))):
            y = reach(f"mirror_{i}", np.einsum("ij,nj->ni", mirror, y))
        if not mirrors:
            y = reach("mirrors", y)
        y = reach("permutation", np.einsum("ij,nj->ni", w, y))
    reach("output", y)
    return Numbers(frames, a_s, clamped, s, t, psi, o, w, mirrors)


def close(actual: Tensor, expected: Any, tolerance: float = 1e-12, message: str = "") -> None:
    assert_close(actual, torch.as_tensor(np.array(expected), dtype=torch.float64), tolerance, message)


def steps_of(block: AllInOneBlock, x: Tensor, rev: bool = False) -> dict[str, Step]:
    return {step.name: step for step in film(block, x, rev)}


# ---------------------------------------------------------------------- the frames


def test_the_names_are_in_the_documented_order() -> None:
    coupling = ["split", "subnet", "clamp", "coupling"]
    x, _ = draw((2,))

    def names(mirrors: int, rev: bool) -> list[str]:
        return [step.name for step in film(Case(Variant(householder=mirrors)).block(), x, rev)]

    assert names(0, False) == [
        "input", "pre_permutation", *coupling, "global_affine", "mirrors", "permutation", "output"
    ]  # fmt: skip
    assert names(3, False) == [
        "input", "pre_permutation", *coupling, "global_affine", "mirror_3", "mirror_2", "mirror_1", "permutation",
        "output",
    ]  # fmt: skip
    assert names(3, True) == [
        "input", "permutation", "mirror_1", "mirror_2", "mirror_3", "global_affine", *coupling, "pre_permutation",
        "output",
    ]  # fmt: skip
    assert names(0, True) == [
        "input", "permutation", "mirrors", "global_affine", *coupling, "pre_permutation", "output"
    ]  # fmt: skip


@every_direction
@every_case
def test_every_frame_is_the_formulas(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    steps, expected = film(block, x, rev), by_formula(block, case, x, rev)
    assert [step.name for step in steps] == [name for name, _, _ in expected.frames]
    for step, (name, state, log_det) in zip(steps, expected.frames, strict=True):
        close(step.x, state, 1e-12, name)
        close(step.log_det, log_det, 1e-12, name)
        assert not step.x.requires_grad
    found = {step.name: step for step in steps}
    close(found["subnet"].values, expected.a_s)
    close(found["clamp"].values, expected.s)
    assert [step.name for step in steps if step.values is not None] == ["subnet", "clamp"]


@every_direction
@every_case
def test_the_film_ends_where_the_block_does(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    steps = film(block, x, rev)
    (y,), log_det = block([x], rev=rev)
    assert_close(steps[-1].x, y, 1e-13)
    assert_close(sum(step.log_det for step in steps), log_det, 1e-13)
    assert_close(sum(step.log_det for step in steps if step.contributes), log_det, 1e-13)
    assert_close(log_det, log_abs_det(lambda x: block([x], rev=rev)[0][0], x), 1e-10)


@every_direction
@every_case
def test_the_film_passes_through_the_blocks_own_sub_stages(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    found = steps_of(block, x, rev)
    stages = {stage.name: stage for stage in block.sub_stages([x], rev=rev)}
    mirrors = [f"mirror_{i}" for i in range(1, case.variant.householder + 1)]
    # What the block calls permutation is all of P, of which the film shows each mirror.
    whole = found[mirrors[-1]] if rev and mirrors else found["permutation"]
    assert_close(whole.x, stages.pop("permutation").x, 1e-13)
    for name, stage in stages.items():
        assert_close(found[name].x, stage.x, 1e-13, name)
        assert_close(found[name].log_det, stage.log_det, 1e-13, name)


@every_direction
@every_case
def test_what_a_setting_leaves_out_is_passed_over(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    steps = film(block, x, rev)
    off = set() if case.variant.reverse else {"pre_permutation"}
    off |= set() if case.variant.householder else {"mirrors"}
    assert {step.name for step in steps if not step.active} == off
    for before, step in itertools.pairwise(steps):
        if not step.active or step.motion.kind == "none":
            assert torch.equal(step.x, before.x)
            assert torch.equal(step.log_det, torch.zeros(len(x), dtype=x.dtype))
            assert torch.equal(between(before.x, step, 0.5), before.x)
        else:
            assert (step.x - before.x).abs().max() > 1e-6, step.name
        if not step.active:
            assert step.why.startswith("Passed over: ")
            assert not step.contributes
    contributing = [step.name for step in steps if step.contributes]
    maps = {"coupling", "global_affine", "permutation", *(f"mirror_{i}" for i in (1, 2, 3)), "pre_permutation"}
    assert contributing == [step.name for step in steps if step.name in maps - off]


def test_frames_of_no_points() -> None:
    block = Case(Variant(householder=1, reverse=True)).block()
    for step in film(block, torch.zeros(0, 2, dtype=torch.float64)):
        assert step.x.shape == (0, 2)
        assert step.log_det.shape == (0,)


def test_a_film_of_float32_is_float32() -> None:
    block = Case(Variant(householder=2, reverse=True)).block(dtype=torch.float32)
    x = draw((2,), dtype=torch.float32)[0]
    for rev in DIRECTIONS:
        for before, step in itertools.pairwise(film(block, x, rev)):
            assert step.x.dtype == step.log_det.dtype == between(before.x, step, 0.3).dtype == torch.float32


def test_the_film_leaves_the_points_and_the_block_alone() -> None:
    block, (x, _) = Case(Variant(soft=True, householder=1, reverse=True)).block(), draw((2,))
    weights, given = {k: w.clone() for k, w in block.state_dict().items()}, x.clone()
    film(block, x)
    film(block, x, rev=True)
    assert torch.equal(x, given)
    assert all(torch.equal(w, weights[k]) for k, w in block.state_dict().items())
    assert all(p.grad is None for p in block.parameters())


# ---------------------------------------------------------------------- the mirrors


@every_direction
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("count", [1, 2, 3, 8], ids="householder{}".format)
def test_each_mirror_is_a_reflection_and_all_make_the_blocks_matrix(count: int, soft: bool, rev: bool) -> None:
    case = Case(Variant(soft=soft, householder=count))
    block, (x, _) = case.block(), draw((2,), n=4)
    p = block._construct_householder_permutation().detach()
    product = torch.eye(2, dtype=torch.float64)
    for before, step in itertools.pairwise(film(block, x, rev)):
        if step.name.startswith("mirror_"):
            v = block.vk_householder[int(step.name.removeprefix("mirror_")) - 1].detach()
            mirror = torch.eye(2, dtype=torch.float64) - 2 * torch.outer(v, v) / v.dot(v)
            assert_close(step.x, before.x @ mirror.T, 1e-13)
            normal = torch.tensor(step.motion.normal, dtype=torch.float64)
            assert step.motion.kind == "mirror"
            assert_close(normal, v / v.norm(), 1e-14)
            product = mirror @ product
        elif step.name == "permutation":
            w = torch.linalg.lstsq(before.x, step.x).solution.T
            product = w @ product
    assert_close(product, p.T if rev else p, 1e-12)


@every_direction
def test_a_vector_of_zero_is_passed(rev: bool) -> None:
    case = Case(Variant("EXP", soft=True, householder=3, reverse=True))
    block = case.block()
    with torch.no_grad():
        block.vk_householder[1] = 0.0
    x, _ = draw((2,))
    steps, expected = film(block, x, rev), by_formula(block, case, x, rev)
    for (before, step), (_, state, _) in zip(itertools.pairwise(steps), expected.frames[1:], strict=True):
        close(step.x, state, 1e-13)
        if step.name == "mirror_2":
            assert step.why == "v₂ is 0 and has no mirror: nothing moves."
            assert step.motion == Motion()
            assert torch.equal(step.x, before.x)
            assert torch.equal(between(before.x, step, 0.5), before.x)
    assert_close(steps[-1].x, block([x], rev=rev)[0][0], 1e-13)


@pytest.mark.parametrize("length", [1e-160, 1e-300, 1e200], ids="{:.0e}".format)
def test_the_length_of_a_reflection_vector_does_not_matter(length: float) -> None:
    block, (x, _) = Case(Variant(householder=1)).block(), draw((2,))
    there = film(block, x)[-1].x
    with torch.no_grad():
        block.vk_householder.mul_(length)
    assert_close(film(block, x)[-1].x, there, 1e-13)


# ---------------------------------------------------------------------- what is said


def says(case: Case, name: str, rev: bool = False) -> str:
    return steps_of(case.block(), draw((2,))[0], rev)[name].why


def test_sentences_say_what_is_off_and_what_moves() -> None:
    plain, gin = Case(Variant()), Case(Variant(gin=True))
    assert says(plain, "pre_permutation") == "Passed over: reverse_permutation is off."
    assert says(plain, "mirrors") == "Passed over: learned_householder_permutation is 0."
    assert "eˢ" in says(plain, "coupling")
    assert "back by t" in says(plain, "coupling", rev=True)
    assert "e⁻ˢ" in says(plain, "coupling", rev=True)
    assert "its scale stays" in says(gin, "coupling")
    assert "back by t" in says(gin, "coupling", rev=True)
    assert "leaves 0" in says(gin, "clamp")
    assert "GIN" not in says(plain, "clamp")
    assert "Ψ is 1" in says(gin, "global_affine")
    assert "taken off" in says(gin, "global_affine", rev=True)
    assert "divided by its Ψ(g)" in says(plain, "global_affine", rev=True)
    assert "scaled by its Ψ(g)" in says(plain, "global_affine")
    assert "perpendicular to v₃" in says(Case(Variant(householder=3)), "mirror_3")


@pytest.mark.parametrize("rev", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("mirrors", [0, 1])
def test_the_sentence_of_the_permutation_is_true(mirrors: int, rev: bool) -> None:
    symbol = ("w₀" if mirrors else "P") + "ᵀ" * rev
    angles, x = [-170.0, -90.0, -0.2, 0.0, 37.0], draw((2,))[0]
    for angle in angles:
        block = Case(Variant(soft=True, householder=mirrors)).block()
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        w = block.w_0 if mirrors else block.w_perm
        w.copy_(torch.tensor([[cos, -sin], [sin, cos]]))
        why = steps_of(block, x, rev)["permutation"].why
        degrees = str(round(-angle if rev else angle)).replace("-", "−")
        assert why.startswith(f"{symbol} turns the plane by {degrees}°" if angle else f"{symbol} is the identity"), why
        w.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        assert steps_of(block, x, rev)["permutation"].why.startswith(f"{symbol} mirrors the plane: a swap")


def test_the_ends_say_which_side_they_are_on() -> None:
    assert "x side" in says(Case(Variant()), "input")
    assert "z side" in says(Case(Variant()), "input", rev=True)
    assert "the base" in says(Case(Variant()), "output")
    assert "data" in says(Case(Variant()), "output", rev=True)


@every_direction
@few_cases
def test_every_frame_has_a_title_and_a_sentence(case: Case, rev: bool) -> None:
    for step in film(case.block(), draw((2,))[0], rev):
        assert step.title
        assert step.why.endswith(".")
        assert bool(step.values_title) == (step.values is not None)


def other_blocks() -> dict[str, AllInOneBlock]:
    return {
        "3-channels": AllInOneBlock([(3,)], [], subnet_for((3,))),
        "1-channel": AllInOneBlock([(1,)], [], subnet_for((1,))),
        "a-grid": AllInOneBlock([(2, 4)], [], subnet_for((2, 4))),
        "conditions": AllInOneBlock([(2,)], [(1,)], subnet_for((2,))),
    }


@pytest.mark.parametrize("name", other_blocks())
def test_a_block_of_another_shape_is_refused_with_a_mend(name: str) -> None:
    block = other_blocks()[name]
    mend = "Expected a block of two channels without conditions, got .* Take a block of a two-dimensional flow"
    for call in (lambda: film(block, torch.zeros(1, 2)), lambda: at_input(block, "coupling", torch.zeros(1, 2))):
        with pytest.raises(ValueError, match=mend):
            call()


# ---------------------------------------------------------------------- on the way


@every_direction
@every_case
def test_motions_end_exactly_in_the_states(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    for before, step in itertools.pairwise(film(block, x, rev)):
        assert torch.equal(between(before.x, step, 0.0), before.x)
        assert torch.equal(between(before.x, step, 1.0), step.x)
        for end, state in ((1e-9, before.x), (1 - 1e-9, step.x)):  # and lead there without a jump
            assert_close(between(before.x, step, end), state, 1e-7, step.name)


def test_the_ends_of_a_motion_that_overflows_are_its_states() -> None:
    class Far(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([100.0, 0.0]).to(x).expand(len(x), 2)

    block = Case(Variant("EXP"), alpha=10.0).block(subnet_constructor=lambda *_: Far())
    steps = steps_of(block, torch.tensor([[1.0, 1e305]], dtype=torch.float64))
    before, step = steps["clamp"].x, steps["coupling"]
    assert step.x[0, 1].isinf()
    assert torch.equal(between(before, step, 0.0), before)
    assert torch.equal(between(before, step, 1.0), step.x)


def on_the_way(name: str, b: np.ndarray, n: Numbers, case: Case, rev: bool, tau: float) -> np.ndarray:
    """The state at τ of the motion into frame `name`, written from the papers' maps."""
    if name == "coupling":
        s, shift = (-n.s, -n.t * np.exp(-n.s)) if rev else (n.s, n.t)
        return np.stack([b[:, 0], b[:, 1] * np.exp(s) ** tau + tau * shift], 1)
    if name == "global_affine":
        scale, offset = (1 / n.psi, -n.o / n.psi) if rev else (n.psi, n.o)
        return b * np.exp(tau * np.log(scale)) + tau * offset
    matrix = np.eye(2)
    if name == "pre_permutation" and case.variant.reverse:
        matrix = n.p if rev else n.p.T
    elif name == "permutation":
        matrix = n.w.T if rev else n.w
    elif name.startswith("mirror_"):
        matrix = n.mirrors[int(name[-1]) - 1]
    if np.linalg.det(matrix) < 0:  # straight through the mirror
        return (1 - tau) * b + tau * b @ matrix.T
    turned = complex(matrix[0, 0], matrix[1, 0]) ** tau  # a rotation is a number on the unit circle
    z = (b[:, 0] + 1j * b[:, 1]) * turned
    return np.stack([z.real, z.imag], 1)


@every_direction
@every_case
def test_on_the_way_states_are_those_of_the_motions_formula(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    numbers = by_formula(block, case, x, rev)
    for before, step in itertools.pairwise(film(block, x, rev)):
        for tau in FRACTIONS:
            expected = on_the_way(step.name, before.x.numpy(), numbers, case, rev, tau)
            close(between(before.x, step, tau), expected, 1e-12, step.name)


GRID = (7, 7)


def areas(x: Tensor) -> Tensor:
    return signed_areas(x, GRID)


@every_direction
@few_cases
def test_on_the_way_areas_do_what_the_step_does(case: Case, rev: bool) -> None:
    """Turns keep them, a mirror takes them through 0, the affine layer scales them evenly in the logarithm."""
    block, x = case.block(), square_grid(1.5, 7)
    moved = set()
    for before, step in itertools.pairwise(film(block, x, rev)):
        kind, start = step.motion.kind, areas(before.x)
        for tau in (*FRACTIONS, 1.0):
            now = areas(between(before.x, step, tau))
            if kind in ("none", "turn"):
                assert_close(now, start, 1e-12, step.name)
            elif kind == "mirror":
                assert_close(now, (1 - 2 * tau) * start, 1e-12, step.name)
            elif kind == "affine":
                assert_close(now, start * (tau * step.log_det[0]).exp(), 1e-12, step.name)
            elif kind == "couple":
                change = area_change(before.x, between(before.x, step, tau), GRID)
                assert not change.mirrored.any()
        moved.add(kind)
    assert {"couple", "affine"} <= moved


@every_direction
def test_a_couplings_cells_are_trapezia_whose_sides_grow_evenly_in_the_logarithm(rev: bool) -> None:
    block, x = Case(Variant(soft=True)).block(), square_grid(1.5, 7)
    # Cells that stand upright in the coupling's own coordinates.
    step = steps_of(block, at_input(block, "clamp", x, rev), rev)["coupling"]
    sigma = step.log_det.reshape(GRID)[0]
    for tau in FRACTIONS:
        sides = (tau * sigma).exp()
        expected = 0.5**2 * (sides[1:] + sides[:-1]) / 2
        assert_close(areas(between(x, step, tau)), expected.expand(6, 6), 1e-12)


@every_direction
def test_the_log_area_under_an_even_stretch_grows_linearly(rev: bool) -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([6.0, -4.0]).to(x).expand(len(x), 2)

    block = Case(Variant("EXP")).block(subnet_constructor=lambda *_: Constant())
    x = square_grid(1.0, 7)
    steps = steps_of(block, x, rev)
    before, step = steps["clamp"].x, steps["coupling"]
    whole = (-1) ** rev * 1.3 * math.tanh(0.6)
    for tau in FRACTIONS:
        change = area_change(before, between(before, step, tau), GRID)
        assert_close(change.log, torch.full((6, 6), tau * whole, dtype=torch.float64), 1e-12)


def test_a_turn_goes_the_short_way_round() -> None:
    for angle in (-3.0, -0.4, 0.1, 2.9):
        block = Case(Variant(soft=True)).block()
        block.w_perm.copy_(torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))
        steps = steps_of(block, torch.zeros(1, 2, dtype=torch.float64))
        assert steps["permutation"].motion.angle == pytest.approx(angle, abs=1e-6)


# ---------------------------------------------------------------------- back to the input


@every_direction
@every_case
def test_at_input_undoes_every_frame(case: Case, rev: bool) -> None:
    block, (x, _) = case.block(), draw((2,), n=5)
    for step in film(block, x, rev):
        assert_close(at_input(block, step.name, step.x, rev), x, 1e-11, step.name)


def test_at_input_of_a_frame_that_is_not_there() -> None:
    block = Case(Variant(householder=1)).block()
    with pytest.raises(ValueError, match=r"Expected a step among input, .*mirror_1.*, got 'mirror_2'. Name a frame"):
        at_input(block, "mirror_2", torch.zeros(1, 2, dtype=torch.float64))


# ---------------------------------------------------------------------- cells


def test_the_unit_square_has_area_1_and_minus_1_in_a_mirror() -> None:
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    assert signed_areas(square, (2, 2)).tolist() == [[1.0]]
    assert signed_areas(square.flip(1), (2, 2)).tolist() == [[-1.0]]
    assert signed_areas(square @ torch.tensor([[2.0, 1.0], [0.0, 3.0]]).double(), (2, 2)).tolist() == [[6.0]]


def test_a_cells_area_is_its_polygons() -> None:
    """The shoelace sum over the corners in order, on a grid of random vertices that is not square."""
    x = draw((2,), n=15)[0]
    grid = x.reshape(3, 5, 2).numpy()
    for r, c in itertools.product(range(2), range(4)):
        corners = [grid[r, c], grid[r, c + 1], grid[r + 1, c + 1], grid[r + 1, c]]
        shoelace = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, corners[1:] + corners[:1], strict=True)) / 2
        assert signed_areas(x, (3, 5))[r, c].item() == pytest.approx(shoelace, abs=1e-14)


def test_the_square_grid_goes_row_after_row() -> None:
    grid = square_grid(2.0, 5).reshape(5, 5, 2)
    along = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64)
    assert torch.equal(grid[..., 0], along.expand(5, 5))
    assert torch.equal(grid[..., 1], along[:, None].expand(5, 5))
    assert (signed_areas(grid.flatten(0, 1), (5, 5)) == 1).all()
    assert square_grid(1.0, 2, torch.float32).dtype == torch.float32


@few_cases
def test_area_change_is_the_determinant_to_second_order(case: Case) -> None:
    block = case.block()
    errors = []
    for vertices in (41, 81):
        x = square_grid(1.0, vertices)
        change = area_change(x, film(block, x)[-1].x, (vertices, vertices))
        middle = torch.linspace(-1, 1, 2 * vertices - 1, dtype=torch.float64)[1::2]
        y, x1 = torch.meshgrid(middle, middle, indexing="ij")
        centres = torch.stack([x1.flatten(), y.flatten()], 1)
        j = jacobians(lambda x: block([x])[0][0], centres)
        sign, log_abs = torch.linalg.slogdet(j)
        assert torch.equal(change.mirrored.flatten(), sign < 0)
        errors.append((change.log.flatten() - log_abs).abs().mean().item())
    assert errors[0] < 2e-2
    assert 3.6 < errors[0] / errors[1] < 4.4, errors


@every_direction
@every_case
def test_cells_are_mirrored_where_the_determinant_is_negative(case: Case, rev: bool) -> None:
    block, x = case.block(), square_grid(1.0, 5)
    sign = torch.linalg.slogdet(jacobians(lambda x: block([x], rev=rev)[0][0], x)).sign
    mirrored = area_change(x, film(block, x, rev)[-1].x, (5, 5)).mirrored
    assert mirrored.dtype == torch.bool
    assert torch.equal(mirrored, torch.full((4, 4), bool(sign[0] < 0)))
    assert (sign == sign[0]).all()


def test_what_is_mirrored_before_and_after_has_not_flipped() -> None:
    x = square_grid(1.0, 3)
    flipped = x * torch.tensor([-1.0, 2.0]).double()
    assert area_change(x, flipped, (3, 3)).mirrored.all()
    assert not area_change(flipped, flipped * 3, (3, 3)).mirrored.any()
    assert_close(area_change(flipped, flipped * 3, (3, 3)).log, torch.full((2, 2), math.log(9.0)).double(), 1e-7)
