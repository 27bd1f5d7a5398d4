"""Targets: every density that a flow can be asked to learn, from easy to hard, and the visitor's own."""

import streamlit as st

from aio.ui.frame import frame
from aio.ui.gallery import gallery
from aio.ui.own_data import draw_panel, picture_panel, table_panel
from aio.ui.words import choice

PANELS = {"Gallery": gallery, "Draw": draw_panel, "Picture": picture_panel, "Table": table_panel}

session = frame("pages/targets.py")
st.title("Targets", anchor=False)
chosen = choice("Source of the data", tuple(PANELS), key="data_source")
PANELS[chosen](session)
