"""Draws images with their true and predicted masks; H×W pixels of a mask."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels
from vicregl_fast.visualization.mapped_image import draw_image
from vicregl_fast.visualization.predicted_masks import PredictedMask

BACKGROUND, WHITE = (64, 64, 64), np.uint8(255)
GOLDEN_RATIO = 0.618034
IN_LEGEND = 30
"""Classes at most that the legend names."""


def class_palette(classes: int) -> np.ndarray:
    """A colour for each class, uint8 [classes, 3]; class 0, most often the background, is the only grey."""
    others = np.arange(classes - 1)
    if len(others) <= 9:
        colours = colormaps["tab10"](others + (others >= 7))  # its eighth colour is a grey
    elif len(others) <= 18:
        colours = colormaps["tab20"](others + 2 * (others >= 14))
    else:  # neighbouring numbers lie far apart on the circle of hues
        colours = hsv_to_rgb(np.stack([others * GOLDEN_RATIO % 1, 0.95 - others % 2 * 0.4, 1 - others % 3 * 0.2], 1))
    return np.vstack([BACKGROUND, np.rint(255 * colours[:, :3])]).astype(np.uint8)


def coloured(mask: np.ndarray, labels: Labels) -> np.ndarray:
    """A mask int64 [H, W] in the colours of its classes, uint8 [H, W, 3]; what is ignored is white."""
    palette = class_palette(labels.classes)
    ignored = mask == IGNORED
    return np.where(ignored[..., None], WHITE, palette[np.where(ignored, 0, mask)])


def draw_masks(made: Sequence[PredictedMask], labels: Labels, by: str) -> Figure:
    """Draws one row for each image: the image, its mask, and the predicted mask with its pixel accuracy.

    Args:
        made: the images.
        labels: what labels mean.
        by: says in the title how the masks were predicted.
    """
    heights = [3.0 * each.truth.shape[0] / each.truth.shape[1] for each in made]
    figure = Figure(figsize=(3 * 3.0 + 1.2, sum(heights) + 0.3 * len(made) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(made), 3, squeeze=False, height_ratios=heights)
    for (image, truth, predicted), each in zip(grid, made, strict=True):
        draw_image(image, each.image)
        _draw_mask(truth, coloured(each.truth, labels))
        _draw_mask(predicted, coloured(each.predicted, labels))
        accuracy = each.accuracy
        predicted.set_title("" if accuracy is None else f"{accuracy:.0%} of pixels right", fontsize=8)
    for axes, title in zip(grid[0], ("image", "mask", f"predicted, {by}\n{grid[0][2].get_title()}"), strict=True):
        axes.set_title(title, fontsize=9)
    _draw_legend(figure, made, labels)
    return figure


def _draw_mask(axes: Axes, colours: np.ndarray) -> None:
    """Draws a mask in a thin frame, since what is ignored is as white as the page."""
    draw_image(axes, colours)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="grey", linewidth=0.6)


def _draw_legend(figure: Figure, made: Sequence[PredictedMask], labels: Labels) -> None:
    shown = np.unique(np.concatenate([each.flatten() for one in made for each in (one.truth, one.predicted)]))
    classes = [label for label in shown.tolist() if label != IGNORED][:IN_LEGEND]
    palette = class_palette(labels.classes) / 255
    keys = [Patch(facecolor=palette[label], label=labels.name(label)) for label in classes]
    if IGNORED in shown:
        keys.append(Patch(facecolor="white", edgecolor="black", label="ignored"))
    figure.legend(handles=keys, loc="outside right upper", fontsize=8, frameon=False, title="class")
