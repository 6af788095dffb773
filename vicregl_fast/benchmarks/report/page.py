"""The report as Markdown: what was measured and what was not, then a table for every file."""

from collections.abc import Iterator, Mapping, Sequence

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile, described_processes
from vicregl_fast.benchmarks.report.promised_rows import fitting, promised

INTRODUCTION = """# Benchmarks

A value is the median of n samples; beside it stand the smallest and the largest. The unit x marks ratios and shares.
Compare figures of one file only: files may come from different machines, which are named with each.
"""


def format_page(files: Sequence[MeasuredFile], pictures: Mapping[str, str]) -> str:
    """The page.

    Args:
        files: what was measured.
        pictures: file names of pictures that lie beside the page, by title.
    """
    parts = [INTRODUCTION, "## What has been measured\n", _table(_promises(files))]
    parts += [f"## {title}\n\n![{title}]({picture})\n" for title, picture in pictures.items()]
    parts += [_section(file) for file in files]
    return "\n".join(parts)


def _promises(files: Sequence[MeasuredFile]) -> Iterator[tuple[str, ...]]:
    """A row for every promised figure in every file that has it, or one that says that it was not measured."""
    yield "command", "row", "median", "unit", "min", "max", "n", "file"
    for command, promise in promised():
        said = f"{command} (projected, not measured)" if promise.startswith("projection.") else command
        found = [(file, name) for file in files for name in fitting(promise, file.rows)]
        for file, name in found:
            yield said, f"`{name}`", *_figures(file.rows[name]), file.name + ("" if file.is_complete else " (stopped)")
        if not found:
            yield said, f"`{promise}`", "not measured", "", "", "", "", ""


def _section(file: MeasuredFile) -> str:
    remark = " (a projection, not a measurement)" if file.is_projection else ""
    lines = [f"## {file.name}{remark}{'' if file.is_complete else ' (stopped before its end)'}", ""]
    lines += [f"- {line}" for line in _described(file.environment)]
    lines += [f"- computed from: {'; '.join(_described(each))}" for each in file.environment.get("measured", ())]
    rows = [(f"`{row.name}`", *_figures(row)) for row in file.rows.values()]
    return "\n".join([*lines, "", _table([("row", "median", "unit", "min", "max", "n"), *rows])])


def _described(environment: Mapping) -> Iterator[str]:
    yield f"command: `{environment.get('command', 'not recorded')}`"
    yield (
        f"processor: {environment.get('processor', 'not recorded')}, {environment.get('cores', '?')} cores, "
        f"{environment.get('threads', '?')} threads of torch"
    )
    device = f"device: {environment.get('device', 'not recorded')}"
    if "device_memory_gib" in environment:
        device += f", {environment['device_memory_gib']} GiB, CUDA {environment.get('cuda')}"
    yield device
    if processes := described_processes(environment):
        yield f"processes: {processes}"
    versions = {"Python": environment.get("python", "not recorded"), **environment.get("versions", {})}
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in versions.items())
    if "left_out" in environment:
        yield f"left out: {environment['left_out']}"
    yield f"done before, and not measured: {environment.get('warm_up', 'not recorded')}"
    yield f"a duration is of: {environment.get('timed', 'not recorded')}"


def _figures(row: Measurement) -> tuple[str, ...]:
    return _number(row.value), row.unit, _number(row.min), _number(row.max), str(row.n)


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"


def _table(rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cell or ' ' for cell in row)} |" for row in rows]
    columns = lines[0].count("|") - 1
    return "\n".join([lines[0], "|" + " --- |" * columns, *lines[1:]]) + "\n"
