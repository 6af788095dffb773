"""How similar the cells of images are to a chosen one.

Coordinates are in pixels of the image, x to the right and y downwards. Shape letters: H×W pixels, C channels, h×w
cells of a map.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor
from torch.nn.functional import cosine_similarity, interpolate

from dataprep.errors import UserError
from vicregl_fast.visualization.mapped_image import MappedImage, draw_image

Point = tuple[float, float]  # x, y
INCHES = 2.8  # height of an image
LONGEST = 512
"""Pixels of the longer side of a heat map, at most."""


def check_points(points: Sequence[Point], image: np.ndarray) -> None:
    """Raises UserError if a point does not lie in an image uint8 [H, W, 3]."""
    height, width = image.shape[:2]
    for x, y in points:
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(f"--at {x:g},{y:g} is not in the image, which has {width}x{height} pixels")


def similarities(cell_c: Tensor, map_chw: Tensor) -> Tensor:
    """The cosine, float32 [h, w], of each cell of a map float32 [C, h, w] to one cell, float32 [C]."""
    return cosine_similarity(map_chw, cell_c[:, None, None], dim=0)


def heat_map(cosines_hw: Tensor, height: int, width: int) -> np.ndarray:
    """Cosines float32 [h, w], resized bilinearly to the shape of an image, float32; ``LONGEST`` pixels at most."""
    scale = min(1.0, LONGEST / max(height, width))
    size = [max(1, round(side * scale)) for side in (height, width)]
    return interpolate(cosines_hw[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()


def draw_similarity(chosen: MappedImage, points: Sequence[Point], others: Sequence[MappedImage] = ()) -> Figure:
    """Draws a row for each point: the image with the point, and the cosine of its cell to all cells of all images.

    Args:
        chosen: the image in which the points lie.
        points: x and y of each.
        others: more images.
    """
    images = [chosen, *others]
    aspects = [each.image.shape[1] / each.image.shape[0] for each in (chosen, *images)]
    figure = Figure(figsize=(INCHES * sum(aspects) + 1.2, (INCHES + 0.2) * len(points) + 0.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(points), len(aspects), squeeze=False, width_ratios=aspects)
    for (first, *rest), (x, y) in zip(grid, points, strict=True):
        draw_image(first, chosen.image)
        first.set_title(f"cell at {x:g},{y:g}", fontsize=9)
        row, column = chosen.cell_at(x, y)
        cosines = [similarities(chosen.map[:, row, column], each.map) for each in images]
        lowest = min(float(each.min()) for each in cosines)
        drawn = [_draw_heat(*each, lowest) for each in zip(rest, images, cosines, strict=True)]
        for axes in (first, rest[0]):
            _mark(axes, x, y)
        figure.colorbar(drawn[0], ax=rest, label="cosine", shrink=0.85)
    return figure


def _draw_heat(axes: Axes, mapped: MappedImage, cosines_hw: Tensor, lowest: float) -> AxesImage:
    """Draws cosines over an image that is made grey; the colours reach from ``lowest`` to 1."""
    height, width = mapped.image.shape[:2]
    grey = mapped.image.mean(2, keepdims=True).repeat(3, 2).astype(np.uint8)
    draw_image(axes, grey)
    heat = heat_map(cosines_hw, height, width)
    return axes.imshow(heat, extent=mapped.extent, cmap="turbo", vmin=lowest, vmax=1, alpha=0.65)


def _mark(axes: Axes, x: float, y: float) -> None:
    for size, colour in ((13, "black"), (10, "white")):
        axes.plot(x, y, "+", ms=size, mew=3.5 if colour == "black" else 1.8, c=colour)
