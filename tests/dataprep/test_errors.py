"""How a program ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dataprep.errors import exit_on_user_error
from dataprep.manifest import read_manifest
from tests.dataprep.pictures import write_tree


def test_ctrl_c_ends_without_a_traceback(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise KeyboardInterrupt
    assert stop.value.code == 128 + signal.SIGINT and capsys.readouterr().err == "\nstopped by Ctrl-C\n"


def test_closed_streams_do_not_matter(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    program = f"{sys.executable} -m dataprep ffcv {tmp_path / 'images'} {tmp_path / 's.beton'} --workers 2"
    for closed in ("2>&-", "<&- >&- 2>&-"):
        subprocess.run(["bash", "-c", f"{program} --overwrite {closed}"], check=True, timeout=60)
        assert read_manifest(tmp_path / "s.beton").count == 6


def run_python(script: str, shell: str = "{}") -> subprocess.CompletedProcess:
    lines = "from dataprep.errors import exit_on_user_error\nwith exit_on_user_error():\n " + script
    command = f"{sys.executable} -c '{lines}'"
    return subprocess.run(
        ["bash", "-c", shell.format(command)], capture_output=True, text=True, timeout=60, check=False
    )


def test_what_the_system_refuses_about_a_file_is_one_sentence(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise PermissionError(13, "Permission denied", "data/x")
    assert stop.value.code == 2 and capsys.readouterr().err == "error: data/x cannot be used: Permission denied\n"
    with pytest.raises(OSError, match="other"), exit_on_user_error():
        raise OSError(5, "other")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_said_once(unbuffered: str) -> None:
    before = f"export PYTHONUNBUFFERED={unbuffered}; "
    full = run_python('print("x")', before + "{} > /dev/full")
    assert full.returncode == 2 and full.stderr.count("\n") == 1
    assert "cannot be written: No space left on device" in full.stderr
    gone = run_python('print("x" * 100000)', before + "set -o pipefail; {} | true")
    assert gone.returncode == 128 + signal.SIGPIPE and gone.stderr == ""
    left = run_python('print("x"); raise SystemExit(0)', "unset PYTHONUNBUFFERED; {} > /dev/full")
    assert left.returncode == 2 and left.stderr == "error: the output cannot be written: No space left on device\n"


def test_names_that_the_terminal_cannot_show_are_printed() -> None:
    for encoding, shown in (("ascii", r"\xe9\udcff"), ("utf-8:strict", r"é\udcff")):
        told = run_python('print("\\xe9\\udcff")', f"PYTHONIOENCODING={encoding} {{}}")
        assert (told.returncode, told.stdout, told.stderr) == (0, f"{shown}\n", "")
