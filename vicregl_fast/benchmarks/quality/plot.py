"""Draws curves of accuracy, against seconds and against images."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vicregl_fast.benchmarks.drawing import new_figure, plain
from vicregl_fast.benchmarks.quality.curve import Curve


def draw_quality(methods: Sequence[Sequence[Curve]], untrained: float, title: str) -> Figure:
    """Draws two panels with a line for each curve, and a dashed one for the untrained network.

    Args:
        methods: what was measured of each, one curve for each seed; they have one colour.
        untrained: accuracy of the untrained network in percent.
        title: printed above both.
    """
    figure = new_figure(10, 4.2, title)
    by_time, by_images = figure.subplots(1, 2, sharey=True)
    for number, curves in enumerate(methods):
        for seed, curve in enumerate(curves):
            look = {"color": f"C{number}", "label": curve.name.replace("_", " ") if seed == 0 else None}
            accuracies = [point.accuracy for point in curve.points]
            _line(by_time, [point.seconds for point in curve.points], accuracies, look)
            _line(by_images, [point.images for point in curve.points], accuracies, look)
    for axes, label in ((by_time, "seconds of training"), (by_images, "images seen")):
        axes.axhline(untrained, ls="--", lw=1, color="grey", label="untrained")
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        plain(axes)
    by_time.set_ylabel("accuracy of k-NN (%)")
    by_images.legend(fontsize=8, framealpha=0.8, edgecolor="none")
    return figure


def _line(axes: Axes, places: Sequence[float], accuracies: Sequence[float], look: Mapping[str, Any]) -> None:
    axes.plot(places, accuracies, lw=1.6, marker="o", ms=3.5, **look)
