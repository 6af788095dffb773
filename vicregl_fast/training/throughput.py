"""Measures images per second, and the share of time spent waiting for data."""

import time

from vicregl_fast.data.engine import BatchLoader


class Throughput:
    """Measures the speed of training from one call of ``rates`` to the next.

    Args:
        batch_size: images in a step of all processes together.
        loader: feeds this process, and measures how long the process waits for it.

    Attributes:
        last_wait: seconds that the process has waited for the batch of the step counted last.
    """

    def __init__(self, batch_size: int, loader: BatchLoader):
        self._batch_size, self._loader = batch_size, loader
        self._waited_before, self.last_wait = loader.waited, 0.0
        self._restart()

    def count(self) -> None:
        """Counts one step that is done."""
        self._steps += 1
        self.last_wait, self._waited_before = self._loader.waited - self._waited_before, self._loader.waited

    def rates(self) -> dict[str, float]:
        """Returns ``images_per_second`` and ``data_wait_share`` (0 to 1) since the last call, and starts anew."""
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
