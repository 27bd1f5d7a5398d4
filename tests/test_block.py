"""AllInOneBlock is a bijection with the log-determinant it claims, and its steps are those of the formula."""

from __future__ import annotations

import inspect
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from aio.block import AllInOneBlock, InvertibleModule
from aio.subnets import mlp
from tests.reference import (
    FEW_VARIANTS,
    STRUCTURES,
    VARIANTS,
    Variant,
    assert_close,
    draw,
    generator_of,
    jacobians,
    log_abs_det,
    mixed,
    own_block,
    shape_id,
)

DIRECTIONS = {False: "forward", True: "reverse"}
VECTORS = [(1,), (2,), (3,), (5,)]
GRIDS = [(3, 2, 2), (2, 3), (4, 2), (2, 2, 1, 2), (1, 2, 2)]

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
few_variants = pytest.mark.parametrize("variant", FEW_VARIANTS, ids=str)
every_structure = pytest.mark.parametrize("variant", STRUCTURES, ids=str)
every_direction = pytest.mark.parametrize("rev", DIRECTIONS, ids=DIRECTIONS.get)


# ---------------------------------------------------------------------- the log-determinant


@pytest.mark.parametrize("shape", VECTORS + GRIDS, ids=shape_id)
@every_variant
def test_log_det_matches_autograd(variant: Variant, shape: tuple[int, ...]) -> None:
    block = own_block(variant, shape, 1)
    x, c = draw(shape, 1)
    for rev in DIRECTIONS:
        log_det = block([x], c, rev=rev)[1]
        expected = log_abs_det(lambda x: block([x], c, rev=rev)[0][0], x)  # noqa: B023
        assert_close(log_det, expected, 1e-10, DIRECTIONS[rev])


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)], ids=shape_id)
@every_direction
@few_variants
def test_log_det_matches_autograd_in_the_dialect_of_freia_main(
    variant: Variant, rev: bool, shape: tuple[int, ...]
) -> None:
    block = own_block(variant, shape, clamp_dialect="freia-main", affine_clamping=0.7)
    x, _ = draw(shape)
    expected = log_abs_det(lambda x: block([x], rev=rev)[0][0], x)
    assert_close(block([x], rev=rev)[1], expected, 1e-10)


@every_direction
@few_variants
def test_rows_do_not_see_each_other(variant: Variant, rev: bool) -> None:
    block = own_block(variant, (4, 3), 1)
    x, c = draw((4, 3), 1, n=5)
    (y,), log_det = block([x], c, rev=rev)
    for i in range(5):
        (y_i,), log_det_i = block([x[i : i + 1]], [c[0][i : i + 1]], rev=rev)
        assert_close(y_i[0], y[i], 1e-13)
        assert_close(log_det_i[0], log_det[i], 1e-13)


# ---------------------------------------------------------------------- the inverse


def assert_inverse(block: AllInOneBlock, x: Tensor, c: list[Tensor], tolerance: float) -> None:
    """rev undoes forward, forward undoes rev, and the log-determinants cancel."""
    with torch.no_grad():
        for rev in DIRECTIONS:
            (y,), log_det = block([x], c, rev=rev)
            (x_again,), log_det_back = block([y], c, rev=not rev)
            assert (y - x).abs().max() > 1e-2, "the block does nothing"
            assert_close(x_again, x, tolerance, f"x, {DIRECTIONS[rev]}")
            assert_close(-log_det_back, log_det, tolerance, f"log_det, {DIRECTIONS[rev]}")


@pytest.mark.parametrize("shape", [(2,), (5,), (3, 2, 2)], ids=shape_id)
@every_variant
def test_reverse_undoes_forward(variant: Variant, shape: tuple[int, ...]) -> None:
    for dtype, tolerance in [(torch.float32, 1e-5), (torch.float64, 1e-10)]:
        x, c = draw(shape, 1, n=20, dtype=dtype)
        assert_inverse(own_block(variant, shape, 1, dtype=dtype), x, c, tolerance)


@pytest.mark.parametrize("shape", [(2,), (6,), (3, 2, 2)], ids=shape_id)
@pytest.mark.parametrize("cast", [nn.Module.double, lambda b: b.to(torch.float64)], ids=["double", "to"])
@every_structure
def test_a_float32_block_inverts_to_float64_accuracy_after_a_cast(
    variant: Variant, cast: object, shape: tuple[int, ...]
) -> None:
    """A rotation rounded to float32 would leave 1e-7."""
    block = own_block(variant, shape, dtype=torch.float32)
    assert block.global_scale.dtype == torch.float32
    x, c = draw(shape)
    assert_inverse(cast(block), x, c, 1e-12)


# ---------------------------------------------------------------------- the states on the way


def names_of(variant: Variant, rev: bool) -> list[str]:
    names = ["pre_permutation"] * variant.reverse + ["coupling", "global_affine", "permutation"]
    return names[::-1] if rev else names


@pytest.mark.parametrize("shape", [(1,), (3,), (4, 3, 2)], ids=shape_id)
@every_variant
def test_sub_stages_end_at_forwards_output_and_sum_to_its_log_det(variant: Variant, shape: tuple[int, ...]) -> None:
    block = own_block(variant, shape, 1)
    x, c = draw(shape, 1)
    for rev in DIRECTIONS:
        stages = block.sub_stages([x], c, rev=rev)
        (y,), log_det = block([x], c, rev=rev)
        assert [stage.name for stage in stages] == names_of(variant, rev)
        assert_close(stages[-1].x, y, 1e-13, f"y, {DIRECTIONS[rev]}")
        assert_close(sum(stage.log_det for stage in stages), log_det, 1e-13, f"log_det, {DIRECTIONS[rev]}")


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)], ids=shape_id)
@every_direction
@every_variant
def test_log_det_of_every_sub_stage_matches_autograd(variant: Variant, rev: bool, shape: tuple[int, ...]) -> None:
    """By the chain rule a step's log|det| is that of the map up to it less that of the map before it."""
    block = own_block(variant, shape, 1)
    x, c = draw(shape, 1)
    before = torch.zeros(len(x), dtype=x.dtype)
    for i, stage in enumerate(block.sub_stages([x], c, rev=rev)):
        after = log_abs_det(lambda x: block.sub_stages([x], c, rev=rev)[i].x, x)  # noqa: B023
        assert_close(stage.log_det, after - before, 1e-10, stage.name)
        before = after


@every_structure
def test_reverse_walks_through_the_states_of_forward(variant: Variant) -> None:
    block = own_block(variant, (4,))
    x, _ = draw((4,))
    there = [x] + [stage.x for stage in block.sub_stages([x])]
    back = [there[-1]] + [stage.x for stage in block.sub_stages([there[-1]], rev=True)]
    assert len(there) == len(back)
    for a, b in zip(there, reversed(back), strict=True):
        assert_close(a, b, 1e-12)


def test_coupling_leaves_the_first_and_larger_half_alone() -> None:
    block = own_block(Variant("EXP"), (5,))
    x, _ = draw((5,))
    coupled = block.sub_stages([x])[0].x
    assert torch.equal(coupled[:, :3], x[:, :3])
    assert (coupled[:, 3:] - x[:, 3:]).abs().min() > 1e-3


def test_offset_is_added_before_the_permutation() -> None:
    """y = P(Ψ u + o), not P Ψ u + o as FrEIA's docstring says."""
    block = own_block(Variant("EXP"), (4,))
    p = block.w_perm
    before, after = (stage.x for stage in block.sub_stages([torch.zeros(1, 4, dtype=torch.float64)])[:2])
    moved = after - before * block.global_scale.exp()
    assert_close(moved, block.global_offset.detach(), 1e-14)
    y = block([torch.zeros(1, 4, dtype=torch.float64)])[0][0]
    assert_close(y, after @ p.T, 1e-14)


# ---------------------------------------------------------------------- the permutation


@pytest.mark.parametrize("reflections", [0, 1, 2, 3, 4], ids="householder{}".format)
@pytest.mark.parametrize("channels", [2, 3, 5])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_each_mirror_flips_the_sign_of_det_and_keeps_the_volume(soft: bool, channels: int, reflections: int) -> None:
    block = own_block(Variant(soft=soft, householder=reflections), (channels,))
    p = block.kernels()[0].detach()
    assert_close(p @ p.T, torch.eye(channels, dtype=p.dtype), 1e-14)
    start = block.w_0 if reflections else block.w_perm
    assert torch.linalg.det(p).item() == pytest.approx((-1) ** reflections * torch.linalg.det(start).item(), abs=1e-13)
    if soft:
        assert torch.linalg.det(start).item() == pytest.approx(1.0, abs=1e-13)

    x, _ = draw((channels,))
    j = jacobians(lambda x: block([x])[0][0], x)
    sign, logabsdet = torch.linalg.slogdet(j)
    assert torch.equal(sign, torch.linalg.det(p).sign().expand(len(x)))
    assert_close(block([x])[1], logabsdet, 1e-10)


def test_a_reflection_vector_mirrors_across_the_line_perpendicular_to_it() -> None:
    block = own_block(Variant(soft=True, householder=1), (2,))
    with torch.no_grad():
        block.w_0.copy_(torch.eye(2))
        block.vk_householder.copy_(torch.tensor([[3.0, 4.0]]))
    p = block._construct_householder_permutation()
    assert_close(p @ torch.tensor([3.0, 4.0]).double(), torch.tensor([-3.0, -4.0]).double(), 1e-15)
    assert_close(p @ torch.tensor([-4.0, 3.0]).double(), torch.tensor([-4.0, 3.0]).double(), 1e-15)


def test_reflections_multiply_the_fixed_matrix_from_the_right_in_order() -> None:
    """P = w_0 H_1 H_2: H_2 acts first. FrEIA's docstring has the fixed matrix on the right."""
    block = own_block(Variant(soft=True, householder=2), (3,))
    v = block.vk_householder.detach()
    h1, h2 = (torch.eye(3, dtype=torch.float64) - 2 * torch.outer(u, u) / u.dot(u) for u in v)
    p = block._construct_householder_permutation()
    assert_close(p, block.w_0 @ h1 @ h2, 1e-14)
    assert (p - block.w_0 @ h2 @ h1).abs().max() > 0.1
    assert (p - h1 @ h2 @ block.w_0).abs().max() > 0.1


def test_hard_permutation_moves_channels_and_changes_no_value() -> None:
    for seed in range(10):
        block = own_block(Variant(), (5, 2), seed=seed)
        x, _ = draw((5, 2))
        y = block._pre_permute(x, rev=True)
        assert torch.equal(y.sort(dim=1).values, x.sort(dim=1).values)
        assert set(block.w_perm.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("householder", [0, 1], ids="householder{}".format)
def test_reverse_permutation_couples_along_turned_axes(soft: bool, householder: int) -> None:
    """The block is P · C · P⁻¹, where C is the same block without any permutation."""
    shape = (3, 2)
    block = own_block(Variant("EXP", soft=soft, householder=householder, reverse=True), shape)
    plain = own_block(Variant("EXP"), shape)
    eye = torch.eye(3, dtype=torch.float64)[..., None]
    own = {k: w for k, w in block.state_dict().items() if k.startswith(("global", "subnet"))}
    plain.load_state_dict(own | {"w_perm": eye, "w_perm_inv": eye})
    p = block.kernels()[0].detach().flatten(1)

    x, _ = draw(shape)
    (y,), log_det = block([x])
    (turned,), expected_log_det = plain([mixed(p.T, x)])
    assert_close(y, mixed(p, turned), 1e-13)
    assert_close(log_det, expected_log_det, 1e-13)


# ---------------------------------------------------------------------- the coupling


class Constant(nn.Module):
    """A conditioner whose raw outputs are given and do not depend on its input."""

    def __init__(self, a: Tensor) -> None:
        super().__init__()
        self.register_buffer("a", a)

    def forward(self, x: Tensor) -> Tensor:
        return self.a.expand(x.shape[0], *self.a.shape).to(x)


def constant_block(a: Tensor, shape: tuple[int, ...], **arguments: object) -> AllInOneBlock:
    """A block with P = 1, Ψ = 1, o = 0 whose conditioner gives `a`: nothing but a coupling."""
    arguments |= {"global_affine_type": "EXP", "subnet_constructor": lambda *_: Constant(a)}  # e⁰ is exactly 1
    block = AllInOneBlock([shape], **arguments).double()
    eye = torch.eye(shape[0]).reshape(block.w_perm.shape)
    block.load_state_dict({**block.state_dict(), "w_perm": eye, "w_perm_inv": eye})
    return block


def log_stretch(block: AllInOneBlock, shape: tuple[int, ...]) -> Tensor:
    """log ∂y/∂x of the active entries at the origin."""
    x = torch.zeros(1, *shape, dtype=torch.float64)
    diagonal = jacobians(lambda x: block([x])[0][0], x)[0].diagonal().reshape(shape)
    return diagonal[shape[0] - shape[0] // 2 :].log()


@pytest.mark.parametrize("alpha", [0.5, 1.9, 3.0])
@pytest.mark.parametrize("dialect", ["freia-0.2", "freia-main"])
def test_one_block_stretches_by_a_factor_within_the_clamp(dialect: str, alpha: float) -> None:
    """The bounds e^±α are kept and reached."""
    arguments = {"affine_clamping": alpha, "clamp_dialect": dialect}
    for a_s in [*torch.linspace(-60, 60, 25).tolist(), -1e30, 1e30]:
        block = constant_block(torch.tensor([a_s, 0.3]), (2,), **arguments)
        s = log_stretch(block, (2,)).item()
        assert -alpha <= s + 1e-12
        assert s - 1e-12 <= alpha
        if abs(a_s) > 1e3:
            assert s == pytest.approx(math.copysign(alpha, a_s), abs=1e-12)


def test_translation_is_a_tenth_of_the_subnets_output_and_is_not_clamped() -> None:
    block = constant_block(torch.tensor([0.0, 1234.0]), (2,))
    y = block([torch.zeros(1, 2, dtype=torch.float64)])[0][0]
    assert_close(y, torch.tensor([[0.0, 123.4]], dtype=torch.float64), 1e-6)


@pytest.mark.parametrize(("shape", "limit"), [((2,), 0.06), ((3, 2, 2), 0.2)], ids=["mlp", "conv"])
def test_an_untrained_block_is_nearly_its_permutation(shape: tuple[int, ...], limit: float) -> None:
    """The subnet's output is scaled by 0.1; a block without that would move points almost ten times as far."""
    for seed in range(10):
        rng = generator_of("untrained", seed)
        subnet = mlp(64, 2, generator=rng) if len(shape) == 1 else _smallest_conv(rng)
        block = AllInOneBlock([shape], subnet_constructor=subnet, permute_soft=True, generator=rng)
        x, _ = draw(shape, n=1000, dtype=torch.float32)
        (y,), log_det = block([x])
        moved = (y - block._pre_permute(x, rev=True)).square().mean().sqrt()
        assert 0 < moved < limit
        assert 0 < log_det.abs().mean() / math.prod(shape[1:]) < limit


def _smallest_conv(rng: torch.Generator) -> object:
    """A 1×1 convolution with the weights of aio's linear layer."""

    def build(channels_in: int, channels_out: int) -> nn.Module:
        linear = mlp(1, 0, generator=rng)(channels_in, channels_out)[0]
        conv = nn.Conv2d(channels_in, channels_out, 1)
        with torch.no_grad():
            conv.weight.copy_(linear.weight[..., None, None])
            conv.bias.copy_(linear.bias)
        return conv

    return build


# ---------------------------------------------------------------------- GIN


@few_variants
def test_gin_in_two_dimensions_is_a_shear(variant: Variant) -> None:
    """u2 − x2 depends on x1 alone, and the log-determinant is exactly 0."""
    block = own_block(Variant(variant.kind, gin=True, soft=variant.soft), (2,))
    x1, x2 = torch.meshgrid(torch.linspace(-2, 2, 9), torch.linspace(-3, 3, 7), indexing="ij")
    x = torch.stack([x1.flatten(), x2.flatten()], dim=1).double()
    for rev in DIRECTIONS:
        assert torch.equal(block([x], rev=rev)[1], torch.zeros(len(x), dtype=x.dtype))
    coupled = block.sub_stages([x])[0].x
    shift = (coupled - x)[:, 1].reshape(9, 7)
    assert_close(shift, shift[:, :1].expand(9, 7), 1e-14)
    assert shift[:, 0].std() > 0.01
    assert torch.equal(coupled[:, 0], x[:, 0])


@pytest.mark.parametrize("shape", [(2,), (3,), (5,), (6, 2), (4, 2, 2), (3, 2, 1, 2)], ids=shape_id)
@few_variants
def test_gin_preserves_volume(variant: Variant, shape: tuple[int, ...]) -> None:
    """Checked on the Jacobian, not on the log-determinant that the block returns."""
    gin = Variant(variant.kind, True, variant.soft, variant.householder, variant.reverse)
    block = own_block(gin, shape)
    x, _ = draw(shape)
    assert log_abs_det(lambda x: block([x])[0][0], x).abs().max() < 1e-12


@pytest.mark.parametrize("shape", [(6,), (10,), (4, 3), (2, 3, 3)], ids=shape_id)
@pytest.mark.parametrize("alpha", [0.7, 2.0])
def test_gin_bounds_s_after_centring(alpha: float, shape: tuple[int, ...]) -> None:
    """|s| ≤ 2α(n − 1)/n for n > 2 active entries, which is reached when one entry stands against the others."""
    active = (shape[0] // 2, *shape[1:])
    n = math.prod(active)
    assert n > 2
    bound = 2 * alpha * (n - 1) / n
    rng = generator_of("gin bound", shape)
    for scale in (1.0, 10.0, 1e3):
        a = scale * torch.randn(2 * active[0], *active[1:], generator=rng)
        s = log_stretch(constant_block(a, shape, affine_clamping=alpha, gin_block=True), shape)
        assert s.abs().max() <= bound + 1e-12
        assert s.sum().abs() < 1e-12

    a = torch.full((2 * active[0], *active[1:]), -1e3)
    a.flatten()[0] = 1e3
    s = log_stretch(constant_block(a, shape, affine_clamping=alpha, gin_block=True), shape)
    assert s.abs().max().item() == pytest.approx(bound, abs=1e-12)
    assert bound > alpha


@every_direction
def test_gin_keeps_global_scale_in_the_state_dict_and_gives_it_no_gradient(rev: bool) -> None:
    block = own_block(Variant(gin=True), (4,))
    x, _ = draw((4,))
    (y,), log_det = block([x], rev=rev)
    (y.square().sum() + log_det.sum()).backward()
    assert "global_scale" in block.state_dict()
    assert block.global_scale.grad is None
    assert block.global_offset.grad.abs().min() > 0  # the offset still trains
    with torch.no_grad():
        block.global_scale.add_(1.0)
    assert torch.equal(block([x], rev=rev)[0][0], y)


# ---------------------------------------------------------------------- affine slices


def test_one_block_is_affine_along_the_active_axis() -> None:
    """At a fixed x1 a vertical slice stays a straight line, evenly spaced."""
    block = own_block(Variant(soft=True), (2,))
    x2 = torch.linspace(-5, 5, 21, dtype=torch.float64)
    y = block([torch.stack([torch.full_like(x2, 0.7), x2], dim=1)])[0][0]
    steps = y.diff(dim=0)
    assert_close(steps, steps[:1].expand_as(steps), 1e-13)
    assert steps.abs().max() > 0.1


# ---------------------------------------------------------------------- the contract


def signature_of(function: object) -> list[tuple[str, object, str]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.default, p.kind.name) for p in parameters]


REQUIRED = inspect.Parameter.empty
EITHER, KEYWORD = "POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"


def test_constructor_has_the_signature_of_freias_and_adds_keywords_only() -> None:
    assert signature_of(AllInOneBlock.__init__) == [
        ("self", REQUIRED, EITHER),
        ("dims_in", REQUIRED, EITHER),
        ("dims_c", [], EITHER),
        ("subnet_constructor", None, EITHER),
        ("affine_clamping", 2.0, EITHER),
        ("gin_block", False, EITHER),
        ("global_affine_init", 1.0, EITHER),
        ("global_affine_type", "SOFTPLUS", EITHER),
        ("permute_soft", False, EITHER),
        ("learned_householder_permutation", 0, EITHER),
        ("reverse_permutation", False, EITHER),
        ("clamp_dialect", "freia-0.2", KEYWORD),
        ("generator", None, KEYWORD),
    ]


def test_forward_has_the_signature_of_freias() -> None:
    assert signature_of(AllInOneBlock.forward) == [
        ("self", REQUIRED, EITHER),
        ("x", REQUIRED, EITHER),
        ("c", [], EITHER),
        ("rev", False, EITHER),
        ("jac", True, EITHER),
    ]


@pytest.mark.parametrize("shape", [(1,), (3,), (3, 2), (3, 4, 5), (3, 2, 2, 2)], ids=shape_id)
def test_output_has_the_input_shape_and_one_log_det_per_row(shape: tuple[int, ...]) -> None:
    block = own_block(Variant(), shape)
    x, _ = draw(shape, n=7)
    for rev, jac, sequence in itertools.product((False, True), (False, True), (list, tuple)):
        outputs, log_det = block(sequence([x]), [], rev, jac)
        assert isinstance(outputs, tuple)
        assert [y.shape for y in outputs] == [(7, *shape)]
        assert log_det.shape == (7,)
    assert block.output_dims([shape]) == [shape]


@every_direction
def test_the_log_det_comes_also_when_jac_is_false(rev: bool) -> None:
    """FrEIA's own distributions rely on it."""
    block = own_block(Variant(), (3,))
    x, _ = draw((3,))
    assert torch.equal(block([x], rev=rev, jac=False)[1], block([x], rev=rev, jac=True)[1])
    assert block([x], rev=rev, jac=False)[1].abs().min() > 0


@few_variants
def test_what_is_not_learned_is_a_buffer(variant: Variant) -> None:
    block = own_block(variant)
    learned = {"vk_householder"} if variant.householder else set()
    fixed = {"w_0"} if variant.householder else {"w_perm", "w_perm_inv"}
    names = {name for name, _ in block.named_parameters() if not name.startswith("subnet.")}
    assert names == {"global_scale", "global_offset"} | learned
    assert {name for name, _ in block.named_buffers()} == fixed
    block.requires_grad_(True)
    assert all(p.requires_grad for p in block.parameters())
    assert not any(b.requires_grad for b in block.buffers())


def test_repr_tells_the_variant() -> None:
    text = repr(own_block(Variant("EXP", soft=True, householder=3, reverse=True), clamp_dialect="freia-main"))
    for part in ("EXP", "soft", "householder=3", "reverse_permutation", "freia-main", "clamp=2"):
        assert part in text
    assert "gin" in repr(own_block(Variant(gin=True)))


@pytest.mark.parametrize(("method", "arguments"), [("forward", ([],)), ("output_dims", ([(2,)],))])
def test_an_invertible_module_must_define_its_methods(method: str, arguments: tuple[object, ...]) -> None:
    class Unfinished(InvertibleModule):
        pass

    with pytest.raises(TypeError, match=f"Unfinished must define {method}"):
        getattr(Unfinished([(2,)]), method)(*arguments)
