"""Between logged steps the host does not wait for the device: the step itself, seen on other devices than a GPU.

The tensors are on torch's meta device, which stands for a GPU: they have no values, so that reading one, or a shape
that depends on one, raises an error.
"""

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.tiny_run import ALONE
from vicregl_fast.choices import PrecisionName
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.lars import LARS
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.online_knn import FeatureBank
from vicregl_fast.training.outcomes import StepOutcomes
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.step import TrainingStep

META = torch.device("meta")
LOSS = LossConfig(gamma_large=1)
UNKNOWN = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


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
        if self.strict and name == "index_put_" and arguments[2].ndim == 0:  # a number, which torch keeps on the host
            raise AssertionError("a number is assigned at places that tensors give")
        return operation(*arguments, **options)


def test_the_scan_sees_what_waits() -> None:
    x, host = torch.ones(4, device=META), torch.ones(4)
    square, places = torch.ones(4, 4, device=META), torch.empty(2, dtype=torch.int64, device=META)
    waits: list[Callable[[], object]] = [
        lambda: x.sum().item(),
        lambda: bool((x > 0).all()),
        lambda: x[x > 0],
        lambda: x.cpu(),
        lambda: host.to(META),
        lambda: x.copy_(host),
        lambda: torch.tensor([1.0], device=META),
        lambda: square.__setitem__((places, places), 1.0),
    ]
    for each in waits:
        with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), Device(strict=True):
            each()


class NothingRead(TorchDispatchMode):
    """Raises where the host asks for a value, or for a shape that depends on values, be it on a CPU."""

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        by_places = operation is torch.ops.aten.index.Tensor and all(
            x is None or x.dtype != torch.bool for x in arguments[1]
        )
        if UNKNOWN & set(operation.tags) and not by_places:
            raise AssertionError(f"{operation} reads a value")
        return operation(*arguments, **(options or {}))


def test_reading_is_seen() -> None:
    x = torch.ones(4)
    for reads in (lambda: x.sum().item(), lambda: bool(x[0] > 0), lambda: x.nonzero(), lambda: x[x > 0].sum()):
        with pytest.raises(AssertionError, match="reads a value"), NothingRead():
            reads()


def optimizer_on_device(name: str, network: VICRegLNetwork, monkeypatch: pytest.MonkeyPatch) -> torch.optim.Optimizer:
    if name == "lars":
        return LARS(network.parameters(), 0.1)
    check = "_device_dtype_check_for_fused"
    monkeypatch.setattr(importlib.import_module("torch.optim.adam"), check, lambda *given, **options: None)
    return torch.optim.AdamW(network.parameters(), 0.1, fused=True)


def prepared(
    backbone: str,
    sizes: tuple[int, ...],
    optimizer: str,
    precision: PrecisionName,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int | None = None,
    loss: LossConfig = LOSS,
) -> tuple[TrainingStep, ViewBatch]:
    network = VICRegLNetwork(ModelConfig(backbone, expander=16, projector=8), True, True, classes=3).to(device)
    criterion = VICRegLLoss(loss, len(sizes))
    optimiser = optimizer_on_device(optimizer, network, monkeypatch)
    precise = Precision(precision, "cpu")
    step = TrainingStep(network, criterion, optimiser, precise, 1.0, network.classifier, chunk)
    views = tuple(torch.zeros(4, 3, size, size, device=device) for size in sizes)
    cells = torch.zeros(4, 1, dtype=torch.int64, device=device)
    matches = {direction: Matches(cells, cells) for direction in criterion.plan.location}
    return step, ViewBatch(np.arange(4), views, torch.zeros(4, dtype=torch.int64, device=device), matches)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("optimizer", ["lars", "adamw"])
@pytest.mark.parametrize(("backbone", "sizes"), [("resnet18", (64, 64)), ("convnext_atto", (64, 64, 32))])
def test_a_step_does_not_wait(
    backbone: str, sizes: tuple[int, ...], optimizer: str, precision: PrecisionName, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Autocast, which the meta device does not know, waits for nothing.
    monkeypatch.setattr("torch.autocast", lambda *given, **options: nullcontext())
    step, batch = prepared(backbone, sizes, optimizer, precision, META, monkeypatch)
    bank = FeatureBank(6, step.network.backbone.channels, META)
    with Device(strict=False):
        step(batch, 0.1)  # constants are made once
    with Device(strict=True):
        result = step(batch, 0.1)
        for _ in range(3):
            bank.add(result.pooled, batch.labels)
    assert result.loss.device == result.finite.device == META
    assert (result.scale is not None) == (precision == "fp16")


@pytest.mark.parametrize("options", [{"criterion": "simclr"}, {"preset": "official"}, {"alpha": 1.0}])
def test_a_step_of_another_loss_does_not_wait(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.autocast", lambda *given, **kinds: nullcontext())
    loss = LossConfig(gamma_large=1, **options)
    step, batch = prepared("resnet18", (64, 64), "lars", "fp32", META, monkeypatch, loss=loss)
    with Device(strict=False):
        step(batch, 0.1)  # constants are made once
    with Device(strict=True):
        assert step(batch, 0.1).loss.device == META


@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("optimizer", ["lars", "adamw"])
@pytest.mark.parametrize(("backbone", "sizes"), [("test_resnet", (64, 64)), ("test_convnext", (64, 64, 32))])
def test_nothing_is_read_with_autocast_on_the_way_of_an_outcome(
    backbone: str, sizes: tuple[int, ...], optimizer: str, chunk: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bf16 on a CPU, where a value can be had without waiting, and is not asked for either."""
    step, batch = prepared(backbone, sizes, optimizer, "bf16", torch.device("cpu"), monkeypatch, chunk)
    outcomes = StepOutcomes(Failures(patience=9), ALONE, Path("/dev/null"))
    bank = FeatureBank(6, step.network.backbone.channels, torch.device("cpu"))
    step(batch, 0.1)  # constants are made once
    with NothingRead():
        for number in (1, 2, 3):
            result = step(batch, 0.1)
            bank.add(result.pooled, batch.labels)
            outcomes.expect(number, batch.indices, result)
            outcomes.settle(but=1)
