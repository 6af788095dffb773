"""LARS on a GPU follows its formula, and waits for the device nowhere."""

import pytest
import torch

from vicregl_fast.optim.lars import LARS, lars_step_reference

pytestmark = pytest.mark.gpu


def test_steps_agree_with_the_reference(cuda: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 3, 7, 7), (64,), (512, 64), (512,), (1, 1)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator).to(cuda)) for shape in shapes]
    expected = [(p.detach().double(), torch.zeros_like(p).double()) for p in parameters]
    optimizer = LARS(parameters, lr=0.3, weight_decay=0.01, momentum=0.8)
    for _ in range(4):
        gradients = [torch.randn(parameter.shape, generator=generator).to(cuda) for parameter in parameters]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.cuda.set_sync_debug_mode("error")
        try:
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        expected = [
            lars_step_reference(p, gradient.double(), m, lr=0.3, weight_decay=0.01, momentum=0.8)
            for gradient, (p, m) in zip(gradients, expected, strict=True)
        ]
    for parameter, (right, momentum) in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach().double(), right, rtol=1e-4, atol=1e-6)
        buffer = optimizer.state[parameter]["momentum_buffer"]
        torch.testing.assert_close(buffer.double(), momentum, rtol=1e-4, atol=1e-6)
