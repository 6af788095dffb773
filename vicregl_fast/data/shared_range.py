"""One range for the deep images of two sources, so that the same value is the same grey in both.

Deep images have more than eight bits a channel. By itself a folder finds out how many bits its images use
(``bit_depth.find_range``), and a dark one uses fewer.
"""

from dataprep.bit_depth import find_largest
from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from dataprep.notes import note
from dataprep.sources import ImageSource
from dataprep.value_range import ValueRange, bits_for
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.store import Store


def range_of(images: Store) -> ValueRange | None:
    """The values that became 0 to 255 in opened images of more than eight bits; None of a store that was adopted.

    Raises:
        UserError: a store's manifest is missing or damaged.
    """
    if isinstance(images, ImageFolder):
        return images.taken
    options = read_manifest(images.path).options
    return None if options is None else options.range


def range_like(source: ImageSource, others: Store) -> ValueRange | None:
    """The range of other, opened images, to be taken for those of a folder; None if nobody knows it.

    A note says where the folder by itself would find another.

    Raises:
        UserError: the folder's images hold values beyond that range, which was found, not given; or ``range_of`` raises
            it.
    """
    taken = range_of(others)
    largest = 0 if taken is None or taken.given else find_largest(source)
    if taken is None or not largest:
        return taken
    if largest > taken.high:
        raise UserError(
            f"the 16-bit images of {source.root} hold values up to {largest}, and those of {others.path}, whose range "
            f"is taken for both, end at {taken.high:.0f}: give one range for both, --range LOW,HIGH of a conversion, "
            "--data.range in training"
        )
    bits = bits_for(int(taken.high))
    if bits_for(largest) < bits:
        note(
            f"the 16-bit images of {source.root} hold values up to {largest}, and are taken as {bits} bits, like those "
            f"of {others.path}",
            once=True,
        )
    return taken


def note_other_ranges(images: Store, others: Store) -> None:
    """Notes that two sources have different ranges, as stores may that were converted one by one."""
    first, second = range_of(images), range_of(others)
    if first is None or second is None or (first.low, first.high) == (second.low, second.high):
        return
    note(
        f"in images of more than 8 bits of {images.path}, {_words(first)} became black to white, and in those of "
        f"{others.path} {_words(second)}: if both have such images, convert them with one --range",
        once=True,
    )


def _words(taken: ValueRange) -> str:
    return f"{taken.low:g} to {taken.high:g}"
