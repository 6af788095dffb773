"""What a worker process does: it makes one batch of views at a time, from files to bytes."""

import mmap
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
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
from vicregl_fast.data.worker_process import WorkerDied

BatchKey = tuple[int, np.ndarray]
"""What a worker is asked for: the epoch of the random choices, and sample indices, int64 [b]."""


class ViewDataset:
    """Makes batches by key, in worker processes.

    Args:
        store: the images.
        maker: the settings of the views, and what draws their parameters; its backend and device are not used.
        workers: how many worker processes there are; 0 stands for this process.
    """

    def __init__(self, store: Images, maker: ViewMaker, workers: int):
        self._store, self._maker = store, maker
        # For each worker, its process id (0 before its first image) and the sample that it reads or has read last. All
        # processes see this memory, which counts for no limit on shared memory.
        rows = max(1, workers)
        self._at_work = np.frombuffer(mmap.mmap(-1, rows * 16), np.int64).reshape(rows, 2)

    def named(self, death: WorkerDied) -> UserError:
        """The error for a worker's death, with the image that it read last."""
        process, sample = self._at_work[death.number].tolist()
        if process != death.process:
            return death
        return UserError(
            f"a loading process died after it had begun to read image {sample} ({self._store.name(sample)}): "
            f"{death.reason}"
        )

    def batch(self, worker: int, key: BatchKey) -> ByteBatch:
        """The batch of a key, made by the worker of this number.

        Raises:
            UserError: an image does not decode.
        """
        epoch, indices = key
        images = []
        for index in indices.tolist():
            self._at_work[worker] = os.getpid(), index
            images.append(functional.pil_to_tensor(self._store.open(index)))
        maker, labels = self._maker, self._store.labels
        heights, widths = np.array([image.shape[1:] for image in images], np.int64).T
        drawn = maker.draw(indices, heights, widths, epoch)
        matches = match_views(drawn, maker.grids, maker.directions, maker.mirror_flips)
        return ByteBatch(
            indices,
            tuple(_views(images, recipe, each) for recipe, each in zip(maker.recipes, drawn, strict=True)),
            None if labels is None else torch.from_numpy(labels[indices]),
            {direction: kept.map(torch.from_numpy) for direction, kept in matches.items()},
            None if maker.centre is None else _views(images, maker.centre, centre_parameters(heights, widths)),
        )


def _views(images: Sequence[Tensor], recipe: ViewRecipe, parameters: ViewParameters) -> Tensor:
    """One view of every image, uint8 [b, S, S, 3], of images uint8 [3, H, W]."""
    views = torch.empty((len(images), recipe.size, recipe.size, 3), dtype=torch.uint8)
    for k, image in enumerate(images):
        views.numpy()[k] = make_view(image, recipe, parameters, k)
    return views
