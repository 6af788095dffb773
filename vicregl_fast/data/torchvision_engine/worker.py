"""What a worker process does: it makes one batch of views at a time, from files to bytes."""

import os
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info
from torchvision.transforms.v2 import functional

from dataprep.errors import UserError
from vicregl_fast.augment.centre import centre_parameters
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.matches import match_views
from vicregl_fast.data.store import Images
from vicregl_fast.data.torchvision_engine.byte_batch import ByteBatch
from vicregl_fast.data.torchvision_engine.transforms import make_view
from vicregl_fast.data.views import ViewMaker

BatchKey = tuple[int, np.ndarray]
"""What a worker is asked for: the epoch of the random choices, and sample indices, int64 [b]."""

_PATIENCE_SECONDS = 0.5  # how long to look for a dead process, whose pipes close shortly before its end shows


class ViewDataset(Dataset):
    """Makes whole batches, for which a DataLoader asks by key.

    Args:
        store: the images.
        maker: the settings of the views, and what draws their parameters; its backend and device are not used.
        workers: how many worker processes there are.
    """

    def __init__(self, store: Images, maker: ViewMaker, workers: int):
        self._store, self._maker = store, maker
        # For each worker, its process id (0 before its first image) and the sample that it reads or has read last.
        self._at_work = torch.zeros((workers, 2), dtype=torch.int64).share_memory_()

    def processes(self) -> list[int]:
        """Ids of the worker processes that have begun to read an image."""
        return [process for process in self._at_work[:, 0].tolist() if process]

    def dead_at(self) -> list[int]:
        """The samples that dead workers read last. To be called after an error, before the other workers are ended."""
        dead: list[int] = []
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not dead and time.monotonic() < deadline:
            dead = [sample for process, sample in self._at_work.tolist() if process and has_ended(process)]
        return dead

    def forget_processes(self) -> None:
        """Clears the ids of the worker processes, before new ones are started."""
        self._at_work.zero_()

    def __getitems__(self, key: BatchKey) -> ByteBatch | UserError:
        """The batch of a key, or the error where an image does not decode.

        The error is returned, since a DataLoader replaces an exception in a worker by one with the traceback as text.
        """
        epoch, indices = key
        try:
            images = [self._decode(index) for index in indices.tolist()]
        except UserError as error:
            return error
        maker, labels = self._maker, self._store.labels
        heights, widths = np.array([image.shape[1:] for image in images], np.int64).T
        drawn = maker.draw(indices, heights, widths, epoch)
        matches = match_views(drawn, maker.grids, maker.directions, maker.mirror_flips)
        return ByteBatch(
            indices,
            tuple(_views(images, recipe, each) for recipe, each in zip(maker.recipes, drawn, strict=True)),
            None if labels is None else torch.from_numpy(labels[indices]),
            {direction: kept.map(torch.from_numpy) for direction, kept in matches.items()},
            _views(images, maker.recipes[0], centre_parameters(heights, widths)) if maker.with_centre_crops else None,
        )

    def _decode(self, index: int) -> Tensor:
        worker = get_worker_info()
        assert worker is not None
        self._at_work[worker.id] = torch.tensor([os.getpid(), index])
        return functional.pil_to_tensor(self._store.open(index))


def _views(images: Sequence[Tensor], recipe: ViewRecipe, parameters: ViewParameters) -> Tensor:
    """One view of every image, uint8 [b, S, S, 3], of images uint8 [3, H, W]."""
    views = torch.empty((len(images), recipe.size, recipe.size, 3), dtype=torch.uint8)
    for k, image in enumerate(images):
        views.numpy()[k] = make_view(image, recipe, parameters, k)
    return views


def has_ended(child: int) -> bool:
    """Whether a child process has ended. Its exit status stays there, for the DataLoader to collect."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
