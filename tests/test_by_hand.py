"""A block set by hand computes what was set, keeps the rest, and is FrEIA's block with the same numbers."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from aio.block import AllInOneBlock
from aio.by_hand import CURVE_KINDS, BlockEdit, HandCurve, edited
from aio.config import BlockConfig, FlowConfig, SubnetConfig, explain, limits
from aio.flow import build
from aio.inspection import conditioner
from tests.reference import (
    Variant,
    assert_close,
    draw,
    formula,
    freia_block,
    log_abs_det,
    perturb,
    subnet_for,
)
from tests.test_inspection_film import FEW_CASES, Case, by_formula, every_structure, few_cases

CURVES = {
    "constant": HandCurve(level=-0.7),
    "linear": HandCurve(kind="linear", level=0.2, amplitude=-1.5, centre=0.4),
    "sine": HandCurve(kind="sine", level=0.1, amplitude=0.9, rate=3.0, centre=-0.5),
    "step": HandCurve(kind="step", level=-0.3, amplitude=1.2, rate=8.0, centre=1.0),
}
VECTORS = tuple((math.cos(1 + 2.3 * i) * (i + 1), math.sin(1 + 2.3 * i)) for i in range(8))

every_curve = pytest.mark.parametrize("kind", CURVES)


def same(a: AllInOneBlock, b: AllInOneBlock, tolerance: float = 1e-13) -> None:
    """Both blocks compute the same, in both directions."""
    x = draw((2,), n=12, dtype=a.global_scale.dtype)[0]
    for rev in (False, True):
        ((y,), log_det), ((expected,), expected_log_det) = (block([x], rev=rev) for block in (a, b))
        assert_close(y, expected, tolerance)
        assert_close(log_det, expected_log_det, tolerance)


def matrix(block: AllInOneBlock) -> Tensor:
    return block.kernels()[0].detach()


def settings(block: AllInOneBlock) -> dict[str, Any]:
    """Everything that a block is but for its network."""
    found = {
        name: getattr(block, name)
        for name in (
            "affine_clamping", "clamp_dialect", "gin_block", "global_affine_type", "householder", "reverse_permutation",
            "dims_in", "dims_c",
        )
    }  # fmt: skip
    found["clamp"], found["gin"] = found.pop("affine_clamping"), found.pop("gin_block")
    found |= {"g": block.global_scale.tolist(), "o": block.global_offset.tolist()}
    found["w"] = (block.w_0 if block.householder else block.w_perm).tolist()
    found["v"] = block.vk_householder.tolist() if block.householder else []
    return found


# ---------------------------------------------------------------------- the curves


@every_curve
def test_a_curve_is_its_closed_form(kind: str) -> None:
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    at = x.numpy()
    expected = {
        "constant": -0.7 + 0 * at,
        "linear": 0.2 - 1.5 * (at - 0.4),
        "sine": 0.1 + 0.9 * np.sin(3.0 * (at + 0.5)),
        "step": -0.3 + 1.2 * np.tanh(8.0 * (at - 1.0)),
    }[kind]
    assert_close(CURVES[kind](x), torch.tensor(expected), 1e-14)
    assert CURVES[kind](x[:, None]).shape == (33, 1)
    assert CURVES[kind](x.float()).dtype == torch.float32


@every_curve
def test_a_curve_is_at_its_level_at_its_centre(kind: str) -> None:
    curve = CURVES[kind]
    assert curve(torch.tensor([curve.centre], dtype=torch.float64)).item() == pytest.approx(curve.level, abs=1e-12)


def test_the_kinds_are_all_there() -> None:
    assert tuple(CURVES) == CURVE_KINDS
    assert HandCurve()(torch.tensor([5.0])).item() == 0.0


@pytest.mark.parametrize(
    ("field", "low", "high"), [("level", -10, 10), ("amplitude", -10, 10), ("rate", 0.1, 50), ("centre", -3, 3)]
)
def test_the_limits_of_a_curve(field: str, low: float, high: float) -> None:
    assert limits(HandCurve, field) == (low, high)
    for value in (low, high):
        assert getattr(HandCurve(**{field: value}), field) == value
    for value, problem in [
        (low - 0.05, f"greater than or equal to {low}"), (high + 0.05, f"less than or equal to {high}"),
        (math.nan, "a finite number"), ("much", "a valid number"),
    ]:  # fmt: skip
        with pytest.raises(ValidationError) as error:
            HandCurve(**{field: value})
        assert explain(error.value).startswith(f"{field}: Input should be {problem}")
        assert explain(error.value).endswith(".")


def test_a_curve_of_another_kind() -> None:
    with pytest.raises(ValidationError) as error:
        HandCurve(kind="bump")
    assert explain(error.value) == "kind: Input should be 'constant', 'linear', 'sine' or 'step', got bump."


# ---------------------------------------------------------------------- the edit


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"clamp": 10.1}, "clamp: Input should be less than or equal to 10, got 10.1."),
        ({"clamp": 0.0}, "clamp: Input should be greater than or equal to 0.1, got 0.0."),
        ({"clamp": math.nan}, "clamp: Input should be a finite number, got nan."),
        ({"v": ((1.0, 0.0),) * 9}, "Expected at most 8 mirrors, got 9. Leave some out."),
        ({"v": ((1.0, 0.0, 3.0),)},
         "v.0: Tuple should have at most 2 items after validation, not 3, got (1.0, 0.0, 3.0)."),
        ({"g": (10000.5, 0.0)}, "g.0: Input should be less than or equal to 10000, got 10000.5."),
        ({"o": (0.0, -10001.0)}, "o.1: Input should be greater than or equal to -10000, got -10001.0."),
        ({"o": (math.inf, 0.0)}, "o.0: Input should be a finite number, got inf."),
        ({"angle": 180.5}, "angle: Input should be less than or equal to 180, got 180.5."),
        ({"angle": -180.5}, "angle: Input should be greater than or equal to -180, got -180.5."),
        ({"clamp_dialect": "main"}, "clamp_dialect: Input should be 'freia-0.2' or 'freia-main', got main."),
        ({"turn": 3}, "turn: Extra inputs are not permitted, got 3."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_an_edit_outside_its_limits_is_refused_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        BlockEdit(**values)
    assert explain(error.value) == sentence


def test_the_limits_are_reached() -> None:
    edge = BlockEdit(clamp=10.0, v=((100.0, -100.0),) * 8, g=(100.0, -100.0), o=(-100.0, 100.0), angle=-180.0)
    assert not edge.empty
    assert edited(Case(Variant()).block(), edge).householder == 8
    assert edited(Case(Variant()).block(), BlockEdit(clamp=0.1)).affine_clamping == 0.1


def test_edits_are_values() -> None:
    edit = BlockEdit(s=HandCurve(level=1.0), v=((1.0, 2.0),), gin=False)
    assert edit == BlockEdit.model_validate_json(edit.model_dump_json())
    assert hash(edit) == hash(BlockEdit(s=HandCurve(level=1.0), v=((1.0, 2.0),), gin=False))
    assert edit != edit.changed(gin=None)
    assert BlockEdit().empty
    for field, value in FIELDS.items():
        assert not BlockEdit(**{field: value}).empty, field
    # What is off, none or nought is set as well.
    for more in ({"gin": False}, {"reverse_permutation": False}, {"v": ()}, {"angle": 0.0}, {"g": (0.0, 0.0)}):
        assert not BlockEdit(**more).empty, more


# ---------------------------------------------------------------------- each field, and nothing else

FIELDS: dict[str, Any] = {
    "s": CURVES["sine"], "t": CURVES["step"], "g": (0.7, -0.4), "o": (-1.5, 0.25), "angle": 70.0, "v": VECTORS[:2],
    "clamp": 0.6, "clamp_dialect": "freia-main", "gin": True, "reverse_permutation": True,
}  # fmt: skip


def test_every_field_is_tested() -> None:
    assert FIELDS.keys() == BlockEdit.model_fields.keys()


@few_cases
def test_an_empty_edit_gives_the_block_itself(case: Case) -> None:
    block = case.block()
    assert edited(block, BlockEdit()) is block


@pytest.mark.parametrize("field", FIELDS)
@few_cases
def test_a_field_changes_what_it_says_and_nothing_else(case: Case, field: str) -> None:
    block, value = case.block(), FIELDS[field]
    new = edited(block, BlockEdit(**{field: value}))
    before, after = settings(block), settings(new)
    expected: dict[str, Any] = {field: [list(value)] if field in ("g", "o") else value}
    if field == "v":
        expected = {"v": [list(v) for v in value], "householder": 2}
    if field == "angle":
        cos, sin = math.cos(math.radians(70)), math.sin(math.radians(70))
        expected = {"w": [[cos, -sin], [sin, cos]]}
    if field in ("s", "t"):
        expected = {}
    assert after == before | expected
    x1 = torch.linspace(-2, 2, 9, dtype=torch.float64)
    raw, new_raw = block.subnet(x1[:, None]) / 10, new.subnet(x1[:, None]) / 10
    for i, name in enumerate("st"):
        expected_raw = value(x1) if field == name else raw[:, i]
        assert_close(new_raw[:, i].detach(), expected_raw.detach(), 1e-14, name)


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in ("s", "t")])
@few_cases
def test_setting_what_already_is_changes_nothing(case: Case, field: str) -> None:
    block = case.block()
    now = settings(block)
    (a, b), (c, _) = now["w"]
    now |= {"g": now["g"][0], "o": now["o"][0], "angle": math.degrees(math.atan2(c, a))}
    new = edited(block, BlockEdit(**{field: now[field]}))
    if field == "angle" and b == c != 0:  # a swap is no rotation: by hand it becomes one
        assert torch.linalg.det(torch.as_tensor(settings(new)["w"])) > 0
        return
    assert new is not block
    same(new, block, 1e-12)


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
@few_cases
def test_a_switch_is_turned_either_way(case: Case, on: bool) -> None:
    """Off is set as well as on, and the block then computes as one that was built so."""
    gin, reverse = edited(case.block(), BlockEdit(gin=on)), edited(case.block(), BlockEdit(reverse_permutation=on))
    x = draw((2,), n=6)[0]
    for new, variant in ((gin, replace(case.variant, gin=on)), (reverse, replace(case.variant, reverse=on))):
        for rev in (False, True):
            expected, log_det = formula(new, variant, x, [], rev=rev, alpha=case.alpha, dialect=case.dialect)
            assert_close(new([x], rev=rev)[0][0].detach(), expected, 1e-12)
            assert_close(new([x], rev=rev)[1].detach(), log_det, 1e-12)


@every_structure
def test_an_edited_block_computes_the_formula(case: Case) -> None:
    """All of it set by hand, against the formula written from the maths and autograd's log-determinant."""
    edit = BlockEdit(s=CURVES["sine"], t=CURVES["linear"], g=(0.7, -0.4), o=(-1.5, 0.25), angle=-110.0, v=VECTORS[:3],
                     clamp=0.8, clamp_dialect="freia-main", gin=case.variant.gin, reverse_permutation=True)  # fmt: skip
    new = edited(case.block(), edit)
    variant = Variant(case.variant.kind, gin=case.variant.gin, householder=3, reverse=True)
    x = draw((2,), n=6)[0]
    for rev in (False, True):
        expected, log_det = formula(new, variant, x, [], rev=rev, alpha=0.8, dialect="freia-main")
        assert_close(new([x], rev=rev)[0][0].detach(), expected, 1e-12)
        assert_close(new([x], rev=rev)[1].detach(), log_det, 1e-12)
        assert_close(log_det, log_abs_det(lambda x: new([x], rev=rev)[0][0], x), 1e-10)  # noqa: B023
        assert_close(new([new([x], rev=rev)[0][0]], rev=not rev)[0][0].detach(), x, 1e-11)


@pytest.mark.parametrize("gin", [False, True], ids=["affine", "gin"])
@pytest.mark.parametrize("dialect", ["freia-0.2", "freia-main"])
@every_curve
def test_s_by_hand_goes_through_the_clamp_and_gin_takes_it_out(kind: str, dialect: str, gin: bool) -> None:
    new = edited(Case(Variant(gin=gin), dialect, alpha=0.7).block(), BlockEdit(s=CURVES[kind], t=CURVES[kind]))
    x1 = torch.linspace(-3, 3, 25, dtype=torch.float64)
    found, curve = conditioner(new, x1), CURVES[kind](x1)
    unit = curve / 0.7 if dialect == "freia-main" else curve
    assert_close(found.before, curve, 1e-14)
    assert_close(found.s, torch.zeros_like(x1) if gin else 0.7 * torch.tanh(unit), 1e-14)
    assert_close(found.t, curve, 1e-14)  # not clamped
    assert found.s.abs().max() <= 0.7


@pytest.mark.parametrize("angle", [-180.0, -90.0, -33.0, 0.0, 45.0, 120.0, 180.0])
@few_cases
def test_the_angle_is_that_of_the_fixed_matrix(case: Case, angle: float) -> None:
    new = edited(case.block(), BlockEdit(angle=angle))
    turn = torch.tensor(np.exp(1j * math.radians(angle)))
    w = new.w_0 if new.householder else new.w_perm
    assert_close(w, torch.tensor([[turn.real, -turn.imag], [turn.imag, turn.real]], dtype=torch.float64), 1e-14)
    numbers = by_formula(new, case, draw((2,))[0])
    assert_close(matrix(new), torch.tensor(numbers.p), 1e-13)
    assert_close(new.kernels()[1].detach(), matrix(new).T, 0)


@pytest.mark.parametrize("count", range(9), ids="{}-mirrors".format)
@pytest.mark.parametrize("case", [FEW_CASES[0], FEW_CASES[2], FEW_CASES[3]], ids=str)
def test_any_number_of_mirrors_and_none_again(case: Case, count: int) -> None:
    block = case.block()
    w = block.w_0 if block.householder else block.w_perm
    new = edited(block, BlockEdit(v=VECTORS[:count]))
    expected = w.numpy()
    for v in VECTORS[:count]:
        expected = expected @ (np.eye(2) - 2 * np.outer(v, v) / np.dot(v, v))
    assert_close(matrix(new), torch.tensor(expected), 1e-13)
    assert new.householder == count
    assert ("w_perm" in new.state_dict()) == (count == 0)
    # Back to none: the fixed matrix alone is left.
    none = edited(new, BlockEdit(v=()))
    assert none.householder == 0
    assert torch.equal(none.w_perm, w)
    assert torch.equal(none.w_perm_inv, w.T)
    if not block.householder:
        same(none, block)


def test_a_vector_of_zero_mirrors_nothing() -> None:
    block = Case(Variant("EXP", soft=True)).block()
    same(edited(block, BlockEdit(v=((0.0, 0.0),))), block)


def test_edits_follow_each_other() -> None:
    block = Case(Variant("EXP", soft=True, householder=1)).block()
    whole = BlockEdit(s=CURVES["sine"], t=CURVES["step"], o=(1.0, 2.0), angle=15.0, clamp=0.9)
    parts = block
    for field in ("s", "t", "o", "angle", "clamp"):
        parts = edited(parts, BlockEdit(**{field: getattr(whole, field)}))
    same(parts, edited(block, whole))
    # and the later edit holds
    assert edited(parts, BlockEdit(s=CURVES["linear"])).subnet(torch.zeros(1, 1).double())[0, 0].item() / 10 == (
        pytest.approx(0.2 + 1.5 * 0.4)
    )


# ---------------------------------------------------------------------- the rest of the world


@pytest.mark.parametrize("field", FIELDS)
def test_the_block_itself_is_not_touched(field: str) -> None:
    block = Case(Variant("EXP", soft=True, householder=1)).block()
    before = {name: w.clone() for name, w in block.state_dict().items()}
    text, network = repr(block), block.subnet
    new = edited(block, BlockEdit(**{field: FIELDS[field]}))
    with torch.no_grad():
        for p in [*new.parameters(), *new.buffers()]:
            p.add_(1.0)  # nothing is shared
    assert repr(block) == text
    assert block.subnet is network
    assert block.state_dict().keys() == before.keys()
    assert all(torch.equal(w, before[name]) for name, w in block.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("field", FIELDS)
def test_the_blocks_own_precision_is_kept(field: str, dtype: torch.dtype) -> None:
    new = edited(Case(Variant("EXP", householder=1)).block(dtype=dtype), BlockEdit(**{field: FIELDS[field]}))
    assert {w.dtype for w in new.state_dict().values()} == {dtype}
    (y,), log_det = new([torch.ones(3, 2, dtype=dtype)])
    assert y.dtype == log_det.dtype == dtype


def test_numbers_set_by_hand_are_not_rounded_on_the_way() -> None:
    new = edited(Case(Variant()).block(), BlockEdit(g=(0.1, 0.3), o=(0.7, -0.9), v=((0.1, 0.3),), angle=33.0))
    assert new.global_scale.tolist() == [[0.1, 0.3]]
    assert new.global_offset.tolist() == [[0.7, -0.9]]
    assert new.vk_householder.tolist() == [[0.1, 0.3]]
    assert new.w_0[0, 0].item() == math.cos(math.radians(33.0))


@pytest.mark.parametrize("edit", [BlockEdit(o=(0.0, 0.0)), BlockEdit(angle=50.0), BlockEdit(v=VECTORS[:2])],
                         ids=["as-drawn", "angle", "mirrors"])  # fmt: skip
def test_an_edited_float32_block_is_orthogonal_after_a_cast(edit: BlockEdit) -> None:
    block = perturb(build(FlowConfig(blocks=1, subnet=SubnetConfig(width=4)), seed=0).blocks[0])
    new = edited(block, edit).double()
    p = matrix(new)
    assert_close(p @ p.T, torch.eye(2, dtype=torch.float64), 1e-14)
    x = draw((2,))[0]
    assert_close(new([new([x])[0][0]], rev=True)[0][0].detach(), x, 1e-12)


@pytest.mark.parametrize("field", FIELDS)
def test_copies_and_pickles_compute_the_same(field: str) -> None:
    block = Case(Variant("EXP", soft=True, householder=1)).block()
    new = edited(block, BlockEdit(**{"s": CURVES["sine"], field: FIELDS[field]}))
    x = draw((2,))[0]
    new([x])[1].sum().backward()
    for twin in (copy.deepcopy(new), pickle.loads(pickle.dumps(new))):
        assert twin is not new
        same(twin, new, 0)


def test_an_edited_block_is_trained_on() -> None:
    """The numbers set by hand are parameters like those before; a curve has none."""
    new = edited(Case(Variant("EXP", householder=1)).block(), BlockEdit(s=CURVES["sine"], g=(0.1, 0.2), v=VECTORS[:2]))
    (y,), log_det = new([draw((2,))[0]])
    (y.square().sum() - log_det.sum()).backward()
    for name in ("global_scale", "global_offset", "vk_householder"):
        assert getattr(new, name).grad.abs().max() > 0, name
    assert all(p.grad.isfinite().all() for p in new.parameters() if p.grad is not None)


@pytest.mark.parametrize("gin", [False, True], ids=["affine", "gin"])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("mirrors", [0, 1, 3], ids="householder{}".format)
@pytest.mark.parametrize("reverse", [False, True], ids=["plain", "reversed"])
def test_an_edited_block_is_freias_with_the_same_numbers(reverse: bool, mirrors: int, soft: bool, gin: bool) -> None:
    edit = BlockEdit(
        s=CURVES["sine"], t=CURVES["step"], g=(0.3, -0.2), o=(0.5, 1.5), angle=25.0, v=VECTORS[:mirrors], clamp=0.9,
        gin=gin, reverse_permutation=reverse,
    )  # fmt: skip
    for kind, start in itertools.product(("SIGMOID", "SOFTPLUS", "EXP"), (0, 2)):
        own = Case(Variant(kind, soft=soft, householder=start)).block(dtype=torch.float32)
        new = edited(own, edit)
        variant = Variant(kind, gin=gin, soft=soft, householder=mirrors, reverse=reverse)
        theirs = freia_block(variant, (2,), subnet_constructor=lambda *_, new=new: new.subnet, affine_clamping=0.9)
        w = torch.tensor(
            np.array([[math.cos(a := math.radians(25)), -math.sin(a)], [math.sin(a), math.cos(a)]])
        ).float()
        state = {"global_scale": torch.tensor([[0.3, -0.2]]), "global_offset": torch.tensor([[0.5, 1.5]])}
        state |= {"w_0": w, "vk_householder": torch.tensor(VECTORS[:mirrors])} if mirrors else (
            {"w_perm": w, "w_perm_inv": w.T})  # fmt: skip
        theirs.load_state_dict(theirs.state_dict() | state)
        x = draw((2,), n=8, dtype=torch.float32)[0]
        with torch.no_grad():
            for rev in (False, True):
                (expected,), expected_log_det = theirs([x], rev=rev)
                (y,), log_det = new([x], rev=rev)
                assert_close(y, expected, 1e-5, kind)
                assert_close(log_det, expected_log_det, 1e-5, kind)


@pytest.mark.parametrize("edit", [BlockEdit(), BlockEdit(o=(0.0, 0.0))], ids=["empty", "an-offset"])
def test_a_block_of_another_shape_is_refused_with_a_mend(edit: BlockEdit) -> None:
    for dims_in, dims_c in (([(3,)], []), ([(1,)], []), ([(2, 4)], []), ([(2,)], [(1,)])):
        block = AllInOneBlock(dims_in, dims_c, subnet_for(dims_in[0]))
        with pytest.raises(ValueError, match=r"^Expected a block of two channels without conditions, got .* Take a "):
            edited(block, edit)


def test_every_mirror_that_settings_allow_can_be_set() -> None:
    most = int(limits(BlockConfig, "householder")[1])
    assert len(BlockEdit(v=((1.0, 0.0),) * most).v) == most
