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
