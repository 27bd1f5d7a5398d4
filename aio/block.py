"""The AllInOneBlock: affine coupling, a global affine layer and a permutation in one invertible module.

The block is the one of FrEIA [1] and of anomalib's FastFlow and CFlow. It keeps their calling convention and
their state dicts, so it drops into their code. Where the published docstring and the published code differ,
this module computes what the code computes and says so (see `AllInOneBlock`).

References:
    [1] Ardizzone et al., Framework for Easily Invertible Architectures (FrEIA), 2018-2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aio.arguments import checked_clamp, checked_dims_c, checked_dims_in, checked_reflections, checked_tensors
from aio.global_affine import GlobalAffineType, global_affine, global_affine_inverse
from aio.orthogonal import random_permutation, random_rotation

__all__ = [
    "CLAMP_DIALECTS",
    "SUBNET_SCALE",
    "AllInOneBlock",
    "ClampDialect",
    "InvertibleModule",
    "SubStage",
    "soft_clamp",
]

ClampDialect = Literal["freia-0.2", "freia-main"]
CLAMP_DIALECTS: tuple[ClampDialect, ...] = ("freia-0.2", "freia-main")

# The subnet's whole output, s and t alike, is scaled down so that an untrained block is almost a permutation.
SUBNET_SCALE = 0.1
# FrEIA draws reflection vectors from N(0, 0.2²). A reflection does not depend on the length of its vector;
# the length sets how far one optimiser step turns the mirror.
HOUSEHOLDER_INIT_STD = 0.2

Kernels = tuple[Tensor, Tensor]


def soft_clamp(a: Tensor, alpha: float, dialect: ClampDialect) -> Tensor:
    """α tanh(a), or in FrEIA's main branch α tanh(a / α): both within ±α, their slopes at 0 are α and 1."""
    return alpha * torch.tanh(a / alpha if dialect == "freia-main" else a)


class InvertibleModule(nn.Module):
    """A bijection with FrEIA's calling convention.

    `forward(x, c, rev, jac)` takes and returns tuples of tensors. The log-determinant it returns MUST belong to
    the direction that was evaluated: log|det ∂y/∂x| for `rev=False`, and log|det ∂x/∂y| for `rev=True`.

    Args:
        dims_in: one shape (channels, *spatial) per input, without the batch axis.
        dims_c: one shape (channels, *spatial) per condition.
    """

    def __init__(self, dims_in: Sequence[Sequence[int]], dims_c: Sequence[Sequence[int]] | None = None) -> None:
        super().__init__()
        self.dims_in = [tuple(d) for d in dims_in]
        self.dims_c = [tuple(d) for d in (dims_c or [])]

    def forward(
        self, x: Sequence[Tensor], c: Sequence[Tensor] = (), rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Evaluate the bijection, or its inverse when `rev`; return ((y,), log_det) with log_det (N,) in nats."""
        raise TypeError(f"{type(self).__name__} must define forward.")

    def output_dims(self, input_dims: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The shapes of the outputs, without the batch axis, for inputs of shapes `input_dims`."""
        raise TypeError(f"{type(self).__name__} must define output_dims.")


class SubStage(NamedTuple):
    """What one step inside a block made of its input."""

    name: str
    """One of pre_permutation, coupling, global_affine, permutation."""
    x: Tensor
    """The state after the step, (N, channels, *spatial)."""
    log_det: Tensor
    """The step's own contribution to the log-determinant, (N,), nats."""


class AllInOneBlock(InvertibleModule):
    r"""Affine coupling with a soft clamp, a global affine layer and a permutation, as in FrEIA and anomalib.

    Forward (data → latent, `rev=False`), in the order in which it is computed:

    .. math::

        x' &= P^\top x \quad\text{if reverse_permutation, else } x \\
        x_1, x_2 &= \mathrm{split}(x') \quad\text{into } c - \lfloor c/2 \rfloor
                    \text{ passive and } \lfloor c/2 \rfloor \text{ active channels} \\
        a_s, a_t &= 0.1 \cdot \mathrm{subnet}(x_1, \text{conditions}) \\
        s &= \alpha \tanh(a_s), \quad t = a_t
             \quad(\text{dialect freia-main: } s = \alpha \tanh(a_s / \alpha)) \\
        s &\leftarrow s - \mathrm{mean}(s) \quad\text{if gin_block, over active channels and positions} \\
        u &= (x_1,\; x_2 \odot e^{s} + t) \\
        y &= P\,(\Psi(g) \odot u + o) \\
        \log|\det| &= \textstyle\sum s + n_\text{pixels} \sum \log \Psi(g)

    P is a fixed permutation of channels, a fixed rotation when `permute_soft`, or w_0 H_1 … H_k with trained
    reflections H = I − 2 v vᵀ / (vᵀ v) when `learned_householder_permutation` = k > 0. P contributes nothing to
    the log-determinant. Under `gin_block`, Ψ ≡ 1; the offset o still trains.

    FrEIA's docstring differs from FrEIA's code in four places, and the formula above is the code's: x2 is the
    transformed half, not x1; the offset is added before the permutation, not after; the Householder product
    multiplies the fixed matrix from the right; and both outputs of the subnet are scaled by 0.1. It also speaks
    of ActNorm, but nothing here is initialised from data.

    Args:
        dims_in: one shape, [(channels,)] or [(channels, *spatial)] with up to three spatial axes.
        dims_c: shapes of the conditions; their spatial axes are those of the input.
        subnet_constructor: called as f(channels_in, channels_out), returns the conditioner network.
        affine_clamping: α > 0. One coupling stretches an active channel by a factor within [e^−α, e^α]; under
            gin_block, with n active values, within e^±2α(n−1)/n.
        gin_block: make the coupling volume preserving [2].
        global_affine_init: the value of Ψ before training; in (0, 10) for SIGMOID, else positive.
        global_affine_type: Ψ(g) is 10 σ(g − 2) (SIGMOID), 0.1 softplus(g; β = 0.5) (SOFTPLUS), or e^g (EXP).
        permute_soft: draw P from SO(channels) instead of from the permutations of the channels.
        learned_householder_permutation: number of trained reflections; 0 turns them off.
        reverse_permutation: apply P⁻¹ before the coupling, so that the block couples along turned axes [3].
        clamp_dialect: which published clamp; freia-0.2 is also anomalib's.
        generator: source of the permutation and of the reflection vectors; torch's default when None.
            The subnet draws its own weights: give its constructor the same generator.

    Raises:
        ValueError, TypeError: for arguments that no block can be built from.

    Example:
        >>> from aio.subnets import mlp
        >>> rng = torch.Generator().manual_seed(0)
        >>> block = AllInOneBlock([(2,)], subnet_constructor=mlp(16, 2, generator=rng), generator=rng)
        >>> x = torch.randn(5, 2, generator=rng)
        >>> (y,), log_det = block([x])
        >>> (x_again,), minus_log_det = block([y], rev=True)
        >>> torch.allclose(x, x_again, atol=1e-6), log_det.shape
        (True, torch.Size([5]))

    References:
        [1] Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803.
        [2] Sorrenson et al., Disentanglement by Nonlinear ICA with General Incompressible-flow Networks (GIN),
            2020, arXiv:2001.04872.
        [3] Putzky and Welling, Invert to Learn to Invert, 2019, arXiv:1911.10914.
        [4] Tomczak and Welling, Improving Variational Auto-Encoders using Householder Flow, 2016,
            arXiv:1611.09630.
    """

    def __init__(
        self,
        dims_in: Sequence[Sequence[int]],
        dims_c: Sequence[Sequence[int]] = [],
        subnet_constructor: Callable[[int, int], nn.Module] | None = None,
        affine_clamping: float = 2.0,
        gin_block: bool = False,
        global_affine_init: float = 1.0,
        global_affine_type: GlobalAffineType = "SOFTPLUS",
        permute_soft: bool = False,
        learned_householder_permutation: int = 0,
        reverse_permutation: bool = False,
        *,
        clamp_dialect: ClampDialect = "freia-0.2",
        generator: torch.Generator | None = None,
    ) -> None:
        dims_in = checked_dims_in(dims_in)
        dims_c = checked_dims_c(dims_c, dims_in)
        super().__init__(dims_in, dims_c)
        if subnet_constructor is None or not callable(subnet_constructor):
            raise ValueError(
                f"Expected subnet_constructor to be callable as f(channels_in, channels_out) -> nn.Module, "
                f"got {subnet_constructor!r}. Pass for example aio.subnets.mlp(64, 2)."
            )
        if clamp_dialect not in CLAMP_DIALECTS:
            raise ValueError(
                f"Expected clamp_dialect 'freia-0.2' (also anomalib's) or 'freia-main', got {clamp_dialect!r}."
            )
        self.affine_clamping = checked_clamp(affine_clamping)
        self.clamp_dialect = clamp_dialect
        self.gin_block = bool(gin_block)
        self.global_affine_type = global_affine_type
        self.permute_soft = bool(permute_soft)
        self.householder = checked_reflections(learned_householder_permutation)
        self.reverse_permutation = bool(reverse_permutation)

        channels, *spatial = dims_in[0]
        self.channels = channels
        self.n_pixels = math.prod(spatial)
        self.split = (channels - channels // 2, channels // 2)  # passive, active
        self._ones = (1,) * len(spatial)

        g = global_affine_inverse(global_affine_init, global_affine_type)
        self.global_scale = nn.Parameter(torch.full((1, channels, *self._ones), g))
        self.global_offset = nn.Parameter(torch.zeros(1, channels, *self._ones))
        self._register_permutation(generator)

        # With one channel nothing is active: the block is its global affine layer, and has no subnet.
        self.subnet = None
        if self.split[1]:
            channels_in = self.split[0] + sum(d[0] for d in dims_c)
            self.subnet = subnet_constructor(channels_in, 2 * self.split[1])

    # ------------------------------------------------------------------ the permutation

    def _register_permutation(self, generator: torch.Generator | None) -> None:
        draw = random_rotation if self.permute_soft else random_permutation
        w = draw(self.channels, generator)
        # A rotation rounded to float32 is not orthogonal in float64. The exact draw is kept, outside the state
        # dict, so that .double() can return to it; loading weights puts the loaded matrix in its place.
        self._exact_w: Tensor | None = w
        w = w.to(torch.get_default_dtype())
        if self.householder:
            v = torch.randn(self.householder, self.channels, generator=generator)
            self.vk_householder = nn.Parameter(HOUSEHOLDER_INIT_STD * v)
            self.register_buffer("w_0", w)
        else:
            kernel = (self.channels, self.channels, *self._ones)
            self.register_buffer("w_perm", w.reshape(kernel))
            self.register_buffer("w_perm_inv", w.T.contiguous().reshape(kernel))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AllInOneBlock:
        """Move or cast the module; a cast to float64 returns to the rotation as it was drawn."""
        before = self.global_scale.dtype
        super()._apply(fn, recurse)
        if self.global_scale.dtype == torch.float64 != before and self._exact_w is not None:
            for name, w in (
                ("w_0", self._exact_w),
                ("w_perm", self._exact_w),
                ("w_perm_inv", self._exact_w.T),
            ):
                buffer = getattr(self, name, None)
                if buffer is None or buffer.is_meta:
                    continue
                w = w.to(buffer).reshape(buffer.shape)
                # A matrix that was edited since is not the draw, rounded: it stays as it is.
                if (buffer - w).abs().max() <= torch.finfo(before).eps:
                    buffer.copy_(w)
        return self

    def _construct_householder_permutation(self) -> Tensor:
        """w_0 H_1 … H_k as a kernel of shape (channels, channels, 1 …), from the trained reflection vectors.

        A reflection vector of zero has no mirror and is passed over. Nothing is stored on the module, so that
        copies and threads never meet a graph that is not theirs.
        """
        w = self.w_0
        for v in self.vk_householder:
            # The mirror depends on v's direction only; bringing v near 1 keeps vᵀv away from under- and overflow.
            largest = v.detach().abs().amax()
            v = v / torch.where(largest > 0, largest, 1.0)
            norm_squared = v.dot(v)
            norm_squared = torch.where(norm_squared > 0, norm_squared, 1.0)
            w = w - torch.outer(w @ v, 2 * v / norm_squared)
        return w.reshape(*w.shape, *self._ones)

    def kernels(self) -> Kernels:
        """P and its inverse as kernels (channels, channels, 1 …)."""
        if self.householder:
            w = self._construct_householder_permutation()
            return w, w.transpose(0, 1)
        return self.w_perm, self.w_perm_inv

    def _mix(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Multiply the channels of x by a matrix, at every position."""
        return (F.linear, F.conv1d, F.conv2d, F.conv3d)[len(self._ones)](x, kernel)

    def _pre_permute(self, x: Tensor, rev: bool = False, kernels: Kernels | None = None) -> Tensor:
        """The permutation before the coupling, P⁻¹ x, used when `reverse_permutation`; P x when `rev`."""
        w, w_inv = kernels or self.kernels()
        return self._mix(x, w if rev else w_inv)

    def _permute(self, x: Tensor, rev: bool = False, kernels: Kernels | None = None) -> tuple[Tensor, Tensor]:
        """What follows the coupling: P (Ψ(g) ⊙ x + o), or its inverse when `rev`.

        Returns:
            The state, and Σ log Ψ(g) over channels: as in FrEIA for one position, and not negated by `rev`.
        """
        w, w_inv = kernels or self.kernels()
        if rev:
            return self._global_affine(self._mix(x, w_inv), rev=True)
        y, log_psi = self._global_affine(x)
        return self._mix(y, w), log_psi

    def _global_affine(self, x: Tensor, rev: bool = False) -> tuple[Tensor, Tensor]:
        """Ψ(g) ⊙ x + o, or its inverse when `rev`, and Σ log Ψ(g) over channels (a scalar, for one position)."""
        if self.gin_block:  # Ψ ≡ 1
            return x - self.global_offset if rev else x + self.global_offset, x.new_zeros(())
        psi, log_psi = global_affine(self.global_scale, self.global_affine_type)
        y = (x - self.global_offset) / psi if rev else x * psi + self.global_offset
        return y, log_psi.sum()

    # ------------------------------------------------------------------ the coupling

    def _log_scale_and_shift(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """s and t, each like the active half, from the subnet's raw output a (N, 2·active, *spatial)."""
        a_s, t = (SUBNET_SCALE * a).chunk(2, dim=1)
        s = soft_clamp(a_s, self.affine_clamping, self.clamp_dialect)
        if self.gin_block:
            s = s - s.mean(dim=tuple(range(1, s.ndim)), keepdim=True)
        return s, t

    def _affine(self, x: Tensor, a: Tensor, rev: bool = False) -> tuple[Tensor, Tensor]:
        """The coupling of the active half.

        Args:
            x: the active half, (N, active, *spatial).
            a: the subnet's raw output, (N, 2·active, *spatial): first for s, then for t. It is not modified.
            rev: undo the coupling.

        Returns:
            x eˢ + t, or (x − t) e⁻ˢ when `rev`; and the log-determinant of that direction, ±Σ s, (N,).
        """
        s, t = self._log_scale_and_shift(a)
        log_det = s.flatten(1).sum(1)
        if rev:
            return (x - t) * (-s).exp(), -log_det
        return x * s.exp() + t, log_det

    def _couple(self, x: Tensor, c: Sequence[Tensor], rev: bool = False) -> tuple[Tensor, Tensor]:
        """Split, run the subnet on the passive half and the conditions, transform the active half, join."""
        if self.subnet is None:
            return x, x.new_zeros(x.shape[0])
        passive, active = x.split(self.split, dim=1)
        a = self.subnet(torch.cat((passive, *c), dim=1) if c else passive)
        expected = (x.shape[0], 2 * self.split[1], *x.shape[2:])
        if a.shape != expected:
            raise ValueError(
                f"Expected the subnet to return shape {tuple(expected)}, got {tuple(a.shape)}. "
                f"It must map {passive.shape[1] + sum(ci.shape[1] for ci in c)} channels to {expected[1]} "
                f"and keep the spatial axes."
            )
        active, log_det = self._affine(active, a, rev=rev)
        return torch.cat((passive, active), dim=1), log_det

    # ------------------------------------------------------------------ the whole block

    def forward(
        self,
        x: Sequence[Tensor],
        c: Sequence[Tensor] = [],
        rev: bool = False,
        jac: bool = True,
    ) -> tuple[tuple[Tensor], Tensor]:
        """Apply the block, or undo it when `rev`.

        Args:
            x: a list or tuple with one tensor (N, channels, *spatial).
            c: a list or tuple with one tensor per entry of `dims_c`.
            rev: evaluate the inverse.
            jac: accepted for FrEIA's sake. The log-determinant costs nothing extra and is always returned.

        Returns:
            ((y,), log_det): y like x, and log_det (N,) in nats, of the direction that was evaluated.
        """
        x, c = self._checked_input(x, c)
        kernels = self.kernels()
        if rev:
            x, log_psi = self._permute(x, rev=True, kernels=kernels)
            x, log_det = self._couple(x, c, rev=True)
            if self.reverse_permutation:
                x = self._pre_permute(x, rev=True, kernels=kernels)
            return (x,), log_det - self.n_pixels * log_psi
        if self.reverse_permutation:
            x = self._pre_permute(x, kernels=kernels)
        x, log_det = self._couple(x, c)
        x, log_psi = self._permute(x, kernels=kernels)
        return (x,), log_det + self.n_pixels * log_psi

    def sub_stages(self, x: Sequence[Tensor], c: Sequence[Tensor] = (), rev: bool = False) -> list[SubStage]:
        """The states on the way through the block, in the order of the computation.

        Args:
            x, c, rev: as for `forward`.

        Returns:
            One SubStage per step; a pre-permutation that is not in use is left out. The last state is `forward`'s
            output and the log-determinants add up to its log-determinant.
        """
        x, c = self._checked_input(x, c)
        kernels = w, w_inv = self.kernels()
        no_change = x.new_zeros(x.shape[0])
        stages = []

        def reach(name: str, x: Tensor, log_det: Tensor) -> Tensor:
            stages.append(SubStage(name, x, log_det))
            return x

        if not rev:
            if self.reverse_permutation:
                x = reach("pre_permutation", self._pre_permute(x, kernels=kernels), no_change)
            x = reach("coupling", *self._couple(x, c))
            x, log_psi = self._global_affine(x)
            reach("global_affine", x, no_change + self.n_pixels * log_psi)
            reach("permutation", self._mix(x, w), no_change)
            return stages
        x = reach("permutation", self._mix(x, w_inv), no_change)
        x, log_psi = self._global_affine(x, rev=True)
        reach("global_affine", x, no_change - self.n_pixels * log_psi)
        x = reach("coupling", *self._couple(x, c, rev=True))
        if self.reverse_permutation:
            reach("pre_permutation", self._pre_permute(x, rev=True, kernels=kernels), no_change)
        return stages

    def output_dims(self, input_dims: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The block keeps shapes: returns `input_dims`."""
        return input_dims

    def extra_repr(self) -> str:
        kind = "soft" if self.permute_soft else "hard"
        parts = [f"dims_in={self.dims_in}", f"clamp={self.affine_clamping:g} ({self.clamp_dialect})", kind]
        parts += [f"householder={self.householder}"] if self.householder else []
        parts += ["reverse_permutation"] if self.reverse_permutation else []
        parts += ["gin"] if self.gin_block else [self.global_affine_type]
        return ", ".join(parts)

    # ------------------------------------------------------------------ input and state

    def _checked_input(self, x: Sequence[Tensor], c: Sequence[Tensor] | None) -> tuple[Tensor, Sequence[Tensor]]:
        x = checked_tensors("x", x, self.dims_in)[0]
        c = checked_tensors("c", [] if c is None else c, self.dims_c)
        for i, ci in enumerate(c):
            if ci.shape[0] != x.shape[0]:
                raise ValueError(
                    f"Expected condition {i} to have the batch size of x, {x.shape[0]}, got {ci.shape[0]}. "
                    "Give one condition per row of x."
                )
        return x, c

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Load this block's, FrEIA 0.2's, anomalib's (one-hot) or FrEIA main's (index) permutations."""
        for name in ("w_perm", "w_perm_inv", "w_0"):
            w = state_dict.get(prefix + name)
            own = getattr(self, name, None)
            if w is None or own is None:
                continue
            self._exact_w = None
            if w.ndim == 1 and w.shape[0] == self.channels:  # FrEIA main: y_i = x[p_i]
                w = F.one_hot(w.long(), self.channels).to(own.dtype).reshape(own.shape)
                state_dict[prefix + name] = w
        if self.subnet is None:  # one channel: FrEIA carries a subnet with no outputs
            for key in [k for k in state_dict if k.startswith(prefix + "subnet.")]:
                del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
