"""A process that is asked to stop may finish what it does, but not wait for ever."""

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, signal, sys, time
from vicregl_fast.training import hang_watch
from vicregl_fast.training.signals import StopRequest
hang_watch.LEAST_PATIENCE = hang_watch.WARNED_PATIENCE = hang_watch.STARTING = 1.0
watch = hang_watch.HangWatch()
def wait(seconds):
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(left)
with watch.watching(os.environ), StopRequest() as stop:
    {before}
    print("ready", flush=True)
    {after}
    sys.exit(9 if watch.received == stop.received else 1)
"""


def ending(before: str, after: str, number: signal.Signals) -> tuple[int, str]:
    words = [sys.executable, "-c", PROGRAM.format(before=before, after=after)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
    return process.returncode, errors


@pytest.mark.parametrize("before", ["pass", "watch.beat()"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_who_waits_in_vain_ends(before: str, number: signal.Signals, code: int) -> None:
    ended, errors = ending(before, "wait(30)", number)
    assert ended == code and errors.count("\n") == 2
    assert f"{number.name} asked for a stop" in errors and errors.endswith("; nothing had been done yet\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("watch.beat()", "with watch.paused(): wait(5)"),
        ("watch.beat(); wait(4); watch.beat()", "wait(5)"),  # steps may take as long
        ("watch.beat()", "for _ in range(10): wait(0.5); watch.beat()"),
    ],
)
def test_who_gets_on_is_left_alone(before: str, after: str) -> None:
    assert ending(before, after, signal.SIGTERM) == (9, "")


def test_what_came_before_the_steps_does_not_count() -> None:
    before = "watch.beat(); wait(4); watch.begin(lambda: 'it is lost'); watch.beat()"
    ended, errors = ending(before, "wait(30)", signal.SIGTERM)
    assert ended == 75 and errors.endswith("; it is lost\n") and "asked for a stop 1 s ago" in errors


def test_a_scheduler_s_warning_leaves_more_time() -> None:
    before = "hang_watch.WARNED_PATIENCE = 60.0; watch.beat()"
    assert ending(before, "wait(4)", signal.SIGUSR1) == (9, "")


def test_a_process_that_outlives_a_shell_is_left_alone() -> None:
    """As after nohup: only who was started by a launcher ends with its parent."""
    code = PROGRAM.format(before="parent = os.getppid()", after="wait(4); print(os.getppid() != parent, flush=True)")
    script = f"{sys.executable} -c '{code}' & sleep 2"
    for variables, alone in (({}, True), ({"TORCHELASTIC_RUN_ID": "x"}, False)):
        done = subprocess.run(
            ["/bin/bash", "-c", script],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ("True" in done.stdout) == alone, done.stdout + done.stderr
        assert ("what started this process is gone" in done.stderr) != alone
