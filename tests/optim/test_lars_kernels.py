"""The Triton kernels compile for every GPU that is supported, without one, and read 16 bytes at a time."""

import re
from pathlib import Path
from typing import Any

import pytest

triton = pytest.importorskip("triton")
if triton.knobs.runtime.interpret if hasattr(triton, "knobs") else False:
    pytest.skip("Triton interprets its kernels here", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from vicregl_fast.optim.lars_backends import kernels  # noqa: E402
from vicregl_fast.optim.lars_backends.fused import GRADIENTS  # noqa: E402

TYPES = {
    "tensors": "*i64", "gradients": "*i64", "chunks": "*i64", "sums": "*fp32", "lr": "fp32", "lr_on_device": "*fp32",
    "weight_decay": "fp32", "momentum": "fp32", "trust": "fp32", "grad_scale": "*fp32", "found_inf": "*fp32",
}  # fmt: skip


def compiled(kernel: Any, architecture: int, **constants: Any) -> Any:
    constants |= {"CHUNK": kernels.CHUNK, "BLOCK": kernels.BLOCK}
    signature = {name: "constexpr" if name in constants else TYPES[name] for name in kernel.arg_names}
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, signature, constexprs=places)
    return triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=kernels.OPTIONS)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("architecture", [70, 80, 90])
@pytest.mark.parametrize("kernel", [kernels.sum_squares, kernels.update], ids=lambda kernel: kernel.__name__)
def test_kernels_compile(kernel: Any, architecture: int) -> None:
    for dtype in GRADIENTS.values():
        made = compiled(kernel, architecture, GRADIENT=dtype, ALIGNED=True)
        assert len(made.asm["cubin"]) > 1000
        assert len(re.findall(r"ld\.global\.v4", made.asm["ptx"])) >= 4
        assert "atom" not in made.asm["ptx"] and "red.global" not in made.asm["ptx"]


def test_unaligned_tensors_are_read_element_by_element_and_without_scale_or_flag() -> None:
    dtype = next(iter(GRADIENTS.values()))
    absent = {"grad_scale": None, "found_inf": None, "lr_on_device": None}
    made = compiled(kernels.update, 80, GRADIENT=dtype, ALIGNED=False, **absent)
    assert not re.findall(r"(ld|st)\.global\.v\d", made.asm["ptx"])
