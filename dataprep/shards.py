"""Writes tar shards that webdataset and DALI read, each with the index that DALI's wds2idx would write."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np

from dataprep.images import StoredImage
from dataprep.manifest import UNLABELLED
from dataprep.shard_index import INDEX, sample_key, shard_name

DALI_INDEX_VERSION = "v1.2"


class ShardWriter:
    """Writes ``shard-000000.tar`` and so on, with their ``.idx``, into a folder; they are complete after the context.

    The members of a sample are ``000000012.jpg`` and, with classes, ``000000012.cls`` (the label as text). Times and
    owners are left out, so that the same images give the same bytes.

    Args:
        folder: an existing folder.
        shard_bytes: size that no shard exceeds, unless a single sample does.
    """

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.folder = folder
        # tarfile pads a shard to whole records.
        self.shard_bytes = shard_bytes // tarfile.RECORDSIZE * tarfile.RECORDSIZE
        self.rows: list[tuple[int, int, int, int, int, int]] = []
        self._tar: tarfile.TarFile | None = None
        self._lines: list[str] = []
        self._shard = -1

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._close_shard()
        elif self._tar is not None:
            assert self._tar.fileobj is not None
            self._tar.fileobj.close()  # incomplete: the caller removes the folder

    def write(self, samples: Iterable[tuple[StoredImage, int]]) -> None:
        """Appends images with their labels (-1 without classes).

        Raises:
            OSError: the disk is full, or a file cannot be written.
        """
        for image, label in samples:
            key = sample_key(len(self.rows))
            members = {f"{key}.jpg": image.data}
            if label != UNLABELLED:
                members[f"{key}.cls"] = str(label).encode()
            offsets = self._add(members)
            row = (self._shard, offsets[0], len(image.data), image.height, image.width, label)
            self.rows.append(row)

    def index(self) -> np.ndarray:
        """The index of what was written, INDEX [n], in the order of the samples."""
        return np.array(self.rows, INDEX)

    def _add(self, members: dict[str, bytes]) -> list[int]:
        """Writes the members of one sample, and returns the offsets in bytes at which their data begin in the shard."""
        size = sum(tarfile.BLOCKSIZE + _whole_blocks(len(data)) for data in members.values())
        if self._tar is None or (self._tar.offset + size + 2 * tarfile.BLOCKSIZE > self.shard_bytes and self._lines):
            self._close_shard()
            self._tar = self._open_shard()
        offsets, parts = [], []
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            offsets.append(self._tar.offset + tarfile.BLOCKSIZE)
            self._tar.addfile(member, io.BytesIO(data))
            parts.append(f"{name.split('.')[1]} {offsets[-1]} {len(data)} {name}")
        self._lines.append(" ".join(parts))
        return offsets

    def _open_shard(self) -> tarfile.TarFile:
        self._shard += 1
        path = self.folder / shard_name(self._shard)
        return tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)

    def _close_shard(self) -> None:
        if self._tar is None:
            return
        self._tar.close()
        path = (self.folder / shard_name(self._shard)).with_suffix(".idx")
        header = f"{DALI_INDEX_VERSION} {len(self._lines)}"
        path.write_text("\n".join([header, *self._lines, ""]), encoding="ascii")
        self._lines.clear()
        self._tar = None


def _whole_blocks(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
