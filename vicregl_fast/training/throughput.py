"""Images a second, and the share of time spent waiting for data, since the last row."""

import time

from vicregl_fast.data.engine import BatchLoader


class Throughput:
    """Counts steps of ``batch_size`` images, of all processes together, fed by ``loader``."""

    def __init__(self, batch_size: int, loader: BatchLoader):
        self._batch_size, self._loader = batch_size, loader
        self._restart()

    def count(self) -> None:
        """One step was done."""
        self._steps += 1

    def rates(self) -> dict[str, float]:
        """``images_per_second`` and ``data_wait_share`` (0..1) since the last call."""
        elapsed = max(time.perf_counter() - self._start, 1e-9)
        waited = self._loader.waited - self._waited
        rates = {
            "images_per_second": self._steps * self._batch_size / elapsed,
            "data_wait_share": min(waited / elapsed, 1.0),
        }
        self._restart()
        return rates

    def _restart(self) -> None:
        self._steps, self._start, self._waited = 0, time.perf_counter(), self._loader.waited
