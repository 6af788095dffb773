"""The results of an evaluation: a table for people and a JSON file for programs."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataprep.atomic import write_text
from dataprep.notes import note
from dataprep.own_outputs import COMPLETE, place_of_incomplete
from vicregl_fast.devices import choose_device
from vicregl_fast.environment import describe_environment

DETAIL = "/"
"""Stands in the name of a figure that is a detail, such as ``IoU/car``: it is in the file and in ``format_details``."""


@dataclass(frozen=True)
class Judgement:
    """What was found of one backbone.

    Attributes:
        figures: results in percent, by the name of the measure. Names with ``DETAIL`` in them are details.
        settings: what was decided for it, such as a learning rate that depends on the backbone, or was chosen.
        drew: whether the seed had a say.
    """

    figures: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    drew: bool = True


@dataclass(frozen=True)
class Row:
    """One line of a comparison.

    Attributes:
        name: what was judged.
        figures: its results in percent, by the name of the measure; one for each seed, or one if nothing is drawn.
        settings: what was decided for it, for each seed; empty where nothing was.
        backbone: what was judged: which weights, of which backbone, at which output stride; empty for no backbone.
    """

    name: str
    figures: Mapping[str, Sequence[float]]
    settings: Sequence[Mapping[str, Any]] = field(default=(), compare=False)
    backbone: Mapping[str, Any] = field(default_factory=dict, compare=False)


def format_table(title: str, rows: Sequence[Row]) -> str:
    """Formats rows as a table: a column for each figure of the first row that is no detail, with one decimal.

    Of several seeds it shows the mean and the standard deviation. A figure that a row lacks is a dash.
    """
    columns = [name for name in rows[0].figures if DETAIL not in name]
    cells = [[row.name, *(_cell(row.figures.get(name)) for name in columns)] for row in rows]
    return _aligned([[title, *columns], *cells])


def format_details(title: str, rows: Sequence[Row], details: Sequence[str]) -> str:
    """Formats the details as a table: a line for each that occurs, a column for each row that has some."""
    rows = [row for row in rows if any(DETAIL in name for name in row.figures)]
    names = [name for name in details if any(name in row.figures for row in rows)]
    cells = [[name, *(_cell(row.figures.get(name)) for row in rows)] for name in names]
    return _aligned([[title, *(row.name for row in rows)], *cells])


def spread(values: Sequence[float]) -> float:
    """The standard deviation of these figures, divided by n - 1; of one, zero."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def write_json(
    path: Path,
    evaluation: str,
    settings: Mapping[str, Any],
    rows: Sequence[Row],
    arguments: Sequence[str],
    stopped_by: str = "",
) -> None:
    """Writes the settings, hardware and versions, and the results as JSON.

    Each figure becomes a result such as ``{"name": "knn.trained.accuracy", "value": 5.0, "unit": "%"}``, whose name
    begins with ``evaluation``. Of several seeds, the value is the mean; ``spread`` and ``values`` are there as well.
    ``backbones`` holds what each row judges, ``judged`` what was decided for each row and seed. Where rows are missing,
    the environment's ``complete`` is false and ``stopped_by`` says why; such results go beside an earlier complete file
    (``place_of_incomplete``), as a note then says.

    Raises:
        UserError: the file cannot be written.
    """
    place = place_of_incomplete(path) if stopped_by else path
    environment = describe_environment(choose_device(), "vicregl_fast.evaluate", arguments)
    environment |= {COMPLETE: not stopped_by} | ({"stopped_by": stopped_by} if stopped_by else {})
    written = {
        "settings": {key: plain(value) for key, value in settings.items()},
        "environment": environment,
        "backbones": {row.name: plain(dict(row.backbone)) for row in rows if row.backbone},
        "judged": {row.name: [plain(dict(each)) for each in row.settings] for row in rows if row.settings},
        "results": [_result(evaluation, row, figure) for row in rows for figure in row.figures],
    }
    write_text(place, json.dumps(written, indent=2) + "\n")
    if place != path:
        note(f"{path} stays as it was; what was judged now is in {place}")


def _result(evaluation: str, row: Row, figure: str) -> dict[str, Any]:
    values = row.figures[figure]
    name = f"{evaluation}.{row.name}.{figure}".replace(" ", "_")
    result = {"name": name, "value": statistics.mean(values), "unit": "%"}
    return result | ({"spread": spread(values), "values": list(values)} if len(values) > 1 else {})


def plain(value: Any) -> Any:
    """The same value as JSON takes it: paths as text, in lists and dictionaries, too."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in lines)


def _cell(values: Sequence[float] | None) -> str:
    if values is None:
        return "-"
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ±{spread(values):.1f}"
