"""Serve the app: `python -m aio.ui`, with Streamlit's options after it.

The same as `streamlit run app.py`, but what the first visitor would wait for is done before the server answers: the
imports, the default target's entropy, a first snapshot and a first figure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

APP = Path(__file__).resolve().parents[2] / "app.py"


def warm_up() -> None:
    """Import what the pages import, and compute once what a first visit computes."""
    from aio.config import RunConfig
    from aio.figures import carried_grid, density_image, loss_curve
    from aio.runs import begin
    from aio.ui import block, training  # noqa: F401 - imported to be there

    config = RunConfig()
    first = begin(config, None).snapshot
    density_image(first.log_density, first.true_log_density, first.extent, first.data, top=1.0)
    carried_grid(first.grid_in_latent, first.data_in_latent, first.extent, of="data")
    loss_curve(first.train_curve, first.held_out_curve, first.evaluation.entropy, first.evaluation.kl)


def main() -> None:
    warm_up()
    sys.argv = ["streamlit", "run", str(APP), *sys.argv[1:]]
    cli.main()


if __name__ == "__main__":
    main()
