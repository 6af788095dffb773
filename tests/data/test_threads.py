"""ffcv sets process-wide switches when it is imported; here they do not stay."""

import subprocess
import sys

import pytest

SHOW = "import torch, numba; before = torch.get_num_threads(), numba.get_num_threads(); {}; \
assert (torch.get_num_threads(), numba.get_num_threads()) == before, (torch.get_num_threads(), before)"


@pytest.mark.parametrize("module", ["vicregl_fast.data.ffcv_engine.engine", "vicregl_fast.evaluation.beton_images"])
def test_importing_what_reads_stores_leaves_the_threads_alone(module: str) -> None:
    code = SHOW.format(f"torch.set_num_threads(3); before = 3, before[1]; import {module}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
