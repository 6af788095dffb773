"""Times how fast the judgements compute features, beside the backbone's own forward pass."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_side_by_side
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.classification.crop_feed import CentreCropFeed, CropFeeds
from vicregl_fast.evaluation.classification.features import pooled_features, pooled_of
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import BackboneConfig


def bench_features(
    backbone: BackboneConfig, images: ChosenImages, feeds: CropFeeds, batches: int, repeats: int
) -> Iterator[Measurement]:
    """Times pooled features of centre crops as k-NN computes them, but with the kernels that training chooses.

    ``features.images_per_second`` decodes, crops and computes; ``features.forward`` computes those of one batch that is
    there already, again and again; ``features.crops`` only decodes and crops. ``features.over_forward`` is the ratio of
    the first two.

    Args:
        backbone: of which architecture; its weights are drawn.
        images: the first of them are used.
        feeds: of the crops.
        batches: of a duration, at most. Decoding is ahead of the forward pass, but not at the first batch, so that few
            batches of a fast network show the start.
        repeats: number of durations measured for each figure.

    Raises:
        UserError: an image does not decode, or the backbone accepts no image of this size.
    """
    chosen = images.indices[: batches * feeds.batch_size]
    network = build_backbone(backbone).eval()
    network = network.to(feeds.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as judged
    crops = feeds.centre(images.opened)
    calls = {
        "images_per_second": lambda: pooled_features(network, crops, chosen, feeds.device),
        "forward": _forward(network, _first_batch(crops, chosen), len(chosen)),
        "crops": lambda: [None for _ in crops.batches(chosen)],
    }
    seconds = time_side_by_side(calls, feeds.device, repeats)
    for name, durations in seconds.items():
        yield Measurement.rate(f"features.{name}", len(chosen), durations, "images/s")
    yield Measurement.speedup("features.over_forward", seconds["images_per_second"], seconds["forward"])


def _first_batch(crops: CentreCropFeed, chosen: np.ndarray) -> Tensor:
    ((_, images),) = crops.batches(chosen[: crops.batch_size])
    return images


def _forward(network: Backbone, images: Tensor, count: int) -> Callable[[], None]:
    """Computes features of ``count`` images, a batch at a time."""

    @torch.inference_mode()
    def call() -> None:
        for first in range(0, count, len(images)):
            pooled_of(network, images[: count - first])

    return call
