"""What every target is: a 2-D density that can be sampled exactly and evaluated exactly."""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

DIM = 2  # every target lives in the plane
CHUNK = 1024  # rows of x evaluated at once: temporaries stay small, and near the cache
TAIL = 4.0  # noise deviations that a viewing box keeps: more than 99.9 % of a 2-D Gaussian's mass
AIR = 0.1  # share of its reach that a viewing box adds, so that nothing touches the frame
ENTROPIES_KEPT = 512  # a slider's whole travel over a few targets; each entry is one float


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A natural parameter of a target, described well enough to draw a slider for it.

    A parameter whose default is an int takes whole numbers only.

    Args:
        name: the field of the target that it sets.
        label: what a person reads beside the slider.
        default: the value at rest, in the limits.
        minimum: the smallest value allowed.
        maximum: the largest value allowed.
        step: the distance between two stops of the slider.
        help: one sentence on what it changes.
    """

    name: str
    label: str
    default: float
    minimum: float
    maximum: float
    step: float
    help: str

    def checked(self, value: object, owner: str) -> float:
        """Return `value` as a float, or an int for a parameter of whole numbers.

        Args:
            value: what the caller wants the parameter to be.
            owner: the name of the target, for the message.

        Raises:
            TypeError: if `value` is not a real number.
            ValueError: if it is not finite, not whole where it must be, or outside the limits.
        """
        whole = isinstance(self.default, int)
        kind = "whole number" if whole else "number"
        wanted = f"Expected {self.name} of {owner} as a {kind} from {self.minimum} to {self.maximum}"
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{wanted}, got {value!r}. Pass a number, as in {self.name}={self.default:g}.")
        if not math.isfinite(value):
            raise ValueError(f"{wanted}, got {value}. Pass a finite one, as in {self.name}={self.default:g}.")
        nearest = min(max(value, self.minimum), self.maximum)
        if whole:
            nearest = round(nearest)
        if nearest != value:
            raise ValueError(f"{wanted}, got {value}. The nearest allowed is {self.name}={nearest}.")
        return int(value) if whole else float(value)


@dataclasses.dataclass(frozen=True)
class Target(ABC):
    """A 2-D density p with a known truth: exact draws, exact log p, its entropy and a box to view it in.

    A concrete target is a frozen dataclass. Its fields are its natural parameters, so that two targets
    with the same parameters are equal, hash alike and pickle. It fills in the class variables below and
    the three methods whose names begin with an underscore, which work in float64 and may trust their
    input; the public methods here check, cast and split into chunks. What goes in and out is torch; the
    densities themselves are numpy, which starts no threads: they are asked for while a flow trains, and
    torch's threads would wait for cores that the training holds.

    Class variables:
        name: the stable name that stands in links, files and tests.
        title: what a person reads.
        summary: one sentence: what it is, and what makes it hard for affine coupling.
        formula: how a point arises, or p(x), in LaTeX, with the parameters as letters. z is standard normal in the
            plane, u uniform from 0 to 1, and of signs, numbers or curves to choose from each is equally likely.
        hard: a sentence or two on what makes it hard for affine coupling, or easy.
        parameters: one `Parameter` for each field, in the order of the fields.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    formula: ClassVar[str]
    hard: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            value = parameter.checked(getattr(self, parameter.name), self.name)
            object.__setattr__(self, parameter.name, value)  # the dataclass is frozen

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Draw n independent points, x ~ p.

        Args:
            n: how many points, at least 0.
            generator: where all randomness comes from; torch's global generator if None.
            dtype: of the result; `torch.get_default_dtype()` if None. Drawn in float64, cast at the end.

        Returns:
            x of shape (n, 2).

        Raises:
            ValueError: if n is negative.
        """
        if n < 0:
            raise ValueError(f"Expected n >= 0 points, got {n}. Ask for none or more, as in n=1000.")
        return self._sample(n, generator).to(dtype or torch.get_default_dtype())

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), computed in float64.

        A row with a NaN in it gives NaN; a row with an infinity in it gives -inf. The result carries no
        gradient.

        Args:
            x: points of shape (N, 2), of a floating dtype, on any device.

        Returns:
            log p of shape (N,), in nats, with the dtype and device of x; -inf outside the support.

        Raises:
            TypeError: if x is not a tensor of a floating dtype.
            ValueError: if x has another shape.
        """
        check_points(x)
        points = x.detach().to("cpu", torch.float64).numpy()
        return torch.from_numpy(self._log_prob_of_rows(points)).to(x.device, x.dtype)

    @property
    def entropy(self) -> float:
        """H(p) = -E[log p(x)] in nats, the floor of any model's negative log likelihood. Kept once known."""
        return _entropy(self)

    @property
    @abstractmethod
    def extent(self) -> tuple[float, float, float, float]:
        """A square box (xmin, xmax, ymin, ymax) that holds at least 99.9 % of the mass, with some air.

        A target whose tail would make the picture too small keeps less, never below 99 %, and says so.
        """

    def with_parameters(self, /, **parameters: float) -> Target:
        """Return the same target with some parameters changed.

        Args:
            parameters: new values by name.

        Raises:
            ValueError: if a name is unknown, or a value outside its limits.
        """
        known = [parameter.name for parameter in self.parameters]
        for name in parameters:
            if name not in known:
                raise ValueError(
                    f"Expected a parameter of {self.name}, which has {', '.join(known) or 'none'}, "
                    f"got {name!r}. {suggestion(name, known)}"
                )
        return dataclasses.replace(self, **parameters)

    def _log_prob_of_rows(self, x: np.ndarray) -> np.ndarray:
        """Return log p of any rows, as `log_prob` does: (N, 2) -> (N,), both float64."""
        log_p = np.where(np.isnan(x).any(axis=1), np.nan, -np.inf)
        finite = np.flatnonzero(np.isfinite(x).all(axis=1))
        with np.errstate(all="ignore"):  # log 0 = -inf is an answer here, not an accident
            for start in range(0, len(finite), CHUNK):
                rows = finite[start : start + CHUNK]
                log_p[rows] = self._log_prob(x[rows])
        return log_p

    @abstractmethod
    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Return n exact, independent draws: (n, 2) in float64."""

    @abstractmethod
    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        """Return log p of finite x: (M, 2) in float64, 0 < M <= CHUNK -> (M,)."""

    @abstractmethod
    def _entropy(self) -> float:
        """Return H(p) in nats, in a closed form or by quadrature, in less than a second."""


@lru_cache(maxsize=ENTROPIES_KEPT)
def _entropy(target: Target) -> float:
    return float(target._entropy())


def check_points(x: Tensor) -> None:
    """Refuse anything but points of the plane: a floating tensor of shape (N, 2).

    Raises:
        TypeError: if x is not a tensor of a floating dtype.
        ValueError: if x has another shape.

    >>> check_points(torch.zeros(128))
    Traceback (most recent call last):
    ValueError: Expected x of shape (N, 2), got (128,). Add a batch axis: x[None].
    """
    if not isinstance(x, Tensor):
        kind = type(x).__name__
        raise TypeError(f"Expected x as a torch.Tensor, got {kind}. Convert it: torch.as_tensor(x).")
    if not x.is_floating_point():
        raise TypeError(f"Expected x of a floating dtype, got {x.dtype}. Convert it: x.double().")
    if x.ndim != 2 or x.shape[1] != DIM:
        if x.ndim == 1:
            mend = "Add a batch axis: x[None]."
        elif x.ndim > 2 and x.shape[-1] == DIM:
            mend = "Merge the batch axes: x.reshape(-1, 2)."
        else:
            mend = "Put one point in a row, its two coordinates in two columns."
        raise ValueError(f"Expected x of shape (N, 2), got {tuple(x.shape)}. {mend}")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the mend for a name that is not known: the nearest one, if any comes near.

    >>> suggestion("mons", ["moons", "rings"])
    'Did you mean moons?'
    >>> suggestion("zebra", ["moons", "rings"])
    'Choose one of: moons, rings.'
    """
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    if nearest:
        return f"Did you mean {nearest[0]}?"
    return f"Choose one of: {', '.join(known)}." if known else "Leave it out."


def square_box(reach: float, centre: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float, float, float]:
    """Return the square (xmin, xmax, ymin, ymax) about `centre` that reaches `reach` and some air beyond.

    >>> square_box(10.0)
    (-11.0, 11.0, -11.0, 11.0)
    """
    half = reach * (1 + AIR)
    return centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half
