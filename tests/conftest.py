"""What all tests share."""

import sys

import pytest
import torch

# The matrices are small, and pytest-xdist already gives each core a worker.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def the_main_module_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest leaves its script as `__main__`, which a process that is spawned later would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
