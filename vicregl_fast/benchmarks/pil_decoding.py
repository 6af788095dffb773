"""What PIL takes to decode a folder's images in the processes of a DataLoader."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from dataprep.errors import UserError
from vicregl_fast.data.image_folder import ImageFolder


class PilDecoding:
    """Decodes batches and lets them go: of each only the number of its images is sent.

    Args:
        folder: the images.
        batches: the sample indices of each batch, int64 [b].
        workers: processes, which live as long as this.
    """

    def __init__(self, folder: ImageFolder, batches: Sequence[np.ndarray], workers: int):
        self._counts = DataLoader(
            _Decoded(folder),
            batch_sampler=batches,  # type: ignore[arg-type]  # whose items go to __getitems__ as they are
            num_workers=workers,
            collate_fn=_as_it_is,
            persistent_workers=True,
        )

    def decode(self) -> int:
        """Decodes all batches: how many images there were.

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
    def __init__(self, folder: ImageFolder):
        self._folder = folder

    def __getitems__(self, indices: np.ndarray) -> int | UserError:
        try:
            return len([self._folder.open(index) for index in indices.tolist()])
        except UserError as error:
            return error


def _as_it_is(count: Any) -> Any:
    return count
