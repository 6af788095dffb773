"""The number format in which the network computes; the loss is formed in float32 whatever it is."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vicregl_fast.choices import PrecisionChoice, PrecisionName


@dataclass(frozen=True)
class Precision:
    """The number format of the network on one device.

    Attributes:
        name: ``fp32``, ``bf16`` or ``fp16``.
        device_type: ``cpu`` or ``cuda``.
    """

    name: PrecisionName
    device_type: str

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which the network multiplies."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.name]

    def autocast(self) -> AbstractContextManager:
        """Returns the context for the network's forward pass."""
        enabled = self.name != "fp32"  # autocast does not know float32: for fp32 it is off
        return torch.autocast(self.device_type, self.dtype if enabled else torch.bfloat16, enabled=enabled)

    def scaler(self) -> torch.amp.GradScaler:
        """Returns a gradient scaler, which is enabled for fp16 only."""
        return torch.amp.GradScaler(self.device_type, enabled=self.name == "fp16")


def tell_scaler(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, found_inf: Tensor) -> None:
    """Tells an enabled scaler, before its ``update``, whether gradients were non-finite: 1.0 or 0.0.

    Its own ``unscale_`` and ``step`` find it out by going through all gradients once more.
    """
    scaler._per_optimizer_states[id(optimizer)]["found_inf_per_device"] = {found_inf.device: found_inf}


def choose_kernels(deterministic: bool) -> None:
    """Lets this process use CUDA's fastest kernels, TF32 included, or only repeatable ones if ``deterministic``."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is repeatable only with it
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not deterministic
    torch.use_deterministic_algorithms(deterministic)


def choose_precision(name: PrecisionChoice, device: torch.device) -> Precision:
    """Returns the precision for ``device``.

    Args:
        name: ``fp32``, ``bf16``, ``fp16``, or ``auto``, which takes bf16 if the hardware has instructions for it, and
            otherwise fp16 on CUDA and fp32 on a CPU.
        device: where the network computes.
    """
    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
        else:
            name = "bf16" if _cpu_multiplies_bf16() else "fp32"
    return Precision(name, device.type)


def _cpu_multiplies_bf16() -> bool:
    """Whether this CPU has instructions for bf16.

    Without them torch's bf16 convolutions are some 20 times slower than its float32 ones.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags
