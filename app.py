"""Home: what this is, and the way in."""

import streamlit as st

from aio.ui.frame import PAGES, frame

session = frame("app.py")
words, picture = st.columns([2, 3], gap="large", vertical_alignment="center")
with words:
    st.title("See a normalizing flow learn", anchor=False)
    st.markdown(
        "A flow bends a Gaussian into the shape of your data, step by step and without tearing it. Here the bending "
        "is done by one building block, the **AllInOneBlock** of FrEIA and anomalib, and you watch its density, its "
        "grid and its loss while it trains."
    )
    if st.button("Train it live", type="primary", icon=":material/play_arrow:", key="train_it_live"):
        session.ensure_run().play()
        st.switch_page("pages/train.py")
    st.markdown(
        "Every target here has a known density, so the loss has a known floor: what is left above it is the "
        "Kullback–Leibler divergence, in nats, with its standard error."
    )
with picture:
    st.image(
        "assets/train.png",
        alt="Three square pictures, learned density, latent grid in data space and data grid in latent space, over a "
        "loss curve that falls towards its floor.",
    )

others = [page for page in PAGES if page.about]
for place, page in zip(st.columns(len(others), gap="large"), others, strict=True):
    with place, st.container(border=True):
        st.page_link(page.path, label=f"**{page.title}**")
        st.markdown(page.about)
