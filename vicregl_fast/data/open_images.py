"""Opens images to be read one at a time: for evaluation and for pictures."""

from pathlib import Path

from dataprep.labels import AUTO
from dataprep.sources import list_images
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.shared_range import range_like
from vicregl_fast.data.source import is_store, refuse_for_store
from vicregl_fast.data.store import Images
from vicregl_fast.data.stored_images import open_stored


def open_images(path: Path, list_file: Path | None = None, labels: str = AUTO, like: Images | None = None) -> Images:
    """Opens a folder of images or a store.

    Args:
        path: the folder or the store.
        list_file: with a folder, names the images to use, one a line (``image_lists.read_list``); None uses all.
        labels: with a folder, where its labels come from: ``auto``, ``folders``, ``none``, or a file of labels.
        like: with a folder, other images, whose range of values its images of more than eight bits take.

    Raises:
        UserError: nothing is there, the list or the store is damaged, a list or labels are given for a store, or
            ``range_like`` raises it.
    """
    if not is_store(path):
        source = list_images(path, list_file, labels)
        source.say_remarks()
        return ImageFolder.of(source, None if like is None else range_like(source, like))
    refuse_for_store(path, list_file, labels)
    return open_stored(path)
