"""Writes the report: one page, and the pictures beside it."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dataprep.atomic import write_text
from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile, read_folder
from vicregl_fast.benchmarks.report.page import format_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "report.md"


def write_report(folder: Path, out: Path) -> Path:
    """Makes a page of the ``.json`` files in ``folder``.

    Args:
        folder: has the files that ``bench --json`` wrote.
        out: folder for ``report.md`` and its pictures; it is made if it is missing.

    Returns:
        The path of the page.

    Raises:
        UserError: there are no such files, or the page cannot be written.
    """
    files = read_folder(folder)
    pictures = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for title, name, figure in _pictures(files):
            figure.savefig(out / name, dpi=110)
            pictures[title] = name
    except OSError as error:
        raise UserError(f"the report cannot be written to {out}: {error.strerror or error}") from error
    write_text(out / PAGE, format_page(files, pictures))
    return out / PAGE


def _pictures(files: Sequence[MeasuredFile]) -> Iterator[tuple[str, str, "Figure"]]:
    """Title, file name and figure of every picture that the figures allow."""
    if find_spec("matplotlib") is None:
        note("the report has no pictures: matplotlib is not installed")
        return
    from vicregl_fast.benchmarks.report.loader_plot import draw_engines
    from vicregl_fast.benchmarks.report.scaling_plot import draw_scaling
    from vicregl_fast.benchmarks.report.step_plot import draw_steps

    for file in files:
        if (figure := draw_engines(file)) is not None:
            yield f"Engines: {file.name}", f"{file.name}_engines.png", figure
    if (figure := draw_steps(files)) is not None:
        yield "Training step", "steps.png", figure
    if (figure := draw_scaling(files)) is not None:
        yield "Scaling", "scaling.png", figure
