"""What every page begins with: its configuration, its style sheet and the links to the other pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from aio.figures.palette import DATA, LATENT
from aio.ui.session import Session, session

__all__ = ["PAGES", "Page", "frame"]

VISITS = "pages/block.py"  # the page that shows settings that are not the visitor's own
STYLE = Path(__file__).with_name("style.css")


LEGEND = (
    f'<div class="legend"><span><i style="background:{DATA}"></i>data</span>'
    f'<span><i style="background:{LATENT}"></i>latent</span>'
    '<span><b></b>model</span><span><b class="dashed"></b>truth</span></div>'
)


@dataclass(frozen=True)
class Page:
    """A page as the links know it."""

    path: str
    title: str
    about: str = ""
    """What it is for, in a sentence: for the landing page."""


PAGES = (
    Page("app.py", "Home"),
    Page(
        "pages/train.py",
        "Train",
        "A flow learns a density, live: its grid, its loss over the floor, every setting at hand.",
    ),
    Page(
        "pages/block.py",
        "Block",
        "One block opened: each step inside, the formula with the numbers of a point you drag, all of it by hand.",
    ),
    Page(
        "pages/targets.py",
        "Targets",
        "Eighteen known densities, and your own: draw one, or bring a picture or a table.",
    ),
)


def frame(path: str, *, side_bar: bool = False) -> Session:
    """Begin a page. The first call of every page.

    Args:
        path: the page's own, as in `PAGES`.
        side_bar: whether the page puts its controls in the side bar.

    Returns:
        The visitor's session, with the settings of the link they came by.
    """
    page = next(p for p in PAGES if p.path == path)
    st.set_page_config(
        page_title=f"{page.title} · AIO Flow Lab",
        page_icon="assets/logo.svg",
        layout="wide",
        initial_sidebar_state="auto" if side_bar else "collapsed",
        menu_items={"About": "AIO Flow Lab: see, train and inspect normalizing flows of AllInOneBlocks."},
    )
    st.html(STYLE)
    here = session()
    here.take_link(st.query_params.to_dict())
    if path != VISITS:
        here.end_visit()  # what was only shown there is not the visitor's
    with st.container(key="navigation", horizontal=True, vertical_alignment="center", gap="small"):
        st.html('<span class="brand">AIO Flow Lab</span>', width="content")
        for other in PAGES:
            with st.container(key="here" if other is page else f"to_{other.title.lower()}", width="content"):
                st.page_link(other.path, label=other.title)
        st.html(LEGEND)
    return here
