"""The parts of the inside: conditioner, clamp, permutation, round trip, flows with a block changed, shares of axes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from aio.block import AllInOneBlock, soft_clamp
from aio.by_hand import BlockEdit, HandCurve, edited
from aio.config import BlockConfig, FlowConfig, SubnetConfig
from aio.flow import Flow, build
from aio.inspection import (
    active_shares,
    conditioner,
    dead_axes,
    density_along,
    film,
    gaussian_slice,
    held_out_change,
    in_double,
    mixing,
    repeated,
    round_trip_errors,
    saturated_beyond,
    saturation,
    vertical_slice,
    with_block,
    without_block,
    worst_by_depth,
)
from aio.inspection.conditioner import KERNEL_WIDTH
from tests.reference import Variant, assert_close, draw, jacobians, own_block, perturb, subnet_for
from tests.test_inspection_film import Case, by_formula, every_structure

DIALECTS = ("freia-0.2", "freia-main")
SMALL = SubnetConfig(width=8, depth=1, activation="tanh")

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def along(n: int = 41, reach: float = 3.0) -> Tensor:
    return torch.linspace(-reach, reach, n, dtype=torch.float64)


def clamped(a: np.ndarray, alpha: float, dialect: str) -> np.ndarray:
    return alpha * np.tanh(a / alpha) if dialect == "freia-main" else alpha * np.tanh(a)


def by_hand(case: Case, **more: object) -> AllInOneBlock:
    return edited(case.block(), BlockEdit(**more))


# ---------------------------------------------------------------------- the conditioner


@every_structure
def test_the_conditioner_is_the_formula_with_the_trained_network(case: Case) -> None:
    block, x1 = case.block(), along()
    at = torch.stack([x1, torch.zeros_like(x1)], 1)
    if case.variant.reverse:  # by_formula takes points at the block's input
        at = at @ block.kernels()[0].detach().T
    expected, found = by_formula(block, case, at), conditioner(block, x1)
    assert torch.equal(found.x1, x1)
    for actual, numbers in ((found.before, expected.a_s), (found.s, expected.s), (found.t, expected.t)):
        assert_close(actual, torch.tensor(numbers), 1e-12)
        assert not actual.requires_grad


@pytest.mark.parametrize("gin", [False, True], ids=["affine", "gin"])
@every_dialect
def test_the_conditioner_of_curves_set_by_hand(dialect: str, gin: bool) -> None:
    s = HandCurve(kind="sine", level=0.3, amplitude=2.5, rate=1.7, centre=-0.4)
    t = HandCurve(kind="step", level=-1.0, amplitude=0.8, rate=6.0, centre=0.9)
    found = conditioner(by_hand(Case(Variant(gin=gin), dialect, alpha=0.9), s=s, t=t), along())
    x = along().numpy()
    before = 0.3 + 2.5 * np.sin(1.7 * (x + 0.4))
    assert_close(found.before, torch.tensor(before), 1e-13)
    assert_close(found.s, torch.tensor(0 * x if gin else clamped(before, 0.9, dialect)), 1e-13)
    assert_close(found.t, torch.tensor(-1.0 + 0.8 * np.tanh(6.0 * (x - 0.9))), 1e-13)


@every_dialect
def test_a_vertical_slice_is_affine_and_the_films(dialect: str) -> None:
    block, x2 = Case(Variant(soft=True), dialect).block(), along(21)
    for x1 in (-1.3, 0.0, 2.0):
        found = vertical_slice(block, x1, x2)
        assert found.diff(n=2).abs().max() < 1e-12
        at = conditioner(block, torch.tensor([x1], dtype=torch.float64))
        assert_close(found, x2 * at.s.exp() + at.t, 1e-13)
        points = torch.stack([torch.full_like(x2, x1), x2], 1)
        coupled = next(step for step in film(block, points) if step.name == "coupling")
        assert_close(found, coupled.x[:, 1], 1e-13)
        assert not found.requires_grad
    slopes = [vertical_slice(block, x1, x2).diff().mean() for x1 in (-1.3, 2.0)]
    assert (slopes[0] - slopes[1]).abs() > 1e-2


@pytest.mark.parametrize("gin", [False, True], ids=["affine", "gin"])
def test_a_normal_slice_stays_normal(gin: bool) -> None:
    block, x2 = Case(Variant(gin=gin)).block(), along(21)
    for x1 in (-1.3, 0.4):
        found = gaussian_slice(block, x1, x2)
        at = conditioner(block, torch.tensor([x1], dtype=torch.float64))
        s, t = at.s.item(), at.t.item()
        assert torch.equal(found.x2, x2)
        assert_close(found.u2, x2 * math.exp(s) + t, 1e-13)
        assert_close(found.density_in, torch.tensor(stats.norm.pdf(x2.numpy())), 1e-14)
        assert_close(found.density_out, torch.tensor(stats.norm(t, math.exp(s)).pdf(found.u2.numpy())), 1e-13)


def test_the_density_on_a_line_is_a_kernel_estimate() -> None:
    points, at = draw((1,), n=300)[0][:, 0], along(201, 8.0)
    found = density_along(at, points)
    kernel = stats.gaussian_kde(points.numpy())
    kernel.set_bandwidth(KERNEL_WIDTH)  # of the points' own standard deviation
    assert_close(found, torch.tensor(kernel(at.numpy())), 1e-10)
    assert torch.trapezoid(found, at).item() == pytest.approx(1.0, abs=1e-6)


# ---------------------------------------------------------------------- the clamp


@every_dialect
@pytest.mark.parametrize("alpha", [0.5, 2.0, 7.0])
def test_the_gradient_left_is_autograds(alpha: float, dialect: str) -> None:
    block, x1 = Case(Variant(), dialect, alpha).block(), along()
    found = saturation(block, x1)
    a = found.working.clone().requires_grad_()
    assert_close(found.working, conditioner(block, x1).before, 1e-15)
    (slope,) = torch.autograd.grad(soft_clamp(a, alpha, dialect).sum(), a)
    (at_0,) = torch.autograd.grad(soft_clamp(zero := torch.zeros((), requires_grad=True), alpha, dialect), zero)
    assert_close(found.gradient_left, slope / at_0.double(), 1e-13)
    assert found.share == (slope < 0.1 * at_0).double().mean().item()


@every_dialect
@pytest.mark.parametrize("alpha", [0.5, 2.0, 7.0])
def test_the_edge_of_saturation_leaves_a_tenth(alpha: float, dialect: str) -> None:
    edge = saturated_beyond(alpha, dialect)
    # 1 − tanh² = sech² = 1/10 where cosh = √10.
    assert edge == pytest.approx(math.acosh(math.sqrt(10)) * (alpha if dialect == "freia-main" else 1), rel=1e-12)
    case = Case(Variant(), dialect, alpha)
    for level, share in ((edge * 0.999, 0.0), (edge * 1.001, 1.0), (-edge * 0.999, 0.0), (-edge * 1.001, 1.0)):
        if abs(level) <= 10:
            found = saturation(by_hand(case, s=HandCurve(level=level)), along())
            assert found.share == share
            assert found.gradient_left.mean().item() == pytest.approx(0.1, rel=1e-2)


@every_dialect
def test_the_share_under_a_line_is_that_of_the_tails(dialect: str) -> None:
    """With a_s = 2 (x1 − ½) and x1 normal, |a_s| passes the edge with a probability of two tails."""
    case = Case(Variant(), dialect, alpha=0.8)
    edge = math.acosh(math.sqrt(10)) * (0.8 if dialect == "freia-main" else 1)
    x1 = torch.tensor(stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    expected = stats.norm.sf(0.5 + edge / 2) + stats.norm.cdf(0.5 - edge / 2)
    found = saturation(by_hand(case, s=HandCurve(kind="linear", amplitude=2.0, centre=0.5)), x1)
    assert found.share == pytest.approx(expected, abs=1 / 2000)


@pytest.mark.parametrize("alpha", [0.1, 2.0, 10.0])
def test_the_stretch_of_one_coupling(alpha: float) -> None:
    found = saturation(Case(Variant(), alpha=alpha).block(), along())
    assert found.stretch == pytest.approx((math.exp(-alpha), math.exp(alpha)), rel=1e-14)
    assert saturation(Case(Variant(gin=True), alpha=alpha).block(), along()).stretch == (1.0, 1.0)
    # and it is reached: s = ±α where the curve is far out.
    for level, stretch in zip((-10.0, 10.0), found.stretch, strict=True):
        block = by_hand(Case(Variant(), alpha=alpha), s=HandCurve(level=level), t=HandCurve())
        assert vertical_slice(block, 0.0, torch.ones(1).double()).item() == pytest.approx(stretch, rel=1e-6)


def test_a_density_after_one_gin_block_is_nowhere_above_the_bases() -> None:
    flow = repeated(Case(Variant(gin=True, soft=True)).block(), 3)
    assert flow.log_prob(draw((2,), n=500)[0]).max() <= -math.log(2 * math.pi)


# ---------------------------------------------------------------------- the permutation


def rotation(degrees: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)


def reflection(degrees: float) -> Tensor:
    """Across the line through 0 in that direction."""
    flip = torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    return rotation(degrees) @ flip @ rotation(-degrees)


@pytest.mark.parametrize("angle", [-179.0, -120.0, -90.0, -3.5, 0.0, 45.0, 90.0, 135.0, 180.0])
def test_the_angle_of_a_turn_is_recovered(angle: float) -> None:
    found = mixing(by_hand(Case(Variant()), angle=angle))
    assert found.angle == pytest.approx(angle, abs=1e-12)
    assert not found.mirrored
    assert_close(found.matrix, rotation(angle), 1e-14)
    assert_close(found.fixed, rotation(angle), 1e-14)
    assert found.normals.shape == (0, 2)


@pytest.mark.parametrize("line", [-80.0, -45.0, 0.0, 10.0, 45.0, 89.0])
@pytest.mark.parametrize("angle", [0.0, 30.0, -100.0])
def test_the_line_of_a_mirror_is_recovered(angle: float, line: float) -> None:
    """w_0 H: a mirror and then a turn is a mirror across a line turned by half the angle."""
    normal = (-math.sin(math.radians(line)), math.cos(math.radians(line)))
    found = mixing(by_hand(Case(Variant()), angle=angle, v=[normal]))
    assert found.mirrored
    assert_close(found.matrix, rotation(angle) @ reflection(line), 1e-14)
    assert_close(found.matrix, reflection(found.angle), 1e-13)
    assert (found.angle - (line + angle / 2) + 90) % 180 == pytest.approx(90, abs=1e-9)
    assert_close(found.fixed, rotation(angle), 1e-14)
    assert -90 <= found.angle <= 90


def test_two_mirrors_make_a_turn_by_twice_the_angle_between_them() -> None:
    normals = [(1.0, 0.0), (math.cos(0.6), math.sin(0.6))]
    found = mixing(by_hand(Case(Variant()), angle=0.0, v=normals))
    assert found.angle == pytest.approx(-math.degrees(1.2), abs=1e-9)  # H₂ first, then H₁
    assert mixing(by_hand(Case(Variant()), angle=0.0, v=normals[::-1])).angle == pytest.approx(math.degrees(1.2))


@every_structure
def test_mixing_is_the_formulas_matrix(case: Case) -> None:
    block = case.block()
    found, expected = mixing(block), by_formula(block, case, draw((2,))[0])
    assert_close(found.matrix, torch.tensor(expected.p), 1e-13)
    assert_close(found.fixed, torch.tensor(expected.w), 0)
    assert found.mirrored == (np.linalg.det(expected.p) < 0)
    assert abs(found.log_abs_det) < 1e-14
    assert found.orthogonality_error < 1e-14
    assert not found.matrix.requires_grad
    vectors = block.state_dict().get("vk_householder", torch.empty(0, 2, dtype=torch.float64))
    assert_close(found.normals, nn.functional.normalize(vectors), 1e-14)
    assert_close(found.matrix, (reflection if found.mirrored else rotation)(found.angle), 1e-13)


def test_a_matrix_that_is_not_orthogonal_shows() -> None:
    block = Case(Variant(soft=True)).block()
    block.w_perm.mul_(1.01)
    found = mixing(block)
    assert found.orthogonality_error == pytest.approx(1.01**2 - 1, abs=1e-12)
    assert found.log_abs_det == pytest.approx(2 * math.log(1.01), abs=1e-12)


def test_a_vector_of_zero_has_no_normal() -> None:
    found = mixing(by_hand(Case(Variant()), angle=20.0, v=[(0.0, 0.0), (0.0, -3.0)]))
    assert found.normals.tolist() == [[0.0, 0.0], [0.0, -1.0]]
    assert_close(found.matrix, rotation(20.0) @ reflection(0.0), 1e-14)


def test_the_normal_of_the_fixed_matrix_is_that_of_a_swap_and_none_of_a_turn() -> None:
    swap = next(b for b in (build(FlowConfig(blocks=1, block=BlockConfig(permutation="hard")), seed).blocks[0]
                            for seed in range(20)) if mixing(b).mirrored)  # fmt: skip
    for block in (swap, edited(swap, BlockEdit(v=((1.0, 0.3),)))):
        assert mixing(block).fixed_normal.abs().tolist() == pytest.approx([math.sqrt(0.5)] * 2)
        assert mixing(block).fixed_normal.prod() < 0  # perpendicular to the line x₁ = x₂
    assert mixing(by_hand(Case(Variant()), angle=30.0)).fixed_normal.tolist() == [0.0, 0.0]


def test_float32_is_orthogonal_to_its_own_rounding() -> None:
    for case in (Case(Variant(soft=True)), Case(Variant(soft=True, householder=3))):
        assert 0 < mixing(case.block(dtype=torch.float32)).orthogonality_error < 1e-6


def test_a_block_of_three_channels_has_no_angle() -> None:
    with pytest.raises(ValueError, match="Expected a block of two channels"):
        mixing(AllInOneBlock([(3,)], [], subnet_for((3,))))


# ---------------------------------------------------------------------- there and back


def flow_of(config: BlockConfig, blocks: int = 3, *, seed: int = 0) -> Flow:
    flow = build(FlowConfig(blocks=blocks, subnet=SMALL, block=config), seed, torch.tensor([3.0, -0.5]))
    for i, block in enumerate(flow.blocks):
        perturb(block, i, seed)
    return flow.double()


def test_a_round_trip_loses_only_rounding() -> None:
    flow, x = flow_of(BlockConfig(clamp=1.0)), draw((2,), n=300)[0]
    double, single = (round_trip_errors(flow, x, dtype) for dtype in (torch.float64, torch.float32))
    assert double.shape == single.shape == (300,)
    assert double.dtype == single.dtype == torch.float64
    assert double.max() < 1e-12
    assert 1e-8 < single.median() < 1e-4
    assert single.median() > 1e5 * double.median()


def test_the_error_is_the_distance_of_the_points() -> None:
    flow, x = flow_of(BlockConfig()), draw((2,), n=50)[0]
    single = flow_of(BlockConfig()).float()
    start = x.float()
    with torch.no_grad():
        back = single.inverse(single(start)[0])[0]
    lost = (back.double() - start.double()).numpy()
    expected = torch.tensor(np.hypot(lost[:, 0], lost[:, 1]))
    assert_close(round_trip_errors(flow, x, torch.float32), expected, 1e-14)
    # Rounding the points themselves is not a loss of the flow's: a point at 1/3 comes back to float32's 1/3.
    nothing = Flow([], flow.base, torch.zeros(2), torch.ones(2))
    assert (round_trip_errors(nothing, torch.full((4, 2), 1 / 3).double(), torch.float32) == 0).all()


def test_the_error_itself_is_not_rounded() -> None:
    class Thrice(Flow):
        def inverse(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return 3 * z, z[:, 0]

    flow = Thrice([], nn.Identity(), torch.zeros(2), torch.ones(2))
    third = np.float32(1 / 3)
    expected = math.sqrt(2) * (float(np.float32(3) * third) - float(third))
    assert round_trip_errors(flow, torch.full((1, 2), 1 / 3), torch.float32).item() == pytest.approx(
        expected, rel=1e-14
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_error_grows_with_the_number_of_blocks(dtype: torch.dtype) -> None:
    wave = HandCurve(kind="sine", amplitude=1.5, rate=3.0)
    block = by_hand(Case(Variant("EXP"), alpha=1.5), s=wave, t=wave, g=(0.0, 0.0), o=(0.1, 0.1), angle=40.0)
    x = draw((2,), n=200)[0]
    medians = [round_trip_errors(repeated(block, k), x, dtype).median().item() for k in (1, 4, 12, 24)]
    assert all(a < b for a, b in itertools.pairwise(medians)), medians
    assert medians[-1] > 100 * medians[0]


def test_the_worst_error_by_depth_is_that_of_the_repeated_block() -> None:
    block, x, depths = Case(Variant("EXP", soft=True)).block(), draw((2,), n=30)[0], (1, 3, 2)
    for dtype in (torch.float32, torch.float64):
        expected = [round_trip_errors(repeated(block, n), x, dtype).max() for n in depths]
        assert torch.equal(worst_by_depth(block, depths, x, dtype), torch.stack(expected))


@pytest.mark.parametrize("householder", [0, 2], ids="householder{}".format)
@pytest.mark.parametrize("permutation", ["hard", "soft"])
def test_weights_that_were_stored_are_orthogonal_again_in_double(permutation: str, householder: int) -> None:
    config = FlowConfig(blocks=4, subnet=SMALL, block=BlockConfig(permutation=permutation, householder=householder))
    stored = build(config, seed=0)
    stored.load_state_dict(build(config, seed=7).state_dict())  # what is loaded is all that is known
    before = {name: w.clone() for name, w in stored.state_dict().items()}
    flow, x = in_double(stored), draw((2,), n=50)[0]
    assert round_trip_errors(flow, x, torch.float64).max() < 1e-13
    for block, given in zip(flow.blocks, stored.blocks, strict=True):
        found = mixing(block)
        assert found.orthogonality_error < 1e-15
        assert_close(block.kernels()[1].detach(), found.matrix.T, 0)
        assert_close(found.matrix.float(), given.kernels()[0].detach(), 2e-7)
    assert all(w.dtype == torch.float64 for w in flow.state_dict().values())
    rest = [name for name in before if not name.endswith(("w_perm", "w_perm_inv", "w_0"))]
    assert all(torch.equal(flow.state_dict()[name], before[name].double()) for name in rest)
    assert all(torch.equal(w, before[name]) for name, w in stored.state_dict().items())


def test_an_extreme_stretch_is_lost_and_never_raises() -> None:
    s = HandCurve(kind="sine", amplitude=10.0, rate=5.0)
    block = by_hand(Case(Variant(soft=True)), s=s, t=s, clamp=10.0, angle=37.0)
    for times in (12, 24):
        flow = repeated(block, times)
        before = {name: w.clone() for name, w in flow.state_dict().items()}
        errors = round_trip_errors(flow, draw((2,), n=100)[0], torch.float32)
        assert errors.shape == (100,)
        assert not (errors < 1).all()  # large, infinite or not a number
        single, start = in_double(flow).float(), draw((2,), n=100)[0].float()
        with torch.no_grad():
            lost = single.inverse(single(start)[0])[0].double() - start.double()
        torch.testing.assert_close(errors, lost.square().sum(1).sqrt(), rtol=1e-13, atol=0, equal_nan=True)
        assert all(torch.equal(w, before[name]) for name, w in flow.state_dict().items())
    assert (~torch.isfinite(round_trip_errors(repeated(block, 24), 1e38 * torch.ones(3, 2), torch.float32))).any()


@pytest.mark.parametrize("given", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_flow_given_is_not_changed(given: torch.dtype) -> None:
    flow = flow_of(BlockConfig(householder=1)).to(given)
    before = {name: w.clone() for name, w in flow.state_dict().items()}
    for dtype in (torch.float32, torch.float64):
        round_trip_errors(flow, draw((2,))[0], dtype)
    assert all(w.dtype == given and torch.equal(w, before[name]) for name, w in flow.state_dict().items())


def test_a_float32_flow_is_exact_in_float64() -> None:
    """The exact rotations come back with the cast, for blocks set by hand too."""
    flow = build(FlowConfig(blocks=4, subnet=SMALL), seed=0)
    x = draw((2,), n=50)[0]
    assert round_trip_errors(flow, x, torch.float64).max() < 1e-13
    for edit in (BlockEdit(o=(1.0, 0.0)), BlockEdit(angle=33.0), BlockEdit(v=[(1.0, 2.0)])):
        changed = with_block(flow, 1, edited(flow.blocks[1], edit))
        assert round_trip_errors(changed, x, torch.float64).max() < 1e-13, edit


# ---------------------------------------------------------------------- flows with a block changed


def direct(flow: Flow, x: Tensor, blocks: list[AllInOneBlock]) -> Tensor:
    """log q(x) of these blocks behind the flow's standardisation."""
    z, log_q = (x - flow.loc) / flow.scale, -flow.scale.log().sum()
    for block in blocks:
        (z,), log_det = block([z])
        log_q = log_q + log_det
    return log_q - z.square().sum(1) / 2 - math.log(2 * math.pi)


def test_a_block_is_switched_off_or_exchanged() -> None:
    flow, x = flow_of(BlockConfig(), 4), draw((2,), n=20)[0]
    flow.scale.mul_(2.5)
    blocks, other = list(flow.blocks), Case(Variant("EXP", soft=True)).block()
    for i in range(4):
        without, changed = without_block(flow, i), with_block(flow, i, other)
        rest = [block for j, block in enumerate(blocks) if j != i]
        exchanged = [*blocks[:i], other, *blocks[i + 1 :]]
        assert list(without.blocks) == rest  # the same objects
        assert list(changed.blocks) == exchanged
        assert_close(without.log_prob(x), direct(flow, x, rest), 1e-12)
        assert_close(changed.log_prob(x), direct(flow, x, exchanged), 1e-12)
        for made in (without, changed):
            assert torch.equal(made.loc, flow.loc)
            assert torch.equal(made.scale, flow.scale)
            assert made.base is flow.base
    assert list(flow.blocks) == blocks
    assert_close(flow.log_prob(x), direct(flow, x, blocks), 1e-12)


def test_a_flow_of_one_block_switched_off_is_its_base() -> None:
    flow, x = flow_of(BlockConfig(), 1), draw((2,), n=20)[0]
    expected = stats.multivariate_normal(flow.loc.numpy(), np.diag(flow.scale.numpy() ** 2)).logpdf(x.numpy())
    assert_close(without_block(flow, 0).log_prob(x), torch.tensor(expected), 1e-12)


def test_a_block_repeated_is_one_block_shared() -> None:
    block, x = Case(Variant("EXP", soft=True)).block(), draw((2,), n=20)[0]
    flow = repeated(block, 5)
    assert len(flow.blocks) == 5
    assert all(each is block for each in flow.blocks)
    assert flow.loc.dtype == torch.float64
    assert_close(flow.log_prob(x), direct(flow, x, [block] * 5), 1e-12)
    z = x
    for _ in range(5):
        z = block([z])[0][0]
    assert_close(flow(x)[0], z, 1e-12)
    assert repeated(block.float(), 2).loc.dtype == torch.float32


def test_the_change_of_the_held_out_loss() -> None:
    flow, points = flow_of(BlockConfig(), 3), draw((2,), n=400)[0]
    other = without_block(flow, 1)
    log_q, log_r = flow.log_prob(points).detach().numpy(), other.log_prob(points).detach().numpy()
    rise, error = held_out_change(flow, other, points)
    assert rise == pytest.approx(-log_r.mean() + log_q.mean(), abs=1e-12)  # NLL′ − NLL
    assert error == pytest.approx(stats.sem(log_q - log_r), rel=1e-12)
    assert held_out_change(other, flow, points) == pytest.approx((-rise, error), abs=1e-12)
    assert held_out_change(flow, flow, points) == (0.0, 0.0)


def test_the_difference_is_paired() -> None:
    """Two flows that differ by a constant: the losses scatter, their difference does not."""
    flow, points = flow_of(BlockConfig(), 2), draw((2,), n=400)[0]
    last = flow.blocks[-1]
    turned = with_block(flow, 1, edited(last, BlockEdit(angle=77.0)))  # the base does not see the last turn
    rise, error = held_out_change(flow, turned, points)
    assert rise == pytest.approx(0.0, abs=1e-12)
    assert error < 1e-12
    assert stats.sem(flow.log_prob(points).detach().numpy()) > 1e-2


def test_the_standard_error_covers_the_truth_as_often_as_it_says() -> None:
    """Under a uniform density on a square the mean is an integral; the error is near its scatter over batches."""
    flow, other = flow_of(BlockConfig(), 2), flow_of(BlockConfig(), 2, seed=1)
    rng = torch.Generator().manual_seed(5)
    batches = [2 * torch.rand(200, 2, generator=rng, dtype=torch.float64) - 1 for _ in range(60)]
    rises, errors = zip(*(held_out_change(flow, other, batch) for batch in batches), strict=True)
    assert np.mean(errors) == pytest.approx(np.std(rises, ddof=1), rel=0.35)

    def difference(at: np.ndarray) -> np.ndarray:
        x = torch.tensor(np.atleast_2d(at))
        return (flow.log_prob(x) - other.log_prob(x)).detach().numpy()

    nodes, weights = np.polynomial.legendre.leggauss(40)
    grid = np.stack([g.ravel() for g in np.meshgrid(nodes, nodes)], 1)
    truth = float(np.outer(weights, weights).ravel() @ difference(grid)) / 4
    assert abs(np.mean(rises) - truth) < 4 * np.mean(errors) / math.sqrt(60)


# ---------------------------------------------------------------------- shares of the axes


def shares_by_autograd(flow: Flow) -> Tensor:
    """How the active channel of each coupling depends on the data when no coupling or affine layer acts."""
    rows = []
    for i, block in enumerate(flow.blocks):

        def at_coupling(x: Tensor, i: int = i) -> Tensor:
            for earlier in flow.blocks[:i]:
                w = earlier.kernels()[0]
                x = x @ w if earlier.reverse_permutation else x  # P⁻¹ before the coupling, P after it
                x = x @ w.T
            return x @ flow.blocks[i].kernels()[0] if flow.blocks[i].reverse_permutation else x

        j = jacobians(at_coupling, torch.zeros(1, flow.dim, dtype=torch.float64))[0].detach()
        rows.append(j[block.split[0] :].square().sum(0))
    return torch.stack(rows)


@pytest.mark.parametrize("dim", [2, 3, 5], ids="{}d".format)
@pytest.mark.parametrize("reverse", [False, True], ids=["plain", "reversed"])
@pytest.mark.parametrize("permutation", ["hard", "soft"])
@pytest.mark.parametrize("householder", [0, 2], ids="householder{}".format)
def test_active_shares_follow_the_permutations(permutation: str, householder: int, reverse: bool, dim: int) -> None:
    config = BlockConfig(permutation=permutation, householder=householder, reverse_permutation=reverse)
    for seed in range(4):
        flow = build(FlowConfig(blocks=4, block=config, subnet=SMALL, overrides={2: BlockConfig()}), seed, dim=dim)
        flow = flow.double()
        found = active_shares(flow)
        assert_close(found.double(), shares_by_autograd(flow), 1e-5)
        torch.testing.assert_close(found.sum(1), torch.full((4,), float(dim // 2)), atol=1e-5, rtol=0)
        dead = tuple(a for a in range(dim) if (found[:, a] == 0).all())
        assert dead_axes(flow) == dead


def test_active_shares_of_turns_are_squares_of_cosines() -> None:
    flow = build(FlowConfig(blocks=3, subnet=SMALL), 0)
    angles = (20.0, 35.0, 0.0)
    for i, angle in enumerate(angles):
        flow = with_block(flow, i, edited(flow.blocks[i], BlockEdit(angle=angle)))
    expected = [[math.sin(math.radians(a)) ** 2, math.cos(math.radians(a)) ** 2] for a in (0.0, 20.0, 55.0)]
    torch.testing.assert_close(active_shares(flow), torch.tensor(expected), atol=1e-6, rtol=0)


def test_one_dimension_has_no_active_share() -> None:
    assert active_shares(build(FlowConfig(blocks=2), 0, dim=1)).tolist() == [[0.0], [0.0]]
    assert own_block(Variant(), (1,)).split == (1, 0)
