"""Builds the optimiser of a run from its settings."""

import torch
from torch import nn

from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.optim.lars import LARS


def build_optimizer(config: OptimConfig, module: nn.Module) -> torch.optim.Optimizer:
    """Builds the optimiser of the trainable parameters of ``module``, which must be on their device already.

    Tensors of one dimension have no weight decay. The learning rate is ``base_lr`` until the schedule sets it.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if config.name == "lars":
        return LARS(parameters, config.base_lr, config.weight_decay, config.momentum)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    return torch.optim.AdamW(groups, lr=config.base_lr, fused=fused)
