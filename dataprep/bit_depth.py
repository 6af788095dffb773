"""Finds how many bits the 16-bit images of a source use: those of a 12-bit sensor are nearly black among 16."""

import os
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from dataprep.decoding import despite_metadata, load, open_header, read
from dataprep.deep_pixels import deep_kind, deep_values
from dataprep.errors import UnreadableImage
from dataprep.formats import DEEP_EXTENSIONS, MAX_PIXELS, PILLOW_FORMATS
from dataprep.notes import note
from dataprep.sources import ImageSource
from dataprep.stopping import check_stop
from dataprep.tiff_layouts import read_layout, tiff_values
from dataprep.value_range import DEPTHS, FULL, ValueRange, bits_for
from dataprep.workers import available_cores, ordered_map

if TYPE_CHECKING:
    import numpy as np

MOST_FILES = 10_000
"""How many files are looked at: all that may be deep in a smaller source, evenly spread ones in a larger."""


def find_range(source: ImageSource, workers: int | None = None, max_pixels: int = MAX_PIXELS) -> ValueRange:
    """Finds the one range by which all images of a source with more than eight bits a channel become 8-bit.

    The largest value in them (``find_largest``) decides: 8, 10, 12, 14 or 16 bits. A note says so where it is not 16.
    """
    largest = find_largest(source, workers, max_pixels)
    bits = bits_for(largest) if largest else DEPTHS[-1]
    if bits == DEPTHS[-1]:
        return FULL
    note(
        f"the 16-bit images hold values up to {largest}: taken as {bits} bits; --range of a conversion, "
        "--data.range in training, says otherwise"
    )
    return ValueRange(0, (1 << bits) - 1)


def find_largest(source: ImageSource, workers: int | None = None, max_pixels: int = MAX_PIXELS) -> int:
    """Finds the largest value in a source's images of more than eight bits a channel; 0 where there are none.

    Of the files with one of DEEP_EXTENSIONS, MOST_FILES at most, the header is read; of those of 16 bits the pixels,
    until a value needs all 16. A source without such extensions costs nothing. Images that say what their largest value
    is (a PGM of maxval 4095) do not count, nor do those that are refused without a given range: of floating-point
    numbers, of signed ones, of more than 16 bits.

    Args:
        source: the images.
        workers: number of processes that decode; by default one for each available core.
        max_pixels: the largest size that is decoded.
    """
    candidates = [file for file in source.files if Path(file).suffix.lower() in DEEP_EXTENSIONS]
    looked_at = candidates[:: -(-len(candidates) // MOST_FILES) or 1]
    deep = [file for file in looked_at if _may_be_deep(source.root / file)]
    largest = 0
    find = partial(largest_value, root=source.root, max_pixels=max_pixels)
    workers = available_cores() if workers is None else workers
    with closing(ordered_map(find, deep, workers, name=str, crashed=lambda file: 0)) as values:
        for value in values:
            largest = max(largest, value)
            if largest >> DEPTHS[-2]:
                break
    return largest


def largest_value(file: str, root: Path, max_pixels: int) -> int:
    """The largest value of a deep image of up to 16 bits; 0 if it is none, is not to count, or does not decode."""
    try:
        look = partial(_largest, suffix=Path(file).suffix, max_pixels=max_pixels)
        return despite_metadata(look, read(root / file))
    except (UnreadableImage, MemoryError):
        return 0  # the conversion says why


def _largest(data: bytes, suffix: str, max_pixels: int) -> int:
    values = _values(data, suffix, max_pixels)
    if values is None or values.dtype.kind not in "ui" or values.dtype.itemsize == 1:
        return 0
    return 0 if values.min() < 0 or values.max() > FULL.high else int(values.max())


def _values(data: bytes, suffix: str, max_pixels: int) -> "np.ndarray | None":
    """The values of an image, as the conversion reads them, if they are deep and their largest is not known."""
    layout = read_layout(data)
    if layout is not None and layout.misread:
        return tiff_values(data, layout, max_pixels)
    try:
        image = open_header(data, suffix, max_pixels)
    except UnreadableImage:
        if layout is None:
            raise
        return tiff_values(data, layout, max_pixels)
    kind = deep_kind(image, data)
    return None if kind is None or kind.top is not None else deep_values(load(image, data), data, kind)


def _may_be_deep(path: Path) -> bool:
    """Whether the header says so, or cannot be read without a closer look."""
    check_stop()
    if not os.path.isfile(path):  # neither a broken link nor a pipe, which could be waited for in vain
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=PILLOW_FORMATS) as image:
                return deep_kind(image, b"") is not None or image.format == "JPEG2000"
        except Exception:  # Pillow's readers raise whatever a broken header leads them to
            return True
