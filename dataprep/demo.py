"""Draws the demo's image set from a seed: textured objects before dead leaves, with classes and masks."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from dataprep.atomic import put_folder_in_place, unfinished
from dataprep.dead_leaves import dead_leaves, polygon, random_colours
from dataprep.errors import UserError
from dataprep.objects import CLASSES, Pose, coverage, draw_object
from dataprep.progress import progress_bar
from dataprep.workers import available_cores, ordered_map

CLASS_NAMES = tuple(CLASSES)
FEWEST_IMAGES = 6 * len(CLASS_NAMES)  # so that both parts have every class
VALIDATION_EVERY = 6
JPEG_QUALITY = 92
SIZES = ((160, 160), (144, 176), (176, 144))  # height and width in pixels
RADII = (0.3, 0.5)  # smallest and largest of the object that gives the label, as shares of the shorter side
COMPANIONS = (0.6, 0.25, 0.1, 0.05)  # probabilities of 0, 1, 2 or 3 other objects
LARGEST_MARGIN = 1.4  # least ratio of the labelling object's visible area to that of any other object
LEAST_VISIBLE = 0.6  # least share of the labelling object that is not hidden


@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        image: uint8 RGB [height, width, 3].
        mask: uint8 [height, width], 0 for the background and k + 1 for class k.
        label: class index of the object with the largest visible area.
    """

    image: np.ndarray
    mask: np.ndarray
    label: int


@dataclass(frozen=True)
class Place:
    """Where a picture of the set belongs.

    Attributes:
        index: of the picture in the set.
        part: "train" or "val".
        label: class index.
    """

    index: int
    part: str
    label: int

    @property
    def stem(self) -> str:
        return f"{CLASS_NAMES[self.label]}/{self.index:06d}"


def write_demo(out: Path, images: int = 1200, seed: int = 0, workers: int | None = None) -> None:
    """Writes ``out``/{train,val}/CLASS/NAME.jpg and the masks ``out``/{train,val}_masks/CLASS/NAME.png.

    Every sixth picture is for validation; classes are balanced in both parts. A picture depends only on the seed and on
    its index. The folder appears under its name once it is complete.

    Args:
        out: folder to make; an empty one may be there.
        images: number of pictures in both parts together.
        seed: at least 0.
        workers: number of processes; by default one for each available core.

    Raises:
        UserError: an argument is out of range, ``out`` exists and is not an empty folder or cannot be written, or a
            worker died.
    """
    if images < FEWEST_IMAGES:
        raise UserError(f"--images {images} is too few; give at least {FEWEST_IMAGES}, so that every class appears")
    if seed < 0:
        raise UserError(f"--seed {seed} is negative; give a whole number from 0")
    workers = available_cores() if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers {workers} is too few; give at least 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder; remove it or choose another")
    with unfinished(out) as folder:
        _make_folders(folder)
        draw = partial(_write_picture, folder=folder, seed=seed)
        with closing(ordered_map(draw, list(places(images)), workers)) as done:
            for _ in progress_bar(done, total=images, unit=" images", mininterval=0.5):
                pass
        put_folder_in_place(folder, out)


def places(images: int) -> Iterator[Place]:
    """Yields the place of every picture of a set; each part goes through the classes in turn."""
    for index in range(images):
        group, position = divmod(index, VALIDATION_EVERY)
        if position == VALIDATION_EVERY - 1:
            yield Place(index, "val", group % len(CLASS_NAMES))
        else:
            yield Place(index, "train", (group * (VALIDATION_EVERY - 1) + position) % len(CLASS_NAMES))


def draw_picture(seed: int, index: int, label: int) -> Picture:
    """Draws picture ``index`` of a set.

    It has one to four objects of different classes; the one with the largest visible area is of class ``label``. No
    picture has a tint or brightness of its own as a whole: that would be the easiest way to recognise a picture, and a
    network trained without labels would learn it first.
    """
    generator = np.random.default_rng((seed, index))
    while True:
        picture = _try_picture(generator, label)
        if picture is not None:
            return picture


def _try_picture(generator: Generator, label: int) -> Picture | None:
    """Draws a picture; None if too much of the labelling object is hidden, or another one is nearly as large."""
    height, width = _size(generator)
    image = dead_leaves(generator, height, width)
    mask = np.zeros((height, width), np.uint8)
    whole_area = 0
    for class_id, pose in _layout(generator, height, width, label):
        pixels = draw_object(generator, CLASS_NAMES[class_id], pose, image)
        mask[pixels] = class_id + 1
        if class_id == label:
            whole_area = int(pixels.sum())
    drop_leaves(generator, image, mask)
    areas = np.bincount(mask.ravel(), minlength=len(CLASS_NAMES) + 1)[1:]
    next_area = np.delete(areas, label).max()
    if areas[label] < max(LARGEST_MARGIN * next_area, LEAST_VISIBLE * whole_area):
        return None
    return Picture(np.clip(np.round(image), 0, 255).astype(np.uint8), mask, label)


def _size(generator: Generator) -> tuple[int, int]:
    """Draws height and width in pixels: square, landscape or portrait."""
    return SIZES[generator.integers(len(SIZES))]


def _layout(generator: Generator, height: int, width: int, label: int) -> list[tuple[int, Pose]]:
    """Draws classes and poses, in order from back to front.

    The object of class ``label`` is large and near the centre; the others are smaller and anywhere.
    """
    others = np.delete(np.arange(len(CLASS_NAMES)), label)
    companions = generator.choice(others, generator.choice(4, p=COMPANIONS), replace=False)
    side = min(height, width)
    radius = side * np.exp(generator.uniform(*np.log(RADII)))
    objects = [(label, _pose(generator, generator.uniform(0.32, 0.68, 2) * (width, height), radius))]
    for class_id in companions:
        smaller = max(0.1 * side, radius * generator.uniform(0.35, 0.75))
        objects.append((int(class_id), _pose(generator, generator.uniform(0.05, 0.95, 2) * (width, height), smaller)))
    return [objects[index] for index in generator.permutation(len(objects))]


def _pose(generator: Generator, centre: np.ndarray, radius: float) -> Pose:
    angle = generator.uniform(0, 2 * np.pi)
    return Pose(float(centre[0]), float(centre[1]), float(radius), angle, generator.uniform(0.8, 1.0))


def drop_leaves(generator: Generator, image: np.ndarray, mask: np.ndarray) -> None:
    """Draws up to three plain leaves in front of all objects; the mask calls them background.

    Args:
        generator: of the random numbers.
        image: float32 RGB [height, width, 3] in levels 0 to 255, changed in place.
        mask: uint8 [height, width], changed in place.
    """
    height, width = mask.shape
    for colour in random_colours(generator, int(generator.integers(0, 4))):
        centre = generator.uniform(0, (width, height))
        radius = min(height, width) * generator.uniform(0.04, 0.13)
        alpha = coverage([polygon(generator, centre, radius)], height, width)
        image += alpha[..., None] * (colour + generator.normal(0, 4, (height, width, 1)) - image)
        mask[alpha >= 0.5] = 0


def _write_picture(place: Place, folder: Path, seed: int) -> None:
    cv2.setNumThreads(1)  # the worker processes use all cores already
    picture = draw_picture(seed, place.index, place.label)
    bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    _, png = cv2.imencode(".png", picture.mask)
    (folder / place.part / f"{place.stem}.jpg").write_bytes(jpeg.tobytes())
    (folder / f"{place.part}_masks" / f"{place.stem}.png").write_bytes(png.tobytes())


def _make_folders(folder: Path) -> None:
    for part in ("train", "val", "train_masks", "val_masks"):
        for name in CLASS_NAMES:
            (folder / part / name).mkdir(parents=True)
