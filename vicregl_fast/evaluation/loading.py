"""Reads a data set in worker processes, in an order that the caller gives."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from torch.utils.data import Dataset, default_collate

from vicregl_fast.data.worker_pool import WorkerPool

Collate = Callable[[list[Any]], Any]


def read_batches(
    dataset: Dataset, batches: list[list[Any]], workers: int, collate: Collate = default_collate
) -> Iterator[Any]:
    """Reads batches, and yields them in order.

    Args:
        dataset: its ``__getitem__`` takes the keys in ``batches``.
        batches: the keys of each batch.
        workers: worker processes; 0 reads in this process.
        collate: makes a batch of a list of items.

    Raises:
        UserError: reading an item failed, or a worker process died.
    """

    def read(_: int, keys: list[Any]) -> Any:
        return collate([dataset[key] for key in keys])

    with closing(WorkerPool(read, min(workers, len(batches)), "--workers")) as pool:
        yield from pool.map(batches)


def chunks(keys: Sequence[Any], size: int) -> list[list[Any]]:
    """Cuts ``keys`` into lists of ``size`` keys; the last one may be shorter."""
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]
