"""The screen: the only part of aio that imports streamlit."""
