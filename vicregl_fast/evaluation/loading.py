"""Reading a data set with PIL in worker processes, the ordinary way, in an order that the caller gives."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from dataprep.errors import UserError

Collate = Callable[[list[Any]], Any]


def read_batches(
    dataset: Dataset, batches: list[list[Any]], workers: int, collate: Collate = default_collate
) -> Iterator[Any]:
    """Yields ``collate`` of the items of each of ``batches``, lists of the data set's keys, in order.

    Raises:
        UserError: the data set's own, without the worker's traceback around its sentence.
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
    """Cuts ``keys`` into runs of ``size``; the last may be shorter."""
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]


class _ErrorsAsItems(Dataset):
    """A DataLoader wraps what a worker raises in its traceback; what a worker returns arrives as it is."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except UserError as error:
            return error


def _collate_or_error(collate: Collate, items: list[Any]) -> Any:
    return next((item for item in items if isinstance(item, UserError)), None) or collate(items)
