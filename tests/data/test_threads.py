"""ffcv sets process-wide switches when it is imported; here they do not stay."""

import subprocess
import sys

SHOW = "import torch, numba; before = torch.get_num_threads(), numba.get_num_threads(); {}; \
assert (torch.get_num_threads(), numba.get_num_threads()) == before, (torch.get_num_threads(), before)"


def test_importing_the_data_path_leaves_the_threads_alone() -> None:
    code = SHOW.format("torch.set_num_threads(3); before = 3, before[1]; import vicregl_fast.data.ffcv_engine.engine")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
