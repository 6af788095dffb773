"""Threads: what reads stores leaves their numbers alone; Numba's limit is kept."""

import subprocess
import sys

import numba
import pytest

from vicregl_fast.data import threads
from vicregl_fast.data.threads import decoding_threads

SHOW = "import sys, torch, numba; before = torch.get_num_threads(), numba.get_num_threads(); {}; \
assert (torch.get_num_threads(), numba.get_num_threads()) == before, (torch.get_num_threads(), before); \
assert 'ffcv' not in sys.modules"


@pytest.mark.parametrize("module", ["vicregl_fast.data.ffcv_engine.engine", "vicregl_fast.data.stored_images"])
def test_importing_what_reads_stores_leaves_the_threads_alone(module: str) -> None:
    """So ffcv is not imported, which would set both numbers to one, and take seconds."""
    code = SHOW.format(f"torch.set_num_threads(3); before = 3, before[1]; import {module}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_no_more_threads_are_asked_of_numba_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 1)
    assert [decoding_threads(wanted, sharers=1) for wanted in (None, 1, 8)] == [1, 1, 1]


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 16)
    assert [decoding_threads(None, world) for world in (1, 2, 3, 8, 32)] == [16, 8, 5, 2, 1]
    assert (
        decoding_threads(0, sharers=1) == 0 and decoding_threads(12, sharers=8) == 12 and capsys.readouterr().err == ""
    )
    assert decoding_threads(17, sharers=1) == 16 and "taking 16" in capsys.readouterr().err
