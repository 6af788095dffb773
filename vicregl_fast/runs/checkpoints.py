"""Checkpoints that are whole or not there: written aside, synced, renamed; the last good one always stays."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dataprep.atomic import atomic_file
from dataprep.errors import UserError
from dataprep.notes import note

_NAME = re.compile(r"step-(\d{9})\.pt")
_KEEP = 2


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run, as ``step-000001234.pt`` in a folder."""

    folder: Path

    def save(self, state: dict[str, Any], step: int) -> Path:
        """Writes ``state`` (tensors, numbers, strings, and lists and dicts of them) after ``step`` steps."""
        path = self.path(step)
        with atomic_file(path) as file:
            torch.save(state, file)
        for old in self.paths()[_KEEP:]:
            old.unlink()
        return path

    def paths(self) -> list[Path]:
        """Newest first."""
        return sorted((p for p in self.folder.glob("step-*.pt") if _NAME.fullmatch(p.name)), reverse=True)

    def path(self, step: int) -> Path:
        """Of the checkpoint after ``step`` steps."""
        return self.folder / f"step-{step:09d}.pt"

    def load_newest(self, but: Collection[int] = ()) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, or None where there is none; says which it could not read.

        Those after the steps in ``but`` are not looked at.

        Raises:
            UserError: there are checkpoints and none can be read.
        """
        unwanted = {self.path(step) for step in but}
        paths = [path for path in self.paths() if path not in unwanted]
        for path in paths:
            try:
                return load_checkpoint(path)
            except UserError as error:
                note(f"{error}; trying the one before")
        if paths:
            raise UserError(f"no checkpoint in {self.folder} can be read; choose another --run_dir")
        return None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads one checkpoint onto the CPU; nothing in it is executed.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint at {path}") from None
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise UserError(f"the checkpoint {path} cannot be read ({type(error).__name__})") from error
