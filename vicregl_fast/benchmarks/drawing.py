"""What pictures of benchmarks share."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vicregl_fast.benchmarks.measurements import Measurement

ABOVE: dict[str, Any] = {
    "fontsize": 8, "ncols": 4, "loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False,
}  # fmt: skip
"""Where a legend hides nothing."""


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def plain(axes: Axes) -> None:
    """Takes away what no figure needs."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def whiskers(row: Measurement) -> tuple[float, float]:
    """How far the smallest and the largest sample are from the median."""
    return row.value - row.min, row.max - row.value
