"""numba.cuda is numba-cuda's wherever that is installed, also in a folder of PYTHONPATH."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("first", "home"), [("import vicregl_fast", "numba_cuda"), ("", "numba")])
def test_numba_cuda_is_taken_where_python_runs_no_pth_files(first: str, home: str) -> None:
    """As in a folder that ``pip install --target`` filled; by itself Numba would take the target that it has itself."""
    installed = Path(pytest.importorskip("numba_cuda").__file__).parents[1]
    code = f"{first}\nfrom importlib.util import find_spec\nprint(find_spec('numba.cuda').origin)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],  # without the site module
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{installed}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).relative_to(installed).parts[0] == home
