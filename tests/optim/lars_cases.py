"""Cases that every backend of LARS must pass, on any device; as a program it tries them in Triton's interpreter."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vicregl_fast.optim.config import LarsBackend
from vicregl_fast.optim.lars import LARS, lars_step_reference
from vicregl_fast.optim.lars_backends.choice import open_backend
from vicregl_fast.optim.lars_backends.tensors import Coefficients, StepTensors

Case = Callable[[LarsBackend, torch.device], None]
RATE, DECAY, MOMENTUM = 0.4, 0.02, 0.9
SMALL = ((40, 33), (7, 3, 3, 3), (1, 1), (5,), ())


def draw(shapes: Any, device: torch.device, seed: int) -> list[Tensor]:
    """The same values on every device."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(device) for shape in shapes]


class Beside:
    """A LARS, and the reference in float64 beside it."""

    def __init__(self, backend: LarsBackend, tensors: list[Tensor], **options: Any) -> None:
        self.parameters = [nn.Parameter(tensor) for tensor in tensors]
        self.options = {"lr": RATE, "weight_decay": DECAY, "momentum": MOMENTUM} | options
        self.optimizer = LARS(self.parameters, backend=backend, **self.options)
        self.right = [(each.detach().double().clone(), torch.zeros_like(each).double()) for each in self.parameters]

    def step(self, gradients: list[Tensor]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        before = [gradient.clone() for gradient in gradients]
        self.optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(before, gradients, strict=True)), "the gradients changed"
        self.right = [
            lars_step_reference(p, gradient.double(), m, **self.options)
            for gradient, (p, m) in zip(gradients, self.right, strict=True)
        ]

    def check(self, tolerance: float = 1e-6) -> None:
        for parameter, (p, m) in zip(self.parameters, self.right, strict=True):
            near(parameter.detach(), p, tolerance)
            near(self.optimizer.state[parameter]["momentum_buffer"], m, tolerance)


def near(ours: Tensor, right: Tensor, tolerance: float) -> None:
    difference = (ours.double() - right).norm().item()
    assert difference <= tolerance * right.norm().item(), (tuple(right.shape), difference / right.norm().item())


def many_steps(backend: LarsBackend, device: torch.device) -> None:
    """200 steps stay within 1e-6 of the formula's in float64."""
    shapes = ((40, 33), (5,))
    beside = Beside(backend, draw(shapes, device, 0))
    for step in range(200):
        beside.step(draw(shapes, device, 1 + step))
    beside.check()


def shapes_of_every_kind(backend: LarsBackend, device: torch.device) -> None:
    """Several chunks and an odd rest, empty tensors, scalars, one element, zero weights, zero gradients."""
    shapes = [(3, 22_001), (0, 4), (), (1,), (2048,), (32, 1024), (0,), (2, 3), (4, 5), (1, 1, 1, 1)]
    tensors = draw(shapes, device, 0)
    tensors[7].zero_()
    beside = Beside(backend, tensors)
    for step in range(3):
        gradients = draw(shapes, device, 1 + step)
        gradients[8].zero_()
        beside.step(gradients)
    beside.check()
    still = Beside(backend, draw([(4, 5)], device, 0), weight_decay=0.0)
    still.step([torch.zeros(4, 5, device=device)])
    assert torch.equal(still.parameters[0].data.double(), still.right[0][0])


def many_tensors(backend: LarsBackend, device: torch.device) -> None:
    """More than torch's or Apex's kernels take at once (110 or fewer)."""
    shapes = [(3, 1 + number % 5) if number % 2 else (1 + number % 7,) for number in range(120)]
    beside = Beside(backend, draw(shapes, device, 0))
    for step in range(2):
        beside.step(draw(shapes, device, 1 + step))
    beside.check(1e-5)  # a momentum of one element may almost cancel


def memory_formats(backend: LarsBackend, device: torch.device) -> None:
    """channels_last, other dense orders, slices with gaps, and gradients laid out otherwise than their parameters."""
    shapes = [(8, 6, 3, 3), (8, 6, 1, 1), (5, 4, 3), (6, 5)]
    last, point, turned, gaps = draw(shapes, device, 0)
    gaps = torch.zeros(6, 10, device=device)[:, ::2].copy_(gaps)
    tensors = [last.to(memory_format=torch.channels_last), point.to(memory_format=torch.channels_last)]
    beside = Beside(backend, [*tensors, turned.permute(2, 0, 1), gaps])
    for step in range(3):
        gradients = draw([parameter.shape for parameter in beside.parameters], device, 1 + step)
        if step == 1:
            gradients[0] = gradients[0].to(memory_format=torch.channels_last)
        beside.step(gradients)
    beside.check()
    assert beside.parameters[0].is_contiguous(memory_format=torch.channels_last)


def gradient_dtypes(backend: LarsBackend, device: torch.device) -> None:
    """The formula takes half-precision gradients as the float32 numbers that they are."""
    for dtype in (torch.float16, torch.bfloat16):
        parameters, buffers = draw(SMALL, device, 0), draw(SMALL, device, 1)
        gradients = [gradient.to(dtype) for gradient in draw(SMALL, device, 2)]
        right = [
            lars_step_reference(p.double(), g.double(), m.double(), RATE, DECAY, MOMENTUM)
            for p, g, m in zip(parameters, gradients, buffers, strict=True)
        ]
        open_backend(backend)(StepTensors(parameters, gradients, buffers), Coefficients(RATE, DECAY, MOMENTUM))
        for p, m, expected in zip(parameters, buffers, right, strict=True):
            near(p, expected[0], 1e-6)
            near(m, expected[1], 1e-6)


def other_parameter_dtypes(backend: LarsBackend, device: torch.device) -> None:
    beside = Beside(backend, [each.double() for each in draw(SMALL, device, 0)])
    for step in range(3):
        beside.step([each.double() for each in draw(SMALL, device, 1 + step)])
    beside.check(1e-13)


def no_momentum(backend: LarsBackend, device: torch.device) -> None:
    beside = Beside(backend, draw(SMALL, device, 0), momentum=0.0)
    for step in range(3):
        beside.step(draw(SMALL, device, 1 + step))
    beside.check()


def unaligned(backend: LarsBackend, device: torch.device) -> None:
    """Gradients in a bucket may begin at any multiple of 4 bytes."""
    beside = Beside(backend, draw(SMALL, device, 0))
    for step in range(2):
        gradients = draw(SMALL, device, 1 + step)
        bucket = torch.cat([torch.zeros(1, device=device), *(each.flatten() for each in gradients)])
        parts = bucket[1:].split([each.numel() for each in gradients])
        beside.step([part.view(each.shape) for part, each in zip(parts, gradients, strict=True)])
    beside.check()


def moved_tensors(backend: LarsBackend, device: torch.device) -> None:
    """Gradients and parameters that lie elsewhere than in the step before."""
    beside, kept = Beside(backend, draw(SMALL, device, 0)), []
    for step in range(4):
        kept.append(draw(SMALL, device, 1 + step))  # none is freed, so none takes another's place
        beside.step(kept[-1])
        if step == 1:
            old = [parameter.data for parameter in beside.parameters]
            for parameter in beside.parameters:
                parameter.data = parameter.data.clone()
            saved = [each.clone() for each in old]
    beside.check()
    assert all(torch.equal(a, b) for a, b in zip(old, saved, strict=True)), "a step wrote where a tensor was before"


def rate_as_a_tensor(backend: LarsBackend, device: torch.device) -> None:
    rate = torch.tensor(RATE, device=device)
    beside = Beside(backend, draw(SMALL, device, 0), lr=rate)
    for step in range(3):
        rate.fill_(RATE / (1 + step))
        beside.step(draw(SMALL, device, 1 + step))
    beside.check()


def scaled_gradients(backend: LarsBackend, device: torch.device) -> None:
    """As GradScaler gives them where ``unscale_`` was not called."""
    plain, scaled = (Beside(backend, draw(SMALL, device, 0)) for _ in range(2))
    for step, scale in enumerate((1024.0, 3.0)):
        gradients = draw(SMALL, device, 1 + step)
        plain.step(gradients)
        scaled.optimizer.grad_scale = torch.full((1,), scale, device=device)  # type: ignore[attr-defined]
        scaled.optimizer.found_inf = torch.zeros(1, device=device)  # type: ignore[attr-defined]
        scaled.step([gradient * scale for gradient in gradients])
    scaled.right = plain.right
    plain.check()
    scaled.check()


def skipped_steps(backend: LarsBackend, device: torch.device) -> None:
    """Where ``found_inf`` is not 0, no bit of parameters or buffers changes: not the sign of a zero either."""
    tensors = draw([*SMALL, (2, 3)], device, 0)
    tensors[-1].copy_(torch.tensor([[-0.0, 0.0, 1.0], [-1.0, 1e-40, -0.0]]))
    beside = Beside(backend, tensors)
    beside.step(draw([*SMALL, (2, 3)], device, 1))
    beside.parameters[-1].data.copy_(torch.tensor([[-0.0, 0.0, 1.0], [-1.0, 1e-40, -0.0]]))
    buffers = [beside.optimizer.state[parameter]["momentum_buffer"] for parameter in beside.parameters]
    buffers[-1].fill_(-0.0)
    before = [each.detach().clone() for each in (*beside.parameters, *buffers)]
    for number, bad in enumerate((float("inf"), float("nan"))):
        for parameter in beside.parameters:
            parameter.grad = torch.full_like(parameter, bad)
        beside.optimizer.found_inf = torch.full((1,), 1.0 + number, device=device)  # type: ignore[attr-defined]
        beside.optimizer.grad_scale = None if number else torch.full((), 8.0, device=device)  # type: ignore[attr-defined]
        beside.optimizer.step()
    for ours, right in zip((*beside.parameters, *buffers), before, strict=True):
        assert torch.equal(ours.detach().view(torch.int32), right.view(torch.int32))


def state_of_another_backend(backend: LarsBackend, device: torch.device) -> None:
    """A checkpoint of the loop, whose buffers are laid out otherwise, goes on."""
    shapes = [(8, 6, 3, 3), (4, 3), (5,)]
    loop = Beside("loop", draw(shapes, device, 0))
    loop.step(draw(shapes, device, 1))
    copies = [each.detach().clone() for each in loop.parameters]
    copies[0] = copies[0].to(memory_format=torch.channels_last)
    beside = Beside(backend, copies)
    beside.optimizer.load_state_dict(loop.optimizer.state_dict())
    beside.right = loop.right
    beside.step(draw(shapes, device, 2))
    beside.check()
    assert set(beside.optimizer.state[beside.parameters[0]]) == {"momentum_buffer"}


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        many_steps, shapes_of_every_kind, many_tensors, memory_formats, gradient_dtypes, other_parameter_dtypes,
        no_momentum, unaligned, moved_tensors, rate_as_a_tensor, scaled_gradients, skipped_steps,
        state_of_another_backend,
    )
}  # fmt: skip


def failures(backend: LarsBackend, device: torch.device) -> Iterator[tuple[str, str | None]]:
    """Tries every case: its name, and the traceback if it failed."""
    for name, case in CASES.items():
        try:
            case(backend, device)
            yield name, None
        except Exception:
            yield name, traceback.format_exc()


if __name__ == "__main__":
    assert os.environ["TRITON_INTERPRET"] == "1"
    torch.set_num_threads(1)
    json.dump(dict(failures("triton", torch.device("cpu"))), sys.stdout)
