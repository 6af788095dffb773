"""Describes where a figure was measured: hardware, versions and command. A figure means nothing without them."""

import os
import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dataprep.free_space import GIB

PACKAGES = (
    "vicregl_fast", "torch", "torchvision", "timm", "triton", "numpy", "numba", "numba-cuda", "ffcv", "pillow",
    "torchmetrics", "nvidia-dali-cuda130", "nvidia-dali-cuda120",
    "lightly", "spdl-core", "spdl-io", "torchcodec", "kornia",
)  # fmt: skip


def describe_environment(device: torch.device, program: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Describes the processor, the cores that this process may use, the device, library versions and the command.

    Args:
        device: where the work was done.
        program: the entry point, such as ``vicregl_fast.bench``.
        arguments: of its command line.
    """
    described: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "device": device.type,
        "python": platform.python_version(),
        "versions": _versions(),
        "command": shlex.join(["python", "-m", program, *arguments]),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        described["device"] = properties.name
        described["capability"] = f"{properties.major}.{properties.minor}"
        described["device_memory_gib"] = round(properties.total_memory / GIB, 1)
        described["cuda"], described["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
    return described


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
