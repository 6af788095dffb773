"""Prepares view batches in a thread, ahead of the training step. If the thread dies, the consumer gets an error."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from types import TracebackType

import numpy as np
import torch

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import BATCHES_HELD, Engine
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.devices import side_stream

Item = tuple[ViewBatch, torch.cuda.Event | None]

_POLL_SECONDS = 0.2


class ViewLoader:
    """An iterator over the view batches of one epoch, to be used in a ``with`` block, which starts and ends its thread.

    An error in the thread is raised in the consumer, after the batches that were ready before it.

    Args:
        engine: decodes.
        maker: crops, distorts and matches.
        batches: the sample indices of every step, int64 [b] each.
        epoch: decides the random choices of the views.
        ahead: the most batches kept ready.

    Attributes:
        waited: seconds that the consumer has spent waiting for batches.
    """

    def __init__(self, engine: Engine, maker: ViewMaker, batches: Iterable[np.ndarray], epoch: int, ahead: int = 2):
        self.waited = 0.0
        self._engine, self._maker, self._batches, self._epoch = engine, maker, batches, epoch
        self._ready: Queue[Item | BaseException | None] = Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._prepare, name="view-loader", daemon=True)

    def __enter__(self) -> "ViewLoader":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[ViewBatch]:
        while True:
            start = time.perf_counter()
            item = self._next()
            self.waited += time.perf_counter() - start
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            batch, done = item
            if done is not None:
                _hand_over(batch, done)
            yield batch

    def _next(self) -> Item | BaseException | None:
        while True:
            try:
                return self._ready.get(timeout=_POLL_SECONDS)
            except Empty:
                if not self._thread.is_alive() and self._ready.empty():
                    return RuntimeError("the loading thread ended without a word")

    def _prepare(self) -> None:
        copied: deque[torch.cuda.Event] = deque()
        try:
            stream = side_stream(self._maker.device) if self._maker.device.type == "cuda" else None
            for indices in self._batches:
                if len(copied) == BATCHES_HELD:
                    copied.popleft().synchronize()  # the engine will now overwrite the bytes of that batch
                batch, done = self._make(indices, stream)
                if done is not None:
                    copied.append(done)
                if not self._put((batch, done)):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            for event in copied:  # the next loader of this engine does not wait for them
                event.synchronize()

    def _make(self, indices: np.ndarray, stream: torch.cuda.Stream | None) -> Item:
        if stream is None:
            return self._maker.make(self._engine.decode(indices), self._epoch), None
        with torch.cuda.stream(stream):  # holds for the decoding, too: an engine may work on the GPU
            return self._maker.make(self._engine.decode(indices), self._epoch), stream.record_event()

    def _put(self, item: Item | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=_POLL_SECONDS)
                return True
            except Full:
                continue
        return False


def _hand_over(batch: ViewBatch, done: torch.cuda.Event) -> None:
    """Makes the current stream wait for ``done``, the event after which the batch is complete.

    The batch's memory belongs to the loader's stream. ``record_stream`` keeps the allocator from reusing it before the
    current stream, too, is done with it.
    """
    stream = torch.cuda.current_stream()
    stream.wait_event(done)
    tensors = [*batch.views, *(tensor for kept in batch.matches.values() for tensor in kept)]
    for tensor in [*tensors, batch.labels, batch.centre_crops]:
        if tensor is not None:
            tensor.record_stream(stream)
