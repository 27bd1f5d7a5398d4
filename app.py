"""Home."""

import streamlit as st

from aio.ui.frame import frame

frame("app.py")
st.title("See a normalizing flow learn", anchor=False)
if st.button("Train it live", type="primary", key="train_it_live"):
    st.switch_page("pages/train.py")
