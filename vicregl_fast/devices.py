"""Chooses the device that a program computes on. Only this file makes devices, and a GPU always has its number.

``torch.device("cuda")`` and ``torch.device("cuda", 0)`` name the same GPU but compare as different. A comparison would
then say that a tensor has to be copied to the GPU on which it already lies.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from dataprep.errors import UserError, reason_of
from dataprep.notes import note
from vicregl_fast.choices import DeviceChoice

GPU_FILES = (Path("/dev/nvidia0"), Path("/proc/driver/nvidia/version"))
"""Any of these is there where a driver of NVIDIA's is loaded."""

CPU_SHORTAGE = "DefaultCPUAllocator"
"""What torch's error about memory of the CPU, a RuntimeError like many others, says."""


def choose_device(name: DeviceChoice = "auto", number: int = 0) -> torch.device:
    """Returns the CPU or one GPU of this machine.

    Args:
        name: ``auto`` takes a GPU if torch finds one, otherwise the CPU.
        number: which GPU, from 0; each process passes its number on this machine. A process that sees fewer GPUs has
            been given its own by the launcher, and takes the first.

    Raises:
        UserError: ``cuda`` is asked for and torch finds no GPU.
    """
    if name == "auto" and not torch.cuda.is_available():
        _note_unusable_gpu()
        return torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("the device cuda is asked for, but torch finds no CUDA device here; leave it at auto")
    return torch.device("cuda", number if number < torch.cuda.device_count() else 0)


def gpu_identity(device: torch.device) -> str | None:
    """Names a GPU alike in all processes, whatever number it has in each; None for the CPU."""
    return None if device.type == "cpu" else str(torch.cuda.get_device_properties(device).uuid)


@cache
def _note_unusable_gpu() -> None:
    """Says once why torch does not use a GPU whose driver is loaded, unless the GPUs are hidden on purpose."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1") or not any(map(Path.exists, GPU_FILES)):
        return
    try:
        torch.cuda.init()
        reason = "it finds no device"
    except (RuntimeError, AssertionError) as error:
        reason = reason_of(error)
    note(f"an NVIDIA GPU is here, but torch {torch.__version__} cannot use it, so that the CPU computes: {reason}")


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished all work that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def memory_shortage_said(remedy: str) -> Iterator[None]:
    """Raises UserError where torch finds too little memory, on a GPU or for the CPU.

    Args:
        remedy: what to try, such as ``a smaller --batch``.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"the GPU's memory is not enough: try {remedy} ({reason_of(error)})") from error
    except RuntimeError as error:
        if CPU_SHORTAGE not in str(error):
            raise
        raise UserError(f"the memory is not enough: try {remedy} ({reason_of(error)})") from error


def shapes_only() -> torch.device:
    """The meta device: what is made in a ``with`` block of it has shapes and no values, and takes no memory."""
    return torch.device("meta")


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """Returns the stream of a GPU on which batches are prepared while the step runs on the current stream.

    The whole program shares one stream per GPU. Torch's allocator keeps freed memory for the stream that it was
    allocated on, so that a new stream for each epoch would allocate new memory in each.
    """
    return torch.cuda.Stream(device)


@cache
def capture_stream(device: torch.device) -> torch.cuda.Stream:
    """Returns the stream of a GPU in which steps are captured in CUDA graphs; nothing else may work in it meanwhile."""
    return torch.cuda.Stream(device)
