"""Block: one AllInOneBlock opened, every sub-stage seen, touched and added up."""

import streamlit as st

from aio.ui.block import inside, tick_of
from aio.ui.controls import settings_panel
from aio.ui.frame import frame
from aio.ui.statements import preset_menu, statements_panel
from aio.ui.training import let_arrive

session = frame("pages/block.py", side_bar=True)
with st.sidebar:
    top = st.container()
    session.follow(settings_panel(session.config, impose=session.impose))
    with top:
        preset_menu(session)
if st.query_params.to_dict() != session.link:
    st.query_params.from_dict(session.link)
statements_panel(session)
tick = tick_of(session)
st.fragment(inside, run_every=tick, key="inside")(session, ticking=tick is not None)
if tick is not None:
    let_arrive()
