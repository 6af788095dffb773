"""A run is asked to stop by signals, and its exit code says by which."""

import signal

import pytest

from vicregl_fast.training.signals import REQUEUE_EXIT_CODE, StopRequest, exit_code


def test_ctrl_c_asks_first_and_stops_at_the_second_time() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert stop.received is None
        signal.raise_signal(signal.SIGINT)
        assert stop.received == signal.SIGINT and exit_code(stop.received) == 130
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_scheduler_may_ask_more_than_once(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup themselves
    try:
        with StopRequest() as stop:
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert stop.received == number and exit_code(stop.received) == REQUEUE_EXIT_CODE == 75
    finally:
        signal.signal(number, before)


def test_a_terminal_that_closes_is_nothing_to_a_run_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.received is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
