"""Views of drawn pictures: real work for every kernel, without any data to bring."""

from dataprep.demo import CLASS_NAMES, draw_picture
from vicregl_fast.augment.decoded_batch import DecodedBatch

DIFFERENT_PICTURES = 16
"""Drawn once and repeated to fill a batch; the crops of each copy differ."""


def drawn_batch(batch_size: int, seed: int = 0) -> DecodedBatch:
    """What an engine would hand over of ``batch_size`` pictures of the demo set."""
    count = min(batch_size, DIFFERENT_PICTURES)
    pictures = [draw_picture(seed, index, index % len(CLASS_NAMES)) for index in range(count)]
    chosen = [pictures[index % count] for index in range(batch_size)]
    return DecodedBatch.pack([picture.image for picture in chosen], [picture.label for picture in chosen])
