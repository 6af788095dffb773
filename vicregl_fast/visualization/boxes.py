"""What pictures of views share: the box of a crop."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


def draw_box(axes: Axes, box: tuple[int, int, int, int], colour: str) -> None:
    """The crop (top, left, height, width) in an image that is drawn in pixels."""
    top, left, height, width = box
    for line_width, line_colour in ((4.5, "black"), (2.5, colour)):
        axes.add_patch(Rectangle((left, top), width, height, fill=False, lw=line_width, ec=line_colour))
