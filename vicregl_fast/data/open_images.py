"""Opens images to be read one at a time: for evaluation and for pictures."""

from pathlib import Path

from dataprep.errors import UserError
from dataprep.sources import list_images
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.source import is_store
from vicregl_fast.data.store import Images
from vicregl_fast.data.stored_images import open_stored


def open_images(path: Path, list_file: Path | None = None) -> Images:
    """Opens a folder of images or a store.

    Args:
        path: the folder or the store.
        list_file: with a folder, names the images to use, one relative path a line; None uses all of them.

    Raises:
        UserError: nothing is there, the list or the store is damaged, or a list is given for a store.
    """
    if not is_store(path):
        return ImageFolder.of(list_images(path, list_file))
    if list_file is not None:
        raise UserError(f"{path} is a store, which is read whole: leave the list {list_file} out")
    return open_stored(path)
