"""Refuses a conversion for which the disk clearly has too little space, before hours are spent on it."""

import os
from contextlib import closing
from functools import partial
from pathlib import Path

from dataprep.errors import UserError
from dataprep.free_space import GIB, free_bytes
from dataprep.images import StoredImage, convert
from dataprep.manifest import StoreOptions
from dataprep.sources import ImageSource
from dataprep.workers import ordered_map

TRIED = 16
"""Images that are converted to estimate the size of the store."""
CLEARLY = 0.7
"""Share of the estimate that must fit: images differ in size, and some may have been drawn too large."""


def check_space(source: ImageSource, out: Path, options: StoreOptions) -> None:
    """Checks that the disk of ``out`` has space for the store of these images, by the sizes of a few of them.

    Raises:
        UserError: the store would be clearly larger.
    """
    free = free_bytes(out)
    needed = _mean_size(source, options) * len(source)
    if free is not None and CLEARLY * needed > free:
        raise UserError(
            f"the store {out} will take about {needed / GIB:.2f} GiB, and its disk has {free / GIB:.2f} GiB free; free "
            "space or choose another place"
        )


def _mean_size(source: ImageSource, options: StoreOptions) -> float:
    """Mean bytes of some images, evenly spaced in the source, as the store keeps them; 0 for those left out."""
    places = sorted({round(step * (len(source) - 1) / (TRIED - 1)) for step in range(TRIED)})
    # Not of a pipe or a device, whose reading may never end.
    files = [(place, source.files[place]) for place in places if os.path.isfile(source.root / source.files[place])]
    function = partial(convert, root=source.root, options=options)
    with closing(ordered_map(function, files, workers=1, crashed=lambda file: None)) as images:
        sizes = [len(image.data) for image in images if isinstance(image, StoredImage)]
    return sum(sizes) / len(places)
