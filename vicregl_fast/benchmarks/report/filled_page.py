"""Fills a page's tables with measured figures, so that nobody types them.

A page such as the README marks where a template goes::

    <!-- filled from benchmarks/tables/loss.md -->
    (what was filled in last)
    <!-- end of benchmarks/tables/loss.md -->

In a template, ``{loss_cpu loss.global}`` stands for the median of the row ``loss.global`` of ``loss_cpu.json``,
``{loss_cpu loss.global ms}`` for it in another form (``FORMS``), and ``{loss_cpu command}`` for the command that
measured it. ``{loss_cpu loss.global?}`` may be missing, and then reads "not measured"; without the mark it must be
there.
"""

import math
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from dataprep.atomic import write_text
from dataprep.errors import UserError
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile

NOT_MEASURED = "not measured"
MARKED = re.compile(r"<!-- filled from (\S+) -->\n(.*?)<!-- end of \1 -->", re.DOTALL)
PLACEHOLDER = re.compile(r"\{(?P<file>\w+) (?P<row>[\w.-]+)(?P<may_lack>\?)?(?: (?P<form>\w+))?\}")


class Form(NamedTuple):
    """How a figure is written.

    Attributes:
        write: makes text of it.
        unit: that it must have; None for any.
    """

    write: Callable[[Measurement], str]
    unit: str | None = None


def _rounded(value: float, digits: int) -> str:
    """To so many significant digits, or to four where there are more before the point: 1,078; 28.9; 526,600."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    places = max(digits, min(size + 1, 4)) - 1 - size
    return f"{round(value, places):,.{max(0, places)}f}"


FORMS: dict[str | None, Form] = {
    None: Form(lambda row: _rounded(row.value, 3)),
    "short": Form(lambda row: _rounded(row.value, 2)),
    "percent": Form(lambda row: _rounded(100 * row.value, 2) + "%", "x"),
    "ms": Form(lambda row: _rounded(1e3 * row.value, 3), "s"),
    "range": Form(lambda row: f"{_rounded(row.min, 2)} to {_rounded(row.max, 2)}"),
    "n": Form(lambda row: str(row.n)),
}
"""What may follow a row's name."""


def fill_page(page: Path, files: Mapping[str, MeasuredFile]) -> None:
    """Fills every marked part of a page anew.

    Args:
        page: a Markdown file; templates are named relative to its folder.
        files: what was measured, by name.

    Raises:
        UserError: the page marks nothing, or it or a template cannot be read or filled; then it stays as it is.
    """
    text = _read(page)

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        try:
            table = fill_template(_read(page.parent / name), files)
        except UserError as error:
            raise UserError(f"{page} cannot be filled from {name}: {error}") from error
        return f"<!-- filled from {name} -->\n{table.rstrip()}\n<!-- end of {name} -->"

    new, count = MARKED.subn(filled, text)
    if count == 0 or count != text.count("<!-- filled from "):
        raise UserError(f'{page} needs lines "<!-- filled from TEMPLATE -->" and "<!-- end of TEMPLATE -->", in pairs')
    write_text(page.resolve(), new)


def fill_template(template: str, files: Mapping[str, MeasuredFile]) -> str:
    """A template with figures in the place of its placeholders.

    Raises:
        UserError: a placeholder asks for a figure, or for a form, that there is not; or a brace belongs to none.
    """
    if stray := re.search(r"[{}].*", PLACEHOLDER.sub("", template)):
        raise UserError(f"{stray[0]!r} is no {{FILE ROW}} or {{FILE ROW FORM}}")
    return PLACEHOLDER.sub(lambda match: _figure(match, files), template)


def _figure(match: re.Match[str], files: Mapping[str, MeasuredFile]) -> str:
    file, form = files.get(match["file"]), FORMS.get(match["form"])
    if form is None or (match["row"] == "command" and match["form"]):
        raise UserError(f"{match[0]} asks for {match['form']}; of a figure there are {', '.join(filter(None, FORMS))}")
    if file is not None and match["row"] == "command":
        return _command(file)
    row = None if file is None else file.rows.get(match["row"])
    if row is None and match["may_lack"]:
        return NOT_MEASURED
    if row is None:
        raise UserError(f"{match[0]} was not measured; if that may be so, write {{{match['file']} {match['row']}?}}")
    if form.unit not in (None, row.unit):
        raise UserError(f"{match[0]} is in {row.unit or 'no unit'}, and must be in {form.unit}")
    return form.write(row)


def _command(file: MeasuredFile) -> str:
    """What measured it, without the file that it wrote, and that file's name here, which has ranges and versions."""
    words = shlex.split(str(file.environment.get("command", "")))
    if "--json" in words:
        del words[words.index("--json") : words.index("--json") + 2]
    words = [word for word in words if not word.startswith("--json=")]
    command = f"`{shlex.join(words)}`" if words else "command not recorded"
    return f"{command} (`{file.name}.json`)"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
