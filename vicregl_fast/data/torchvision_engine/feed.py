"""Brings view batches from worker processes to the training device."""

from collections.abc import Generator, Iterable
from contextlib import closing
from types import TracebackType

import numpy as np

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.loader import ThreadLoader
from vicregl_fast.data.store import Images
from vicregl_fast.data.torchvision_engine.byte_batch import ByteBatch, to_device
from vicregl_fast.data.torchvision_engine.worker import BatchKey, ViewDataset
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.data.worker_pool import WorkerPool
from vicregl_fast.data.worker_process import WorkerDied


class TorchvisionFeed:
    """A ``Feed`` whose worker processes make the view batches, and live from one epoch to the next.

    Args:
        store: the images.
        maker: the settings of the views, and the device that they are for.
        workers: how many worker processes; 0 makes the batches in a thread of this process.
    """

    def __init__(self, store: Images, maker: ViewMaker, workers: int):
        self.store = store
        self.maker = maker
        self.dataset = ViewDataset(store, maker, workers)
        self.pool: WorkerPool[BatchKey, ByteBatch] = WorkerPool(self.dataset.batch, workers, "--data.workers")

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "TorchvisionLoader":
        """View batches of these sample indices, int64 [b] for each step, with the random choices of ``epoch``.

        Raises:
            UserError: the system does not allow so many worker processes.
        """
        self.pool.start()
        return TorchvisionLoader(self, batches, epoch)


class TorchvisionLoader(ThreadLoader):
    """The view batches of one epoch.

    Args:
        feed: the feed whose ``loader`` was called.
        batches: the sample indices of every step, int64 [b] each.
        epoch: decides the random choices of the views.

    Raises:
        UserError: an image does not decode, or a worker process has died.
    """

    def __init__(self, feed: TorchvisionFeed, batches: Iterable[np.ndarray], epoch: int):
        self._feed = feed
        super().__init__(_made(feed, batches, epoch), feed.maker.device)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.whole:
            return super().__exit__(kind, error, trace)
        self._feed.pool.kill()  # the workers are still making batches that are no longer wanted
        super().__exit__(kind, error, trace)
        self._feed.pool.close()


def _made(feed: TorchvisionFeed, batches: Iterable[np.ndarray], epoch: int) -> Generator[ViewBatch, None, None]:
    keys = ((epoch, indices) for indices in batches)
    try:
        with closing(feed.pool.map(keys)) as received:
            for batch in received:
                yield to_device(batch, feed.maker.device, feed.maker.dtype)
    except WorkerDied as death:
        raise feed.dataset.named(death) from death
