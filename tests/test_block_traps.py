"""What goes wrong with the published blocks does not go wrong with AllInOneBlock; bad arguments say the mend."""

from __future__ import annotations

import copy
import pickle
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aio.block import AllInOneBlock
from aio.subnets import mlp
from tests.reference import (
    FEW_VARIANTS,
    SPATIAL,
    STRUCTURES,
    VARIANTS,
    Variant,
    assert_close,
    draw,
    generator_of,
    own_block,
    psi_of,
    seeded_globals,
    shape_id,
    subnet_for,
)

DIRECTIONS = {False: "forward", True: "reverse"}

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
few_variants = pytest.mark.parametrize("variant", FEW_VARIANTS, ids=str)
every_structure = pytest.mark.parametrize("variant", STRUCTURES, ids=str)
every_direction = pytest.mark.parametrize("rev", DIRECTIONS, ids=DIRECTIONS.get)


def loss_of(block: AllInOneBlock, x: Tensor, rev: bool = False) -> Tensor:
    (y,), log_det = block([x], rev=rev)
    return (
        y.square().sum() + (y.sum(dim=0) * torch.arange(1, 1 + y[0].numel()).reshape(y[0].shape)).sum() + log_det.sum()
    )


def grad_of(loss: Tensor, block: AllInOneBlock) -> list[Tensor]:
    trained = [p for name, p in block.named_parameters() if not (block.gin_block and name == "global_scale")]
    return list(torch.autograd.grad(loss, trained))


# ---------------------------------------------------------------------- randomness


def seeded_block(variant: Variant, seed: int, shape: tuple[int, ...] = (6,)) -> AllInOneBlock:
    rng = torch.Generator().manual_seed(seed)
    return AllInOneBlock([shape], [], mlp(8, 1, generator=rng), **variant.arguments, generator=rng)


@every_structure
def test_a_generator_determines_the_whole_block(variant: Variant) -> None:
    first, again = seeded_block(variant, 5).state_dict(), seeded_block(variant, 5).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@every_structure
def test_other_seeds_give_other_blocks(variant: Variant) -> None:
    first, other = seeded_block(variant, 5).state_dict(), seeded_block(variant, 6).state_dict()
    for name in first.keys() - {"global_scale", "global_offset"}:
        assert not torch.equal(first[name], other[name]), name


@every_structure
def test_a_generator_leaves_the_global_ones_alone(variant: Variant) -> None:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    block = seeded_block(variant, 5)
    block([torch.zeros(2, 6)])
    after = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    assert before[2] == after[2]


@every_structure
def test_torchs_manual_seed_reproduces_a_block_without_a_generator(variant: Variant) -> None:
    """FrEIA 0.2 draws its permutations from numpy's generator, so there it does not."""
    blocks = []
    for numpy_seed in (1, 2):
        with seeded_globals(0):
            np.random.seed(numpy_seed)  # noqa: NPY002
            blocks.append(AllInOneBlock([(6,)], [], nn.Linear, **variant.arguments).state_dict())
    assert all(torch.equal(blocks[0][name], blocks[1][name]) for name in blocks[0])


def test_reflection_vectors_start_with_standard_deviation_0_2() -> None:
    block = seeded_block(Variant(householder=500), 0, (20,))
    assert block.vk_householder.shape == (500, 20)
    assert block.vk_householder.std().item() == pytest.approx(0.2, rel=0.03)
    assert block.vk_householder.mean().item() == pytest.approx(0.0, abs=0.01)


# ---------------------------------------------------------------------- copies, pickles, threads


@pytest.mark.parametrize("shape", [(1,), (3,), (4, 3, 2)], ids=shape_id)
@every_variant
def test_pickle_makes_a_round_trip(variant: Variant, shape: tuple[int, ...]) -> None:
    block = own_block(variant, shape)
    x, _ = draw(shape)
    loss_of(block, x)  # what a forward left behind must not be in the way
    again = pickle.loads(pickle.dumps(block))
    for rev in DIRECTIONS:
        (y,), log_det = block([x], rev=rev)
        (y_again,), log_det_again = again([x], rev=rev)
        assert torch.equal(y, y_again)
        assert torch.equal(log_det, log_det_again)


@every_structure
def test_deepcopy_after_a_forward_with_gradients(variant: Variant) -> None:
    """FrEIA keeps the Householder matrix, graph and all, on the module: there it raises."""
    block = own_block(variant)
    x, _ = draw((3,))
    loss = loss_of(block, x)
    twin = copy.deepcopy(block)
    assert torch.equal(loss_of(twin, x), loss)
    with torch.no_grad():
        for p in twin.parameters():
            p.add_(1.0)
    assert torch.equal(loss_of(block, x), loss)


class Rendezvous(nn.Module):
    """A conditioner in which two threads wait for each other, so that both are inside the block at once."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.barrier = threading.Barrier(2, timeout=30)

    def forward(self, x: Tensor) -> Tensor:
        self.barrier.wait()
        return self.network(x)


@every_direction
@pytest.mark.parametrize("householder", [0, 2], ids="householder{}".format)
def test_threads_share_a_block_while_gradients_flow(householder: int, rev: bool) -> None:
    block = own_block(Variant(soft=True, householder=householder, reverse=True), (4,))
    inputs = [draw((4,), seed=i)[0] for i in range(2)]
    expected = [grad_of(loss_of(block, x, rev), block) for x in inputs]

    block.subnet = Rendezvous(block.subnet)
    both_forward = threading.Barrier(2, timeout=30)

    def work(x: Tensor) -> list[Tensor]:
        loss = loss_of(block, x, rev)
        both_forward.wait()
        return grad_of(loss, block)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            for gradients, wanted in zip(pool.map(work, inputs), expected, strict=True):
                for g, w in zip(gradients, wanted, strict=True):
                    assert_close(g, w, 1e-12)


# ---------------------------------------------------------------------- Householder's numerics


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_a_mirror_does_not_depend_on_the_length_of_its_vector(size: float, dtype: torch.dtype) -> None:
    block = own_block(Variant(soft=True, householder=1), (2,), dtype=dtype)
    with torch.no_grad():
        block.vk_householder.copy_(torch.tensor([[3.0, 4.0]]).to(dtype) * size)
    p = block._construct_householder_permutation()
    mirror = torch.tensor([[7.0, -24.0], [-24.0, -7.0]], dtype=dtype) / 25  # 1 − 2 v vᵀ/25 for v = (3, 4)
    assert_close(p, block.w_0 @ mirror, 4 * torch.finfo(dtype).eps)


@every_direction
def test_a_reflection_vector_of_zero_is_passed_over(rev: bool) -> None:
    block = own_block(Variant(soft=True, householder=3), (3,))
    with torch.no_grad():
        block.vk_householder[1].zero_()
    one, _, three = block.vk_householder.detach()
    h1, h3 = (torch.eye(3, dtype=torch.float64) - 2 * torch.outer(v, v) / v.dot(v) for v in (one, three))
    assert_close(block._construct_householder_permutation(), block.w_0 @ h1 @ h3, 1e-14)
    x, _ = draw((3,))
    loss = loss_of(block, x, rev)
    assert loss.isfinite()
    gradients = dict(zip([n for n, _ in block.named_parameters()], grad_of(loss, block), strict=True))
    assert all(g.isfinite().all() for g in gradients.values())
    assert gradients["vk_householder"][1].abs().max() == 0
    assert gradients["vk_householder"][0].abs().max() > 0


# ---------------------------------------------------------------------- dtypes and devices


@pytest.mark.parametrize("shape", [(6,), (6, 2, 2)], ids=shape_id)
@pytest.mark.parametrize("householder", [0, 2], ids="householder{}".format)
def test_double_restores_the_rotation_as_it_was_drawn(householder: int, shape: tuple[int, ...]) -> None:
    block = own_block(Variant(soft=True, householder=householder), shape, dtype=torch.float32)
    rounded = block.kernels()[0].detach().double().flatten(1)
    eye = torch.eye(6, dtype=torch.float64)
    assert (rounded @ rounded.T - eye).abs().max() > 1e-9
    for _ in range(2):
        w, w_inv = (k.detach().flatten(1) for k in block.double().kernels())
        assert_close(w @ w.T, eye, 1e-14)
        assert_close(w_inv, w.T, 1e-15)
        assert (w - rounded).abs().max() < 1e-6
        block.float()


def test_double_keeps_a_matrix_that_was_edited() -> None:
    """The rotation as drawn must not come back over one that a caller has put in its place."""
    block = own_block(Variant(soft=True), (3,), dtype=torch.float32)
    other = own_block(Variant(soft=True), (3,), dtype=torch.float32, seed="other").w_perm
    block.w_perm.copy_(other)
    block.w_perm_inv.copy_(other.T)
    block.double()
    assert torch.equal(block.w_perm, other.double())
    assert torch.equal(block.w_perm_inv, other.T.double())


@pytest.mark.parametrize("householder", [0, 2], ids="householder{}".format)
def test_double_keeps_a_matrix_that_was_loaded(householder: int) -> None:
    variant = Variant(soft=True, householder=householder)
    block, other = (own_block(variant, dtype=torch.float32, seed=seed) for seed in (0, 1))
    block.load_state_dict(other.state_dict())
    expected = other.kernels()[0]
    assert_close(block.double().kernels()[0].float(), expected, 1e-6)


@few_variants
def test_a_block_moves_between_dtypes_and_devices(variant: Variant) -> None:
    block = own_block(variant, (3, 2), dtype=torch.float32)
    x, _ = draw((3, 2), dtype=torch.float32)
    expected = block([x])[0][0]
    assert torch.equal(block.to("cpu")([x])[0][0], expected)
    assert block.double()([x.double()])[0][0].dtype == torch.float64
    assert_close(block.float()([x])[0][0], expected, 1e-6)
    assert block.bfloat16()([x.bfloat16()])[0][0].dtype == torch.bfloat16

    block.float().to("meta").double()
    (y,), log_det = block([torch.empty(4, 3, 2, device="meta", dtype=torch.float64)], rev=True)
    assert y.is_meta
    assert y.shape == (4, 3, 2)
    assert log_det.shape == (4,)


@few_variants
def test_a_block_follows_torchs_default_dtype(variant: Variant) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        block = AllInOneBlock([(4,)], [], nn.Linear, **variant.arguments, generator=generator_of("default"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert {w.dtype for w in block.state_dict().values()} == {torch.float64}
    w = block.kernels()[0].detach()
    assert_close(w @ w.T, torch.eye(4, dtype=torch.float64), 1e-14)


# ---------------------------------------------------------------------- empty batches, single channels


@pytest.mark.parametrize("spatial", SPATIAL, ids=[f"rank{r}" for r in range(4)])
@every_structure
def test_an_empty_batch_gives_an_empty_batch(variant: Variant, spatial: tuple[int, ...]) -> None:
    """FrEIA reads the number of pixels from the first row: there it raises."""
    shape = (3, *spatial)
    block = own_block(variant, shape, 1)
    x, c = draw(shape, 1, n=0)
    for rev in DIRECTIONS:
        (y,), log_det = block([x], c, rev=rev)
        assert y.shape == (0, *shape)
        assert log_det.shape == (0,)
        assert sum(len(stage.x) + len(stage.log_det) for stage in block.sub_stages([x], c, rev=rev)) == 0
        (y.sum() + log_det.sum()).backward()
    assert block.global_offset.grad.abs().max() == 0


@pytest.mark.parametrize("conditions", [0, 1], ids="{}conditions".format)
@pytest.mark.parametrize("spatial", SPATIAL, ids=[f"rank{r}" for r in range(4)])
@every_variant
def test_one_channel_is_the_global_affine_alone(variant: Variant, spatial: tuple[int, ...], conditions: int) -> None:
    """Nothing is active: no subnet is built, where FrEIA asks for a convolution with 0 outputs."""

    def never(channels_in: int, channels_out: int) -> nn.Module:
        raise AssertionError("There is nothing for a subnet to do.")

    shape = (1, *spatial)
    block = own_block(variant, shape, conditions, subnet_constructor=never)
    x, c = draw(shape, conditions)
    (y,), log_det = block([x], c)
    psi = torch.ones(1) if variant.gin else psi_of(block.global_scale.detach(), variant.kind).flatten()
    # In one dimension a rotation is 1 and a mirror −1; two mirrors cancel.
    assert_close(y, psi * x + block.global_offset.detach(), 1e-13)
    assert_close(log_det, (x[0].numel() * psi.log()).expand(3).double(), 1e-13)
    assert_close(block([y], c, rev=True)[0][0], x, 1e-13)


# ---------------------------------------------------------------------- subnets that in-place steps would break


@pytest.mark.parametrize("last", [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.Softplus], ids=lambda m: m.__name__.lower())
@pytest.mark.parametrize("gin", [False, True], ids=["plain", "gin"])
@every_direction
def test_backward_works_through_a_subnet_ending_in_an_activation(last: type[nn.Module], gin: bool, rev: bool) -> None:
    """FrEIA 0.2 scales the subnet's output in place, which autograd then refuses."""
    block = own_block(Variant(gin=gin), (4,), subnet_constructor=lambda i, o: nn.Sequential(nn.Linear(i, o), last()))
    x, _ = draw((4,))
    loss_of(block, x, rev).backward()
    assert block.subnet[0].weight.grad.abs().max() > 0


@every_direction
def test_the_input_of_a_block_is_not_modified(rev: bool) -> None:
    """Even when the subnet hands its own input back."""
    block = own_block(Variant("EXP"), (3,), subnet_constructor=lambda i, o: nn.Identity())
    x, _ = draw((3,))
    kept = x.clone()
    a = x[:, :2].clone()
    block([x], rev=rev)
    block._affine(x[:, 2:], a, rev=rev)
    block.sub_stages([x], rev=rev)
    assert torch.equal(x, kept)
    assert torch.equal(a, kept[:, :2])


def test_a_call_leaves_nothing_on_the_module() -> None:
    for variant in STRUCTURES:
        block = own_block(variant)
        before = {name: id(value) for name, value in vars(block).items()}
        loss_of(block, draw((3,))[0])
        assert {name: id(value) for name, value in vars(block).items()} == before


# ---------------------------------------------------------------------- bad arguments

VECTOR = {"dims_in": [(2,)], "subnet_constructor": mlp(4, 1)}
IMAGE = {"dims_in": [(2, 4, 6)], "subnet_constructor": subnet_for((2, 4, 6))}

BAD_ARGUMENTS: dict[str, tuple[dict[str, Any], type[Exception], str, str]] = {
    # id: (arguments, exception, what was expected, the mend)
    "no-subnet": ({"subnet_constructor": None}, ValueError, "callable as f(channels_in, channels_out)", "mlp(64, 2)"),
    "subnet-not-callable": ({"subnet_constructor": 64}, ValueError, "callable", "mlp(64, 2)"),
    "alpha-zero": ({"affine_clamping": 0.0}, ValueError, "affine_clamping to be finite and greater than 0", "2.0"),
    "alpha-negative": ({"affine_clamping": -1.0}, ValueError, "greater than 0", "gin_block=True"),
    "alpha-inf": ({"affine_clamping": float("inf")}, ValueError, "finite", "2.0"),
    "alpha-nan": ({"affine_clamping": float("nan")}, ValueError, "finite", "2.0"),
    "alpha-none": ({"affine_clamping": None}, ValueError, "finite", "2.0"),
    "alpha-string": ({"affine_clamping": "2"}, ValueError, "finite", "2.0"),
    "dialect": ({"clamp_dialect": "main"}, ValueError, "clamp_dialect 'freia-0.2'", "'freia-main'"),
    "kind": ({"global_affine_type": "TANH"}, ValueError, "global_affine_type 'SIGMOID', 'SOFTPLUS' or 'EXP'", ""),
    "kind-lower": ({"global_affine_type": "exp"}, ValueError, "'SIGMOID', 'SOFTPLUS' or 'EXP'", ""),
    "init-zero": ({"global_affine_init": 0.0}, ValueError, "global_affine_init positive", "1.0"),
    "init-10": (
        {"global_affine_init": 10.0, "global_affine_type": "SIGMOID"},
        ValueError,
        "between 0 and 10",
        "1.0",
    ),
    "reflections-negative": ({"learned_householder_permutation": -1}, ValueError, "0 or more", "0 turns them off"),
    "reflections-float": ({"learned_householder_permutation": 2.0}, ValueError, "number of reflections", "0 turns"),
    "dims_in-int": ({"dims_in": 2}, TypeError, "dims_in to be a list with one shape", "dims_in=[(channels,)]"),
    "dims_in-flat": ({"dims_in": (2,)}, TypeError, "a list with one shape", "dims_in=[(channels,)]"),
    "dims_in-float": ({"dims_in": [(2.0,)]}, TypeError, "a list with one shape", "dims_in=[(channels,)]"),
    "dims_in-none": ({"dims_in": []}, ValueError, "hold one shape, got 0", "dims_in=[(channels,)]"),
    "dims_in-two": ({"dims_in": [(2,), (2,)]}, ValueError, "hold one shape, got 2", "dims_in=[(channels,)]"),
    "dims_in-empty": ({"dims_in": [()]}, ValueError, "up to three spatial axes", "dims_in=[(channels,)]"),
    "dims_in-zero": ({"dims_in": [(0,)]}, ValueError, "each at least 1", "dims_in=[(channels,)]"),
    "dims_in-rank4": ({"dims_in": [(2, 2, 2, 2, 2)]}, ValueError, "up to three", "(channels, height, width)"),
    "dims_c-int": ({"dims_c": 3}, TypeError, "dims_c to be a list of shapes", "dims_c=[(channels,)]"),
    "dims_c-flat": ({"dims_c": (3,)}, TypeError, "dims_c to be a list of shapes", "dims_c=[(channels,)]"),
    "dims_c-zero": ({"dims_c": [(0,)]}, ValueError, "condition 0 to have a shape of channels", "Leave out"),
    "dims_c-empty": ({"dims_c": [()]}, ValueError, "condition 0 to have a shape of channels", "Leave out"),
    "dims_c-image-for-vector": ({"dims_c": [(3, 4, 4)]}, ValueError, "spatial shape of the input, ()", "to (3,)."),
    "dims_c-vector-for-image": (IMAGE | {"dims_c": [(5,)]}, ValueError, "input, (4, 6), got (5,)", "to (5, 4, 6)."),
    "dims_c-second": (
        IMAGE | {"dims_c": [(1, 4, 6), (3, 6, 4)]},
        ValueError,
        "condition 1 to have the spatial shape of the input, (4, 6), got (3, 6, 4)",
        "Resize it to (3, 4, 6).",
    ),
}


def assert_helpful(error: pytest.ExceptionInfo[Exception], expected: str, mend: str) -> None:
    message = str(error.value)
    assert message.startswith("Expected ")
    assert "got " in message
    assert expected in message
    assert mend in message


@pytest.mark.parametrize(
    ("arguments", "exception", "expected", "mend"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys()
)
def test_bad_arguments_name_the_mend(
    arguments: dict[str, Any], exception: type[Exception], expected: str, mend: str
) -> None:
    with pytest.raises(exception) as error:
        AllInOneBlock(**(VECTOR | arguments))
    assert_helpful(error, expected, mend)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dims_in": ((2,),)},
        {"dims_in": [[2]]},
        {"dims_in": [torch.Size([2])]},
        {"dims_in": [(np.int64(2),)]},
        {"dims_c": None},
        {"dims_c": ()},
        {"dims_c": [[3]]},
        {"affine_clamping": 1},
        {"affine_clamping": np.float32(1.9)},
        {"global_affine_init": np.float64(0.7)},
        {"learned_householder_permutation": np.int64(2)},
    ],
    ids=str,
)
def test_equivalent_arguments_are_taken(arguments: dict[str, Any]) -> None:
    block = AllInOneBlock(**(VECTOR | arguments))
    c = [torch.zeros(3, *dims) for dims in block.dims_c]
    assert block([torch.zeros(3, 2)], c)[0][0].shape == (3, 2)


X, C = torch.zeros(5, 2), torch.zeros(5, 3)
IMAGE_X = torch.zeros(5, 2, 4, 6)
PLAIN: dict[str, Any] = {}
CONDITIONAL = {"dims_c": [(3,)]}

BAD_INPUTS: dict[str, tuple[dict[str, Any], Any, Any, type[Exception], str, str]] = {
    # id: (arguments of the block, x, c, exception, what was expected, the mend)
    "bare-x": (PLAIN, X, [], TypeError, "x as a list or tuple of tensors, got Tensor", "Write [x]."),
    "bare-c": (CONDITIONAL, [X], C, TypeError, "c as a list or tuple of tensors, got Tensor", "Write [c]."),
    "array": (PLAIN, [X.numpy()], [], TypeError, "floating point tensors, got ndarray", ".float()"),
    "integers": (PLAIN, [X.long()], [], TypeError, "got dtype torch.int64", ".float()"),
    "no-x": (PLAIN, [], [], ValueError, "1 tensor(s) for the input, got 0", "(N, 2)"),
    "two-x": (PLAIN, [X, X], [], ValueError, "1 tensor(s) for the input, got 2", "(N, 2)"),
    "unconditional": (PLAIN, [X], [C], ValueError, "0 tensor(s) for the conditions, got 1", "with dims_c"),
    "missing-c": (CONDITIONAL, [X], [], ValueError, "1 tensor(s) for the conditions, got 0", "(N, 3)"),
    "none-c": (CONDITIONAL, [X], None, ValueError, "1 tensor(s) for the conditions, got 0", "(N, 3)"),
    "no-batch-axis": (PLAIN, [X[0]], [], ValueError, "shape (N, 2), got (2,)", "Add a batch axis: x[None]."),
    "c-no-batch-axis": (CONDITIONAL, [X], [C[0]], ValueError, "shape (N, 3), got (3,)", "axis: c[None]."),
    "channels": (PLAIN, [C], [], ValueError, "the input of shape (N, 2), got (5, 3)", "fixed when the block is built"),
    "scalar": (PLAIN, [X[0, 0]], [], ValueError, "the input of shape (N, 2), got ()", "fixed when"),
    "image": (PLAIN, [IMAGE_X], [], ValueError, "shape (N, 2), got (5, 2, 4, 6)", "fixed when"),
    "image-size": (IMAGE, [IMAGE_X.mT], [], ValueError, "(N, 2, 4, 6), got (5, 2, 6, 4)", "spatial axes are fixed"),
    "c-channels": (CONDITIONAL, [X], [X], ValueError, "the conditions of shape (N, 3), got (5, 2)", "fixed when"),
    "c-batch": (CONDITIONAL, [X], [C[:4]], ValueError, "condition 0 to have the batch size of x, 5, got 4", "per row"),
    "second-c-image": (
        IMAGE | {"dims_c": [(1, 4, 6), (3, 4, 6)]},
        [IMAGE_X],
        [torch.zeros(5, 1, 4, 6), torch.zeros(5, 3, 2, 3)],
        ValueError,
        "the conditions of shape (N, 3, 4, 6), got (5, 3, 2, 3)",
        "fixed when",
    ),
}


def call_forward(block: AllInOneBlock, x: Any, c: Any) -> None:
    block(x, c)


def call_reverse(block: AllInOneBlock, x: Any, c: Any) -> None:
    block(x, c, rev=True)


def call_sub_stages(block: AllInOneBlock, x: Any, c: Any) -> None:
    block.sub_stages(x, c)


@pytest.mark.parametrize("call", [call_forward, call_reverse, call_sub_stages], ids=["forward", "reverse", "stages"])
@pytest.mark.parametrize(
    ("arguments", "x", "c", "exception", "expected", "mend"), BAD_INPUTS.values(), ids=BAD_INPUTS.keys()
)
def test_bad_inputs_name_the_mend(
    arguments: dict[str, Any],
    x: Any,
    c: Any,
    exception: type[Exception],
    expected: str,
    mend: str,
    call: Callable[[AllInOneBlock, Any, Any], None],
) -> None:
    block = AllInOneBlock(**(VECTOR | arguments))
    with pytest.raises(exception) as error:
        call(block, x, c)
    assert_helpful(error, expected, mend)


@pytest.mark.parametrize(
    ("arguments", "subnet", "expected"),
    [
        (VECTOR, lambda i, o: nn.Linear(i, o + 1), "shape (5, 2), got (5, 3)"),
        (VECTOR, lambda i, o: nn.Sequential(nn.Linear(i, o), nn.Flatten(0)), "shape (5, 2), got (10,)"),
        (IMAGE, lambda i, o: nn.Conv2d(i, o, 3), "shape (5, 2, 4, 6), got (5, 2, 2, 4)"),
    ],
    ids=["channels", "axes", "no-padding"],
)
def test_a_subnet_of_another_shape_is_told_its_own(arguments: dict[str, Any], subnet: object, expected: str) -> None:
    block = AllInOneBlock(**(arguments | {"subnet_constructor": subnet}))
    with pytest.raises(ValueError, match="subnet") as error:
        block([torch.zeros(5, *arguments["dims_in"][0])])
    assert_helpful(error, expected, "It must map 1 channels to 2 and keep the spatial axes.")
