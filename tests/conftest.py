"""What all tests share."""

import torch

# The matrices are small, and pytest-xdist already gives each core a worker.
torch.set_num_threads(1)
