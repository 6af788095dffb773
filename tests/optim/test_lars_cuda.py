"""LARS on a GPU follows its formula whatever does the work, waits for the device nowhere, and can be captured."""

import pytest
import torch
from torch import nn

from tests.optim.lars_cases import CASES, Beside, draw
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.config import LarsBackend
from vicregl_fast.optim.lars import LARS
from vicregl_fast.optim.lars_backends.choice import FASTEST_FIRST, obstacle

pytestmark = pytest.mark.gpu

BACKENDS: tuple[LarsBackend, ...] = ("loop", "foreach", "triton", "apex")
SHAPES = [(64, 3, 7, 7), (64,), (512, 64), (512,), (1, 1), (300, 301)]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, cuda: torch.device) -> LarsBackend:
    name: LarsBackend = request.param
    reason = obstacle(name, cuda)
    if name == "apex" and reason is not None and "cannot be imported" in reason:
        pytest.skip(reason)
    assert reason is None
    return name


@pytest.mark.parametrize("name", CASES)
def test_backend(name: str, backend: LarsBackend, cuda: torch.device) -> None:
    CASES[name](backend, cuda)


def test_auto_has_triton_to_take(cuda: torch.device) -> None:
    assert FASTEST_FIRST[0] == "triton" and obstacle("triton", cuda) is None


def test_no_step_waits_for_the_device(backend: LarsBackend, cuda: torch.device) -> None:
    """With a scaler's tensors, and with gradients that lie elsewhere in every step; from the first step on."""
    beside, kept = Beside(backend, draw(SHAPES, cuda, 0)), []
    for step in range(4):
        kept.append(draw(SHAPES, cuda, 1 + step))
        if step % 2:
            scalars = {"grad_scale": torch.full((), 4.0, device=cuda), "found_inf": torch.zeros((), device=cuda)}
            vars(beside.optimizer).update(scalars)
        torch.cuda.set_sync_debug_mode("error")
        try:
            eager_step(beside, kept[-1])
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ["foreach", "triton"])
def test_a_captured_step_follows_rate_scale_and_flag(name: LarsBackend, cuda: torch.device) -> None:
    """The gradients lie in the graph's memory, as after a captured backward pass; an eager step comes in between."""
    rate, scale, found = (torch.full((), value, device=cuda) for value in (0.1, 1.0, 0.0))
    ours, eager = (Beside(name, draw(SHAPES, cuda, 0), lr=rate) for _ in range(2))
    for one in (ours, eager):
        vars(one.optimizer).update(grad_scale=scale, found_inf=found)
        one.step(draw(SHAPES, cuda, 1))
    inputs, graph = draw(SHAPES, cuda, 2), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for parameter, values in zip(ours.parameters, inputs, strict=True):
            parameter.grad = values * scale
        ours.optimizer.step()
    for step in range(4):
        rate.fill_(0.1 * (1 + step))
        scale.fill_(2.0**step)
        gradients = draw(SHAPES, cuda, 10 + step)
        torch._foreach_copy_(inputs, gradients)
        if step == 1:
            eager_step(ours, [gradient * scale for gradient in gradients])
        else:
            graph.replay()
        eager_step(eager, [gradient * scale for gradient in gradients])
    for a, b in zip(ours.parameters, eager.parameters, strict=True):
        assert torch.equal(a, b)
    found.fill_(1.0)
    graph.replay()
    for a, b in zip(ours.parameters, eager.parameters, strict=True):
        assert torch.equal(a, b)


def eager_step(one: Beside, gradients: list[torch.Tensor]) -> None:
    for parameter, gradient in zip(one.parameters, gradients, strict=True):
        parameter.grad = gradient
    one.optimizer.step()


@pytest.mark.parametrize("name", ["foreach", "triton"])
def test_the_tensors_of_a_resnet_50_and_its_heads(name: LarsBackend, cuda: torch.device) -> None:
    """200 steps against the loop in float64."""
    shapes = [p.shape for p in VICRegLNetwork(ModelConfig(expander=2048), True, True).parameters()]
    ours = [nn.Parameter(each) for each in draw(shapes, cuda, 0)]
    right = [nn.Parameter(each.detach().double()) for each in ours]
    gradients = draw(shapes, cuda, 1)
    optimizers = LARS(ours, 0.4, 0.02, 0.9, name), LARS(right, 0.4, 0.02, 0.9, "loop")
    for step in range(200):
        for a, b, gradient in zip(ours, right, gradients, strict=True):
            a.grad = gradient.roll(step)
            b.grad = a.grad.double()
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(ours, right, strict=True):
        assert (a.double() - b).norm() <= 1e-6 * b.norm()


def test_triton_launches_two_kernels(cuda: torch.device) -> None:
    beside = Beside("triton", draw(SHAPES, cuda, 0))
    beside.step(draw(SHAPES, cuda, 1))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        beside.optimizer.step()
        torch.cuda.synchronize()
    kernels = [event.name for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    assert sorted(name for name in kernels if "Mem" not in name) == ["sum_squares", "update"]
