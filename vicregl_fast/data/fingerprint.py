"""Whether a store is still the one that a run began with."""

import hashlib

import numpy as np

from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.store import SizedStore, Store


def store_fingerprint(store: Store) -> str:
    """A digest of the number, order, labels, classes and sizes of a store's images; of a folder's, names for sizes.

    Pixels are not read: images exchanged for others of the same sizes are not noticed.
    """
    names = [*(store.classes or ()), *(store.files if isinstance(store, ImageFolder) else ())]
    digest = hashlib.sha256("\n".join([str(len(store)), *names]).encode(errors="surrogateescape"))
    sizes = [store.heights, store.widths] if isinstance(store, SizedStore) else []
    for values in (store.labels, *sizes):
        digest.update(b"none" if values is None else np.ascontiguousarray(values, np.int64).tobytes())
    return digest.hexdigest()
