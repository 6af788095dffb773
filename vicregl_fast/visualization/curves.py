"""Draws a run's metrics as one picture: loss and its terms, accuracy, learning rate, throughput."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vicregl_fast.runs.metrics import Curve

COLUMNS = 3
SMOOTHED_FROM = 150
"""A curve of more points is drawn pale, with its running mean over a fiftieth of the points on top."""


@dataclass(frozen=True)
class Panel:
    """Metrics that share one pair of axes.

    Attributes:
        title: printed above.
        names: names of metrics that belong here.
        prefix: metrics whose names begin with it belong here, too; None takes no others.
        from_zero: whether the vertical axis begins at zero.
    """

    title: str
    names: tuple[str, ...] = ()
    prefix: str | None = None
    from_zero: bool = False

    def takes(self, name: str) -> bool:
        """Whether the metric of this name belongs here."""
        return name in self.names or (self.prefix is not None and name.startswith(self.prefix))


PANELS = (
    Panel("loss", ("loss", "val_loss")),
    Panel("global terms", prefix="global_"),
    Panel("local terms, matched by location", prefix="local_location_"),
    Panel("local terms, matched by features", prefix="local_feature_"),
    Panel("standard deviation of features", ("health/global_std", "health/local_std"), from_zero=True),
    Panel("correlation of features", ("health/global_correlation", "health/local_correlation"), from_zero=True),
    Panel("effective rank of features (RankMe)", ("health/global_rankme", "health/local_rankme"), from_zero=True),
    Panel("online classifier's loss", ("online_loss",)),
    Panel("online classifier's accuracy", ("online_accuracy", "val_accuracy"), from_zero=True),
    Panel("accuracy of k-NN", ("val_knn_accuracy",), from_zero=True),
    Panel("learning rate", ("learning_rate",), from_zero=True),
    Panel("gradient norm", ("gradient_norm",), from_zero=True),
    Panel("images per second", ("images_per_second",), from_zero=True),
    Panel("seconds of a step", prefix="seconds_", from_zero=True),
    Panel("share of the device's arithmetic", ("flop_utilisation",), from_zero=True),
    Panel("share of time spent waiting for data", ("data_wait_share",), from_zero=True),
    Panel("skipped steps, counted up", ("skipped_steps",), from_zero=True),
)
TOO_MANY = ("location/", "feature/")
"""Prefixes of metrics that are not drawn: the terms of single directions, over a hundred of them with multi-crop."""


def draw_curves(curves: dict[str, Curve], title: str) -> Figure:
    """Draws one panel for each of ``PANELS`` for which the run has metrics, and one for each other metric.

    Args:
        curves: the run's metrics by name; those that begin with one of ``TOO_MANY`` are left out.
        title: printed above the whole picture.
    """
    curves = {name: curve for name, curve in curves.items() if not name.startswith(TOO_MANY)}
    panels = [panel for panel in PANELS if any(panel.takes(name) for name in curves)]
    others = [name for name in curves if not any(panel.takes(name) for panel in PANELS)]
    panels += [Panel(name.replace("_", " "), (name,)) for name in others]
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4.6 * COLUMNS, 3.1 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    all_axes = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for panel, axes in zip(panels, all_axes, strict=False):
        _draw_panel(axes, panel, {name: curve for name, curve in curves.items() if panel.takes(name)})
    for axes in list(figure.axes)[len(panels) :]:
        axes.remove()
    return figure


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean, float64 [n], of ``window`` values (an odd number) around each of ``values`` [n]; fewer at the ends."""
    kernel = np.ones(window)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")


def _draw_panel(axes: Axes, panel: Panel, curves: dict[str, Curve]) -> None:
    for name, curve in curves.items():
        label = name.removeprefix(panel.prefix or "").removeprefix("health/").replace("_", " ")
        few = len(curve.steps) <= SMOOTHED_FROM
        (line,) = axes.plot(
            curve.steps,
            curve.values,
            lw=1.6 if few else 0.7,
            alpha=1 if few else 0.35,
            marker="o" if len(curve.steps) <= 40 else None,
            ms=3,
            label=label if few else None,
        )
        if not few:
            window = len(curve.steps) // 50 | 1
            axes.plot(curve.steps, running_mean(curve.values, window), color=line.get_color(), lw=1.8, label=label)
    if panel.from_zero:
        axes.set_ylim(bottom=0)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > 1 or panel.prefix:
        axes.legend(fontsize=8, framealpha=0.8, edgecolor="none")
