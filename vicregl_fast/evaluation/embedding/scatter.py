"""Draws points of the plane in the colours of their classes; n points."""

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dataprep.manifest import UNLABELLED

IN_LEGEND = 20
"""Classes at most that have a line in the legend and a colour of their own; of more, colours only go round."""


def draw_points(
    points_n2: np.ndarray,
    labels: np.ndarray | None,
    classes: tuple[str, ...] | None,
    title: str,
    axes: tuple[str, str],
) -> Figure:
    """Draws points, with a legend if there are classes, and not too many.

    Args:
        points_n2: x and y, [n, 2].
        labels: int64 [n], -1 for none; None without classes.
        classes: their names; None for numbers.
        title: printed above.
        axes: what x and y are.
    """
    figure = Figure(figsize=(8.4, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.subplots()
    labels = np.full(len(points_n2), UNLABELLED) if labels is None else labels
    present = [label for label in np.unique(labels).tolist() if label != UNLABELLED]
    size = float(np.clip(6000 / max(1, len(points_n2)), 3, 36))
    # In one call and in the order of the images: classes drawn one after the other would hide the first ones.
    plot.scatter(points_n2[:, 0], points_n2[:, 1], s=size, c=_colours(labels, present), alpha=0.75, linewidths=0)
    if 0 < len(present) <= IN_LEGEND:
        for label, colour in zip(present, class_colours(len(present)), strict=True):
            plot.scatter([], [], s=30, color=colour, label=str(label) if classes is None else _short(classes[label]))
        figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    elif present:
        title += f", {len(present)} classes"
    plot.set_title(title, fontsize=11)
    plot.set(xlabel=axes[0], ylabel=axes[1])
    plot.tick_params(labelsize=8)
    plot.spines[["top", "right"]].set_visible(False)
    return figure


def class_colours(count: int) -> np.ndarray:
    """Colours of so many classes, float64 [count, 4]: red, green, blue and opacity from 0 to 1."""
    if count <= IN_LEGEND:
        return colormaps["tab10" if count <= 10 else "tab20"](np.arange(count))
    return colormaps["hsv"](np.arange(count) / count)


def _colours(labels: np.ndarray, present: list[int]) -> np.ndarray:
    """The colour of each point, float64 [n, 4]; grey where others have a class and it has none."""
    colours = np.tile(colormaps["gray"](0.7) if present else (0.298, 0.447, 0.690, 1.0), (len(labels), 1))
    known = labels != UNLABELLED
    colours[known] = class_colours(len(present))[np.searchsorted(present, labels[known])]
    return colours


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
