"""Whether a process still runs is told of this machine's, and by more than its number."""

import os
import subprocess
from dataclasses import replace

import pytest

from dataprep.process_identity import ProcessIdentity, this_process


def test_a_process_runs_until_it_has_ended() -> None:
    ours = this_process()
    assert ours.pid == os.getpid() and ours.started > 0 and ours.runs()
    assert ProcessIdentity.parse(str(ours)) == ours
    child = subprocess.Popen(["sleep", "60"])
    theirs = replace(ours, pid=child.pid, started=0)  # 0: not known, as of what earlier versions wrote
    assert theirs.runs()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert theirs.runs() is False  # ended, though its parent has not asked for its exit code yet
    child.wait()
    assert theirs.runs() is False


def test_a_number_that_was_given_again_is_another_process() -> None:
    assert replace(this_process(), started=this_process().started - 1).runs() is False


def test_of_another_machine_it_is_not_known() -> None:
    assert replace(this_process(), machine="0" * 8).runs() is None


@pytest.mark.parametrize("text", ["", "12", "a-b-c", "a-1"])
def test_other_text_is_no_identity(text: str) -> None:
    with pytest.raises(ValueError):
        ProcessIdentity.parse(text)
