"""Which number format ``auto`` takes, and what each format switches on."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch

from vicregl_fast.choices import PrecisionName
from vicregl_fast.training import precision
from vicregl_fast.training.precision import Precision, choose_kernels, choose_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_takes_bf16_from_ampere_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", GPU) == Precision(name, "cuda")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "name"), [("sse avx512f", "fp32"), ("avx512_bf16 sse", "bf16"), ("amx_bf16", "bf16"), (None, "fp32")]
)
def test_a_cpu_takes_bf16_if_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str | None, name: str
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(precision, "Path", lambda path: cpuinfo if path == "/proc/cpuinfo" else Path(path))
    assert choose_precision("auto", CPU).name == name
    assert choose_precision("fp16", CPU).name == "fp16"


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_what_a_format_computes_in(name: PrecisionName, dtype: torch.dtype) -> None:
    chosen = Precision(name, "cpu")
    with chosen.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == chosen.dtype == dtype
    assert chosen.scaler().is_enabled() == (name == "fp16")


@pytest.fixture
def switches() -> Iterator[None]:
    """Puts torch's process-wide switches back."""
    names = ((torch.backends.cudnn, "benchmark"), (torch.backends.cudnn, "allow_tf32"))
    names += ((torch.backends.cuda.matmul, "allow_tf32"),)  # type: ignore[assignment]
    before = [getattr(*name) for name in names]
    with mock.patch.dict(os.environ):
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
        yield
    for name, value in zip(names, before, strict=True):
        setattr(*name, value)
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("deterministic", [False, True])
def test_kernels_are_fast_or_repeatable(deterministic: bool) -> None:
    choose_kernels(deterministic)
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert torch.backends.cudnn.benchmark != deterministic
    assert torch.backends.cudnn.allow_tf32 != deterministic
    assert torch.backends.cuda.matmul.allow_tf32 != deterministic
    assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) == deterministic
