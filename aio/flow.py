"""Normalizing flows of AllInOneBlocks: an exact density, samples, and every state on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aio.bases import GaussianMixture, StandardNormal, StudentT
from aio.block import AllInOneBlock
from aio.config import BaseConfig, BlockConfig, FlowConfig
from aio.subnets import SubnetConstructor, mlp

__all__ = ["Flow", "Stage", "StandardNormal", "build"]


class Stage(NamedTuple):
    """The state of a batch after one sub-stage of one block."""

    block: int | None
    """The block, counted from 0 at the data; None for the standardisation."""
    name: str
    """standardise, pre_permutation, coupling, global_affine or permutation."""
    x: Tensor
    """The state after it, (N, D)."""
    log_det: Tensor
    """Its own contribution to the log-determinant, (N,), nats."""


class Flow(nn.Module):
    r"""An invertible map between data x and latent z, and the density it gives to data.

    .. math::

        z = f_K \circ \dots \circ f_1\big((x - \mu) / \sigma\big), \qquad
        \log q(x) = \log p_\text{base}(z) + \log\left|\det \frac{\partial z}{\partial x}\right|

    Data → latent is `forward`, latent → data is `inverse`; each returns the log-determinant of its own direction.
    x and z have shape (N, D), log-determinants and log-densities (N,), in nats, in the units of the data.

    Args:
        blocks: AllInOneBlocks for shape [(D,)], the first one next to the data.
        base: a distribution with `log_prob(z)` and `sample(n, generator, dtype)`, as those of `aio.bases`.
        loc: μ, (D,), the data's mean.
        scale: σ, (D,), the data's standard deviation, positive. μ and σ are fixed, not trained.

    Example:
        >>> flow = build(FlowConfig(blocks=4), seed=0)
        >>> x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
        >>> z, log_det = flow(x)
        >>> torch.allclose(flow.inverse(z)[0], x, atol=1e-5), flow.log_prob(x).shape
        (True, torch.Size([5]))

    References:
        Papamakarios et al., Normalizing Flows for Probabilistic Modeling and Inference, 2021, arXiv:1912.02762.
    """

    def __init__(self, blocks: Sequence[AllInOneBlock], base: nn.Module, loc: Tensor, scale: Tensor) -> None:
        super().__init__()
        if loc.ndim != 1 or loc.shape != scale.shape:
            raise ValueError(f"Expected loc and scale of one shape (D,), got {tuple(loc.shape)}, {tuple(scale.shape)}.")
        if not (torch.isfinite(loc).all() and torch.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(
                f"Expected a finite loc and a positive, finite scale, got {loc.tolist()} and {scale.tolist()}. "
                "A scale of 0 means that a column of the data is constant: leave that column out."
            )
        self.blocks = nn.ModuleList(blocks)
        self.base = base
        self.register_buffer("loc", loc)
        self.register_buffer("scale", scale)

    @property
    def dim(self) -> int:
        """D, the number of dimensions."""
        return self.loc.shape[0]

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data → latent.

        Args:
            x: data, (N, D).
            c: conditions, (N, C), for blocks built with dims_c.

        Returns:
            z (N, D), and log|det ∂z/∂x| (N,).
        """
        x = self._checked("x", x)
        conditions = self._conditions(c)
        z = self._standardised(x)
        log_det = -self.scale.log().sum().expand(x.shape[0])
        for block in self.blocks:
            (z,), block_log_det = block([z], conditions)
            log_det = log_det + block_log_det
        return z, log_det

    def inverse(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Latent → data.

        Args:
            z: latent points, (N, D).
            c: conditions, (N, C), for blocks built with dims_c.

        Returns:
            x (N, D), and log|det ∂x/∂z| (N,).
        """
        x = self._checked("z", z).to(self.loc.dtype)
        conditions = self._conditions(c)
        log_det = self.scale.log().sum().expand(x.shape[0])
        for block in reversed(self.blocks):
            (x,), block_log_det = block([x], conditions, rev=True)
            log_det = log_det + block_log_det
        return x * self.scale + self.loc, log_det

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """log q(x), (N,), nats per point, for x (N, D)."""
        z, log_det = self(x, c)
        return self.base.log_prob(z) + log_det

    def sample(self, n: int, c: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """n draws from the flow, (n, D). Conditions, where there are any, are (n, C)."""
        z = self.base.sample(n, generator=generator, dtype=self.loc.dtype)
        return self.inverse(z.to(self.loc.device), c)[0]

    def stages(self, x: Tensor, c: Tensor | None = None) -> list[Stage]:
        """Every state on the way from data to latent.

        Args:
            x: data, (N, D).
            c: conditions, (N, C), for blocks built with dims_c.

        Returns:
            The standardisation, then the sub-stages of every block in order. The last state is `forward`'s z, and
            the log-determinants add up to its log-determinant.
        """
        x = self._checked("x", x)
        conditions = self._conditions(c)
        x = self._standardised(x)
        stages = [Stage(None, "standardise", x, -self.scale.log().sum().expand(x.shape[0]))]
        for i, block in enumerate(self.blocks):
            stages += [Stage(i, *stage) for stage in block.sub_stages([x], conditions)]
            x = stages[-1].x
        return stages

    def _standardised(self, x: Tensor) -> Tensor:
        """(x − μ)/σ in the flow's dtype; taken in the precision of x, so that data far from 0 keep their digits."""
        return ((x - self.loc) / self.scale).to(self.loc.dtype)

    def _checked(self, name: str, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.dim:
            mend = f"Add a batch axis: {name}[None]." if x.shape == (self.dim,) else "Give one point a row."
            raise ValueError(f"Expected {name} of shape (N, {self.dim}), got {tuple(x.shape)}. {mend}")
        return x

    def _conditions(self, c: Tensor | None) -> list[Tensor]:
        return [] if c is None else [c.to(self.loc.dtype)]


def build(
    config: FlowConfig,
    seed: int | torch.Generator,
    loc: Tensor | None = None,
    scale: Tensor | None = None,
    *,
    dim: int = 2,
    condition_dim: int = 0,
) -> Flow:
    """A fresh flow from its settings: the same settings and seed give the same flow.

    Args:
        config: the stack of blocks and its base.
        seed: seed, or generator, of everything drawn: permutations, reflection vectors, subnet weights.
        loc, scale: the data's mean and standard deviation, (dim,); 0 and 1 when None.
        dim: D, dimensions of the data.
        condition_dim: C, dimensions of the condition; 0 for none.

    Returns:
        A flow in torch's default dtype, on the CPU.
    """
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    subnet = mlp(config.subnet.width, config.subnet.depth, config.subnet.activation, generator=generator)
    blocks = [_build_block(config.block_config(i), subnet, dim, condition_dim, generator) for i in range(config.blocks)]
    loc = torch.zeros(dim) if loc is None else loc.to(torch.get_default_dtype())
    scale = torch.ones(dim) if scale is None else scale.to(torch.get_default_dtype())
    return Flow(blocks, _build_base(config.base, dim), loc, scale)


def _build_base(config: BaseConfig, dim: int) -> nn.Module:
    match config.kind:
        case "student":
            return StudentT(dim, config.df)
        case "mixture":
            return GaussianMixture(dim, config.modes, config.radius, config.width)
    return StandardNormal(dim)


def _build_block(
    config: BlockConfig, subnet: SubnetConstructor, dim: int, condition_dim: int, generator: torch.Generator
) -> AllInOneBlock:
    return AllInOneBlock(
        [(dim,)],
        [(condition_dim,)] if condition_dim else [],
        subnet_constructor=subnet,
        affine_clamping=config.clamp,
        gin_block=config.gin,
        global_affine_init=config.global_affine_init,
        global_affine_type=config.global_affine_type,
        permute_soft=config.permutation == "soft",
        learned_householder_permutation=config.householder,
        reverse_permutation=config.reverse_permutation,
        clamp_dialect=config.clamp_dialect,
        generator=generator,
    )
