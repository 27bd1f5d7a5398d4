"""Train: a flow of AllInOneBlocks learns a density, live."""

import streamlit as st

from aio.ui.controls import settings_panel
from aio.ui.frame import frame
from aio.ui.training import live, tick_of

session = frame("pages/train.py", side_bar=True)
with st.sidebar:
    session.config = settings_panel(session.config, impose=session.impose)
session.impose = False
session.follow_settings()
if st.query_params.to_dict() != session.link:
    st.query_params.from_dict(session.link)
for notice in session.notices:
    st.warning(notice)
tick = tick_of(session)
st.fragment(live, run_every=tick, key="live")(session, ticking=tick is not None)
