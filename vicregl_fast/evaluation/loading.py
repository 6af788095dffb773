"""Reads a data set in worker processes with PyTorch's DataLoader, in an order that the caller gives."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from dataprep.errors import UserError

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
        UserError: reading an item raised it; it arrives without a worker's traceback.
    """
    loader = DataLoader(
        _ErrorsAsItems(dataset),
        batch_sampler=batches,
        num_workers=min(workers, len(batches)),
        collate_fn=partial(_collate_or_error, collate),
    )
    for batch in loader:
        if isinstance(batch, UserError):
            raise batch
        yield batch


def chunks(keys: Sequence[Any], size: int) -> list[list[Any]]:
    """Cuts ``keys`` into lists of ``size`` keys; the last one may be shorter."""
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]


class _ErrorsAsItems(Dataset):
    """Returns a UserError in place of the item that raised it.

    A DataLoader wraps an exception of a worker in that worker's traceback, but passes on unchanged what is returned.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except UserError as error:
            return error


def _collate_or_error(collate: Collate, items: list[Any]) -> Any:
    """The first UserError among the items, or else the collated batch."""
    return next((item for item in items if isinstance(item, UserError)), None) or collate(items)
