"""The paper's Figure 3: an image with its two crops, and the cells that the loss matches between the views.

Coordinates are (x, y) in pixels, x to the right and y downwards; pixel k covers k to k + 1. In shapes, g is the number
of matches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vicregl_fast.geometry.cells import cell_centres
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.visualization.boxes import draw_box

BOX_COLOURS = ("#ff7f0e", "#17becf")
GAP = 0.12
"""Width of the space between the two views, as a share of a view's side."""
BEND = 0.15
"""How far a line bends, as a share of the horizontal distance of its query from the middle of the view. Without this,
the lines of cells in one row would hide each other."""


@dataclass(frozen=True)
class View:
    """One view of an image.

    Attributes:
        picture: uint8 [S, S, 3], as the network saw it.
        box: the crop (top, left, height, width) in pixels of the stored image.
        flip: whether the view is mirrored.
        grid: cells along a side of its feature map.
    """

    picture: np.ndarray
    box: tuple[int, int, int, int]
    flip: bool
    grid: int


@dataclass(frozen=True)
class MatchedImage:
    """What one row of the figure shows.

    Attributes:
        image: the stored image, uint8 [H, W, 3].
        views: the query view and the neighbour view.
        location, feature: the matches by location and by features; arrays int64 [g].
    """

    image: np.ndarray
    views: tuple[View, View]
    location: Matches[np.ndarray]
    feature: Matches[np.ndarray]


def centres_in_view(cells: np.ndarray, view: View) -> np.ndarray:
    """The centres (x, y), float64 [g, 2], of cells int64 [g] of a view's map, in pixels of the view's picture."""
    rows, columns = np.divmod(cells, view.grid)
    return (np.stack([columns, rows], 1) + 0.5) * (len(view.picture) / view.grid)


def centres_in_image(cells: np.ndarray, view: View) -> np.ndarray:
    """The centres (x, y), float64 [g, 2], of cells int64 [g] of a view's map, in pixels of the stored image."""
    centres = cell_centres(np.array([view.box]), np.array([view.flip]), view.grid)
    return centres[0].reshape(-1, 2)[cells, ::-1]


def draw_matches(images: Sequence[MatchedImage]) -> Figure:
    """Draws one row for each image: the boxes of its crops, the matches by location, the matches by features."""
    figure = Figure(figsize=(13.5, 2.6 * len(images) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(images), 3, squeeze=False, width_ratios=(1.25, 2, 2))
    for (overview, by_location, by_feature), matched in zip(grid, images, strict=True):
        _draw_overview(overview, matched)
        _draw_pairs(by_location, matched.views, matched.location)
        _draw_pairs(by_feature, matched.views, matched.feature)
    titles = ("image and crops", "matched by location", "matched by features")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=12)
    return figure


def _draw_overview(axes: Axes, matched: MatchedImage) -> None:
    height, width = matched.image.shape[:2]
    axes.imshow(matched.image, extent=(0, width, height, 0))
    for number, (view, colour) in enumerate(zip(matched.views, BOX_COLOURS, strict=True), start=1):
        top, left, box_height, box_width = view.box
        draw_box(axes, view.box, colour)
        axes.annotate(
            f"{number}, mirrored" if view.flip else str(number),
            (left, top) if number == 1 else (left + box_width, top + box_height),
            xytext=(3, -3) if number == 1 else (-3, 3),
            textcoords="offset points",
            ha="left" if number == 1 else "right",
            va="top" if number == 1 else "bottom",
            fontsize=9,
            bbox={"boxstyle": "square,pad=0.2", "fc": colour, "ec": "none"},
        )
    axes.set_xlim(-0.02 * width, 1.02 * width)
    axes.set_ylim(1.02 * height, -0.02 * height)
    axes.set_axis_off()


def _draw_pairs(axes: Axes, views: tuple[View, View], matches: Matches[np.ndarray]) -> None:
    side = len(views[0].picture)
    start = side * (1 + GAP)
    for view, left, colour in zip(views, (0, start), BOX_COLOURS, strict=True):
        axes.imshow(view.picture, extent=(left, left + side, side, 0))
        axes.add_patch(Rectangle((left, 0), side, side, fill=False, lw=2.5, ec=colour))
    queries = centres_in_view(matches.queries, views[0])
    neighbours = centres_in_view(matches.neighbours, views[1]) + np.array([start, 0])
    colours = colormaps["turbo"](np.linspace(0.1, 0.95, len(queries)))
    for query, neighbour, colour in zip(queries, neighbours, colours, strict=True):
        x, y = _arc(query, neighbour, bend=BEND * (query[0] - side / 2))
        for line_width, line_colour in ((2.6, "black"), (1.5, colour)):
            axes.plot(x, y, lw=line_width, c=line_colour)
        axes.plot(*query, "o", *neighbour, "o", ms=5, c=colour, mec="black", mew=0.8)
    axes.set_xlim(-2, start + side + 2)
    axes.set_ylim(side + 2, -2)
    axes.set_axis_off()


def _arc(start: np.ndarray, end: np.ndarray, bend: float) -> np.ndarray:
    """Points (x, y), float64 [2, 33], of an arc from ``start`` to ``end``, float64 [2] each.

    Halfway it lies ``bend`` pixels below the straight line, above it if ``bend`` is negative.
    """
    share = np.linspace(0, 1, 33)[:, None]
    points = start + (end - start) * share
    return (points + np.array([0, bend]) * (4 * share * (1 - share))).T
