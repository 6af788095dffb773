"""Which backend does a run's LARS steps, and whether it works here and gives what the formula gives."""

import os
from collections.abc import Iterable
from functools import lru_cache
from textwrap import shorten

import torch
from torch import Tensor, distributed

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.optim.config import LarsBackend, LarsChoice
from vicregl_fast.optim.lars_backends.foreach import step_by_foreach
from vicregl_fast.optim.lars_backends.loop import step_by_loop
from vicregl_fast.optim.lars_backends.tensors import Backend, Coefficients, StepTensors

FASTEST_FIRST: tuple[LarsBackend, ...] = ("triton", "apex", "foreach")
"""By the bytes that they move; ``auto`` never needs the loop."""

LOOP: LarsBackend = "loop"
TOLERANCE = 1e-5  # of the norm of the difference, relative; float32 in another order stays below 1e-6


def open_backend(name: LarsBackend) -> Backend:
    """Imports what the backend needs.

    Raises:
        ImportError: its library is not installed.
    """
    if name == "triton":
        from vicregl_fast.optim.lars_backends.fused import TritonStep

        return TritonStep()
    if name == "apex":
        from vicregl_fast.optim.lars_backends.apex import ApexStep

        return ApexStep()
    return {"loop": step_by_loop, "foreach": step_by_foreach}[name]


def choose_backend(choice: LarsChoice, device: torch.device, rate_on_device: bool = False) -> LarsBackend:
    """The backend for parameters on ``device``; says which one ``auto`` takes. Every process of a run must ask.

    Args:
        choice: the setting.
        device: of the parameters.
        rate_on_device: whether the learning rate is a tensor there.

    Raises:
        UserError: the chosen one does not work here, or not as the formula says.
    """

    def reason_against(name: LarsBackend) -> str | None:
        if name == "apex" and rate_on_device:
            return (
                "with the learning rate of recorded steps (train.cuda_graphs), on the device, foreach would take them"
            )
        return obstacle(name, device)

    if choice != "auto":
        if choice in ("triton", "apex") and (reason := reason_against(choice)):
            raise UserError(f"optim.lars is {choice}, but {reason}; set it to auto or foreach")
        return choice
    candidates: tuple[LarsBackend, ...] = FASTEST_FIRST if device.type == "cuda" else ("foreach",)
    reasons = {name: reason_against(name) for name in candidates}
    usable = _usable_everywhere((reason is None for reason in reasons.values()), device)
    name = next((name for name, works in zip(candidates, usable, strict=True) if works), LOOP)
    passed_over = "".join(f"; not {other}: {reason}" for other, reason in reasons.items() if reason)
    note(f"LARS steps are taken by {name} (optim.lars is auto{passed_over})")
    return name


@lru_cache(maxsize=16)
def obstacle(name: LarsBackend, device: torch.device) -> str | None:
    """Why a backend cannot be used on a device, as a clause; None if it can, and equals the reference there."""
    if name == "triton" and device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"Triton needs a GPU and the parameters are on the {device.type}"
    try:
        backend = open_backend(name)
    except ImportError as error:
        library = {"triton": "Triton (pip install triton)", "apex": "NVIDIA Apex (built from its source with CUDA)"}
        return f"{library.get(name, name)} cannot be imported ({_brief(error)})"
    try:
        difference = difference_from_reference(backend, device)
    except Exception as error:  # compilers, drivers and foreign kernels fail in many ways; none of them is ours to mend
        return f"it does not work here ({_brief(error)})"
    return None if difference <= TOLERANCE else f"its result differs from the formula's by {difference:.1e}"


def difference_from_reference(backend: Backend, device: torch.device) -> float:
    """Takes three steps on drawn tensors beside the reference.

    Returns:
        The largest norm of a difference, over the norm of what it should be; infinity if not a number.
    """
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 3, 7, 7), (33, 1031), (256, 64, 1, 1), (1, 1), (64,), ()]
    parameters = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
    ours = StepTensors(parameters, [], [torch.zeros_like(each) for each in parameters])
    right = StepTensors(*([each.clone() for each in part] for part in (ours.parameters, [], ours.buffers)))
    for lr in (0.5, 2.0, 1.0):
        gradients = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
        numbers = Coefficients(lr, weight_decay=0.01, momentum=0.9)
        for take_step, tensors in ((backend, ours), (step_by_loop, right)):
            take_step(StepTensors(tensors.parameters, gradients, tensors.buffers), numbers)
    pairs = zip(ours.parameters + ours.buffers, right.parameters + right.buffers, strict=True)
    worst = max(_relative(a, b) for a, b in pairs)
    return worst if worst == worst else float("inf")


def _relative(one: Tensor, right: Tensor) -> float:
    return ((one - right).norm() / right.norm()).item()


def _usable_everywhere(usable: Iterable[bool], device: torch.device) -> list[bool]:
    """What every process of the run can use: ways differ in rounding, and the processes' parameters must not."""
    flags = torch.tensor(list(usable), dtype=torch.int32)
    if distributed.is_available() and distributed.is_initialized():
        flags = flags.to(device)
        distributed.all_reduce(flags, distributed.ReduceOp.MIN)
    return flags.bool().tolist()


def _brief(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", 200)
