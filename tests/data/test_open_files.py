"""The limit on open files: raised where it may be, and counted where it may not."""

import subprocess
import sys

PROGRAM = """
import os, resource
from vicregl_fast.data.open_files import SPARE, missing_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
opened = len(os.listdir("/proc/self/fd"))
assert missing_open_files(10) == 0 and resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 200)
assert missing_open_files(100) == 0 and resource.getrlimit(resource.RLIMIT_NOFILE) == (200, 200)
assert missing_open_files(1000) == 1000 + opened + SPARE - 200
"""


def test_the_soft_limit_is_raised_only_where_it_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
