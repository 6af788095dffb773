"""Curves of images/s and efficiency over the number of processes, beside the ideal."""

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vicregl_fast.benchmarks.drawing import new_figure, plain, whiskers
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile

KINDS = {"": ("fixed batch per process", "-"), "fixed_global.": ("fixed global batch", "--")}


def curve(file: MeasuredFile, kind: str, figure: str) -> dict[int, Measurement]:
    """The rows ``scaling.N.KIND FIGURE`` of a file, by N in rising order."""
    found = {}
    for name, row in file.rows.items():
        if match := re.fullmatch(rf"scaling\.(\d+)\.{re.escape(kind)}{figure}", name):
            found[int(match[1])] = row
    return dict(sorted(found.items()))


def draw_scaling(files: Sequence[MeasuredFile]) -> Figure | None:
    """Two panels, images/s and efficiency; None where no scaling was measured."""
    scaled = [file for file in files if curve(file, "", "images_per_second")]
    if not scaled:
        return None
    figure = new_figure(10, 4.2, "training steps of several processes")
    rates, efficiencies = figure.subplots(1, 2)
    for number, file in enumerate(scaled):
        for kind, (words, style) in KINDS.items():
            label = f"{file.name}, {words} ({file.hardware})"
            _draw(rates, curve(file, kind, "images_per_second"), f"C{number}", style, label)
            _draw(efficiencies, curve(file, kind, "efficiency"), f"C{number}", style, label)
        _draw_ideal(rates, curve(file, "", "images_per_second"), "ideal" if number == 0 else None)
    efficiencies.axhline(1, color="black", lw=0.8, ls=":")
    efficiencies.set_ylim(0, 1.1)
    rates.set_ylim(bottom=0)
    rates.yaxis.set_major_formatter("{x:,.6g}")
    counts = sorted({world for file in scaled for world in curve(file, "", "images_per_second")})
    for axes, label in ((rates, "images/s of all processes"), (efficiencies, "efficiency")):
        axes.set_xticks(counts)
        axes.set_xlabel("processes", fontsize=9)
        axes.set_ylabel(label, fontsize=9)
        plain(axes)
    figure.legend(*rates.get_legend_handles_labels(), fontsize=8, loc="outside lower center", frameon=False)
    return figure


def _draw(axes: Axes, rows: dict[int, Measurement], colour: str, style: str, label: str) -> None:
    if rows:
        spread = list(zip(*(whiskers(row) for row in rows.values()), strict=True))
        values = [row.value for row in rows.values()]
        axes.errorbar(list(rows), values, spread, color=colour, ls=style, marker="o", ms=4, capsize=2, label=label)


def _draw_ideal(axes: Axes, rows: dict[int, Measurement], label: str | None) -> None:
    """N times the rate of one process, where one process was measured."""
    if 1 in rows:
        axes.plot(list(rows), [world * rows[1].value for world in rows], color="black", lw=0.8, ls=":", label=label)
