"""Brings view batches from worker processes to the training device."""

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from dataprep.errors import UserError
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.store import Images
from vicregl_fast.data.torchvision_engine.byte_batch import ByteBatch, to_device
from vicregl_fast.data.torchvision_engine.worker import BatchKey, ViewDataset
from vicregl_fast.data.views import ViewMaker


class TorchvisionFeed:
    """A ``Feed`` whose worker processes make the view batches, and live from one epoch to the next.

    Args:
        store: the images.
        maker: the settings of the views, and the device that they are for.
        workers: how many worker processes.
    """

    def __init__(self, store: Images, maker: ViewMaker, workers: int):
        self.store = store
        self.maker = maker
        self.dataset = ViewDataset(store, maker, workers)
        self._keys = _Keys()
        self._batches = DataLoader(
            self.dataset,
            batch_sampler=self._keys,  # type: ignore[arg-type]  # gives keys, not lists of samples
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=maker.device.type == "cuda",
            worker_init_fn=_ignore_interrupts,
            persistent_workers=True,
            generator=torch.Generator(),  # its own: from torch's default one it would draw between those of drop path
        )

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "TorchvisionLoader":
        """View batches of these sample indices, int64 [b] for each step, with the random choices of ``epoch``."""
        self._keys.start(batches, epoch)
        return TorchvisionLoader(self)

    def received(self) -> Iterator[ByteBatch | UserError]:
        """Sets the workers to the batches last given to ``loader``; starts them first where they do not run."""
        if self._batches._iterator is None:
            self.dataset.forget_processes()
        return iter(self._batches)

    def end_workers(self) -> None:
        """Ends the worker processes; the next epoch starts new ones."""
        running = self._batches._iterator
        if running is not None:
            running._shutdown_workers()  # type: ignore[attr-defined]  # at once, though others may still refer to the iterator
            self._batches._iterator = None


class TorchvisionLoader:
    """An iterator over the view batches of one epoch, to be used in a ``with`` block, as ``ViewLoader`` is.

    Args:
        feed: the feed whose ``loader`` was called.

    Attributes:
        waited: seconds that the consumer has spent waiting for batches.

    Raises:
        UserError: an image does not decode, or at the end of the block, a worker process has died.
    """

    def __init__(self, feed: TorchvisionFeed):
        self.waited = 0.0
        self._feed = feed
        self._whole_epoch = False
        self._dead_at: list[int] = []

    def __enter__(self) -> "TorchvisionLoader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A worker's death shows either as a broken pipe, or as a RuntimeError that torch's handler of SIGCHLD raises
        # wherever the program is at that moment. That may be in ``_leave``, which is then called again.
        failed = isinstance(error, (RuntimeError, OSError, EOFError))
        try:
            self._leave(failed)
        except RuntimeError:
            self._leave(failed)
        if self._dead_at:
            raise _death(self._dead_at, self._feed.store) from error

    def _leave(self, failed: bool) -> None:
        if failed and not self._dead_at:
            self._dead_at = self._feed.dataset.dead_at()
        if not self._whole_epoch:  # the workers are still making batches that are no longer wanted
            self._feed.end_workers()

    def __iter__(self) -> Iterator[ViewBatch]:
        received = self._feed.received()
        while True:
            start = time.perf_counter()
            batch = next(received, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                self._whole_epoch = True
                return
            if isinstance(batch, UserError):
                raise batch
            yield to_device(batch, self._feed.maker.device, self._feed.maker.dtype)


class _Keys:
    """The batch sampler: gives the keys of an epoch's batches.

    It changes from epoch to epoch, since a DataLoader with persistent workers keeps the sampler that it began with.
    """

    def __init__(self) -> None:
        self._batches: Iterable[np.ndarray] = ()
        self._epoch = 0

    def start(self, batches: Iterable[np.ndarray], epoch: int) -> None:
        self._batches, self._epoch = batches, epoch

    def __iter__(self) -> Iterator[BatchKey]:
        return ((self._epoch, indices) for indices in self._batches)


def _as_it_is(batch: Any) -> Any:
    return batch


def _ignore_interrupts(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; it is the parent that ends the workers


def _death(samples: Sequence[int], store: Images) -> UserError:
    """The error for workers that died while they read these samples."""
    images = ", ".join(f"{sample} ({store.name(sample)})" for sample in samples)
    return UserError(
        f"a loading process died after it had begun to read image {images}; look at that file, or at the memory: "
        "fewer --data.workers need less"
    )
