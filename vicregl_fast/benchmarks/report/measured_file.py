"""A file that ``bench --json`` wrote, as the report reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.own_outputs import COMPLETE
from vicregl_fast.benchmarks.measurements import Measurement, read_file


@dataclass(frozen=True)
class MeasuredFile:
    """The figures of one run of a benchmark.

    Attributes:
        name: of the file, without its suffix.
        environment: hardware, versions and command.
        rows: the figures by name.
    """

    name: str
    environment: Mapping[str, Any]
    rows: Mapping[str, Measurement]

    @property
    def hardware(self) -> str:
        """In a few words: the GPU, or the processor and its cores, and what took the place of GPUs."""
        device = self.environment.get("device", "cpu")
        if device != "cpu":
            return str(device)
        processor = f"{self.environment.get('processor', 'CPU')}, {self.environment.get('cores', '?')} cores"
        processes = described_processes(self.environment)
        return processor if processes is None else f"{processes}; {processor}"

    @property
    def is_complete(self) -> bool:
        """Whether the benchmark ran to its end, as far as the file says."""
        return bool(self.environment.get(COMPLETE, True))

    @property
    def is_projection(self) -> bool:
        """Whether its figures were computed from others, not measured."""
        return bool(self.rows) and all(name.startswith("projection.") for name in self.rows)


def described_processes(environment: Mapping[str, Any]) -> str | None:
    """What an environment says of processes that scale; None if it says nothing."""
    if "processes" not in environment:
        return None
    threads = environment.get("threads_per_process")
    return environment["processes"] + ("" if threads is None else f" of {threads} threads")


def read_folder(folder: Path) -> list[MeasuredFile]:
    """Reads the ``.json`` files of a folder, in the order of their names; others than ours are left out with a note.

    Raises:
        UserError: the folder does not exist, or there is no file of ours.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            environment, rows = read_file(path)
            found.append(MeasuredFile(path.stem, environment, {row.name: row for row in rows}))
        except UserError as error:
            note(f"left out: {error}")
    if not found:
        raise UserError(f"{folder} has no .json file that vicregl_fast.bench has written: measure with --json first")
    return found
