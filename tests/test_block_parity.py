"""AllInOneBlock computes what FrEIA computes: value, log-determinant, gradients, state dicts, frameworks."""

from __future__ import annotations

import itertools
import math
import warnings

import FrEIA.framework as ff
import pytest
import torch
from torch import Tensor, nn

from aio.block import AllInOneBlock
from tests.reference import (
    FEW_VARIANTS,
    KINDS,
    SPATIAL,
    STRUCTURES,
    VARIANTS,
    FreiaBlock,
    Variant,
    assert_close,
    dims_of,
    draw,
    formula,
    freia_block,
    generator_of,
    like_freia,
    own_block,
    perturb,
    psi_of,
    seeded_globals,
    shape_id,
    subnet_for,
    with_householder,
)

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
DIRECTIONS = {False: "forward", True: "reverse"}

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
few_variants = pytest.mark.parametrize("variant", FEW_VARIANTS, ids=str)
every_structure = pytest.mark.parametrize("variant", STRUCTURES, ids=str)
every_direction = pytest.mark.parametrize("rev", DIRECTIONS, ids=DIRECTIONS.get)


def assert_parity(variant: Variant, shape: tuple[int, ...], conditions: int) -> None:
    """Both directions, value and log-determinant, in float32 and in float64.

    The log-determinant is a sum over positions, and rounds at each: every position's share is held to the tolerance.
    """
    positions = math.prod(shape[1:])
    theirs = freia_block(variant, shape, conditions)
    ours = like_freia(theirs, variant, shape, conditions)
    for dtype, rev in itertools.product(TOLERANCE, DIRECTIONS):
        theirs.to(dtype)
        ours.to(dtype)
        x, c = draw(shape, conditions, dtype=dtype)
        with torch.no_grad():
            (y,), log_det = ours([x], c, rev=rev)
            (expected_y,), expected_log_det = theirs([x], c, rev=rev)
        what = f"{DIRECTIONS[rev]} {dtype}"
        assert_close(y, expected_y, TOLERANCE[dtype], f"y, {what}")
        assert_close(log_det / positions, expected_log_det / positions, TOLERANCE[dtype], f"log_det, {what}")


# ---------------------------------------------------------------------- value and log-determinant


@pytest.mark.parametrize("conditions", [0, 1, 2], ids="{}conditions".format)
@pytest.mark.parametrize("channels", [3, 4], ids=["odd", "even"])
@pytest.mark.parametrize("spatial", SPATIAL, ids=[f"rank{r}" for r in range(4)])
@every_variant
def test_parity_with_freia(variant: Variant, spatial: tuple[int, ...], channels: int, conditions: int) -> None:
    assert_parity(variant, (channels, *spatial), conditions)


@pytest.mark.parametrize("shape", [(2,), (3,), (6, 2, 2)], ids=shape_id)
@pytest.mark.parametrize("reflections", [1, 3, 5], ids="householder{}".format)
@pytest.mark.parametrize("variant", [v for v in STRUCTURES if not v.householder], ids=str)
def test_parity_with_freia_for_any_number_of_reflections(
    variant: Variant, reflections: int, shape: tuple[int, ...]
) -> None:
    assert_parity(with_householder(variant, reflections), shape, 0)


@pytest.mark.parametrize("channels", [2, 5, 8])
@every_structure
def test_parity_with_freia_for_other_numbers_of_channels(variant: Variant, channels: int) -> None:
    assert_parity(variant, (channels,), 1)


@pytest.mark.parametrize("alpha", [0.1, 1.9, 10.0])
@every_direction
def test_parity_with_freia_for_other_clamps(alpha: float, rev: bool) -> None:
    theirs = freia_block(Variant(), affine_clamping=alpha).double()
    ours = own_block(Variant(), affine_clamping=alpha)
    ours.load_state_dict(theirs.state_dict())
    x, c = draw((3,))
    (y,), log_det = ours([x], c, rev=rev)
    (expected_y,), expected_log_det = theirs([x], c, rev=rev)
    assert_close(y, expected_y, 1e-12)
    assert_close(log_det, expected_log_det, 1e-12)


@pytest.mark.parametrize("init", [1e-3, 0.7, 1.0, 9.0])
@pytest.mark.parametrize("kind", ["SIGMOID", "SOFTPLUS", "EXP"])
def test_global_scale_starts_where_freia_starts_it(kind: str, init: float) -> None:
    arguments = {"subnet_constructor": subnet_for((2,)), "global_affine_type": kind, "global_affine_init": init}
    ours, theirs = AllInOneBlock([(2,)], **arguments), FreiaBlock([(2,)], **arguments)
    assert_close(ours.global_scale, theirs.global_scale, 1e-6)
    assert torch.equal(ours.global_offset, theirs.global_offset)


def test_the_weights_compared_are_far_from_trivial() -> None:
    """Parity of blocks that do nothing would prove nothing."""
    for kind, shape in itertools.product(KINDS, [(4,), (4, 3, 2)]):
        blocks = [own_block(Variant(kind), shape, seed=seed) for seed in range(10)]
        x, _ = draw(shape, n=20)
        # The mean of s over the active entries: most |s| are larger.
        mean_s = torch.cat([block.sub_stages([x])[0].log_det for block in blocks]) / x[0, :2].numel()
        psi = torch.cat([psi_of(block.global_scale, kind) for block in blocks])
        offset = torch.cat([block.global_offset for block in blocks])
        assert mean_s.abs().median() > 0.1
        assert (psi - 1).abs().median() > 0.1
        assert offset.abs().median() > 0.1


# ---------------------------------------------------------------------- gradients


def gradients(block: nn.Module, x: Tensor, c: list[Tensor], rev: bool) -> dict[str, Tensor | None]:
    """Gradients of a random linear function of y and log_det, by parameters and inputs."""
    x = x.clone().requires_grad_()
    c = [ci.clone().requires_grad_() for ci in c]
    (y,), log_det = block([x], c, rev=rev)
    rng = generator_of("cotangent", tuple(x.shape))
    loss = (y * torch.randn(y.shape, generator=rng, dtype=y.dtype)).sum()
    loss = loss + (log_det * torch.randn(log_det.shape, generator=rng, dtype=y.dtype)).sum()
    wanted = {name: p for name, p in block.named_parameters() if p.requires_grad}
    wanted |= {"x": x} | {f"c{i}": ci for i, ci in enumerate(c)}
    return dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values()), allow_unused=True), strict=True))


@pytest.mark.parametrize("shape", [(3,), (4, 3, 2)], ids=shape_id)
@every_direction
@every_variant
def test_gradients_match_freia(variant: Variant, rev: bool, shape: tuple[int, ...]) -> None:
    theirs = freia_block(variant, shape, 1).double()
    ours = like_freia(theirs, variant, shape, 1).double()
    ours.load_state_dict(theirs.state_dict())
    x, c = draw(shape, 1)
    actual, expected = gradients(ours, x, c, rev), gradients(theirs, x, c, rev)
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        if variant.gin and name == "global_scale":
            assert actual[name] is None
            continue
        assert gradient.abs().max() > 1e-6, f"the gradient of {name} is trivial"
        assert_close(actual[name], gradient, 1e-10, name)


@pytest.mark.parametrize("dialect", ["freia-0.2", "freia-main"])
@every_direction
@few_variants
def test_gradients_match_finite_differences(variant: Variant, rev: bool, dialect: str) -> None:
    block = own_block(variant, (3,), 1, clamp_dialect=dialect)
    x, c = draw((3,), 1, n=2)
    names, values = zip(*((n, p.detach().clone().requires_grad_()) for n, p in block.named_parameters()), strict=True)

    def run(x: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        (y,), log_det = torch.func.functional_call(block, dict(zip(names, values, strict=True)), ([x], c, rev))
        return y, log_det

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *values))


# ---------------------------------------------------------------------- the formula, in both dialects


@pytest.mark.parametrize("dialect", ["freia-0.2", "freia-main"])
@pytest.mark.parametrize("spatial", SPATIAL, ids=[f"rank{r}" for r in range(4)])
@every_variant
def test_block_computes_the_formula(variant: Variant, spatial: tuple[int, ...], dialect: str) -> None:
    shape = (5 if variant.reverse else 4, *spatial)
    alpha = 1.3
    block = own_block(variant, shape, 2, clamp_dialect=dialect, affine_clamping=alpha)
    x, c = draw(shape, 2)
    for rev in DIRECTIONS:
        (y,), log_det = block([x], c, rev=rev)
        expected_y, expected_log_det = formula(block, variant, x, c, rev=rev, alpha=alpha, dialect=dialect)
        assert_close(y, expected_y, 1e-12, f"y, {DIRECTIONS[rev]}")
        assert_close(log_det, expected_log_det, 1e-12, f"log_det, {DIRECTIONS[rev]}")


@pytest.mark.parametrize(("dialect", "slope"), [("freia-0.2", 0.1 * 3.0), ("freia-main", 0.1)])
def test_slope_of_the_clamp_at_zero(dialect: str, slope: float) -> None:
    """0.1 α in FrEIA 0.2, and 0.1 whatever α in FrEIA main."""
    block = own_block(Variant(), (2,), clamp_dialect=dialect, affine_clamping=3.0)
    a = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    _, log_det = block._affine(torch.ones(1, 1, dtype=torch.float64), a)
    (gradient,) = torch.autograd.grad(log_det.sum(), a)
    assert gradient[0, 0].item() == pytest.approx(slope, abs=1e-15)


def test_the_dialects_differ_unless_alpha_is_1() -> None:
    x, _ = draw((3,))
    for alpha, same in [(1.0, True), (2.0, False)]:
        old, new = (
            own_block(Variant(), (3,), affine_clamping=alpha, clamp_dialect=dialect)([x])[1]
            for dialect in ("freia-0.2", "freia-main")
        )
        assert torch.equal(old, new) == same


# ---------------------------------------------------------------------- FrEIA's private methods


@few_variants
def test_the_steps_keep_freias_names_and_meaning(variant: Variant) -> None:
    """_permute, _pre_permute, _affine and _construct_householder_permutation, called as FrEIA's are."""
    theirs = freia_block(variant, (4, 3)).double()
    ours = like_freia(theirs, variant, (4, 3)).double()
    ours.load_state_dict(theirs.state_dict())
    x, _ = draw((4, 3))
    theirs([x], rev=True)  # FrEIA's Householder matrices are attributes that a call sets
    if variant.householder:
        w = ours._construct_householder_permutation()
        assert_close(w, theirs._construct_householder_permutation(), 1e-12)
    a = torch.randn(3, 4, 3, generator=generator_of("a"), dtype=torch.float64)
    for rev in DIRECTIONS:
        assert_close(ours._pre_permute(x, rev=rev), theirs._pre_permute(x, rev=rev), 1e-12)
        y, log_psi = ours._permute(x, rev=rev)
        expected_y, expected_log_psi = theirs._permute(x, rev=rev)
        assert_close(y, expected_y, 1e-12)
        assert_close(log_psi, torch.as_tensor(expected_log_psi, dtype=log_psi.dtype), 1e-12)
        for actual, expected in zip(
            ours._affine(x[:, :2], a, rev=rev), theirs._affine(x[:, :2], a.clone(), rev=rev), strict=True
        ):
            assert_close(actual, expected, 1e-12)


# ---------------------------------------------------------------------- state dicts

COMMON_KEYS = {"global_scale", "global_offset", *(f"subnet.{i}.{w}" for i in (0, 2) for w in ("weight", "bias"))}


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("householder", "keys"),
    [(0, {"w_perm", "w_perm_inv"}), (2, {"vk_householder", "w_0"})],
    ids=["fixed", "householder"],
)
def test_state_dict_has_freias_keys_and_shapes(soft: bool, householder: int, keys: set[str]) -> None:
    variant = Variant(soft=soft, householder=householder)
    for shape in [(3,), (3, 2), (3, 2, 2), (3, 2, 2, 2)]:
        weights = own_block(variant, shape, dtype=torch.float32).state_dict()
        assert weights.keys() == COMMON_KEYS | keys
        expected = freia_block(variant, shape).state_dict()
        assert {k: (w.shape, w.dtype) for k, w in weights.items()} == {
            k: (w.shape, w.dtype) for k, w in expected.items()
        }


@pytest.mark.parametrize("shape", [(4,), (3, 2, 2)], ids=shape_id)
@every_structure
def test_our_state_dict_loads_into_freia_and_gives_the_same_numbers(variant: Variant, shape: tuple[int, ...]) -> None:
    ours = own_block(variant, shape, 1)
    theirs = freia_block(variant, shape, 1, seed="other").double()
    theirs.load_state_dict(ours.state_dict())
    x, c = draw(shape, 1)
    for rev in DIRECTIONS:
        (y,), log_det = ours([x], c, rev=rev)
        (expected_y,), expected_log_det = theirs([x], c, rev=rev)
        assert_close(y, expected_y, 1e-12)
        assert_close(log_det, expected_log_det, 1e-12)


@pytest.mark.parametrize("shape", [(4,), (3, 2, 2)], ids=shape_id)
@every_structure
def test_state_dict_makes_a_round_trip(variant: Variant, shape: tuple[int, ...]) -> None:
    first = own_block(variant, shape)
    second = own_block(variant, shape, seed="other")
    x, _ = draw(shape)
    assert not torch.equal(first([x])[0][0], second([x])[0][0])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first([x])[0][0], second([x])[0][0])
    assert all(torch.equal(w, second.state_dict()[name]) for name, w in first.state_dict().items())


def main_state_dict(block: AllInOneBlock, permutation: list[int]) -> dict[str, Tensor]:
    """The block's state dict in FrEIA main's form: permutations as int64 indices, y_i = x[p_i]."""
    p = torch.tensor(permutation)
    return block.state_dict() | {"w_perm": p, "w_perm_inv": torch.argsort(p)}


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 2, 3), (4, 2, 1, 2)], ids=shape_id)
def test_index_permutations_of_freia_main_load(shape: tuple[int, ...]) -> None:
    permutation = [2, 0, 3, 1]  # a 4-cycle: its inverse is another permutation
    variant = Variant("EXP", reverse=True)
    block = own_block(variant, shape, clamp_dialect="freia-main")
    weights = main_state_dict(block, permutation)
    block.load_state_dict(weights)

    x, _ = draw(shape)
    assert torch.equal(block._pre_permute(x, rev=True), x[:, permutation])
    assert torch.equal(block._pre_permute(x[:, permutation]), x)
    assert block.w_perm.dtype == torch.float64
    (y,), log_det = block([x])
    expected_y, expected_log_det = formula(block, variant, x, [], rev=False, alpha=2.0, dialect="freia-main")
    assert_close(y, expected_y, 1e-12)
    assert_close(log_det, expected_log_det, 1e-12)
    assert_close(block([y], rev=True)[0][0], x, 1e-12)


def test_loading_leaves_the_callers_state_dict_as_it_was() -> None:
    block = own_block(Variant(), (4,))
    weights = main_state_dict(block, [2, 0, 3, 1])
    block.load_state_dict(weights)
    assert weights["w_perm"].tolist() == [2, 0, 3, 1]
    assert weights["w_perm_inv"].tolist() == [1, 3, 0, 2]


def test_index_permutations_load_inside_a_network() -> None:
    """Then the keys have a prefix."""
    network = nn.ModuleList([own_block(Variant(), (4,)), own_block(Variant(), (4,), seed=1)])
    weights = network.state_dict() | {
        "1.w_perm": torch.tensor([1, 2, 3, 0]),
        "1.w_perm_inv": torch.tensor([3, 0, 1, 2]),
    }
    before = network[0].w_perm.clone()
    network.load_state_dict(weights)
    assert torch.equal(network[0].w_perm, before)
    x, _ = draw((4,))
    assert torch.equal(network[1]._pre_permute(x, rev=True), x[:, [1, 2, 3, 0]])


def test_weights_of_another_kind_of_block_do_not_load() -> None:
    plain, householder = own_block(Variant()), own_block(Variant(householder=2))
    with pytest.raises(RuntimeError, match="w_0"):
        plain.load_state_dict(householder.state_dict())
    with pytest.raises(RuntimeError, match="w_perm"):
        householder.load_state_dict(plain.state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        plain.load_state_dict(own_block(Variant(), (4,)).state_dict())


@pytest.mark.parametrize("shape", [(1,)], ids=shape_id)
def test_freias_block_of_one_channel_loads(shape: tuple[int, ...]) -> None:
    """FrEIA builds a subnet with no outputs there, which we do without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch: a weight without elements
        theirs = FreiaBlock([shape], subnet_constructor=nn.Linear)
    with torch.no_grad():
        theirs.global_scale.add_(1.0)
        theirs.global_offset.add_(0.5)
    ours = AllInOneBlock([shape], subnet_constructor=nn.Linear)
    ours.load_state_dict(theirs.state_dict())
    x, _ = draw(shape, dtype=torch.float32)
    for rev in DIRECTIONS:
        (y,), log_det = ours([x], rev=rev)
        (expected_y,), expected_log_det = theirs([x], rev=rev)
        assert_close(y, expected_y, 1e-6)
        assert_close(log_det, expected_log_det, 1e-6)


# ---------------------------------------------------------------------- inside FrEIA's frameworks


def copied(build: object, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """A network of our blocks and one of FrEIA's, with the same weights, float64."""
    with seeded_globals(0):
        ours, theirs = build(AllInOneBlock), build(FreiaBlock)
    rng = generator_of("network", shape)
    with torch.no_grad():
        for p in theirs.parameters():
            if p.requires_grad:
                p.add_(0.3 * torch.randn(p.shape, generator=rng))
    ours.load_state_dict(theirs.state_dict())
    return ours.double(), theirs.double()


@pytest.mark.parametrize("conditional", [False, True], ids=["unconditional", "conditional"])
@pytest.mark.parametrize("shape", [(3,), (4, 3, 2)], ids=shape_id)
def test_sequence_inn_of_our_blocks_equals_freias(shape: tuple[int, ...], conditional: bool) -> None:
    dims_c = dims_of(shape, 1)[0] if conditional else None

    def build(block: type[nn.Module]) -> ff.SequenceINN:
        inn = ff.SequenceINN(*shape)
        for variant in FEW_VARIANTS:
            cond = {"cond": 0, "cond_shape": dims_c} if conditional else {}
            inn.append(block, **cond, subnet_constructor=subnet_for(shape), **variant.arguments)
        return inn

    ours, theirs = copied(build, shape)
    x, c = draw(shape, int(conditional))
    for rev in DIRECTIONS:
        y, log_det = ours(x, c=c, rev=rev)
        expected_y, expected_log_det = theirs(x, c=c, rev=rev)
        assert_close(y, expected_y, 1e-11)
        assert_close(log_det, expected_log_det, 1e-11)
    y, log_det = ours(x, c=c)
    assert (y - x).abs().max() > 0.1


@pytest.mark.parametrize("conditions", [0, 1, 2])
def test_graph_inn_of_our_blocks_equals_freias(conditions: int) -> None:
    shape = (4, 3, 2)

    def build(block: type[nn.Module]) -> ff.GraphINN:
        nodes = [ff.InputNode(*shape, name="x")]
        cond = [ff.ConditionNode(*dims) for dims in dims_of(shape, conditions)]
        for variant in FEW_VARIANTS:
            arguments = {"subnet_constructor": subnet_for(shape), **variant.arguments}
            nodes.append(ff.Node(nodes[-1], block, arguments, conditions=cond, name=str(variant)))
        return ff.GraphINN([*nodes, ff.OutputNode(nodes[-1]), *cond])

    ours, theirs = copied(build, shape)
    x, c = draw(shape, conditions)
    for rev in DIRECTIONS:
        y, log_det = ours(x, c=c, rev=rev)
        expected_y, expected_log_det = theirs(x, c=c, rev=rev)
        assert_close(y, expected_y, 1e-11)
        assert_close(log_det, expected_log_det, 1e-11)


def test_perturb_moves_ours_and_freias_alike() -> None:
    """The helper that makes weights non-trivial must not itself make the two differ."""
    variant = Variant(householder=2)
    theirs = freia_block(variant)
    ours = like_freia(theirs, variant, (3,))
    perturb(ours, "again")
    perturb(theirs, "again")
    for name, w in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], w), name
