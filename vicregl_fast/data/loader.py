"""Prepares view batches in a thread, ahead of the training step. If the thread dies, the consumer gets an error."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

import numpy as np
import torch

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import BATCHES_HELD, Engine
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.devices import side_stream

Item = tuple[ViewBatch, torch.cuda.Event | None]

_POLL_SECONDS = 0.2
PATIENT_FOR = 5.0
"""Seconds for which a batch is waited for before the consumer is asked whether it gives up, as when a disk is gone."""


class ThreadLoader:
    """An iterator over view batches, to be used in a ``with`` block, which starts and ends the thread that makes them.

    An error in the thread is raised in the consumer, after the batches that were ready before it.

    Args:
        made: makes the batches, each when it is asked for.
        device: where they are.
        ahead: the most batches kept ready.

    Attributes:
        waited: seconds that the consumer has spent waiting for batches.
        gives_up: asked while a batch has been waited for in vain; if true, the iteration ends without it.
        whole: whether the consumer has had all batches.
    """

    def __init__(self, made: Generator[ViewBatch, None, None], device: torch.device, ahead: int = 2):
        self.waited = 0.0
        self.gives_up: Callable[[], bool] = lambda: False
        self.whole = False
        self._given_up = False
        self._made, self._device = made, device
        self._ready: Queue[Item | BaseException | None] = Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._prepare, name="view-loader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENT_FOR if self._given_up else None)  # it may wait for ever

    def __iter__(self) -> Iterator[ViewBatch]:
        while True:
            start = time.perf_counter()
            item = self._next()
            self.waited += time.perf_counter() - start
            if item is None:
                self.whole = not self._given_up
                return
            if isinstance(item, BaseException):
                raise item
            batch, done = item
            if done is not None:
                _hand_over(batch, done)
            yield batch

    def _next(self) -> Item | BaseException | None:
        start = time.monotonic()
        while True:
            try:
                return self._ready.get(timeout=_POLL_SECONDS)
            except Empty:
                if not self._thread.is_alive() and self._ready.empty():
                    return RuntimeError("the loading thread ended without a word")
                if time.monotonic() - start > PATIENT_FOR and self.gives_up():
                    self._given_up = True
                    return None

    def _prepare(self) -> None:
        copied: deque[torch.cuda.Event] = deque()
        try:
            stream = side_stream(self._device) if self._device.type == "cuda" else None
            with closing(self._made), torch.cuda.stream(stream):  # for decoding, too: an engine may work on the GPU
                while True:
                    if len(copied) == BATCHES_HELD:
                        copied.popleft().synchronize()  # the engine will now overwrite the bytes of that batch
                    batch = next(self._made, None)
                    if batch is None:
                        break
                    done = None if stream is None else stream.record_event()
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

    def _put(self, item: Item | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=_POLL_SECONDS)
                return True
            except Full:
                continue
        return False


class ViewLoader(ThreadLoader):
    """The view batches of one epoch, of images that an engine decodes.

    Args:
        engine: decodes.
        maker: crops, distorts and matches.
        batches: the sample indices of every step, int64 [b] each.
        epoch: decides the random choices of the views.
        ahead: the most batches kept ready.
    """

    def __init__(self, engine: Engine, maker: ViewMaker, batches: Iterable[np.ndarray], epoch: int, ahead: int = 2):
        made = (maker.make(engine.decode(indices), epoch) for indices in batches)
        super().__init__(made, maker.device, ahead)


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
