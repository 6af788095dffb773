"""Public data sets in miniature: their folders, names of files, palettes and label values, with planted colours.

Images are of 8 pixel blocks, each of a colour that only its class has, so that a map of mean colours can be segmented.
"""

from pathlib import Path

import numpy as np
from PIL import Image

BLOCK = 8
CLASSES = (3, 7, 12)
"""Those that occur, all between two others that do not."""
COLOURS = {3: (220, 30, 30), 7: (30, 220, 30), 12: (30, 30, 220)}
LEFT_OUT = -1
"""Stands, among the classes, for pixels that have none; two rows on top of every image."""


def drawn_classes(number: int, rows: int = 6, columns: int = 8) -> np.ndarray:
    """The class of every pixel, int64 [8 * rows, 8 * columns], or ``LEFT_OUT``."""
    blocks = np.random.default_rng(number).choice(CLASSES, (rows, columns))
    blocks[0, :3] = CLASSES
    classes = np.kron(blocks, np.ones((BLOCK, BLOCK), int))
    classes[:2] = LEFT_OUT
    return classes


def save_image(path: Path, classes: np.ndarray) -> None:
    """Writes the image that these classes make; JPEGs are of good quality."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*classes.shape, 3), np.uint8)
    for number, colour in COLOURS.items():
        pixels[classes == number] = colour
    Image.fromarray(pixels).save(path, **({"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}))


def save_values(path: Path, values: np.ndarray, palette: bytes | None = None) -> None:
    """Writes a mask of these values, uint8; with a palette, as its numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def voc_palette() -> bytes:
    """The palette of Pascal VOC's masks: the bits of a number, from its highest down, make its colour."""
    colours = np.zeros((256, 3), int)
    numbers = np.arange(256)
    for shift in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * shift + channel)) & 1) << (7 - shift)
    return colours.astype(np.uint8).tobytes()


def write_voc(root: Path) -> dict[str, np.ndarray]:
    """VOCdevkit below ``root``: four training images, two of them of ``aug.txt``, and two for validation.

    Returns:
        The classes of each image by its name.
    """
    folder = root / "VOCdevkit" / "VOC2012"
    lists = {
        "train": ("2007_000032", "2007_000039"),
        "aug": ("2008_000001", "2008_000002"),
        "val": ("2007_000033", "2007_000042"),
    }
    classes: dict[str, np.ndarray] = {}
    (folder / "ImageSets" / "Segmentation").mkdir(parents=True)
    for name, stems in lists.items():
        (folder / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            classes[stem] = drawn_classes(len(classes))
            save_image(folder / "JPEGImages" / f"{stem}.jpg", classes[stem])
            values = np.where(classes[stem] == LEFT_OUT, 255, classes[stem])
            if name != "aug":
                save_values(folder / "SegmentationClass" / f"{stem}.png", values, voc_palette())
            save_values(folder / "SegmentationClassAug" / f"{stem}.png", values)
    save_image(folder / "JPEGImages" / "2012_004331.jpg", drawn_classes(9))  # one of the many without a mask
    return classes


CITYSCAPES_IDS = {3: 12, 7: 20, 12: 25, LEFT_OUT: 4}
"""The values in ``labelIds`` of wall, traffic sign, rider, and of what is static and left out."""


def write_cityscapes(root: Path, kinds: tuple[str, ...] = ("labelIds", "labelTrainIds")) -> dict[str, np.ndarray]:
    """Cityscapes below ``root``: two cities for training and one for validation, with these kinds of masks.

    Returns:
        The classes of each image by its name.
    """
    classes: dict[str, np.ndarray] = {}
    for side, city in (("train", "aachen"), ("train", "zurich"), ("val", "munster")):
        for frame in (19, 20):
            stem = f"{city}_000000_0000{frame}"
            classes[stem] = drawn_classes(len(classes), rows=4)
            save_image(root / "leftImg8bit" / side / city / f"{stem}_leftImg8bit.png", classes[stem])
            ids = np.vectorize(CITYSCAPES_IDS.get)(classes[stem])
            ids[0, 0] = 255  # a licence plate has the id -1
            values = {"labelIds": ids, "labelTrainIds": np.where(classes[stem] == LEFT_OUT, 255, classes[stem])}
            for kind in kinds:
                save_values(root / "gtFine" / side / city / f"{stem}_gtFine_{kind}.png", values[kind])
            save_values(root / "gtFine" / side / city / f"{stem}_gtFine_instanceIds.png", ids)
    return classes


def write_ade20k(root: Path) -> dict[str, np.ndarray]:
    """ADEChallengeData2016 below ``root``: three training and two validation images; 0 is left out, 1 is class 0.

    Returns:
        The classes of each image by its name.
    """
    classes: dict[str, np.ndarray] = {}
    for side, short, count in (("training", "train", 3), ("validation", "val", 2)):
        for number in range(1, count + 1):
            stem = f"ADE_{short}_{number:08d}"
            classes[stem] = drawn_classes(len(classes))
            save_image(root / "ADEChallengeData2016" / "images" / side / f"{stem}.jpg", classes[stem])
            save_values(root / "ADEChallengeData2016" / "annotations" / side / f"{stem}.png", classes[stem] + 1)
    return classes
