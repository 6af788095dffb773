"""The ``--json`` file of a benchmark, which grows with what is measured, so that whatever stops it loses nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from dataprep.atomic import is_special
from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.own_outputs import COMPLETE, place_of_incomplete
from vicregl_fast.benchmarks.measurements import Measurement, write_measurements


class ResultFile:
    """Writes the figures of one run of a benchmark as they come.

    Until the last one is there, ``complete`` in the environment is false. The figures of an earlier run that is
    complete are replaced only then; until then the new ones are in ``NAME.partial.json`` beside it. Where the system
    refuses to write in the middle of a run, measuring goes on, and ``finish`` raises it.

    Args:
        path: of the file; what is no file, such as a pipe, is written to once, at the end.
        environment: where the figures were measured.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, environment: Mapping[str, Any]):
        self._path, self._environment = path, environment
        self._growing = place_of_incomplete(path)
        self._is_file = not is_special(path)
        self._rows: dict[str, Measurement] = {}
        self._interim: dict[str, Measurement] = {}
        self._refused: UserError | None = None
        if self._is_file:
            self._write(self._growing, complete=False)

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves what was measured, and says where, if the run is not complete."""
        if error is None or not self._is_file:
            return
        if not self._rows and not self._interim:
            self._growing.unlink(missing_ok=True)
        elif self._growing != self._path:
            note(f"{self._path} stays as it was; what was measured now is in {self._growing}")

    def add(self, row: Measurement) -> None:
        """Adds a figure."""
        self._rows[row.name] = row
        self._grow()

    def add_interim(self, rows: Sequence[Measurement]) -> None:
        """Adds figures that are not final, until others of these names come, or ``finish``, which leaves them out."""
        self._interim |= {row.name: row for row in rows}
        self._grow()

    def finish(self) -> None:
        """Says in the file that nothing more comes, and replaces an earlier one.

        Raises:
            UserError: the system refused to write, now or before.
        """
        if self._refused is not None:
            raise self._refused
        self._interim.clear()
        self._write(self._path, complete=True)
        if self._growing != self._path:
            self._growing.unlink(missing_ok=True)

    def _grow(self) -> None:
        if self._is_file and self._refused is None:
            try:
                self._write(self._growing, complete=False)
            except UserError as error:
                self._refused = error

    def _write(self, path: Path, complete: bool) -> None:
        rows = {**self._interim, **self._rows}
        write_measurements(path, {**self._environment, COMPLETE: complete}, rows.values())
