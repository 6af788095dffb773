"""Fills a page's tables with measured figures, so that nobody types them.

A page such as the README marks where a template goes::

    <!-- filled from benchmarks/tables/loss.md -->
    (what was filled in last)
    <!-- end of benchmarks/tables/loss.md -->

In a template, ``{loss_cpu loss.global}`` stands for the median of the row ``loss.global`` of ``loss_cpu.json``,
``{loss_cpu loss.global ms}`` for it in another form (``FORMS``), and ``{loss_cpu command}`` for the command that
measured it.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from dataprep.atomic import write_text
from dataprep.errors import UserError
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile

NOT_MEASURED = "not measured"
MARKED = re.compile(r"<!-- filled from (\S+) -->\n(.*?)<!-- end of \1 -->\n", re.DOTALL)
PLACEHOLDER = re.compile(r"\{(\w+) ([\w.]+)(?: (\w+))?\}")


def _rounded(value: float, digits: int) -> str:
    """At least so many significant digits, and never fewer than those before the point: 1,078; 28.9; 0.079."""
    places = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


FORMS: dict[str | None, Callable[[Measurement], str]] = {
    None: lambda row: _rounded(row.value, 3),
    "short": lambda row: _rounded(row.value, 2),
    "percent": lambda row: _rounded(100 * row.value, 2) + "%",
    "ms": lambda row: _rounded(1e3 * row.value, 3),
    "n": lambda row: str(row.n),
}
"""What may follow a row's name, and how its figure is then written."""


def fill_page(page: Path, files: Mapping[str, MeasuredFile]) -> None:
    """Fills every marked part of a page anew; a figure that no file has reads "not measured".

    Args:
        page: a Markdown file; templates are named relative to its folder.
        files: what was measured, by name.

    Raises:
        UserError: the page marks nothing, or it or a template cannot be read or filled.
    """
    text = _read(page)

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        try:
            table = fill_template(_read(page.parent / name), files)
        except UserError as error:
            raise UserError(f"{page} cannot be filled from {name}: {error}") from error
        return f"<!-- filled from {name} -->\n{table}<!-- end of {name} -->\n"

    new, count = MARKED.subn(filled, text)
    if count == 0 or count != text.count("<!-- filled from "):
        raise UserError(f'{page} needs lines "<!-- filled from TEMPLATE -->" and "<!-- end of TEMPLATE -->", in pairs')
    write_text(page, new)


def fill_template(template: str, files: Mapping[str, MeasuredFile]) -> str:
    """A template with figures in the place of its placeholders.

    Raises:
        UserError: a placeholder asks for a form that there is not, or a brace belongs to none.
    """

    def figure(match: re.Match[str]) -> str:
        file, row, form = match.groups()
        if form not in FORMS:
            raise UserError(f"{match[0]} asks for {form}; there are {', '.join(name for name in FORMS if name)}")
        if file not in files:
            return NOT_MEASURED
        if row == "command":
            return _command(files[file])
        return FORMS[form](files[file].rows[row]) if row in files[file].rows else NOT_MEASURED

    if stray := re.search(r"[{}].*", PLACEHOLDER.sub("", template)):
        raise UserError(f"{stray[0]!r} is no {{FILE ROW}} or {{FILE ROW FORM}}")
    return PLACEHOLDER.sub(figure, template)


def _command(file: MeasuredFile) -> str:
    """What measured it, from ``bench`` on, without the file that it wrote."""
    command = str(file.environment.get("command", "command not recorded"))
    command = re.sub(r" --json \S+", "", command.removeprefix("python -m vicregl_fast."))
    return f"`{command}`"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
