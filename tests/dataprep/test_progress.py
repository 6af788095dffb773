"""A bar moves in a terminal; in a file there are whole lines."""

import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from dataprep import progress

PROGRAM = """
import time
from dataprep import progress
from dataprep.notes import note
progress.SECONDS_BETWEEN_LINES = {between}
for step in progress.progress_bar(range(30), desc="work", leave=False, mininterval=0):
    time.sleep(0.02)
with progress.progress_bar(total=30, desc="steps") as bar:
    for step in range(20):
        bar.set_postfix_str(f"loss {{step}}")
        bar.update()
    note("look here")
"""


def in_a_file(tmp_path: Path, between: float) -> list[str]:
    log = tmp_path / "log"
    with log.open("w") as file:
        subprocess.run([sys.executable, "-c", PROGRAM.format(between=between)], stderr=file, check=True)
    text = log.read_text()
    assert "\r" not in text and "\x1b" not in text and text.endswith("\n")
    return text.splitlines()


def test_short_work_leaves_one_line_in_a_file(tmp_path: Path) -> None:
    work, note, steps = in_a_file(tmp_path, 60)
    assert work.startswith("work: 100%") and "30/30" in work
    assert note == "note: look here"
    assert steps.startswith("steps:  67%") and "20/30" in steps and "loss 19" in steps


def test_long_work_leaves_a_line_now_and_then(tmp_path: Path) -> None:
    start = time.monotonic()
    lines = [line for line in in_a_file(tmp_path, 0.2) if line.startswith("work")]
    assert 2 <= len(lines) <= 2 + (time.monotonic() - start) / 0.2
    assert "30/30" in lines[-1] and "30/30" not in lines[0]


@pytest.mark.timeout(60)
def test_in_a_terminal_the_bar_moves_and_goes() -> None:
    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    program = subprocess.Popen([sys.executable, "-c", PROGRAM.format(between=60)], stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(mine, 4096):
            shown += part
    except OSError:  # the program has ended
        pass
    assert program.wait() == 0
    work = shown.split(b"steps:")[0]
    assert work.count(b"\r") >= 10 and work.count(b"\n") == 0


def test_a_bar_that_a_signal_cuts_off_ends_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    bar = progress._Bar.__new__(progress._Bar)
    del bar
    assert unraisable == []
