"""Train: a flow of AllInOneBlocks learns a density, live."""

import streamlit as st

from aio.ui.controls import settings_panel
from aio.ui.frame import frame
from aio.ui.training import let_arrive, live, tick_of, transport

session = frame("pages/train.py", side_bar=True)
with st.sidebar:
    session.follow(settings_panel(session.config, impose=session.impose))
if st.query_params.to_dict() != session.link:
    st.query_params.from_dict(session.link)
transport(session)
drawn = session.ensure_run().view()
tick = tick_of(drawn)
st.fragment(live, run_every=tick, key="live")(session, drawn, ticking=tick is not None)
if tick is not None:
    let_arrive()
