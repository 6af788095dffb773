"""The view batches of a folder, from worker processes to the training device."""

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from dataprep.errors import UserError
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.store import Images
from vicregl_fast.data.torchvision_engine.byte_batch import ByteBatch, to_device
from vicregl_fast.data.torchvision_engine.worker import BatchKey, ViewDataset
from vicregl_fast.data.views import ViewMaker


class TorchvisionFeed:
    """A folder whose images become view batches in processes, which live from one epoch to the next.

    Args:
        store: the images.
        maker: what the views are, and the device that they are for.
        workers: processes.
    """

    def __init__(self, store: Images, maker: ViewMaker, workers: int):
        self.store = store
        self.maker = maker
        self.dataset = ViewDataset(store, maker, workers)
        self._keys = _Keys()
        self._batches = DataLoader(
            self.dataset,
            batch_sampler=self._keys,  # type: ignore[arg-type]  # whose batches are keys, not lists of samples
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=maker.device.type == "cuda",
            worker_init_fn=_ignore_interrupts,
            persistent_workers=True,
        )

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "TorchvisionLoader":
        """View batches of these sample indices, with the random choices of ``epoch``."""
        self._keys.start(batches, epoch)
        return TorchvisionLoader(self)

    def received(self) -> Iterator[ByteBatch | UserError]:
        """Starts the workers, where they do not run yet, on the batches last asked for."""
        if self._batches._iterator is None:
            self.dataset.forget_processes()
        return iter(self._batches)

    def end_workers(self) -> None:
        """Ends the processes; the next loader starts others."""
        running = self._batches._iterator
        if running is not None:
            running._shutdown_workers()  # type: ignore[attr-defined]  # whoever may still hold the iterator
            self._batches._iterator = None


class TorchvisionLoader:
    """An iterator over the view batches of one epoch, to be used in a ``with`` block, as ``ViewLoader`` is.

    Attributes:
        waited: seconds that the consumer has spent waiting here.
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
        # A death shows as the end of a pipe, or by a signal at which torch raises wherever the program is just then.
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
        if not self._whole_epoch:  # the workers are at batches that nobody will take
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
    """The keys of an epoch's batches; a DataLoader that keeps its workers keeps its sampler, too."""

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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends the workers


def _death(samples: Sequence[int], store: Images) -> UserError:
    images = ", ".join(f"{sample} ({store.name(sample)})" for sample in samples)
    return UserError(
        f"a loading process died after it had begun to read image {images}; look at that file, or at the memory: "
        "fewer --data.workers need less"
    )
