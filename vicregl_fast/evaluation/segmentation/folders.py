"""Pairs of any folder of images and folder of masks."""

from pathlib import Path, PurePosixPath

from dataprep.errors import UserError
from dataprep.image_lists import read_list
from dataprep.labels import NONE
from dataprep.sources import list_images
from vicregl_fast.evaluation.segmentation.pairs import Pairs


def folder_pairs(
    images: Path, masks: Path, listed: Path | None = None, image_suffix: str = "", mask_suffix: str = ""
) -> Pairs:
    """Pairs images with masks whose relative paths are alike, without the suffix and the extension.

    Args:
        images, masks: the two folders.
        listed: a file that names the images to use (``read_list``), also without the suffix; None for all.
        image_suffix, mask_suffix: what stands before the extension of names; files without it are passed over.

    Raises:
        UserError: a folder is missing or has no images, the list cannot be read or names something else, an image has
            no mask, or two files differ only in their extension.
    """
    mask_of = _one_of_each(masks, mask_suffix, "--mask_suffix")
    source = list_images(images, labels=NONE)
    source.say_remarks()
    files = [file for file in source.files if _stem(file, image_suffix) is not None]
    if not files:
        raise UserError(f"no image in {images} has a name that ends in {image_suffix}: look at --image_suffix")
    if listed is not None:
        files = list(read_list(listed, images, files, suffix=image_suffix))
    found, seen = [], dict[str | None, str]()
    for file in files:
        stem = _stem(file, image_suffix)
        if seen.setdefault(stem, file) != file:
            raise UserError(f"{images} has two images of one name, {seen[stem]} and {file}, for one mask: leave one")
        if stem not in mask_of:
            raise UserError(
                f"{images / file} has no mask: {masks} needs a file {stem}{mask_suffix}.png"
                + ("" if listed else "; or name the images that have masks with --train_list or --val_list")
            )
        found.append(masks / mask_of[stem])
    return Pairs(images, tuple(files), tuple(found), str(masks))


def _stem(file: str, suffix: str) -> str | None:
    """A relative path without extension and suffix; None if it lacks the suffix."""
    stem = str(PurePosixPath(file).with_suffix(""))
    return stem.removesuffix(suffix) if stem.endswith(suffix) else None


def _one_of_each(masks: Path, suffix: str, option: str) -> dict[str | None, str]:
    """The mask of each stem."""
    found: dict[str | None, str] = {}
    for file in list_images(masks, labels=NONE).files:
        stem = _stem(file, suffix)
        if stem is None:
            continue
        if found.setdefault(stem, file) != file:
            raise UserError(f"{masks} has two masks of one name, {found[stem]} and {file}: leave one")
    if not found:
        raise UserError(f"no mask in {masks} has a name that ends in {suffix}: look at {option}")
    return found
