"""A drawing as a density: strokes of a soft round brush, each a row of Gaussians, so that the truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from torch import Tensor

from aio.targets.base import TAIL, Parameter, Target, square_box
from aio.targets.quadrature import MARGIN, gauss_legendre

__all__ = [
    "COLOURS",
    "LONGEST_TEXT",
    "MOST_COMPONENTS",
    "MOST_POINTS",
    "MOST_STROKES",
    "REACH",
    "THINNEST",
    "WIDEST",
    "Drawing",
    "DrawnTarget",
    "Stroke",
    "from_json",
    "to_json",
]

REACH = 10.0  # coordinates go from -REACH to REACH: the other targets end at 4, or thereabouts
THINNEST, WIDEST = 0.02, 2.0  # the brush's standard deviation
COLOURS = 8  # as many as can be told apart
MOST_STROKES = 1_000
MOST_POINTS = 20_000  # of all strokes: minutes of drawing, at 60 points a second
MOST_COMPONENTS = 4_000  # Gaussians: 10,000 points are evaluated in a fifth of a second
LONGEST_TEXT = 2_000_000  # characters: MOST_POINTS points written to 17 digits have half of it
SPACING = 0.5  # widths between two Gaussians of a stroke: its middle then ripples by less than 1e-30 of itself
DOT = math.sqrt(2 * math.pi)  # widths of way whose mass, in one place, is as dense as the middle of a stroke
ROWS_AT_ONCE = 64  # of log_prob: temporaries of 2 MB at most, which stay in the cache
UNDERFLOW = -700.0  # exp of less is slow, three times in all, and e^-700 beside 1 is nothing in float64

# Of the entropy's quadrature, in widths of the narrowest brush that reaches a cell.
CELL, PANEL = 16.0, 2.0
NODES = 8  # of a panel, along a side

SHOWN = 40  # characters of a wrong value that a message repeats

Coordinate = Annotated[float, Field(strict=True, ge=-REACH, le=REACH, allow_inf_nan=False)]


class Stroke(BaseModel):
    """One way of the brush: points joined by straight lines; a single point, or points in one place, make a dot.

    Args:
        points: (x, y) in data units, each from -10 to 10, at least one.
        width: σ, the standard deviation of the brush in data units, from 0.02 to 2.
        colour: the class of what is drawn, from 0 to 7.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    points: Annotated[tuple[tuple[Coordinate, Coordinate], ...], Field(min_length=1, max_length=MOST_POINTS)]
    width: Annotated[float, Field(strict=True, ge=THINNEST, le=WIDEST, allow_inf_nan=False)]
    colour: Annotated[int, Field(strict=True, ge=0, lt=COLOURS)] = 0

    @property
    def length(self) -> float:
        """The length of the way, in data units; 0 for a dot."""
        return float(self._reached[-1])

    def places(self, count: int) -> np.ndarray:
        """Both ends, then the middles of `count` equal lengths of the way: (2 + count, 2)."""
        at = np.concatenate([[0.0, 1.0], (np.arange(count) + 0.5) / max(count, 1)]) * self.length
        return np.column_stack([np.interp(at, self._reached, axis) for axis in np.array(self.points).T])

    @property
    def _reached(self) -> np.ndarray:
        """The length of the way up to each point: (points,)."""
        steps = np.diff(np.array(self.points), axis=0)
        return np.append(0.0, np.cumsum(np.hypot(steps[:, 0], steps[:, 1])))


class Drawing(BaseModel):
    """Strokes, at least one, at most 1,000 with 20,000 points in all. A value: equal drawings are the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strokes: Annotated[tuple[Stroke, ...], Field(min_length=1, max_length=MOST_STROKES)]

    @field_validator("strokes")
    @classmethod
    def _not_too_long(cls, strokes: tuple[Stroke, ...]) -> tuple[Stroke, ...]:
        count = sum(len(stroke.points) for stroke in strokes)
        if count > MOST_POINTS:
            raise ValueError(f"Expected at most {MOST_POINTS:,} points in all, got {count:,}. Leave out a stroke.")
        return strokes

    @property
    def colours(self) -> tuple[int, ...]:
        """The classes that occur, in order."""
        return tuple(sorted({stroke.colour for stroke in self.strokes}))

    def of_colour(self, colour: int) -> Self:
        """The strokes of one class alone.

        Raises:
            ValueError: if there are none.
        """
        strokes = tuple(stroke for stroke in self.strokes if stroke.colour == colour)
        if not strokes:
            known = ", ".join(map(str, self.colours))
            raise ValueError(f"Expected a colour of the drawing, which has {known}, got {colour}. Draw with it first.")
        return type(self)(strokes=strokes)


def from_json(text: str | bytes) -> Drawing:
    """Read a drawing in the form {"strokes": [{"points": [[x, y], …], "width": w, "colour": c}, …]}.

    Raises:
        ValueError: if the text is anything else, in one sentence with its mend.

    >>> from_json('{"strokes": [{"points": [[0, 1.5]], "width": 0.1, "colour": 2}]}').strokes[0].points
    ((0.0, 1.5),)
    >>> from_json('{"strokes": [{"points": [[0, 1.5], [0, "a"]], "width": 0.1}]}')
    Traceback (most recent call last):
    ValueError: Expected y of point 1 of stroke 0 as a number from -10 to 10, got 'a'. Draw that stroke again.
    >>> from_json('{"strokes": []}')
    Traceback (most recent call last):
    ValueError: Expected at least one stroke, got an empty drawing. Draw something first.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(
            f"Expected a drawing of at most {LONGEST_TEXT:,} characters, got {len(text):,}. Leave out a stroke."
        )
    try:
        return Drawing.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        raise ValueError(_sentence(problem)) from None


def to_json(drawing: Drawing) -> str:
    """Write a drawing as `from_json` reads it; every number comes back equal.

    >>> to_json(Drawing(strokes=[Stroke(points=[(0.0, 1.5)], width=0.1)]))
    '{"strokes":[{"points":[[0.0,1.5]],"width":0.1,"colour":0}]}'
    """
    return drawing.model_dump_json()


@dataclass(frozen=True, repr=False)
class DrawnTarget(Target):
    """What was drawn, as a mixture of round Gaussians of the brush's width along each stroke.

        log p(x) = log Σ_k w_k N(x; m_k, σ_k² I)

    The m_k of a stroke are its two ends and the middles of equal lengths between them, at most half a width long. A
    stroke of width σ and length L has the mass √(2π) σ L + 2π σ², in proportion to all strokes: σ L along the way and
    √(2π) σ² / 2 at each end, over √(2π). So all strokes are equally dense along their middles, whatever their widths,
    and a dot, whose two ends are one point, is as dense there. Where this came to more than 4,000 Gaussians, every
    stroke has fewer, further apart: the density may then be beaded, and is known as exactly.

    Args:
        drawing: what was drawn.

    >>> dot = DrawnTarget(Drawing(strokes=[Stroke(points=[(1.0, 2.0)], width=0.5)]))
    >>> abs(dot.entropy - math.log(2 * math.pi * math.e * 0.5**2)) < 1e-9
    True
    """

    name: ClassVar[str] = "drawn"
    title: ClassVar[str] = "Your drawing"
    summary: ClassVar[str] = (
        "Your strokes, as a soft brush leaves them: strokes that do not touch are separate pieces, which a flow can "
        "only join by thin filaments, and a loop is a hole that it cannot make."
    )
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    drawing: Drawing

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.drawing, Drawing):
            kind = type(self.drawing).__name__
            raise TypeError(f"Expected a Drawing, got {kind}. Make one: Drawing(strokes=...), or from_json(text).")

    @property
    def components(self) -> int:
        """How many Gaussians there are."""
        return len(self._weights)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        low = (self._means - TAIL * self._sigmas[:, None]).min(axis=0)
        high = (self._means + TAIL * self._sigmas[:, None]).max(axis=0)
        x, y = ((low + high) / 2).tolist()
        return square_box(float((high - low).max()) / 2, (x, y))

    @cached_property
    def entropy(self) -> float:
        return self._entropy()

    def sample_classes(
        self,
        n: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n points with the colour of the stroke that each comes from; the points are those of `sample`.

        Args:
            n: how many points, at least 0.
            generator: where all randomness comes from; torch's global generator if None.
            dtype: of the points; `torch.get_default_dtype()` if None.

        Returns:
            x of shape (n, 2), and the classes (n,), int64.

        Raises:
            ValueError: if n is negative.
        """
        if n < 0:
            raise ValueError(f"Expected n >= 0 points, got {n}. Ask for none or more, as in n=1000.")
        x, which = self._drawn(n, generator)
        return x.to(dtype or torch.get_default_dtype()), torch.from_numpy(self._colours)[which]

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        return self._drawn(n, generator)[0]

    def _drawn(self, n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return n points, and which of the Gaussians each comes from."""
        cumulative = torch.from_numpy(np.cumsum(self._weights))
        share = torch.rand(n, generator=generator, dtype=torch.float64)
        which = torch.searchsorted(cumulative, share * cumulative[-1], right=True).clamp(max=self.components - 1)
        noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return torch.from_numpy(self._means)[which] + torch.from_numpy(self._sigmas)[which, None] * noise, which

    def _log_prob(self, x: np.ndarray) -> np.ndarray:
        """Sum over every Gaussian. Squares of differences, not products: nothing cancels, and no thread is started."""
        (mx, my), half = self._means.T, 1 / (2 * self._sigmas**2)
        with np.errstate(divide="ignore"):  # a way of 1e-320 has no weight in float64, its ends have
            log_peak = np.log(self._weights * half / math.pi)
        log_p = np.empty(len(x))
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            terms = np.subtract.outer(x[rows, 0], mx) ** 2  # (rows, K)
            terms += np.subtract.outer(x[rows, 1], my) ** 2
            terms *= -half
            terms += log_peak
            peak = terms.max(axis=1)
            terms -= np.where(np.isfinite(peak), peak, 0.0)[:, None]
            np.exp(np.maximum(terms, UNDERFLOW, out=terms), out=terms)
            log_p[rows] = np.log(terms.sum(axis=1)) + peak
        return log_p

    def _entropy(self) -> float:
        """-∫ p log p by Gauss-Legendre on cells that are quartered until they are CELL widths wide or less.

        A cell knows the Gaussians within MARGIN of it, 1e-14 of the mass of each at most left out, and takes its
        panels, PANEL widths wide, from the narrowest of them: NODES nodes there for each side. How good this is, is
        known from doing it with twice the nodes: over dots, strokes, beads just far enough apart to have a minimum
        between them, and widths 100 : 1 on one another, that changes H by less than 1e-7 nats; with half the nodes
        by 2e-4. A test holds it to 1e-6, and to a plain grid.
        """
        low, high = self._means.min(axis=0), self._means.max(axis=0)
        margin = MARGIN * float(self._sigmas.max())
        side = float((high - low).max()) + 2 * margin
        return -self._cell((low + high) / 2 - side / 2, side, np.arange(self.components))

    def _cell(self, corner: np.ndarray, side: float, near: np.ndarray, nodes: int = NODES) -> float:
        """Return ∫ p log p over a square cell, given the Gaussians that may reach it."""
        means, sigmas = self._means[near], self._sigmas[near]
        away = np.maximum(np.maximum(corner - means, means - corner - side), 0)  # (K, 2), 0 within the cell's range
        near = near[np.hypot(away[:, 0], away[:, 1]) <= MARGIN * sigmas]
        if not len(near):
            return 0.0
        narrowest = float(self._sigmas[near].min())
        if side > CELL * narrowest:
            quarters = [corner + np.array([i, j]) * side / 2 for i in (0, 1) for j in (0, 1)]
            return sum(self._cell(quarter, side / 2, near, nodes) for quarter in quarters)
        panels = math.ceil(side / (PANEL * narrowest))
        at, weight = gauss_legendre(nodes)
        ticks = side / panels * (np.arange(panels)[:, None] + at).ravel()
        weights = np.tile(side / panels * weight, panels)
        means, sigmas = self._means[near], self._sigmas[near]
        x, y = (
            np.exp(-((corner[axis] + ticks - means[:, axis, None]) ** 2) / (2 * sigmas[:, None] ** 2))
            for axis in (0, 1)
        )  # (K, T): a round Gaussian is the product of two
        p = (x * (self._weights[near] / (2 * math.pi * sigmas**2))[:, None]).T @ y  # (T, T)
        p_log_p = p * np.log(p, out=np.zeros_like(p), where=p > 0)
        return float(weights @ p_log_p @ weights)

    @cached_property
    def _parts(self) -> tuple[np.ndarray, ...]:
        """The Gaussians: means (K, 2), σ (K,), weights (K,) whose sum is 1, and colours (K,)."""
        strokes = self.drawing.strokes
        widths, ways = np.array([(stroke.width, stroke.length) for stroke in strokes]).T
        lengths = ways / (SPACING * widths)
        counts = np.ceil(lengths)  # besides both ends
        if counts.sum() + 2 * len(strokes) > MOST_COMPONENTS:
            rounding = np.count_nonzero(lengths)  # up adds less than one to each
            further = lengths.sum() / (MOST_COMPONENTS - 2 * len(strokes) - rounding)
            counts = np.ceil(lengths / max(further, 1.0))
        counts = counts.astype(np.int64)
        means = np.concatenate([stroke.places(count) for stroke, count in zip(strokes, counts, strict=True)])
        sigmas = np.repeat(widths, 2 + counts)
        at_ends, between = widths * (DOT / 2 * widths), widths * (ways / np.maximum(counts, 1))
        shares = zip(at_ends, between, counts, strict=True)
        masses = np.concatenate([np.append([end, end], np.full(count, one)) for end, one, count in shares])
        weights = masses / masses.sum()
        return means, sigmas, weights, np.repeat([stroke.colour for stroke in strokes], 2 + counts)

    @property
    def _means(self) -> np.ndarray:
        return self._parts[0]

    @property
    def _sigmas(self) -> np.ndarray:
        return self._parts[1]

    @property
    def _weights(self) -> np.ndarray:
        return self._parts[2]

    @property
    def _colours(self) -> np.ndarray:
        return self._parts[3]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.drawing,)  # what is derived is derived again

    def __repr__(self) -> str:
        count = len(self.drawing.strokes)
        return f"DrawnTarget({count} {'stroke' if count == 1 else 'strokes'})"


def _sentence(problem: dict[str, Any]) -> str:
    """Return what is wrong with the JSON of a drawing: expected, got, and the mend."""
    where, kind, given = problem["loc"], problem["type"], problem["input"]
    if kind == "json_invalid":
        return f"Expected a drawing in JSON, got text that breaks off or is not JSON: {_shown(given)}. Save it again."
    if kind == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    name, got = _name(where), _shown(given)
    if kind == "missing":
        return f"Expected {name}, got none. Add it."
    if kind == "extra_forbidden":
        return f"Expected no {name}, got {got}. Take it away."
    if where == ("strokes",) and kind == "too_short":
        return "Expected at least one stroke, got an empty drawing. Draw something first."
    if where == ("strokes",) and kind == "too_long":
        return f"Expected at most {MOST_STROKES:,} strokes, got more. Leave some out."
    if where[-1:] == ("points",) and kind in ("too_short", "too_long"):
        return f"Expected 1 to {MOST_POINTS:,} {name}, got {'none' if kind == 'too_short' else 'more'}. Draw it again."
    return f"Expected {name} as {_wanted(where)}, got {got}. Draw {'that stroke' if where[1:] else 'it'} again."


def _name(where: tuple[str | int, ...]) -> str:
    """Return the words for a place in a drawing: ("strokes", 0, "points", 1, 0) is x of point 1 of stroke 0."""
    words = []
    for outer, inner in zip((None, *where), where, strict=False):
        if isinstance(inner, str):
            words.append(inner if inner in (*Drawing.model_fields, *Stroke.model_fields) else _shown(inner))
        elif outer in ("strokes", "points"):
            words[-1] = f"{str(outer).removesuffix('s')} {inner}"
        else:
            words.append("x" if inner == 0 else "y")
    return " of ".join(reversed(words)) or "a drawing"


def _wanted(where: tuple[str | int, ...]) -> str:
    """Return what belongs at a place in a drawing."""
    by_name = {
        "strokes": "a list of strokes",
        "points": "a list of points [x, y]",
        "width": f"a number from {THINNEST:g} to {WIDEST:g}",
        "colour": f"a whole number from 0 to {COLOURS - 1}",
    }
    by_depth = {
        0: 'an object {"strokes": [...]}',
        2: 'an object {"points": ..., "width": ..., "colour": ...}',
        4: "two numbers [x, y]",
        5: f"a number from {-REACH:g} to {REACH:g}",
    }
    return by_depth.get(len(where)) or by_name[where[-1]]


def _shown(value: object) -> str:
    """Return a value as it stands in a message, never longer than a line."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
