"""Views cut and resized by DALI itself, so that whole images need not leave it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.data.dali_engine.decoding import StorePipeline
from vicregl_fast.data.dali_engine.pipelines import boxes_name, viewing_pipeline
from vicregl_fast.data.jpegs import JpegStore


class DaliViews:
    """Turns sample indices and boxes into undistorted views.

    Args:
        store: an opened store.
        sizes: pixels of a side of each view.
        batch_size: the most images a call will ask for.
        workers: decoding threads; on the CPU they resize, too.
        device: what decodes and resizes, and where the views are then.
    """

    def __init__(self, store: JpegStore, sizes: Sequence[int], batch_size: int, workers: int, device: torch.device):
        self._pipeline = StorePipeline(store, device, lambda: viewing_pipeline(sizes, batch_size, workers, device))

    def decode_views(self, indices: np.ndarray, boxes: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        """Every view of the samples int64 [b]: bicubic, antialiased, of pixels inside the boxes only.

        Args:
            indices: the samples.
            boxes: int [b, 4] for each view: top, left, height, width in pixels of the stored image.

        Returns:
            uint8 [b, S, S, 3] for each view.

        Raises:
            UserError: an image does not decode.
        """
        inputs = {boxes_name(view): boxes_b4.astype(np.int32) for view, boxes_b4 in enumerate(boxes)}
        outputs = self._pipeline.run(indices, **inputs)
        return tuple(torch.stack(views) for views in outputs)
