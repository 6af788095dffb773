"""What conversions to all kinds of stores share: checking options, converting images in order, and the manifest."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path

from dataprep.bit_depth import find_range
from dataprep.disk_space import check_space
from dataprep.errors import ON_ERROR, UserError
from dataprep.images import StoredImage, UnreadableImage, convert
from dataprep.labels import CHOICES
from dataprep.manifest import UNLABELLED, Manifest, SkippedImage, StoreOptions
from dataprep.notes import note
from dataprep.progress import progress_bar
from dataprep.sources import ImageSource
from dataprep.value_range import ValueRange
from dataprep.workers import ordered_map

LARGEST_SIDE = 65500  # pixels: libjpeg's limit, which also fits the uint16 of FFCV's metadata

Sample = tuple[StoredImage, int]


@dataclass
class Record:
    """What a conversion has seen so far.

    Attributes:
        labels: how many images of each label are in the store (-1 without classes).
        originals: how many of them keep the bytes of their source file.
        raw: how many of them are stored as pixels.
        skipped: the images that were left out.
        first_of_more: the files of which further frames or pages were left out.
    """

    labels: Counter[int] = field(default_factory=Counter)
    originals: int = 0
    raw: int = 0
    skipped: list[SkippedImage] = field(default_factory=list)
    first_of_more: list[str] = field(default_factory=list)


def check_options(options: StoreOptions, workers: int) -> None:
    """Raises UserError for values that no conversion can use."""
    if not 16 <= options.max_side <= LARGEST_SIDE:
        raise UserError(f"--max_side {options.max_side} is out of range; give pixels from 16 to {LARGEST_SIDE}")
    if not 1 <= options.quality <= 100:
        raise UserError(f"--quality {options.quality} is out of range; give a JPEG quality from 1 to 100")
    if options.max_pixels < 1:
        raise UserError(f"--max_pixels {options.max_pixels} is too few; give the largest size of an image in pixels")
    if options.on_error not in ON_ERROR:
        raise UserError(f"--on_error {options.on_error} is unknown; give {' or '.join(ON_ERROR)}")
    if workers < 1:
        raise UserError(f"--workers {workers} is too few; give at least 1")


def for_source(
    options: StoreOptions, asked: ValueRange | None, source: ImageSource, out: Path, workers: int
) -> StoreOptions:
    """The options with the range that is asked for, or if that is None, the one that the source has.

    Raises:
        UserError: the disk of ``out`` has too little space for the store.
    """
    taken = asked or find_range(source, workers, options.max_pixels)
    options = replace(options, range=taken)
    check_space(source, out, options)
    return options


def write_converted(
    write: Callable[[Iterable[Sample]], object], source: ImageSource, options: StoreOptions, workers: int, largest: int
) -> Record:
    """Converts all images of a source in their order, and hands them to ``write``.

    Args:
        write: takes the converted images with their labels (-1 without classes), and writes them to a store.
        source: the images.
        options: how they are converted.
        workers: number of worker processes.
        largest: number of bytes that an image may take in the store.

    Raises:
        UserError: an image is unreadable or larger than ``largest``, and is not to be skipped; no image is left; or a
            worker died.
    """
    source.say_remarks()
    record = Record()
    with closing(_samples(source, options, workers, largest, record)) as samples:
        write(samples)
    if not record.labels:
        first = record.skipped[0]
        raise UserError(f"none of the images can be decoded, the first being {first.path}: {first.reason}")
    if record.first_of_more:
        files, example = len(record.first_of_more), record.first_of_more[0]
        note(f"of {files} file{'s' * (files > 1)} with several frames or pages, such as {example}, the first was taken")
    return record


def describe(source: ImageSource, options: StoreOptions, record: Record, **store: object) -> Manifest:
    """Builds the manifest of a written store; ``store`` gives its fields kind, size_bytes, sha256 and files."""
    return Manifest(
        count=record.labels.total(),
        originals=record.originals,
        raw=record.raw,
        classes=source.classes,
        label_counts=tuple(record.labels[i] for i in range(len(source.classes))) if source.classes else None,
        source=str(source.root.resolve()),
        list_file=str(source.list_file.resolve()) if source.list_file else None,
        labels=source.choice if source.choice in CHOICES else str(Path(source.choice).resolve()),
        options=options,
        skipped=tuple(record.skipped),
        **store,  # type: ignore[arg-type]
    )


def _crashed(item: tuple[int, str]) -> StoredImage | UnreadableImage:
    return UnreadableImage("its decoder crashes at it")


def _samples(
    source: ImageSource, options: StoreOptions, workers: int, largest: int, record: Record
) -> Generator[Sample, None, None]:
    labels = source.labels or (UNLABELLED,) * len(source)
    items = list(enumerate(source.files))
    function = partial(convert, root=source.root, options=options)
    with (
        closing(ordered_map(function, items, workers, name=itemgetter(1), crashed=_crashed)) as images,
        progress_bar(total=len(source), unit=" images", mininterval=0.5) as progress,
    ):
        for file, label, image in zip(source.files, labels, images, strict=True):
            progress.update()
            if isinstance(image, StoredImage) and len(image.data) > largest:
                image = UnreadableImage(f"it takes {len(image.data)} bytes, more than the {largest} that fit")
            if isinstance(image, StoredImage):
                record.labels[label] += 1
                record.originals += image.original
                record.raw += image.raw
                record.first_of_more += [file] * image.first_of_more
                yield image, label
            elif options.on_error == "skip":
                record.skipped.append(SkippedImage(file, str(image)))
                note(f"{file} is left out: {image}")
            else:
                raise UserError(
                    f"{source.root / file} cannot be converted: {image}; "
                    "remove it, or leave such images out (--on_error skip; in training --data.on_error skip)"
                )
