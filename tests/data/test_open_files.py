"""The limit on open files: raised where it may be, and counted where it may not."""

import subprocess
import sys

PROGRAM = """
import os, resource
from vicregl_fast.data.open_files import SPARE, open_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
opened = len(os.listdir("/proc/self/fd"))
assert open_file_limit(10) == 10 and resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 200)
assert open_file_limit(100) == 100 and resource.getrlimit(resource.RLIMIT_NOFILE) == (200, 200)
assert open_file_limit(1000) == 200 - opened - SPARE
"""


def test_the_soft_limit_is_raised_only_where_it_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
