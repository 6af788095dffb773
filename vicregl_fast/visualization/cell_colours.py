"""The cells of feature maps in colours: cells of like features have like colours, in all images.

Shape letters: n cells, C channels, h×w cells of a map.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from vicregl_fast.evaluation.principal_components import PrincipalComponents
from vicregl_fast.visualization.mapped_image import MappedImage, draw_image

QUANTILES = (0.02, 0.98)
"""Of a component's values over all cells: what becomes 0 and 1 of its colour. What lies outside is cut off."""
COLUMNS = 4


def cell_colours(maps: Sequence[Tensor]) -> list[np.ndarray]:
    """The first three principal components of the cells of all maps together, as red, green and blue.

    Args:
        maps: float32 [C, h, w] each.

    Returns:
        float32 [h, w, 3] in [0, 1] each. A component that is the same everywhere is 0.5.
    """
    cells = [each.flatten(1).T for each in maps]
    together_nc = torch.cat(cells)
    components_n3 = PrincipalComponents.of(together_nc, 3)(together_nc).numpy()
    low_3, high_3 = np.quantile(components_n3, QUANTILES, axis=0)
    spread_3 = high_3 - low_3
    flat_3 = spread_3 <= 1e-6 * max(1e-30, float(spread_3.max()))
    scaled_n3 = np.where(flat_3, 0.5, (components_n3 - low_3) / np.where(flat_3, 1, spread_3)).clip(0, 1)
    parts = np.split(scaled_n3.astype(np.float32), np.cumsum([len(each) for each in cells])[:-1])
    return [part.reshape(*each.shape[1:], 3) for part, each in zip(parts, maps, strict=True)]


def draw_cell_colours(images: Sequence[MappedImage]) -> Figure:
    """Draws every image beside the colours of its cells, ``COLUMNS`` images in a row."""
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(4.4 * columns, 2.3 * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)
    colours = cell_colours([each.map for each in images])
    for (left, right), mapped, cells in zip(grid, images, colours, strict=False):
        draw_image(left, mapped.image)
        right.imshow(cells, extent=mapped.extent, interpolation="nearest")
        right.set_axis_off()
    for axes in grid[len(images) :].flat:
        axes.remove()
    figure.suptitle("cells coloured by the first three principal components of all", fontsize=11)
    return figure
