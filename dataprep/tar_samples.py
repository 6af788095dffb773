"""Finds the samples in WebDataset shards of any origin: where their images lie, and what their labels say."""

import json
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dataprep.errors import UserError
from dataprep.formats import IMAGE_EXTENSIONS
from dataprep.image_lists import SPECIAL
from dataprep.manifest import StoreFile, sha256_of

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""How the files of these programs begin."""


class Member(NamedTuple):
    """A file in a shard: its name without a leading ``./``, where its data begin and how long they are, in bytes."""

    name: str
    offset: int
    size: int


class TarSample(NamedTuple):
    """A sample that has an image.

    Attributes:
        name: of the image's member.
        offset, size: of the image in the shard, in bytes.
        label: its text; None where there is none.
        fault: why the sample cannot be used; None if nothing is wrong so far.
    """

    name: str
    offset: int
    size: int
    label: str | None
    fault: str | None


class Shard(NamedTuple):
    """A shard, its samples in their order, and the keys of those that have no image."""

    file: StoreFile
    samples: list[TarSample]
    without_image: list[str]


def read_shard(name: str, root: Path, image_field: str | None, label_field: str | None) -> Shard:
    """Lists the samples of one shard. The members ``KEY.jpg``, ``KEY.cls`` and so on make up the sample ``KEY``.

    Args:
        name: path of the shard in the folder ``root``.
        root: folder of the shards.
        image_field: ending of the images, such as ``jpg``; None takes the one image that a sample has.
        label_field: what holds the labels: the member with this ending, else the value of this name in the sample's
            ``.json``; ``label`` also takes ``.cls``; None for no labels.

    Raises:
        UserError: the shard cannot be read, is compressed, is damaged, or is no regular file.
    """
    path = root / name
    if path.exists() and not path.is_file():
        raise UserError(f"the shard {path} is no regular file {SPECIAL}; move it away")
    try:
        with path.open("rb") as file:
            _refuse_compressed(file, path)
            samples = _samples(_members(file, path), _reader(file), image_field, label_field)
        described = StoreFile(name, path.stat().st_size, sha256_of(path))
    except OSError as error:
        raise UserError(f"the shard {path} cannot be read: {error.strerror or error}") from error
    found = [sample for sample in samples.values() if sample is not None]
    return Shard(described, found, [key for key, sample in samples.items() if sample is None])


def compressed_shard(path: Path, by: str = "") -> UserError:
    """The error to raise for a shard that is compressed."""
    return UserError(
        f"the shard {path} is compressed{by}, and images are read from their place in a shard: uncompress the shards "
        "(as with gunzip), then adopt them"
    )


def _refuse_compressed(file: BinaryIO, path: Path) -> None:
    start = file.read(6)
    for magic, program in COMPRESSED.items():
        if start.startswith(magic):
            raise compressed_shard(path, f" by {program}")
    file.seek(0)


def _members(file: BinaryIO, path: Path) -> dict[str, dict[str, list[Member]]]:
    """For each key, its members by their ending in small letters: what follows the first dot of the name."""
    found: dict[str, dict[str, list[Member]]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them in memory
                name = member.name.removeprefix("./")
                folder, slash, base = name.rpartition("/")
                stem, _, ending = base.partition(".")
                if member.isreg() and stem and ending:
                    members = found.setdefault(folder + slash + stem, {}).setdefault(ending.lower(), [])
                    members.append(Member(name, member.offset_data, member.size))
            end = tar.offset
    except (tarfile.TarError, ValueError) as error:
        raise UserError(f"the shard {path} is no tar file, or is cut short ({error}): bring it again") from error
    file.seek(end)
    if any(block.strip(b"\0") for block in iter(partial(file.read, 1 << 20), b"")):  # tarfile silently stops there
        raise UserError(
            f"the shard {path} goes on behind its end at byte {end}: it is damaged, or several tars in one file; "
            "bring it again, or unpack it"
        )
    return found


def _reader(file: BinaryIO) -> Callable[[Member], bytes]:
    def read(member: Member) -> bytes:
        file.seek(member.offset)
        return file.read(member.size)

    return read


def _samples(
    members: dict[str, dict[str, list[Member]]],
    read: Callable[[Member], bytes],
    image_field: str | None,
    label_field: str | None,
) -> dict[str, TarSample | None]:
    """For each key, its sample; None where it has no image."""
    samples: dict[str, TarSample | None] = {}
    for key, parts in members.items():
        images = _images(parts, image_field)
        if not images:
            samples[key] = None
            continue
        label, fault = None, None
        if len(images) > 1:
            fault = f"is one of several images of its sample ({', '.join(images)}); --image_field says which to take"
        elif any(len(same) > 1 for same in parts.values()):
            fault = "or another member of its sample is there twice"
        else:
            try:
                label = _label(images[0], {ending: same[0] for ending, same in parts.items()}, read, label_field)
            except (ValueError, RecursionError) as error:
                fault = f"has a label that cannot be read ({error})"
        samples[key] = TarSample(*parts[images[0]][0], label, fault)
    return samples


def _images(parts: dict[str, list[Member]], image_field: str | None) -> list[str]:
    """The endings of the sample's images; ``jpg`` is preferred to longer ones like ``mask.png``."""
    if image_field is not None:
        return [image_field] if image_field in parts else []
    images = [ending for ending in parts if f".{ending.rpartition('.')[2]}" in IMAGE_EXTENSIONS]
    return [ending for ending in images if "." not in ending] or images


def _label(image: str, parts: dict[str, Member], read: Callable[[Member], bytes], field: str | None) -> str | None:
    """The text of the label; None where there is none. That of an image ``KEY.v1.jpg`` may be in ``KEY.v1.cls``.

    Raises:
        ValueError: it is no text, or no number or name.
    """
    if field is None:
        return None
    start = image[: image.rfind(".") + 1]
    names = [field, "cls"] if field == "label" else [field]
    for ending in dict.fromkeys([*(start + name for name in names), *names]):
        if ending in parts:
            return read(parts[ending]).decode("utf-8-sig").strip() or None
    json_of = next((parts[ending] for ending in (f"{start}json", "json") if ending in parts), None)
    record = None if json_of is None else json.loads(read(json_of))
    value = record.get(field) if isinstance(record, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return None if value is None else str(value).strip() or None
    raise ValueError(f"{value!r} is neither a number nor a name")
