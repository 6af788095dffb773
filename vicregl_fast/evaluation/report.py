"""The results of an evaluation: a table for people and a JSON file for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataprep.atomic import write_text


@dataclass(frozen=True)
class Row:
    """One line of a comparison.

    Attributes:
        name: what was judged.
        figures: its results in percent, by the name of the measure.
    """

    name: str
    figures: Mapping[str, float]


def format_table(title: str, rows: Sequence[Row]) -> str:
    """Formats rows as a table, one column for each figure, with one decimal; all rows must have the same figures."""
    columns = list(rows[0].figures)
    left = max(len(title), *(len(row.name) for row in rows))
    lines = ["  ".join([title.ljust(left), *columns])]
    for row in rows:
        cells = [f"{row.figures[column]:.1f}".rjust(len(column)) for column in columns]
        lines.append("  ".join([row.name.ljust(left), *cells]))
    return "\n".join(lines)


def write_json(path: Path, evaluation: str, settings: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Writes the settings and the results as JSON.

    Each figure becomes a result such as ``{"name": "knn.trained.accuracy", "value": 5.0, "unit": "%"}``, whose name
    begins with ``evaluation``.

    Raises:
        UserError: the file cannot be written.
    """
    results = [
        {"name": f"{evaluation}.{row.name}.{figure}".replace(" ", "_"), "value": value, "unit": "%"}
        for row in rows
        for figure, value in row.figures.items()
    ]
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    write_text(path, json.dumps({"settings": settings, "results": results}, indent=2) + "\n")
