"""Floating-point operations, counted and measured."""

import time

import pytest
import torch

from vicregl_fast.models.backbone import build_backbone
from vicregl_fast.models.config import BackboneConfig, ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.models.passes import compile_backbone
from vicregl_fast.training import arithmetic
from vicregl_fast.training.arithmetic import Arithmetic, forward_flops, matrix_rate
from vicregl_fast.training.precision import Precision


class Views(torch.nn.Module):
    """A backbone that takes a list of views."""

    def __init__(self, backbone: torch.nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, views: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.backbone(view).pooled for view in views]


def test_a_resnet50_makes_four_billion_multiplications() -> None:
    """4.1 G of them and as many additions (He et al. 2016, Table 1: 3.8 G without the strides in 3x3 layers)."""
    backbone = Views(build_backbone(BackboneConfig("resnet50")))
    assert forward_flops(backbone, [224]) == pytest.approx(8.2e9, rel=0.01)
    assert forward_flops(backbone, [224, 224, 112]) == pytest.approx(2.25 * 8.2e9, rel=0.01)


def test_heads_count_and_the_network_stays_as_it_is() -> None:
    network = VICRegLNetwork(ModelConfig("resnet18", expander=32, projector=16), True, True, classes=3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    counted = forward_flops(network, [64])
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    cells, head = 4, 2 * (512 * 32 + 2 * 32 * 32)
    projector = 2 * cells * (512 * 16 + 2 * 16 * 16)
    assert counted - forward_flops(Views(network.backbone), [64]) == head + projector + 2 * 512 * 3


def test_a_compiled_network_is_counted_without_being_compiled_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[object] = []
    compiler = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda code, mode, **options: compiler(code, backend=lambda *of: graphs.append(of), **options)
    )
    network = VICRegLNetwork(ModelConfig("test_resnet", expander=32, projector=16), True, True)
    counted = forward_flops(network, [64])
    compile_backbone(network.backbone)
    assert forward_flops(network, [64]) == counted > 0 and not graphs


def test_the_rate_of_products_is_soon_known_and_draws_nothing() -> None:
    state, start = torch.get_rng_state(), time.perf_counter()
    rate = matrix_rate(torch.device("cpu"), Precision("fp32", "cpu"))
    assert time.perf_counter() - start < 10  # some tenths of a second on a machine that does nothing else
    assert 1e8 < rate < 1e15 and torch.equal(torch.get_rng_state(), state)


def test_what_is_used_is_the_share_of_what_there_is() -> None:
    assert Arithmetic(3e9, 6e12).used(500) == {"tflops": 1.5, "flop_utilisation": 0.25}


def test_training_is_three_forward_passes_and_a_product_two_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    network = VICRegLNetwork(ModelConfig("test_resnet", expander=32, projector=16), True, True)
    monkeypatch.setattr(arithmetic, "_seconds_of_product", lambda a: 0.5)
    measured = Arithmetic.measured(network, [64, 32], Precision("fp32", "cpu"))
    assert measured.per_image == 3 * forward_flops(network, [64, 32]) > 0
    assert measured.per_second == 2 * 512**3 / 0.5
