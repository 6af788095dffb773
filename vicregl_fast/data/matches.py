"""Which cells of a batch's views meet, for every location direction that the loss needs."""

from collections.abc import Sequence

import numpy as np

from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.geometry.matching import match_cells


def match_views(
    drawn: Sequence[ViewParameters], grids: Sequence[int], directions: Sequence[Direction], mirror_flips: bool
) -> dict[Direction, Matches[np.ndarray]]:
    """The location matches of every direction.

    Args:
        drawn: the parameters of every view.
        grids: cells along a side of each view's feature map.
        directions: from which view to which, and how many pairs are kept; all where none is said.
        mirror_flips: whether the positions of a flipped view are mirrored.
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
