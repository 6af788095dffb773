"""Location matches between the cells of a batch's views."""

from collections.abc import Sequence

import numpy as np

from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.geometry.matching import match_cells


def match_views(
    drawn: Sequence[ViewParameters], grids: Sequence[int], directions: Sequence[Direction], mirror_flips: bool
) -> dict[Direction, Matches[np.ndarray]]:
    """Finds the location matches of every direction (docs/method.md, The loss).

    Args:
        drawn: the parameters of every view of b samples.
        grids: cells along a side of each view's feature map.
        directions: the pairs of views to match, and how many matches of each are kept.
        mirror_flips: whether the positions of a flipped view are mirrored.

    Returns:
        For each direction, matches int64 [b, g], where g is the direction's gamma or the query view's number of cells,
        whichever is smaller.
    """
    matches = {}
    for direction in directions:
        a, b = drawn[direction.query], drawn[direction.neighbour]
        grid_a, grid_b = grids[direction.query], grids[direction.neighbour]
        gamma = grid_a**2 if direction.gamma is None else direction.gamma
        matches[direction] = match_cells(
            a.boxes, a.flips & mirror_flips, grid_a, b.boxes, b.flips & mirror_flips, grid_b, gamma
        )
    return matches
