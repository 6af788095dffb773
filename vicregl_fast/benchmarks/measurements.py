"""The results of a benchmark: a table for people and a JSON file for programs."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dataprep.atomic import write_text
from dataprep.errors import UserError


@dataclass(frozen=True)
class Measurement:
    """One measured figure.

    Attributes:
        name: such as ``loss.global``.
        value: the median of the samples.
        unit: such as ``s`` or ``images/s``; ``x`` for ratios.
        n: number of samples.
        min, max: the smallest and the largest sample.
    """

    name: str
    value: float
    unit: str
    n: int
    min: float
    max: float

    @classmethod
    def of(cls, name: str, samples: Sequence[float], unit: str) -> "Measurement":
        """Summarises one or more samples."""
        return cls(name, median(samples), unit, len(samples), min(samples), max(samples))

    @classmethod
    def rate(cls, name: str, amount: float, seconds: Sequence[float], unit: str) -> "Measurement":
        """Summarises ``amount`` per second, from the durations of several calls that each did ``amount``."""
        return cls.of(name, [amount / duration for duration in seconds], unit)

    @classmethod
    def ratio(cls, name: str, over: float, under: float) -> "Measurement":
        """The quotient of two medians, measured in the same run of a benchmark."""
        quotient = over / under
        return cls(name, quotient, "x", 1, quotient, quotient)

    @classmethod
    def speedup(cls, name: str, seconds: Sequence[float], others: Sequence[float]) -> "Measurement":
        """Summarises how many times as fast as another call a call was, turn by turn.

        A machine whose speed changes is as fast for both calls of a turn, where the medians of all turns may be of
        different speeds.

        Args:
            name: of the figure.
            seconds, others: durations of both calls in the same turns.
        """
        return cls.of(name, [other / own for own, other in zip(seconds, others, strict=True)], "x")


Interim = Callable[[list[Measurement]], None]
"""Is given what is known so far of figures that are yielded only when their last turn is over."""


def nothing_interim(rows: list[Measurement]) -> None:
    """Keeps none of them."""


def format_measurements(measurements: Sequence[Measurement], width: int = 0) -> str:
    """Formats one line for each measurement, with its range where there is more than one sample.

    ``width`` is the least one of the names' column, for lines that are printed one after the other.
    """
    width = max([width, *(len(measurement.name) for measurement in measurements)])
    lines = []
    for one in measurements:
        spread = f"  ({one.min:.4g} to {one.max:.4g}, n = {one.n})" if one.n > 1 else ""
        lines.append(f"{one.name.ljust(width)}  {one.value:>10.4g} {one.unit}{spread}")
    return "\n".join(lines)


def write_measurements(path: Path, environment: Mapping[str, Any], measurements: Iterable[Measurement]) -> None:
    """Writes ``{"environment": {...}, "results": [...]}``; an older file is replaced in one step.

    Raises:
        UserError: the file cannot be written.
    """
    content = {"environment": dict(environment), "results": [asdict(measurement) for measurement in measurements]}
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements of ``read_file``."""
    return read_file(path)[1]


def read_file(path: Path) -> tuple[dict[str, Any], list[Measurement]]:
    """Reads the environment and the measurements that ``write_measurements`` wrote, or the figures of a judgement.

    Raises:
        UserError: the file is missing, or holds no measurements.
    """
    try:
        content = json.loads(path.read_text())
        return _environment(content.get("environment", {})), [_measurement(row) for row in content["results"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} does not hold measurements of vicregl_fast.bench: {error}") from error


def _environment(found: Any) -> dict[str, Any]:
    """Raises ValueError if what has a structure has another one."""
    kinds: dict[str, type] = {"versions": dict, "measured": list, "processes": str, "recipe": dict, "command": str}
    for key, kind in kinds.items():
        if not isinstance(found.get(key, kind()), kind):
            raise ValueError(f"{key} of its environment is no {kind.__name__}")
    if not all(isinstance(each, dict) for each in found.get("measured", ())):
        raise ValueError("measured of its environment holds what is no environment")
    return dict(found)


def _measurement(row: Mapping[str, Any]) -> Measurement:
    """Of a row; one of ``evaluate --json`` has the figures of its seeds, if there are several, as ``values``.

    Raises:
        ValueError: an entry is of another kind, or the value lies outside its range.
    """
    values = row.get("values", [row["value"]])
    measured = {"n": len(values), "min": min(values), "max": max(values)}
    one = Measurement(**{**measured, **{key: row[key] for key in row if key not in ("values", "spread")}})
    if not (isinstance(one.name, str) and isinstance(one.unit, str) and type(one.n) is int and one.n > 0):
        raise ValueError(f"row {one.name} has no name, unit or n of the right kind")
    if not all(type(value) in (int, float) for value in (one.value, one.min, one.max)):
        raise ValueError(f"a figure of {one.name} is no number")
    if one.min > one.value or one.max < one.value:
        raise ValueError(f"{one.name} lies outside its range")
    return one
