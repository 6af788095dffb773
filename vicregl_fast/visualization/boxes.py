"""Draws the box of a crop, for all pictures that show crops."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


def draw_box(axes: Axes, box: tuple[int, int, int, int], colour: str) -> None:
    """Draws the outline of a crop (top, left, height, width) onto an image, in ``colour`` with a black edge.

    The unit of the axes is one pixel of the image.
    """
    top, left, height, width = box
    for line_width, line_colour in ((4.5, "black"), (2.5, colour)):
        axes.add_patch(Rectangle((left, top), width, height, fill=False, lw=line_width, ec=line_colour))
