"""Decoding a folder's images with PIL in the worker processes of a DataLoader, to be timed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from dataprep.errors import UserError
from vicregl_fast.data.image_folder import ImageFolder


class PilDecoding:
    """Decodes batches and discards the pixels: a worker sends back only the number of images in a batch.

    Args:
        folder: the images.
        batches: the sample indices of each batch, int64 [b].
        workers: number of worker processes, which live as long as this object.
    """

    def __init__(self, folder: ImageFolder, batches: Sequence[np.ndarray], workers: int):
        self._counts = DataLoader(
            _Decoded(folder),
            batch_sampler=batches,  # type: ignore[arg-type]  # each goes to __getitems__ as an array
            num_workers=workers,
            collate_fn=_as_it_is,
            persistent_workers=True,
        )

    def decode(self) -> int:
        """Decodes all batches, and returns the number of images.

        Raises:
            UserError: an image does not decode.
        """
        images = 0
        counts: Iterator[int | UserError] = iter(self._counts)
        for count in counts:
            if isinstance(count, UserError):
                raise count
            images += count
        return images


class _Decoded(Dataset):
    """Returns the number of images decoded. An error is returned, too: a DataLoader adds a traceback to raised ones."""

    def __init__(self, folder: ImageFolder):
        self._folder = folder

    def __getitems__(self, indices: np.ndarray) -> int | UserError:
        try:
            return len([self._folder.open(index) for index in indices.tolist()])
        except UserError as error:
            return error


def _as_it_is(count: Any) -> Any:
    return count
