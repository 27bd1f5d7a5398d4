"""Targets: every density that a flow can be asked to learn, from easy to hard."""

from aio.ui.frame import frame
from aio.ui.gallery import gallery, introduction

session = frame("pages/targets.py")
introduction()
gallery(session)
