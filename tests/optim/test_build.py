"""Building the optimiser from options."""

import pytest
import torch
from torch import nn

from dataprep.errors import UserError
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.optim.lars import LARS


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    network[3].bias.requires_grad_(False)
    return network


def test_lars_takes_the_options_and_the_trainable_parameters() -> None:
    network = small_network()
    optimizer = build_optimizer(OptimConfig(weight_decay=0.3, momentum=0.5), network)
    assert isinstance(optimizer, LARS)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.2, 0.3, 0.5)
    assert {id(p) for p in group["params"]} == {id(p) for p in network.parameters() if p.requires_grad}


def test_adamw_decays_only_what_has_two_dimensions() -> None:
    """With zero gradients AdamW's step is the decay alone: p <- p (1 - lr wd)."""
    network = small_network()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = build_optimizer(OptimConfig(name="adamw", base_lr=0.1, weight_decay=0.5), network)
    assert isinstance(optimizer, torch.optim.AdamW)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    for name, parameter in network.named_parameters():
        factor = 0.95 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.data, factor * before[name])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "sgd"}, "optim.name is 'sgd': set it to lars or adamw"),
        ({"base_lr": -0.1}, "optim.base_lr is -0.1: set it to a finite number above 0"),
        ({"base_lr": float("inf")}, "optim.base_lr is inf"),
        ({"weight_decay": -1.0}, "optim.weight_decay is -1.0: set it to 0 or"),
        ({"warmup_epochs": float("nan")}, "optim.warmup_epochs is nan"),
        ({"end_factor": 2.0}, "optim.end_factor is 2.0: set it between 0 and 1"),
        ({"lars": "fastest"}, "optim.lars is 'fastest': set it to auto, loop, foreach, triton or apex"),
        ({"momentum": 1.0}, "optim.momentum is 1.0: set it to at least 0 and below 1"),
    ],
)
def test_nonsense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        OptimConfig(**options)
