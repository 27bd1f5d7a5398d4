"""What one visitor has: settings, a run, and how they like to look at it. One typed object, reached by one function."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import streamlit as st
import torch

from aio.config import RunConfig
from aio.dataset import OwnData
from aio.figures.plane import Quantity, Scale
from aio.link import from_link, to_link
from aio.runs import Run
from aio.ui.opening import Opening

__all__ = ["Session", "session"]


@dataclass
class Session:
    """A visitor's own state, alive as long as their browser is connected."""

    executor: Executor
    config: RunConfig = field(default_factory=RunConfig)
    """What the controls say. The run may still have other settings: those wait for a reset."""
    run: Run | None = None
    notices: list[str] = field(default_factory=list)
    """What could not be taken from the link that the visitor came by; told until they change a setting."""
    quantity: Quantity = "learned"
    scale: Scale = "linear"
    rough: bool = False
    """Whether the KL from histograms stands beside the exact one."""
    sent: dict[str, tuple] = field(default_factory=dict)
    """What was last sent of each live figure: what it shows, and its encoding."""
    own: OwnData | None = None
    """The visitor's own points or density; trained on where the settings name no target."""
    own_title: str = ""
    drawing: str = ""
    """What stands on the canvas, as JSON."""
    drawn_since: bool = False
    """Whether something was drawn since the page beside the canvas was drawn."""
    drawing_problem: str = ""
    """Why what stands there cannot be trained on."""
    opening: Opening = field(default_factory=Opening)
    """What is open on the Block page."""
    visited_from: tuple[RunConfig, Opening] | None = None
    """What to go back to from settings that are only shown; None where they are the visitor's own."""
    link_taken: bool = False
    impose: bool = False
    """Whether the controls on the screen must be told of settings that the visitor did not set there."""

    def take_link(self, parameters: Mapping[str, str]) -> None:
        """Take the settings of the link that the visitor came by; only the first time."""
        if not self.link_taken:
            self.link_taken = True
            self.config, self.notices = from_link(parameters)

    @property
    def link(self) -> dict[str, str]:
        """The settings as parameters of a link."""
        return to_link(self.config)

    def ensure_run(self) -> Run:
        """The visitor's run; a fresh one is started where there is none."""
        if self.run is None:
            self.run = Run(self.config, self.executor, self._data(self.config))
        return self.run

    def restart(self) -> Run:
        """Start the run afresh with what the controls say."""
        run = self.ensure_run()
        run.reset(self.config, self._data(self.config))
        return run

    def take_own(self, data: OwnData, title: str) -> None:
        """Train on the visitor's own data from here on.

        Args:
            data: points (N, 2), or a density.
            title: what it is, such as "Your drawing". Under the same title a run goes on with the new data; else a
                fresh one begins.
        """
        goes_on = self.config.data.target is None and self.own_title == title
        self.own, self.own_title = data, title
        if goes_on and self.ensure_run().untouched:
            self.restart()  # nothing is lost, and the flow starts from the spread of all the data
        elif goes_on:
            self.ensure_run().set_data(data)
        else:
            self.notices = []
            self.change(self.config.changed(data=self.config.data.changed(target=None)))
            self.restart()

    def _data(self, config: RunConfig) -> OwnData | None:
        return self.own if config.data.target is None else None

    def change(self, config: RunConfig) -> None:
        """Take settings that come from elsewhere than the controls."""
        self.config, self.impose = config, True

    def begin_visit(self) -> None:
        """From here on settings are for show: they touch no run, and `end_visit` goes back to what is now."""
        if self.visited_from is None:
            here = replace(self.opening, edits=dict(self.opening.edits), kept={}, stands={}, left={})
            self.visited_from = self.config, here

    def end_visit(self, *, keep: bool = False) -> None:
        """Go back to what was before the visit; or, to `keep` the settings that were shown, make them the visitor's."""
        if self.visited_from is None:
            return
        (config, opening), self.visited_from = self.visited_from, None
        if not keep:
            self.opening = opening
            self.change(config)

    def follow(self, config: RunConfig) -> None:
        """Take what the controls say, and let the run follow as far as it can without losing anything.

        Training settings hold from the next step on. Others start a fresh run where nothing was learned yet; else
        they wait for a reset.
        """
        if config != self.config:
            self.notices = []
        self.config, self.impose = config, False
        if self.visited_from is not None:
            return
        run = self.ensure_run()
        if run.config.training != config.training:
            run.set_training(**dict(config.training))
        if run.config != config and run.untouched:
            self.restart()

    def close(self) -> None:
        """Called when the visitor has gone: nothing is computed for them from here on."""
        if self.run is not None:
            self.run.close()


@st.cache_resource(scope="session", on_release=Session.close, show_spinner=False)
def session() -> Session:
    """This visitor's session."""
    return Session(executor=_executor())


@st.cache_resource(show_spinner=False)
def _executor() -> Executor:
    """The thread that trains. One, with one core: the other belongs to the server and the browser."""
    torch.set_num_threads(1)
    # What the imports left behind lives for ever; frozen, no later collection goes through it again (0.2 s each).
    gc.collect()
    gc.freeze()
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="training")
