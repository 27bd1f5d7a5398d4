"""The gallery of targets: a card each, with its density, its formula, its entropy and what makes it hard."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from aio.figures import readable_scale, thumbnail
from aio.figures.plane import Scale
from aio.targets import TARGETS, Target
from aio.ui.session import Session

__all__ = ["GROUPS", "Group", "gallery", "parameters_in_words", "picture"]

CELLS = 176  # a multiple of 44: the edges of checkerboard, corners and U2 to U4 then lie between cells, and stay sharp
PICTURES_KEPT = 64

# The letters that the formulas use for the parameters.
LETTERS = {
    "noise": "σ",
    "modes": "K",
    "blades": "K",
    "turns": "n",
    "radius": "r",
    "gap": "g",
    "spread": "s",
    "bend": "k",
    "frequency": "ω",
}


@dataclass(frozen=True)
class Group:
    """Targets that are hard, or easy, for the same reason."""

    title: str
    reason: str
    words: Mapping[str, str]
    """What a reader sees at a glance, by the name of the target; from easy to hard."""


# Groups, and cards within a group, stand in the order of the KL that the default flow has left after 2,000
# steps (of groups, the mean), as far as its noise goes.
GROUPS = (
    Group(
        "One coupling away",
        "A Gaussian, shifted or stretched along one axis by what the other says.",
        {
            "crescent": "a parabola in x₁",
            "banana": "a parabola in x₂",
            "funnel": "decades of width",
            "sine_wave": "a fast wave",
        },
    ),
    Group(
        "Pieces to part",
        "A flow stretches what joins two pieces until it is thin; it never cuts.",
        {
            "u1": "two bent pieces",
            "moons": "two pieces, interlocked",
            "u4": "a fork",
            "eight_gaussians": "eight pieces",
        },
    ),
    Group(
        "Edges",
        "A flow's density is continuous and nowhere 0. It can only come close.",
        {
            "u2": "two edges",
            "checkerboard": "edges and corners",
            "corners": "edges, gaps and steps",
        },
    ),
    Group(
        "Turns",
        "A coupling moves points along one axis only: winding takes several.",
        {
            "swissroll": "one strip",
            "pinwheel": "twisted blades",
            "two_spirals": "two arms",
        },
    ),
    Group(
        "Holes",
        "A flow covers the whole plane: something stays in the hole, however thin.",
        {
            "u3": "one hole",
            "circles": "a hole and a gap",
            "four_circles": "thirteen cells",
            "rings": "a hole and three gaps",
        },
    ),
)
NOTATION = (
    "In the formulas <i>z</i> is standard normal in the plane and <i>u</i> uniform from 0 to 1; of signs, numbers or "
    "curves to choose from, each is equally likely; [ · ] is 1 where it holds, else 0. H(p), the entropy, is the floor "
    "of the loss. Train on it starts a fresh run; your other settings stay as they are."
)


def _introduction() -> None:
    """What the page shows, and how to read its formulas."""
    lead = f"{len(TARGETS)} known densities, from easy to hard for affine couplings on a Gaussian base."
    st.html(f'<div class="plates-head"><p>{lead}</p><p class="notation">{NOTATION}</p></div>')


def gallery(session: Session) -> None:
    """All targets, group by group, each with a button that starts a run on it."""
    _introduction()
    for number, group in enumerate(all_groups()):
        st.html(f'<div class="plates-head"><h2>{_text(group.title)}</h2><p>{_text(group.reason)}</p></div>')
        with st.container(key=f"plates_{number}"):
            for name, word in group.words.items():
                _card(session, TARGETS[name], word)


def all_groups() -> tuple[Group, ...]:
    """The groups, and one more for targets that stand in none."""
    placed = {name for group in GROUPS for name in group.words}
    others = {name: "" for name in TARGETS if name not in placed}
    return (*GROUPS, Group("More", "", others)) if others else GROUPS


def train_on(session: Session, target: Target) -> None:
    """Start a run on a target; all other settings stay as they are."""
    parameters = {p.name: getattr(target, p.name) for p in target.parameters}
    data = session.config.data.changed(target=target.name, parameters=parameters)
    session.change(session.config.changed(data=data))
    session.notices = []
    session.restart().play()


@lru_cache(PICTURES_KEPT)
def picture(target: Target) -> tuple[str, Scale]:
    """The density, on the square where the target is viewed, as the address of an image, and its scale of colours."""
    xmin, xmax, ymin, ymax = target.extent
    centre = (np.arange(CELLS) + 0.5) / CELLS
    x, y = np.meshgrid(xmin + (xmax - xmin) * centre, ymin + (ymax - ymin) * centre)
    log_p = target.log_prob(torch.from_numpy(np.column_stack([x.ravel(), y.ravel()]))).numpy().reshape(CELLS, CELLS)
    scale = readable_scale(log_p)
    return thumbnail(log_p, scale), scale


def parameters_in_words(target: Target) -> str:
    """The parameters of a target with their values.

    >>> parameters_in_words(TARGETS["pinwheel"])
    'σ = 0.1, K = 5'
    """
    return ", ".join(f"{LETTERS.get(p.name, p.label)} = {getattr(target, p.name):.3g}" for p in target.parameters)


def _card(session: Session, target: Target, word: str) -> None:
    address, scale = picture(target)
    about = target.summary.partition(":")[0]
    with st.container(key=f"card_{target.name}", border=True, gap="small"):
        st.image(address, alt=f"The density of {target.title}. {about}.", width="stretch")
        st.html(_head(target, word, scale))
        st.latex(target.formula)
        st.html(f'<p class="hard">{_text(target.hard)}</p>')
        if st.button("Train on it", key=f"train_on_{target.name}", icon=":material/play_arrow:"):
            train_on(session, target)
            st.switch_page("pages/train.py")


def _head(target: Target, word: str, scale: Scale) -> str:
    at = parameters_in_words(target)
    lines = [f"<h3>{_text(target.title)}</h3>", f'<p class="word">{_text(word)}</p>']
    lines += [f"<p>H(p) = <b>{target.entropy:.4f}</b> nats</p>", f'<p class="at">{f"at {_text(at)}" if at else ""}</p>']
    if scale == "log":
        lines.append('<p class="colours">picture on a log scale</p>')
    return f'<div class="plate">{"".join(lines)}</div>'


def _text(words: str) -> str:
    return html.escape(words, quote=False)
