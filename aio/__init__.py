"""Normalizing flows of AllInOneBlocks: the block, flows, targets with known densities, training as a function."""

from aio.block import AllInOneBlock
from aio.config import BaseConfig, BlockConfig, DataConfig, FlowConfig, RunConfig, SubnetConfig, TrainingConfig
from aio.flow import Flow, build
from aio.subnets import mlp
from aio.targets import TARGETS, get_target
from aio.training import TrainState, advance, evaluate, flow_of, start

__all__ = [
    "TARGETS",
    "AllInOneBlock",
    "BaseConfig",
    "BlockConfig",
    "DataConfig",
    "Flow",
    "FlowConfig",
    "RunConfig",
    "SubnetConfig",
    "TrainState",
    "TrainingConfig",
    "advance",
    "build",
    "evaluate",
    "flow_of",
    "get_target",
    "mlp",
    "start",
]
