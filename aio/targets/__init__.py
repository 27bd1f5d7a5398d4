"""Two-dimensional densities with a known truth: what a flow is asked to learn.

>>> import torch
>>> moons = get_target("moons", noise=0.1)
>>> x = moons.sample(5, torch.Generator().manual_seed(0))
>>> x.shape, moons.log_prob(x).shape, round(moons.entropy, 4)
(torch.Size([5, 2]), torch.Size([5]), 1.0076)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aio.targets.base import Parameter, Target, suggestion
from aio.targets.checkerboard import Checkerboard
from aio.targets.corners import Corners
from aio.targets.energies import U1, U2, U3, U4
from aio.targets.funnel import Funnel
from aio.targets.gaussians import EightGaussians
from aio.targets.moons import Moons
from aio.targets.pinwheel import Pinwheel
from aio.targets.rings import Circles, FourCircles, Rings
from aio.targets.sheared import Banana, Crescent, SineWave
from aio.targets.swissroll import Swissroll
from aio.targets.two_spirals import TwoSpirals

__all__ = [
    "TARGETS",
    "U1",
    "U2",
    "U3",
    "U4",
    "Banana",
    "Checkerboard",
    "Circles",
    "Corners",
    "Crescent",
    "EightGaussians",
    "FourCircles",
    "Funnel",
    "Moons",
    "Parameter",
    "Pinwheel",
    "Rings",
    "SineWave",
    "Swissroll",
    "Target",
    "TwoSpirals",
    "get_target",
]

# To add a target, add its class here. The order is the order in menus.
_CLASSES = (
    Moons,
    Circles,
    Rings,
    EightGaussians,
    Checkerboard,
    Pinwheel,
    Swissroll,
    TwoSpirals,
    FourCircles,
    Corners,
    Funnel,
    Banana,
    SineWave,
    Crescent,
    U1,
    U2,
    U3,
    U4,
)

TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target() for target in _CLASSES})


def get_target(name: str, /, **parameters: float) -> Target:
    """Return the target called `name`, with `parameters` in place of its defaults.

    Args:
        name: one of the keys of `TARGETS`.
        parameters: values by name; see the target's own `parameters` for names and limits.

    Raises:
        ValueError: if the name or a parameter is unknown, or a value outside its limits.

    >>> get_target("pinwheel", blades=3)
    Pinwheel(noise=0.1, blades=3)
    >>> get_target("mons")
    Traceback (most recent call last):
    ValueError: Expected a target among moons, circles, rings, eight_gaussians, checkerboard, pinwheel, \
swissroll, two_spirals, four_circles, corners, funnel, banana, sine_wave, crescent, u1, u2, u3, u4, got 'mons'. \
Did you mean moons?
    """
    if name not in TARGETS:
        known = ", ".join(TARGETS)
        raise ValueError(f"Expected a target among {known}, got {name!r}. {suggestion(name, TARGETS)}")
    return TARGETS[name].with_parameters(**parameters)
