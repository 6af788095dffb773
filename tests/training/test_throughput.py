"""Images per second and the share of waiting, by a clock that the test turns."""

from types import SimpleNamespace

import pytest

from vicregl_fast.training import throughput
from vicregl_fast.training.throughput import Throughput


def test_rates_are_of_the_time_since_they_were_last_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: clock.now)
    loader = SimpleNamespace(waited=7.0)
    speed = Throughput(batch_size=32, loader=loader)  # type: ignore[arg-type]
    for _ in range(5):
        speed.count()
    clock.now, loader.waited = 104.0, 8.0
    assert speed.rates() == {"images_per_second": 5 * 32 / 4, "data_wait_share": 0.25}
    speed.count()
    clock.now, loader.waited = 106.0, 8.0
    assert speed.rates() == {"images_per_second": 16.0, "data_wait_share": 0.0}
    clock.now, loader.waited = 107.0, 20.0  # another thread's wait may reach into it
    assert speed.rates() == {"images_per_second": 0.0, "data_wait_share": 1.0}
