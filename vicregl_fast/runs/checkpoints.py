"""Saves and loads the checkpoints of a run.

A checkpoint is written under a hidden name, synced and then renamed, so that a file with a checkpoint's name is whole.
"""

import re
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from dataprep.atomic import atomic_file
from dataprep.errors import UserError
from dataprep.notes import note

_NAME = re.compile(r"step-\d{9}(?:-kept)?\.pt")
NEWEST = 2  # the newest, and the one before in case the newest is damaged or steps from it fail


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run, in files such as ``step-000001234.pt``; those kept end in ``-kept.pt``.

    Attributes:
        folder: the folder of these files.
    """

    folder: Path

    def save(self, state: dict[str, Any], step: int, keep: bool = False) -> Path:
        """Saves the checkpoint after ``step`` steps, and returns the new file's path.

        Others are removed, but for the two newest and those that are kept.

        Args:
            state: tensors, numbers and strings, in lists and dicts.
            step: number of steps done.
            keep: keep it for good.

        Raises:
            UserError: the file cannot be written; the older checkpoints are still there.
        """
        path = self._path(step, keep)
        with atomic_file(path) as file:
            write_state(state, file)
        self._path(step, not keep).unlink(missing_ok=True)
        for old in self.paths()[NEWEST:]:
            if not _is_kept(old):
                old.unlink()
        return path

    def paths(self) -> list[Path]:
        """Returns the files of all checkpoints, the newest first."""
        return sorted((p for p in self.folder.glob("step-*.pt") if _NAME.fullmatch(p.name)), key=_step, reverse=True)

    def path(self, step: int) -> Path:
        """Returns the path of the checkpoint after ``step`` steps, whether it exists or not."""
        kept = self._path(step, keep=True)
        return kept if kept.exists() else self._path(step, keep=False)

    def _path(self, step: int, keep: bool) -> Path:
        return self.folder / f"step-{step:09d}{'-kept' if keep else ''}.pt"

    def load_newest(
        self, but: Collection[int] = (), among: int | None = None, remedy: str = "choose another --run_dir"
    ) -> dict[str, Any] | None:
        """Loads the newest checkpoint that can be read, with a note for each that cannot.

        Args:
            but: the checkpoints after these steps are left aside.
            among: only the newest ones, so many, are looked at; None for all.
            remedy: what the user can do if none can be read.

        Returns:
            What ``save`` was given, or None if there are no checkpoints.

        Raises:
            UserError: there are checkpoints and none can be read.
        """
        paths = [path for path in self.paths()[:among] if _step(path) not in but]
        for path in paths:
            try:
                return load_checkpoint(path)
            except UserError as error:
                note(f"{error}; trying the one before" if path != paths[-1] else str(error))
        if paths:
            raise UserError(f"no checkpoint in {self.folder} can be read; {remedy}")
        return None


def _step(path: Path) -> int:
    return int(path.name[len("step-") :][:9])


def _is_kept(path: Path) -> bool:
    return path.stem.endswith("-kept")


def write_state(state: dict[str, Any], file: BinaryIO) -> None:
    """Writes tensors, numbers and strings, in lists and dicts, by ``torch.save``.

    Raises:
        OSError: the system refused to write.
    """
    try:
        torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch closes its archive, which fails in turn and hides the reason
            raise error.__context__ from None
        raise


def check_sums(path: Path) -> None:
    """Checks the checksums that ``torch.save`` writes and ``torch.load`` does not look at, and nothing else.

    Raises:
        UserError: one of them is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                if part.CRC:  # torch can be told to write none
                    _read_through(archive, part)
    except (OSError, zipfile.BadZipFile) as error:  # such as a file of torch's first versions
        if "CRC" in str(error):
            raise UserError(f"{path} is damaged ({error}): copy it again, if there is a sound one") from error


def _read_through(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    with archive.open(part) as content:
        while content.read(1 << 20):
            pass


def load_checkpoint(path: Path, sound: bool = False) -> dict[str, Any]:
    """Loads one checkpoint, its tensors onto the CPU; no code that the file may hold is executed.

    Args:
        path: of the file.
        sound: whether its checksums are known to be right.

    Raises:
        UserError: the file is missing or damaged.
    """
    if not sound:
        check_sums(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint at {path}") from None
    except Exception as error:  # for a damaged file torch raises half a dozen types
        raise UserError(f"the checkpoint {path} cannot be read ({type(error).__name__})") from error
