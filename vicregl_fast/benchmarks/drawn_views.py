"""Batches of drawn pictures: realistic input for every kernel, which needs no data set."""

from dataprep.demo import CLASS_NAMES, draw_picture
from vicregl_fast.augment.decoded_batch import DecodedBatch

DIFFERENT_PICTURES = 16
"""Different pictures in a batch, at most. They are repeated to fill it; each copy is cropped differently."""


def drawn_batch(batch_size: int, seed: int = 0) -> DecodedBatch:
    """A batch of ``batch_size`` pictures of the demo set with their labels, as an engine would decode it."""
    count = min(batch_size, DIFFERENT_PICTURES)
    pictures = [draw_picture(seed, index, index % len(CLASS_NAMES)) for index in range(count)]
    chosen = [pictures[index % count] for index in range(batch_size)]
    return DecodedBatch.pack([picture.image for picture in chosen], [picture.label for picture in chosen])
