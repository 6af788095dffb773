"""Bars of images/s for every engine: decoding alone, and with views made."""

import re

from matplotlib.figure import Figure

from vicregl_fast.benchmarks.drawing import ABOVE, new_figure, plain, whiskers
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile

STAGES = ("decode", "views")
COLOURS = {"decode": "#8fb3d9", "views": "#1f5a94"}


def engines_of(file: MeasuredFile) -> dict[str, dict[str, Measurement]]:
    """Images/s of each engine by stage, in the order of the file; the label says who does more or less than others."""
    found: dict[str, dict[str, Measurement]] = {}
    for name, row in file.rows.items():
        match = re.fullmatch(r"loader\.(peer\.)?(.+)\.(decode|views)(_\w+)?", name)
        if match and row.unit == "images/s":
            said = [each for each in ("peer" if match[1] else "", (match[4] or "").replace("_", " ").strip()) if each]
            found.setdefault(match[2] + (f" ({', '.join(said)})" if said else ""), {})[match[3]] = row
    return found


def draw_engines(file: MeasuredFile) -> Figure | None:
    """One group of bars for each engine, with the range of the samples; None where no engine was measured."""
    engines = engines_of(file)
    if not engines:
        return None
    figure = new_figure(7.5, 1.2 + 0.55 * len(engines), f"images/s of each engine ({file.hardware})")
    axes = figure.subplots()
    for number, stages in enumerate(engines.values()):
        for stage, row in stages.items():
            place = number + (0.0 if len(stages) == 1 else (-0.2 if stage == "decode" else 0.2))
            low, high = whiskers(row)
            axes.barh(place, row.value, 0.38, color=COLOURS[stage], xerr=[[low], [high]], ecolor="#555555", capsize=2)
            axes.annotate(
                f"{row.value:,.0f}", (row.max, place), (4, 0), textcoords="offset points", va="center", size=8
            )
    axes.set_yticks(range(len(engines)), list(engines))
    axes.invert_yaxis()
    axes.set_xlabel("images/s: median, with the smallest and largest sample", fontsize=9)
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    plain(axes)
    axes.grid(visible=False, axis="y")
    handles = [axes.barh([0], [0], color=COLOURS[stage]) for stage in STAGES]
    axes.legend(handles, ["decoding alone", "decoding, and views made"], **ABOVE)
    return figure
