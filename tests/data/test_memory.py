"""What does not fit into memory is said before a run starts."""

from pathlib import Path

import pytest

from dataprep.errors import UserError
from vicregl_fast.data import memory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """8 GiB available on the machine; no container."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:  {8 * 2**20} kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def test_the_smaller_of_machine_and_container_counts(machine: Path) -> None:
    assert memory.available_memory() == 8 * 2**30
    (machine / "memory.max").write_text(f"{3 * 2**30}\n")
    (machine / "memory.current").write_text(f"{2 * 2**30}\n")
    (machine / "memory.stat").write_text(f"anon 5\ninactive_file {2**29}\n")
    assert memory.available_memory() == 1.5 * 2**30
    (machine / "memory.max").write_text("max\n")
    assert memory.available_memory() == 8 * 2**30


def test_this_machine_has_memory() -> None:
    assert 2**20 < memory.available_memory() < 2**50


def test_buffers_must_fit_and_a_store_should(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = machine / "train.beton"
    with store.open("wb") as file:
        file.truncate(7 * 2**30)  # a hole: nothing is written
    with pytest.raises(UserError, match=r"9\.0 GiB and 8\.0 GiB of memory are available"):
        memory.check_memory(9 * 2**30, store, False)
    memory.check_memory(2**29, store, False)
    assert capsys.readouterr().err == ""
    memory.check_memory(2 * 2**30, store, True)
    assert capsys.readouterr().err == ""
    memory.check_memory(2 * 2**30, store, False)
    assert "train.beton has 7.0 GiB, and 6.0 GiB of memory are left" in capsys.readouterr().err
