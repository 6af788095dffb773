"""LARS against its formula."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vicregl_fast.optim.lars import LARS, lars_step_reference


def drawn_parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3), (5,), (6, 2, 3, 3), (1, 7), (2,), (3, 3)]
    tensors = [torch.randn(shape, generator=generator) for shape in shapes]
    tensors[3].zero_()
    return [nn.Parameter(tensor) for tensor in tensors] + [nn.Parameter(torch.randn(3, 2).double())]


def set_gradients(parameters: list[nn.Parameter], step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    gradients = [torch.randn(p.shape, generator=generator).to(p.dtype) for p in parameters]
    gradients[5].zero_()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    return gradients


def test_formula_by_hand() -> None:
    """|p| = 5, d = g + 0.5 p = (0, 12.5), so q = 0.001 * 5 / 12.5; two steps of the same gradient."""
    parameter = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    optimizer = LARS([parameter], lr=10.0, weight_decay=0.5, momentum=0.9)
    parameter.grad = torch.tensor([[-1.5, 10.5]], dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(parameter.data, torch.tensor([[3.0, 4.0 - 10 * 0.005]], dtype=torch.float64))
    assert torch.equal(parameter.grad, torch.tensor([[-1.5, 10.5]], dtype=torch.float64))
    buffer = optimizer.state[parameter]["momentum_buffer"]
    torch.testing.assert_close(buffer, torch.tensor([[0.0, 0.005]], dtype=torch.float64))


def test_steps_agree_with_the_reference() -> None:
    parameters = drawn_parameters()
    expected: list[tuple[Tensor, Tensor]] = [(p.detach().clone(), torch.zeros_like(p)) for p in parameters]
    optimizer = LARS(parameters, lr=0.3, weight_decay=0.01, momentum=0.8)
    for step in range(4):
        gradients = set_gradients(parameters, step)
        optimizer.step()
        expected = [
            lars_step_reference(p, gradient, m, lr=0.3, weight_decay=0.01, momentum=0.8)
            for gradient, (p, m) in zip(gradients, expected, strict=True)
        ]
        for parameter, (p, m) in zip(parameters, expected, strict=True):
            torch.testing.assert_close(parameter.data, p, rtol=1e-6, atol=1e-7)
            torch.testing.assert_close(optimizer.state[parameter]["momentum_buffer"], m, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(4,), ()])
def test_vectors_have_no_decay_and_no_scaling(shape: tuple[int, ...]) -> None:
    parameter = nn.Parameter(torch.full(shape, 2.0))
    parameter.grad = torch.full(shape, 3.0)
    LARS([parameter], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(parameter.data, torch.full(shape, 1.7))


def test_zero_norms_scale_by_one() -> None:
    empty, still = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(2, 2))
    empty.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    LARS([empty, still], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(empty.data, torch.full((2, 2), -0.1))
    torch.testing.assert_close(still.data, torch.ones(2, 2))


def test_every_group_has_its_learning_rate_and_missing_gradients_are_skipped() -> None:
    fast, slow, idle = (nn.Parameter(torch.zeros(3)) for _ in range(3))
    groups: list[dict[str, Any]] = [{"params": [fast, idle], "lr": 1.0}, {"params": [slow]}]
    optimizer = LARS(groups, lr=0.1)
    fast.grad, slow.grad = torch.ones(3), torch.ones(3)
    optimizer.step()
    assert (fast[0].item(), idle[0].item()) == (-1.0, 0.0)
    assert slow[0].item() == pytest.approx(-0.1)
    assert idle not in optimizer.state


def test_a_restored_state_continues_bit_for_bit() -> None:
    parameters = drawn_parameters()
    optimizer = LARS(parameters, lr=0.3, weight_decay=0.01)
    set_gradients(parameters, 0)
    optimizer.step()
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    restored = LARS(copies, lr=7.0)
    restored.load_state_dict(deepcopy(optimizer.state_dict()))
    set_gradients(parameters, 1)
    optimizer.step()
    set_gradients(copies, 1)
    restored.step()
    assert all(torch.equal(a, b) for a, b in zip(parameters, copies, strict=True))


def test_the_closure_is_evaluated_with_gradients() -> None:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = LARS([parameter], lr=0.5)

    def closure() -> Tensor:
        loss = parameter.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    torch.testing.assert_close(parameter.data, torch.full((2,), 0.5))
