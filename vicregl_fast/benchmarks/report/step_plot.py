"""Stacked bars of a training step's time, by its parts."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from vicregl_fast.benchmarks.drawing import ABOVE, new_figure, plain
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile

COLOURS = {"forward": "#1f5a94", "loss": "#e08a1e", "backward": "#8fb3d9", "optimizer": "#6b8e4e"}
INK = {"forward": "white", "loss": "black", "backward": "black", "optimizer": "white"}
TOO_THIN = 0.04
"""A part with less of the longest step than this is not labelled."""


def draw_steps(files: Sequence[MeasuredFile]) -> Figure | None:
    """One bar for each file with a step; None where there is none."""
    wanted = [f"step.{part}{figure}" for part in COLOURS for figure in ("", "_share")]
    timed = [file for file in files if all(name in file.rows for name in wanted)]
    if not timed:
        return None
    figure = new_figure(8, 1.7 + 0.6 * len(timed), "time of a training step, by its parts")
    axes = figure.subplots()
    totals = [sum(file.rows[f"step.{part}"].value for part in COLOURS) for file in timed]
    for number, file in enumerate(timed):
        left = 0.0
        for part, colour in COLOURS.items():
            value = 1e3 * file.rows[f"step.{part}"].value
            axes.barh(number, value, 0.6, left, color=colour, label=part if number == 0 else None)
            if value > TOO_THIN * 1e3 * max(totals):
                share = file.rows[f"step.{part}_share"].value
                axes.text(
                    left + value / 2, number, f"{share:.0%}", ha="center", va="center", fontsize=8, color=INK[part]
                )
            left += value
        axes.annotate(f"{left:,.4g} ms", (left, number), (4, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(range(len(timed)), [f"{file.name}\n({file.hardware})" for file in timed])
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds (medians)", fontsize=9)
    axes.margins(x=0.12)
    plain(axes)
    axes.grid(visible=False, axis="y")
    axes.legend(**ABOVE)
    return figure
