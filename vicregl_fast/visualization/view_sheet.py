"""A contact sheet: images with the boxes of their crops, and each view as every engine made it, side by side.

Shape letters: n images.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from vicregl_fast.visualization.boxes import draw_box

INCHES = 1.5  # side of a drawn view


def draw_view_sheet(
    images: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray],
    pictures: Mapping[str, Sequence[np.ndarray]],
) -> Figure:
    """Draws one row for each image.

    Below each view of an engine other than the first stands how far it is from the first engine's: the mean absolute
    difference in levels (0 to 255).

    Args:
        images: n stored images, uint8 [H, W, 3].
        boxes: for each view, int [n, 4]: top, left, height, width in pixels of the stored image.
        pictures: for each engine and view, uint8 [n, S, S, 3].
    """
    engines, colours = list(pictures), view_colours(len(boxes))
    columns = 1 + len(boxes) * len(engines)
    figure = Figure(figsize=(INCHES * (columns + 0.4), INCHES * 1.12 * len(images) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(images), columns, squeeze=False, width_ratios=(1.4, *[1.0] * (columns - 1)))
    for row, image in enumerate(images):
        axes = iter(grid[row])
        _draw_image(next(axes), image, [boxes_n4[row] for boxes_n4 in boxes], colours)
        for view, colour in enumerate(colours):
            first = pictures[engines[0]][view][row]
            for engine in engines:
                title = f"{engine}, view {view + 1}" if row == 0 else ""
                apart = None if engine == engines[0] else mean_difference(pictures[engine][view][row], first)
                _draw_view(next(axes), pictures[engine][view][row], colour, title, apart)
    return figure


def view_colours(views: int) -> list[str]:
    """The colour of each view's frame, such as ``#1f77b4``."""
    return [to_hex(colormaps["tab10"](view % 10)) for view in range(views)]


def mean_difference(picture: np.ndarray, other: np.ndarray) -> float:
    """The mean absolute difference of two uint8 pictures of the same shape, in levels (0 to 255)."""
    return float(np.abs(picture.astype(np.int16) - other).mean())


def _draw_image(axes: Axes, image: np.ndarray, boxes: Sequence[np.ndarray], colours: Sequence[str]) -> None:
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0))
    for box, colour in zip(boxes, colours, strict=True):
        top, left, box_height, box_width = box.tolist()
        draw_box(axes, (top, left, box_height, box_width), colour)
    axes.set_xlim(-0.03 * width, 1.03 * width)
    axes.set_ylim(1.03 * height, -0.03 * height)
    axes.set_axis_off()


def _draw_view(axes: Axes, picture: np.ndarray, colour: str, title: str, apart: float | None) -> None:
    axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2.5)
    axes.set_title(title, fontsize=8)
    if apart is not None:
        axes.set_xlabel(f"{apart:.2f} levels", fontsize=7)
