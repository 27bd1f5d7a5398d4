"""Which block is open on the Block page, and how the visitor looks at it: the page's own part of the session."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st
import torch

from aio.by_hand import BlockEdit, HandCurve
from aio.config import RunConfig
from aio.dataset import OwnData
from aio.inspection import Opened, in_double, open_block
from aio.inspection.opened import Colour
from aio.training import TrainState, flow_of, start

__all__ = ["Opening"]

POINTS = 300
BASE_SEED = 1  # the same latent points at every visit
FIRST_PROBE = (1.0, 0.5)
# An untrained block is almost a permutation. These curves show what a coupling can do.
FIRST_EDIT = BlockEdit(
    s=HandCurve(kind="sine", amplitude=0.5, rate=1.5, centre=0.5), t=HandCurve(kind="sine", amplitude=0.8, rate=1.2)
)

NOWHERE = object()
ECHO_SECONDS = 1.0  # as long as a report may be under way: two ticks

Source = Literal["drawn", "trained"]
Section = Literal[
    "formula", "conditioner", "permutation", "scale", "fields", "round_trip", "loss", "docstring", "take_away"
]


@dataclass
class Opening:
    """What the visitor has opened. Widgets show it; their callbacks change it."""

    source: Source | None = None
    """None until the page was seen: then what was trained, where something was."""
    index: int = 0
    points: Literal["data", "base"] = "data"
    rev: bool = False
    colour: Colour = "so_far"
    displacement: bool = False
    step: str = "coupling"
    """The frame that is enlarged."""
    pointed: str = ""
    """The frame whose term was pointed at last: its code is shown."""
    probe: tuple[float, float] | None = None
    """At the film's input; None for a point of those that reach the block."""
    edits: dict[tuple[Source, int], BlockEdit] = field(default_factory=dict)
    """What is set by hand in each block."""
    section: Section = "formula"
    depth: int = 1
    """How many times the block is repeated for the round trip."""
    off: bool = False
    statement: int | None = None
    """Number of the statement that is shown."""
    preset: str | None = None
    kept: dict[str, tuple[Hashable, Any]] = field(default_factory=dict)
    """Computed once for as long as its key holds: name → key, value."""
    block_key: Hashable = None
    """Changes when the open block does, and not when it is only looked at from another side."""
    stands: dict[str, Any] = field(default_factory=dict)
    """Where each widget stands on the visitor's screen, as far as is known: key → value."""
    left: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)
    """Where it was told to go away from lately, and when."""

    def show(self, key: str, value: Any) -> None:
        """Have the widget of this key stand at a value. Called before the widget is drawn.

        A widget that stands there is left alone: to tell it so would throw back a slider that is being moved.
        """
        stood = self.stands.get(key, NOWHERE)
        if key not in st.session_state or stood is NOWHERE or stood != value:
            left = [(at, old) for at, old in self.left.get(key, []) if time.monotonic() - at < ECHO_SECONDS]
            self.left[key] = left if stood is NOWHERE else [*left, (time.monotonic(), stood)]
            st.session_state[key] = self.stands[key] = value

    def hears(self, key: str, take: Callable[[Any], Any]) -> Callable[[], None]:
        """A callback for the widget of this key: `take` is given what the visitor has set it to.

        Streamlit also calls it where nobody has set anything: after a run that was cut short, for every widget that was
        told where to stand; and while a tick or another change is on its way, with where the widget stood before it was
        told to stand elsewhere. Such an echo is nobody's wish, and the widget is told again.
        """

        def callback() -> None:
            value = st.session_state[key]
            if value == self.stands.get(key, NOWHERE):
                return
            self.stands[key] = value
            now = time.monotonic()
            if not any(value == old and now - at < ECHO_SECONDS for at, old in self.left.get(key, [])):
                take(value)

        return callback

    @property
    def edit(self) -> BlockEdit:
        """What is set by hand in the block that is open."""
        return self.edits.get((self.source, self.index), BlockEdit())

    def change(self, **changes: Any) -> None:
        """Set something by hand in the block that is open."""
        self.edits[self.source, self.index] = BlockEdit.model_validate({**dict(self.edit), **changes})

    def undo(self) -> None:
        """Take back everything that was set by hand in the block that is open."""
        self.edits.pop((self.source, self.index), None)
        self.off = False

    def begin(self, *, trained: bool) -> None:
        """Open what was trained, or else a block that shows something before anything is."""
        if self.source is None:
            self.source = "trained" if trained else "drawn"
            if not trained:
                self.edits["drawn", 0] = FIRST_EDIT
        elif trained and self.at_first:
            self.undo()
            self.source = "trained"

    @property
    def at_first(self) -> bool:
        """Whether the page is as it began, with curves of its own choice."""
        return self.source == "drawn" and self.edit == FIRST_EDIT

    def keep(self, name: str, key: Hashable, compute: Any) -> Any:
        """`compute()`, or what it was the last time if the key is still the same."""
        if name not in self.kept or self.kept[name][0] != key:
            self.kept[name] = key, compute()
        return self.kept[name][1]

    def choose(self, step: str) -> None:
        """Enlarge a frame, and show the code of its term."""
        self.step = self.pointed = step

    def point(self, step: str) -> None:
        """Speak of a frame without enlarging it."""
        self.pointed = step

    def shown_step(self, opened: Opened) -> str:
        """The chosen frame; another film may lack it, such as a mirror that is no more."""
        names = [step.name for step in opened.grid]
        if self.step in names:
            return self.step
        return next((name for name in names if name.startswith("mirror")), "coupling")

    def state(self, config: RunConfig, run_state: TrainState | None, own: OwnData | None) -> TrainState:
        """The run's state that is looked at: as trained, or at step 0 of what the controls say."""
        if self.source == "trained" and run_state is not None:
            return run_state
        data = own if config.data.target is None else None
        key = config.changed(training=RunConfig().training), _Same(data)
        return self.keep("start", key, lambda: start(config, data))

    def opened(self, state: TrainState) -> Opened:
        """The open block, computed once for each way of looking at it."""
        flow = self.keep("flow", _Same(state), lambda: in_double(flow_of(state, shared=True)))
        self.index = min(self.index, len(flow.blocks) - 1)
        self.block_key = (_Same(state), self.index, self.edit)
        key = (self.block_key, self.points, self.rev)
        data = state.dataset().train[:POINTS]
        base = flow.base.sample(POINTS, torch.Generator().manual_seed(BASE_SEED))
        opened = self.keep("opened", key, lambda: open_block(
            flow, self.index, self.edit, data, points=self.points, rev=self.rev, base=base
        ))  # fmt: skip
        if self.probe is None:
            self.probe = opened.near(FIRST_PROBE)
        return opened


class _Same:
    """A key that holds for one object only, and keeps it alive for as long."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)
