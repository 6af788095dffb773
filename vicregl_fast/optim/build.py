"""Builds the optimiser of a run from its settings."""

import torch
from torch import nn

from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.optim.lars import LARS
from vicregl_fast.optim.lars_backends.choice import choose_backend


def build_optimizer(config: OptimConfig, module: nn.Module, rate_on_device: bool = False) -> torch.optim.Optimizer:
    """Builds the optimiser of the trainable parameters of ``module``, which must be on their device already.

    Tensors of one dimension have no weight decay. The learning rate is ``base_lr`` until the schedule sets it.

    Args:
        config: the settings.
        module: whose parameters are trained.
        rate_on_device: whether the learning rate will be a tensor on the device, as where steps are recorded.

    Raises:
        UserError: what the settings name to take LARS steps does not work here.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if config.name == "lars":
        backend = choose_backend(config.lars, parameters[0].device, rate_on_device)
        return LARS(parameters, config.base_lr, config.weight_decay, config.momentum, backend)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    return torch.optim.AdamW(groups, lr=config.base_lr, fused=fused)
