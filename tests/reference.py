"""Oracles for the tests of AllInOneBlock: FrEIA's block, a formula written from the maths, Jacobians by autograd."""

from __future__ import annotations

import contextlib
import itertools
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aio.block import AllInOneBlock

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # FrEIA's docstrings hold "\m"
    from FrEIA.modules import AllInOneBlock as FreiaBlock

torch.set_num_threads(1)  # the tensors are tiny: threads would only wait for each other

KINDS = ("SIGMOID", "SOFTPLUS", "EXP")
# A channel axis alone, and grids of one, two and three axes.
SPATIAL = ((), (5,), (3, 2), (2, 1, 3))
CONDITION_CHANNELS = (2, 1)


# ---------------------------------------------------------------------- the variants of the block


@dataclass(frozen=True)
class Variant:
    """One cell of the product of the block's options."""

    kind: str = "SOFTPLUS"
    gin: bool = False
    soft: bool = False
    householder: int = 0
    reverse: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "gin_block": self.gin,
            "global_affine_type": self.kind,
            "permute_soft": self.soft,
            "learned_householder_permutation": self.householder,
            "reverse_permutation": self.reverse,
        }

    def __str__(self) -> str:
        parts = [self.kind.lower()] + ["gin"] * self.gin + ["soft" if self.soft else "hard"]
        parts += [f"householder{self.householder}"] if self.householder else []
        return "-".join(parts + ["reversed"] * self.reverse)


VARIANTS = [
    Variant(*options) for options in itertools.product(KINDS, (False, True), (False, True), (0, 2), (False, True))
]
# Where Ψ does not matter: everything but its kind.
STRUCTURES = [v for v in VARIANTS if v.kind == "SOFTPLUS"]
# Every option at least once, for what is slow or does not depend on their product.
FEW_VARIANTS = [
    Variant("SIGMOID", soft=True),
    Variant("SOFTPLUS", householder=3, reverse=True),
    Variant("EXP", reverse=True),
    Variant("EXP", soft=True, householder=1),
    Variant("SOFTPLUS", gin=True, soft=True, reverse=True),
    Variant("SIGMOID", gin=True, householder=2),
]


def shape_id(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


# ---------------------------------------------------------------------- blocks with weights far from trivial


def subnet_for(shape: tuple[int, ...]) -> Callable[[int, int], nn.Module]:
    """A small conditioner for inputs of this shape: linear layers, or convolutions that see their neighbours."""

    def build(channels_in: int, channels_out: int) -> nn.Module:
        if len(shape) == 1:
            return nn.Sequential(nn.Linear(channels_in, 8), nn.Tanh(), nn.Linear(8, channels_out))
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 2]
        return nn.Sequential(conv(channels_in, 6, 3, padding=1), nn.Tanh(), conv(6, channels_out, 1))

    return build


def seed_of(*parts: Any) -> int:
    """A seed that is the same in every process."""
    return zlib.crc32(repr(parts).encode())


def generator_of(*parts: Any) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*parts))


@torch.no_grad()
def perturb(block: nn.Module, *seed: Any) -> nn.Module:
    """Move every trained weight away from its start: Ψ ≠ 1, o ≠ 0, and |s| of the order of 1."""
    rng = generator_of("perturb", *seed)
    last = list(block.subnet.parameters())[-2:] if block.subnet is not None else []
    for name, p in block.named_parameters():
        if not p.requires_grad:
            continue
        noise = torch.randn(p.shape, generator=rng, dtype=torch.float64).to(p.dtype)
        if name == "vk_householder":
            p.copy_(noise)
        elif name.startswith("global_"):
            p.add_(0.3 * noise * (1 + p.abs() / 2))  # SOFTPLUS starts at 10 and is ten times less steep
        elif any(p is q for q in last):
            p.copy_(2 * noise)
        else:
            p.copy_(noise / 2)
    return block


def dims_of(shape: tuple[int, ...], conditions: int) -> list[tuple[int, ...]]:
    return [(channels, *shape[1:]) for channels in CONDITION_CHANNELS[:conditions]]


def own_block(
    variant: Variant,
    shape: tuple[int, ...] = (3,),
    conditions: int = 0,
    *,
    dtype: torch.dtype = torch.float64,
    seed: Any = 0,
    **more: Any,
) -> AllInOneBlock:
    """Our block of this variant, perturbed."""
    more.setdefault("subnet_constructor", subnet_for(shape))
    more.setdefault("generator", generator_of("own", str(variant), shape, seed))
    with seeded_globals(seed_of("subnet", seed)):  # torch's layers start from the global generator
        block = AllInOneBlock([shape], dims_of(shape, conditions), **variant.arguments, **more)
    return perturb(block, str(variant), shape, conditions, seed).to(dtype)


def freia_block(
    variant: Variant, shape: tuple[int, ...] = (3,), conditions: int = 0, *, seed: Any = 0, **more: Any
) -> FreiaBlock:
    """FrEIA 0.2's block of this variant, perturbed, float32."""
    more.setdefault("subnet_constructor", subnet_for(shape))
    with seeded_globals(seed_of("freia", str(variant), shape, conditions, seed)):
        block = FreiaBlock([shape], dims_of(shape, conditions), **variant.arguments, **more)
    return perturb(block, str(variant), shape, conditions, seed)


def like_freia(theirs: FreiaBlock, variant: Variant, shape: tuple[int, ...], conditions: int = 0) -> AllInOneBlock:
    """Our block with the weights of FrEIA's, loaded strictly from its state dict."""
    ours = AllInOneBlock([shape], dims_of(shape, conditions), subnet_for(shape), **variant.arguments)
    ours.load_state_dict(theirs.state_dict())
    return ours


@contextlib.contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """FrEIA draws from numpy's and torch's global generators: seed them, and put them back."""
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def draw(
    shape: tuple[int, ...], conditions: int = 0, *, n: int = 3, dtype: torch.dtype = torch.float64, seed: Any = 0
) -> tuple[Tensor, list[Tensor]]:
    """Standard normal input (n, *shape) and its conditions."""
    rng = generator_of("draw", shape, conditions, n, seed)
    x, *c = [
        torch.randn(n, *dims, generator=rng, dtype=torch.float64).to(dtype)
        for dims in [shape, *dims_of(shape, conditions)]
    ]
    return x, c


def assert_close(actual: Tensor, expected: Tensor, tolerance: float, message: str = "") -> None:
    """Same shape and dtype, and no element off by more than tolerance · max(1, the largest |expected|)."""
    assert actual.shape == expected.shape, f"{message}: {tuple(actual.shape)} is not {tuple(expected.shape)}"
    assert actual.dtype == expected.dtype, f"{message}: {actual.dtype} is not {expected.dtype}"
    if actual.numel() == 0:
        return
    with torch.no_grad():
        error = ((actual - expected).abs().max() / expected.abs().max().clamp(min=1)).item()
    assert error <= tolerance, f"{message}: off by {error:.2e}, more than {tolerance:.0e}"  # NaN fails as well


# ---------------------------------------------------------------------- the formula


def psi_of(g: Tensor, kind: str) -> Tensor:
    """Ψ(g) as the papers write it."""
    if kind == "SIGMOID":
        return 10 / (1 + (2 - g).exp())
    return 0.2 * (1 + (g / 2).exp()).log() if kind == "SOFTPLUS" else g.exp()


def matrix_of(weights: dict[str, Tensor]) -> Tensor:
    """P (channels, channels), from a block's state dict: w_0 H_1 … H_k, or w_perm."""
    if "w_0" not in weights:
        return weights["w_perm"].flatten(1)
    p = weights["w_0"]
    for v in weights["vk_householder"]:
        unit = v / v.norm()
        p = p @ (torch.eye(len(v), dtype=v.dtype) - 2 * unit[:, None] * unit[None, :])
    return p


def mixed(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply the channels of x (N, channels, *spatial) by a matrix."""
    return torch.einsum("ij,nj...->ni...", matrix, x)


@torch.no_grad()
def formula(
    block: AllInOneBlock, variant: Variant, x: Tensor, c: list[Tensor], *, rev: bool, alpha: float, dialect: str
) -> tuple[Tensor, Tensor]:
    """What a block with these weights computes, from the formula, one sample at a time."""
    weights = {name: w.double() for name, w in block.state_dict().items()}
    channels, *spatial = x.shape[1:]
    pixels = int(np.prod(spatial, dtype=int))
    p = matrix_of(weights)
    ones = (channels, *[1] * len(spatial))
    o = weights["global_offset"].reshape(ones)
    psi = torch.ones_like(o) if variant.gin else psi_of(weights["global_scale"].reshape(ones), variant.kind)
    n_active = channels // 2
    n_passive = channels - n_active

    outputs, log_dets = [], []
    for row in range(len(x)):
        state = x[row : row + 1]
        if rev:
            state = (mixed(p.T, state) - o) / psi
        elif variant.reverse:
            state = mixed(p.T, state)

        x1, x2 = state[:, :n_passive], state[:, n_passive:]
        a = block.subnet(torch.cat([x1] + [condition[row : row + 1] for condition in c], dim=1))
        a_s, a_t = a[:, :n_active] / 10, a[:, n_active:] / 10
        s = alpha * torch.tanh(a_s / alpha if dialect == "freia-main" else a_s)
        if variant.gin:
            s = s - s.sum() / (n_active * pixels)
        x2 = (x2 - a_t) / s.exp() if rev else x2 * s.exp() + a_t
        state = torch.cat([x1, x2], dim=1)

        if not rev:
            state = mixed(p, psi * state + o)
        elif variant.reverse:
            state = mixed(p, state)
        log_det = s.sum() + pixels * psi.log().sum()
        outputs.append(state)
        log_dets.append(-log_det if rev else log_det)
    return torch.cat(outputs), torch.stack(log_dets)


# ---------------------------------------------------------------------- Jacobians


def jacobians(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂function(x)/∂x of every sample, (N, D, D), by autograd; samples must not depend on each other."""
    n = len(x)
    j = torch.autograd.functional.jacobian(lambda x: function(x).flatten(1).sum(0), x, vectorize=True)
    return j.flatten(2).transpose(0, 1).reshape(n, -1, x[0].numel())


def log_abs_det(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log|det ∂function(x)/∂x| of every sample, (N,)."""
    return torch.linalg.slogdet(jacobians(function, x)).logabsdet


def with_householder(variant: Variant, reflections: int) -> Variant:
    return replace(variant, householder=reflections)
