"""Between logged steps the host never waits for the device.

The tensors are on torch's meta device, which stands for a GPU: they have no values, so that reading one, or a shape
that depends on one, raises an error.
"""

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.backbone import feature_grid
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.lars import LARS
from vicregl_fast.training.online_knn import FeatureBank
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.step import TrainingStep

META = torch.device("meta")


class Device(TorchDispatchMode):
    """Lets the meta device do what a step needs.

    Args:
        strict: raise where a tensor of the host is copied to the device, for which the host waits if it is not pinned.
    """

    def __init__(self, strict: bool) -> None:
        super().__init__()
        self.strict = strict

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        options = options or {}
        name = operation.overloadpacket._qualified_op_name.split("::")[1]
        if name.startswith(("_fused_", "_amp_")):  # kernels that have no form for the meta device
            return None
        tensors = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, torch.Tensor)]
        on_host = [tensor for tensor in tensors if tensor.device != META]
        moves = name == "_to_copy" and options.get("device") == META and on_host
        copied = name in ("copy_", "lift_fresh", "_foreach_copy_") and 0 < len(on_host) < len(tensors)
        if self.strict and (moves or copied or (name == "lift_fresh" and tensors[0].device == META)):
            raise AssertionError(f"{name} copies to the device")
        return operation(*arguments, **options)


def test_the_scan_sees_what_waits() -> None:
    x, host = torch.ones(4, device=META), torch.ones(4)
    waits: list[Callable[[], object]] = [
        lambda: x.sum().item(),
        lambda: bool((x > 0).all()),
        lambda: x[x > 0],
        lambda: x.cpu(),
        lambda: host.to(META),
        lambda: x.copy_(host),
        lambda: torch.tensor([1.0], device=META),
    ]
    for each in waits:
        with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), Device(strict=True):
            each()


def optimizer_on_device(name: str, network: VICRegLNetwork, monkeypatch: pytest.MonkeyPatch) -> torch.optim.Optimizer:
    if name == "lars":
        return LARS(network.parameters(), 0.1)
    check = "_device_dtype_check_for_fused"
    monkeypatch.setattr(importlib.import_module("torch.optim.adam"), check, lambda *given, **options: None)
    return torch.optim.AdamW(network.parameters(), 0.1, fused=True)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("optimizer", ["lars", "adamw"])
@pytest.mark.parametrize(("backbone", "sizes"), [("resnet18", (64, 64)), ("convnext_atto", (64, 64, 32))])
def test_a_step_does_not_wait(
    backbone: str, sizes: tuple[int, ...], optimizer: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Autocast, which the meta device does not know, waits for nothing.
    monkeypatch.setattr("torch.autocast", lambda *given, **options: nullcontext())
    network = VICRegLNetwork(ModelConfig(backbone, expander=16, projector=8), True, True, classes=3)
    grids = [feature_grid(network.backbone, size) for size in sizes]
    network = network.to(META)
    criterion = VICRegLLoss(LossConfig(gamma_large=1), len(sizes))
    step = TrainingStep(
        network,
        criterion,
        optimizer_on_device(optimizer, network, monkeypatch),
        Precision(precision, "cpu"),
        1.0,
        network.classifier,
    )
    views = tuple(torch.empty(4, 3, size, size, device=META) for size in sizes)
    cells = torch.empty(4, 1, dtype=torch.int64, device=META)
    matches = {direction: Matches(cells, cells) for direction in criterion.plan.location}
    batch = ViewBatch(np.arange(4), views, torch.empty(4, dtype=torch.int64, device=META), matches)
    bank = FeatureBank(6, network.backbone.channels, META)
    with Device(strict=False):
        step(batch, 0.1)  # constants are made once
    with Device(strict=True):
        result = step(batch, 0.1)
        for _ in range(3):
            bank.add(result.pooled, batch.labels)
    assert result.loss.device == result.finite.device == META
    assert (result.scale is not None) == (precision == "fp16")
    assert max(grids) > 1
