"""How a program ends."""

import signal

import pytest

from dataprep.errors import exit_on_user_error


def test_ctrl_c_ends_without_a_traceback(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise KeyboardInterrupt
    assert stop.value.code == 128 + signal.SIGINT and capsys.readouterr().err == "\nstopped by Ctrl-C\n"
