"""One language of colour for every figure, light and dark, safe for colour-blind readers.

Data is blue, latent is orange; density runs on a sequential scale, signed quantities on a diverging one with white
at zero; truth is a dashed line, the model a full one. Colours of text and frames come from the visitor's theme,
named `var(--theme:…)`, which `aio.ui.live` resolves.
"""

from __future__ import annotations

__all__ = [
    "BACKGROUND",
    "BROKEN",
    "DATA",
    "DATA_ON_DENSITY",
    "DENSITY",
    "FAINT",
    "LATENT",
    "MODEL",
    "NEGATIVE",
    "POSITIVE",
    "SHADE",
    "SIGNED",
    "TEXT",
    "TRUTH",
    "with_opacity",
]

# Blue and vermilion of Okabe and Ito's palette, lightened until they keep a contrast of 3 : 1 on white and on black.
DATA = "#2f7fd1"
LATENT = "#d9730d"
MODEL = DATA
TEXT = "var(--theme:text)"
BACKGROUND = "var(--theme:background/0.75)"
TRUTH = TEXT
DATA_ON_DENSITY = "#bfe0ff"
# Cividis (Nuñez, Anderton, Renslow 2018), which looks the same with and without red–green colour blindness.
DENSITY = [[i / 9, colour] for i, colour in enumerate(
    ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")
)]  # fmt: skip
SIGNED = [[0.0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#ffffff"], [0.75, "#f4a582"], [1.0, "#c2410c"]]
# A signed number on its own, as a bar: the ends of its scale.
NEGATIVE, POSITIVE = SIGNED[0][1], SIGNED[-1][1]
# Where a number is not finite. Neither scale has this hue; it is hatched besides, for those who cannot tell.
BROKEN = "#b5399b"
# What frames and explains without being data: a thin line, and an area behind everything.
FAINT = "var(--theme:text/0.35)"
SHADE = "var(--theme:text/0.07)"


def with_opacity(colour: str, opacity: float) -> str:
    """A colour of the form #rrggbb as rgba.

    >>> with_opacity("#0072b2", 0.5)
    'rgba(0,114,178,0.5)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
