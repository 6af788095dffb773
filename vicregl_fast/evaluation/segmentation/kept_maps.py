"""Maps that are kept until training ends: in memory, and if that does not hold them all, in a file."""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.free_space import GIB, free_bytes
from dataprep.notes import note
from vicregl_fast.data.memory import available_memory

MEMORY_SHARE = 0.5
"""Of the memory that is free before, maps take at most this share; if all would take more, they are in a file."""
ESTIMATED_FROM = 16
"""From how many images on is estimated what all will take."""


class KeptMaps:
    """bfloat16 maps [C, h, w], in memory; or in a file without a name, which goes when the program ends.

    Args:
        expected: how many maps there will be.
        folder: where the file would be; None for the system's temporary folder.
    """

    def __init__(self, expected: int, folder: Path | None):
        self._file: int | None = None
        self._expected, self._folder = expected, Path(tempfile.gettempdir()) if folder is None else folder
        self._maps: list[Tensor] = []
        self._bytes = 0
        self.shapes: list[tuple[int, ...]] = []
        self._offsets: list[int] = []

    @property
    def in_file(self) -> bool:
        """Whether they are kept in a file."""
        return self._file is not None

    def append(self, each: Tensor) -> None:
        """Keeps one more.

        Raises:
            UserError: the disk has too little space.
        """
        self.shapes.append(tuple(each.shape))
        self._offsets.append(self._bytes)
        self._bytes += each.nbytes
        if self.in_file:
            self._write(each)
            return
        self._maps.append(each)
        estimated = self._bytes * self._expected // len(self._maps)
        seen_enough = len(self._maps) >= min(ESTIMATED_FROM, self._expected)
        if seen_enough and estimated > MEMORY_SHARE * (self._bytes + available_memory()):
            self._move(estimated)

    def __getitem__(self, index: int) -> Tensor:
        """One of them."""
        if self._file is None:
            return self._maps[index]
        size = 2 * int(np.prod(self.shapes[index]))
        data = os.pread(self._file, size, self._offsets[index])
        return torch.frombuffer(bytearray(data), dtype=torch.bfloat16).view(self.shapes[index])

    def _move(self, estimated: int) -> None:
        """Moves what is in memory to a file."""
        free = free_bytes(self._folder / "maps")
        said = f"the maps of {self._expected} images take about {estimated / GIB:.1f} GiB"
        if free is not None and estimated > free:
            raise UserError(
                f"{said}, more than {MEMORY_SHARE:.0%} of the free memory, and {self._folder} has "
                f"{free / GIB:.1f} GiB free: give a --cache_folder on a larger disk, or --protocol augmented"
            )
        note(f"{said}, more than {MEMORY_SHARE:.0%} of the free memory: they are kept in a file in {self._folder}")
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            raise self._refused(error) from error
        for each in self._maps:
            self._write(each)
        self._maps.clear()

    def _write(self, each: Tensor) -> None:
        assert self._file is not None
        data = memoryview(each.contiguous().view(torch.uint8).numpy().tobytes())
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            f"maps cannot be kept in {self._folder} ({error.strerror}): give a --cache_folder on another disk, or "
            "--protocol augmented"
        )

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)
