"""Bases of a flow: the distributions that it bends, with exact densities and draws; none has anything to train."""

from __future__ import annotations

import math

import torch
from scipy.special import digamma
from torch import Tensor, nn

__all__ = ["GaussianMixture", "StandardNormal", "StudentT"]


class StandardNormal(nn.Module):
    """The standard normal distribution in D dimensions, the usual base of a flow.

    Args:
        dim: D, at least 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @property
    def entropy(self) -> float:
        """D/2 log 2πe, nats."""
        return 0.5 * self.dim * math.log(2 * math.pi * math.e)

    def log_prob(self, z: Tensor) -> Tensor:
        """−½ ‖z‖² − D/2 log 2π, (N,) in nats, for z (N, D)."""
        return -0.5 * z.square().sum(1) - 0.5 * self.dim * math.log(2 * math.pi)

    def sample(self, n: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """n draws, (n, D)."""
        return torch.randn(n, self.dim, generator=generator, dtype=dtype)


class StudentT(nn.Module):
    r"""Student's t in D dimensions with ν degrees of freedom: a base with heavy tails.

    .. math::

        p(z) = \frac{\Gamma\big((\nu + D) / 2\big)}{\Gamma(\nu / 2) \, (\nu \pi)^{D/2}}
               \left(1 + \frac{\|z\|^2}{\nu}\right)^{-(\nu + D)/2}

    This is the textbook's form, with location 0 and a unit scale matrix: its covariance is ν/(ν − 2) times the
    identity where ν > 2, and infinite else. It is not a product of one-dimensional t's: its level lines are circles.
    In two dimensions its peak is 1/(2π), whatever ν is, and the share (1 + r²/ν)^(−ν/2) lies outside the radius r.
    As ν grows it becomes the standard normal.

    Args:
        dim: D, at least 1.
        df: ν, positive.

    Raises:
        ValueError: if dim or df is outside its limits.

    Example:
        >>> base = StudentT(2, df=3.0)
        >>> round(base.log_prob(torch.zeros(1, 2)).exp().item() * 2 * math.pi, 6)
        1.0

    References:
        Kotz, Nadarajah (2004), Multivariate t Distributions and Their Applications.
        Jaini et al. (2020), Tails of Lipschitz Triangular Flows, arXiv:1907.04481: a Lipschitz map of a Gaussian base
        has no heavy tails.
        Alexanderson, Henter (2020), Robust model training and generalisation with Studentising flows,
        arXiv:2006.06599.
    """

    def __init__(self, dim: int, df: float) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"Expected dim >= 1, got {dim}. Give the number of columns of the data.")
        if not (math.isfinite(df) and df > 0):
            raise ValueError(f"Expected a positive, finite df, got {df}. For the limit of many, take StandardNormal.")
        self.dim = dim
        self.df = float(df)

    @property
    def entropy(self) -> float:
        """(ν+D)/2 [ψ((ν+D)/2) − ψ(ν/2)] − log p(0), nats, where ψ is the digamma function."""
        half, whole = self.df / 2, (self.df + self.dim) / 2
        return whole * float(digamma(whole) - digamma(half)) - self._log_peak

    @property
    def _log_peak(self) -> float:
        """log p(0), nats."""
        half, whole = self.df / 2, (self.df + self.dim) / 2
        return math.lgamma(whole) - math.lgamma(half) - 0.5 * self.dim * math.log(self.df * math.pi)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(0) − (ν+D)/2 log(1 + ‖z‖²/ν), (N,) in nats, for z (N, D)."""
        return self._log_peak - 0.5 * (self.df + self.dim) * torch.log1p(z.square().sum(1) / self.df)

    def sample(self, n: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """n draws, (n, D): a standard normal over √(χ²/ν). Drawn in float64, cast to `dtype` at the end."""
        normal = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        chi_square = 2 * _gamma(self.df / 2, n, generator)
        return (normal * (self.df / chi_square).sqrt()[:, None]).to(dtype or torch.get_default_dtype())


class GaussianMixture(nn.Module):
    r"""Equal, round Gaussians evenly around a circle: a base whose modes are apart before anything is trained.

    .. math::

        p(z) = \frac{1}{K} \sum_{k=0}^{K-1} \mathcal N(z; \mu_k, \sigma^2 I), \qquad
        \mu_k = r \, \big(\cos(2\pi k / K), \sin(2\pi k / K), 0, \dots, 0\big)

    In more than two dimensions the circle lies in the plane of the first two axes. Number, radius and width are
    fixed, not trained. Neighbouring modes are 2r sin(π/K) apart.

    Args:
        dim: D, at least 2.
        modes: K, at least 1.
        radius: r, of the circle of the centres; 0 or more.
        width: σ, the standard deviation of each Gaussian along each axis; positive.

    Raises:
        ValueError: if one of them is outside its limits.

    Example:
        >>> base = GaussianMixture(modes=4, radius=2.0, width=0.25)
        >>> base.sample(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])

    References:
        Izmailov et al. (2020), Semi-Supervised Learning with Normalizing Flows, arXiv:1912.13025: one mode for each
        class.
    """

    def __init__(self, dim: int = 2, modes: int = 8, radius: float = 2.0, width: float = 0.25) -> None:
        super().__init__()
        if dim < 2:
            raise ValueError(f"Expected dim >= 2, got {dim}. A circle of modes needs two axes.")
        if modes < 1:
            raise ValueError(f"Expected modes >= 1, got {modes}. One mode is one Gaussian.")
        if not (math.isfinite(radius) and radius >= 0 and math.isfinite(width) and width > 0):
            raise ValueError(
                f"Expected a finite radius >= 0 and a positive, finite width, got {radius} and {width}. "
                "Give lengths in latent space."
            )
        self.dim = dim
        self.modes = modes
        self.radius = float(radius)
        self.width = float(width)
        angle = 2 * math.pi / modes * torch.arange(modes, dtype=torch.float64)
        # A plain attribute: what is fixed by the settings stays out of state dicts, and in float64 in every flow.
        self._centres = torch.zeros(modes, dim, dtype=torch.float64)
        self._centres[:, 0], self._centres[:, 1] = self.radius * angle.cos(), self.radius * angle.sin()

    @property
    def centres(self) -> Tensor:
        """μ, (K, D), float64."""
        return self._centres.clone()

    def log_prob(self, z: Tensor) -> Tensor:
        """log Σ exp(−‖z − μ_k‖²/2σ²) − log K − D/2 log 2πσ², (N,) in nats, for z (N, D)."""
        squared = (z[:, None] - self._centres.to(z)).square().sum(2)  # (N, K)
        log_scale = math.log(self.modes) + 0.5 * self.dim * math.log(2 * math.pi * self.width**2)
        return torch.logsumexp(squared / (-2 * self.width**2), dim=1) - log_scale

    def sample(self, n: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """n draws, (n, D). Drawn in float64, cast to `dtype` at the end."""
        mode = torch.randint(self.modes, (n,), generator=generator)
        normal = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        return (self._centres[mode] + self.width * normal).to(dtype or torch.get_default_dtype())


def _gamma(shape: float, n: int, generator: torch.Generator | None) -> Tensor:
    """n draws from the gamma distribution of shape a and scale 1, (n,), float64; torch's own take no generator.

    For a >= 1, with d = a − 1/3, a normal x and v = (1 + x/√(9d))³: d·v where log u < x²/2 + d − d·v + d·log v, which
    more than nine in ten pairs of x and u fulfil. For a < 1, a draw of shape a + 1 times u^(1/a). Both are exact.

    References:
        Marsaglia, Tsang (2000), A simple method for generating gamma variables, ACM TOMS 26(3).
    """
    d = (shape if shape >= 1 else shape + 1) - 1 / 3
    draws = torch.empty(0, dtype=torch.float64)
    while len(draws) < n:
        x = torch.randn(n - len(draws), generator=generator, dtype=torch.float64)
        v = (1 + x / math.sqrt(9 * d)) ** 3
        bound = 0.5 * x.square() + d - d * v + d * v.log()  # NaN for v < 0, which no number is below
        draws = torch.cat([draws, d * v[_uniform(len(x), generator).log() < bound]])
    return draws if shape >= 1 else draws * _uniform(n, generator) ** (1 / shape)


def _uniform(n: int, generator: torch.Generator | None) -> Tensor:
    """n draws from (0, 1], (n,), float64: never 0, so that their logarithms and reciprocals are finite."""
    return 1 - torch.rand(n, generator=generator, dtype=torch.float64)
