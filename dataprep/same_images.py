"""Whether a store holds the images that a folder has now."""

from pathlib import Path

import numpy as np

from dataprep.images import convert
from dataprep.manifest import UNLABELLED, read_manifest
from dataprep.sources import ImageSource
from dataprep.stored_samples import list_samples, read_bytes
from dataprep.value_range import ValueRange

COMPARED = 16
"""Images, evenly spread, by which a folder is told from another with as many."""


def holds(store: Path, source: ImageSource, imposed: ValueRange | None = None) -> bool:
    """Whether a store was converted from these images: by their number, labels and classes, and by some of them.

    Args:
        store: the store; one that was adopted holds none.
        source: the images.
        imposed: the range that the store must have; None for any.

    Raises:
        UserError: the store is damaged.
    """
    manifest = read_manifest(store)
    stored, places = list_samples(store, manifest), manifest.places(source.files)
    samples = stored.table
    if manifest.options is None or len(places) != len(samples) or manifest.classes != source.classes:
        return False
    if samples["label"].tolist() != labels_at(source, places):
        return False
    if imposed is not None and manifest.options.range != imposed:
        return False
    for number in np.unique(np.linspace(0, len(places) - 1, COMPARED).astype(int)):
        again = convert((places[number], source.files[places[number]]), source.root, manifest.options)
        if getattr(again, "data", None) != read_bytes(samples[number], stored.files):
            return False
    return True


def labels_at(source: ImageSource, places: list[int]) -> list[int]:
    """The labels of the images at these places of a source; ``UNLABELLED`` where it has none."""
    return [UNLABELLED if source.labels is None else source.labels[place] for place in places]
