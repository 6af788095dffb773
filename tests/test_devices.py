"""Devices are made in one place, and a GPU always has its number."""

import re
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast import devices
from vicregl_fast.devices import capture_stream, choose_device, memory_shortage_said, side_stream
from vicregl_fast.training.recorded_step import CudaGraphs


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_has_its_number() -> None:
    assert choose_device() == choose_device("cuda") == torch.device("cuda:0") != torch.device("cuda")
    assert choose_device("auto", 1) == torch.device("cuda:1")
    assert choose_device("cpu", 1) == torch.device("cpu")
    assert choose_device("auto", 3) == torch.device("cuda:0")  # the launcher shows each process its own GPUs


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", 3) == torch.device("cpu")
    with pytest.raises(UserError, match="no CUDA device"):
        choose_device("cuda")


def test_nothing_else_makes_one() -> None:
    makes = re.compile(r"""torch\.device\(|\.cuda\(\)|device=["']cuda|\.to\(["']cuda|cuda\.Stream\(""")
    package = Path(devices.__file__).parent
    found = [str(path.relative_to(package)) for path in package.rglob("*.py") if makes.search(path.read_text())]
    assert found == ["devices.py"]


def test_one_side_stream_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: made.append(device) or object())
    side_stream.cache_clear()
    first, again, other = (side_stream(torch.device("cuda", number)) for number in (0, 0, 1))
    side_stream.cache_clear()
    assert first is again and first is not other and len(made) == 2


def test_batches_are_not_prepared_in_the_stream_that_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their work would become part of the graph."""
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: object())
    for make in (side_stream, capture_stream):
        make.cache_clear()
    device = torch.device("cuda", 0)
    captures = CudaGraphs(device)._stream
    assert captures is capture_stream(device) is not side_stream(device)
    for make in (side_stream, capture_stream):
        make.cache_clear()


@pytest.mark.parametrize(("hidden", "there", "noted"), [(None, True, True), ("", True, False), (None, False, False)])
def test_a_gpu_that_torch_cannot_use_is_said(
    hidden: str | None,
    there: bool,
    noted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    driver = tmp_path / "version"
    if there:
        driver.write_text("470.57")

    def too_old() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update it.")

    monkeypatch.setattr(devices, "GPU_FILES", (tmp_path / "none", driver))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", too_old)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    devices._note_unusable_gpu.cache_clear()
    assert devices.choose_device("cpu").type == "cpu"
    assert capsys.readouterr().err == ""  # the CPU was asked for
    for _ in range(2):
        assert devices.choose_device("auto").type == "cpu"
    said = capsys.readouterr().err
    assert said.count("an NVIDIA GPU is here") == noted
    assert ("is too old (found version 11040). Please update it." in said) == noted


def test_too_little_memory_is_one_sentence() -> None:
    with pytest.raises(UserError, match="the GPU's memory is not enough: try less"), memory_shortage_said("less"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
    with pytest.raises(UserError, match="the memory is not enough: try less"), memory_shortage_said("less"):
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="something else"), memory_shortage_said("less"):
        raise RuntimeError("something else")
