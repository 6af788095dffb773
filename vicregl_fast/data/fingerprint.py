"""A digest of a store, by which a resumed run sees whether it still has the images that it began with."""

import hashlib

import numpy as np

from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.store import SizedStore, Store


def store_fingerprint(store: Store) -> str:
    """SHA-256 over the number of a store's images, their order, labels, classes and sizes, as hexadecimal digits.

    For a folder of images, the file names stand in place of the sizes. Pixels are not read, so that an image replaced
    by another of the same size (in a folder: of the same name) is not noticed.
    """
    names = [*(store.classes or ()), *(store.files if isinstance(store, ImageFolder) else ())]
    digest = hashlib.sha256("\n".join([str(len(store)), *names]).encode(errors="surrogateescape"))
    sizes = [store.heights, store.widths] if isinstance(store, SizedStore) else []
    for values in (store.labels, *sizes):
        digest.update(b"none" if values is None else np.ascontiguousarray(values, np.int64).tobytes())
    return digest.hexdigest()
