"""The time of all processors is that of this process, its threads and its children."""

import subprocess
import sys
import time
from threading import Thread

from vicregl_fast.benchmarks.processor_time import processor_seconds


def test_time_of_processors_is_that_of_threads_and_children() -> None:
    """A child that counts for 0.3 s of its processor's time is seen while it lives."""
    before = processor_seconds()
    code = "import time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "done\n"
        assert 0.35 < processor_seconds() - before < 1.5
        child.communicate("\n")

    def busy() -> None:
        while time.thread_time() < 0.2:
            continue

    start, thread = processor_seconds(), Thread(target=busy)
    thread.start()
    thread.join()
    assert 0.15 < processor_seconds() - start < 1.5
