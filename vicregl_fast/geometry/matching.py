"""The paper's location matching: which cells of two views, a and b, lie nearest to each other, in exact integers.

Both grids are parallel to the axes, so that the nearest cell is the nearest row and the nearest column, and in a
regular grid each is found by one division. Positions along an axis are counted in units of 1 / (2 * grid_a * grid_b)
pixel, in which every centre is an integer. With sides of at most 65535 pixels and grids of at most 64 cells a side, a
squared distance is below 2**62.

In the compiled functions numbers and arrays are int64, flips bool. Shape letters: b samples, g kept matches. Elsewhere
the suffixes _a and _b name the view.
"""

import numpy as np
from numba import njit

from vicregl_fast.geometry.matches import Matches


@njit(nogil=True, cache=True, error_model="numpy")
def _match_axis(start_a, side_a, flip_a, grid_a, start_b, side_b, flip_b, grid_b, nearest, squares):
    """Matches the cells of view a with those of view b along one axis.

    Args:
        start_a, start_b, side_a, side_b: where the boxes begin and how long they are, in pixels of the stored image.
        flip_a, flip_b: whether the view is mirrored along this axis.
        grid_a, grid_b: cells along the axis.
        nearest, squares: [grid_a], the results: the nearest index of b (the lower of equals) and its squared distance.
    """
    span = 2 * grid_a * side_b
    for index in range(grid_a):
        place = grid_a - 1 - index if flip_a else index
        # The centre's distance from b's edge, where b's centres lie at odd multiples of span / 2.
        offset = (2 * grid_a * (start_a - start_b) + (2 * place + 1) * side_a) * grid_b
        # On the border of two cells of b, the lower index is at the higher place if b is flipped, else at the lower.
        found = (max(offset, 1) - (0 if flip_b else 1)) // span
        found = min(found, grid_b - 1)
        difference = offset - (2 * found + 1) * (span // 2)
        nearest[index] = grid_b - 1 - found if flip_b else found
        squares[index] = difference * difference


@njit(nogil=True, cache=True)
def _distance_limit(distances, gamma):
    """Finds the gamma smallest of ``distances``, [cells], by bisection.

    Returns:
        (limit, spare): the gamma smallest are all those below ``limit``, and the first ``spare`` that equal it.
    """
    low, high = distances[0], distances[0]
    for distance in distances:
        low, high = min(low, distance), max(high, distance)
    # Invariant: at least gamma distances are <= high, and fewer than gamma are < low.
    while low < high:
        middle = low + (high - low) // 2
        count = 0
        for distance in distances:
            count += distance <= middle
        if count == gamma:
            return middle + 1, 0
        if count > gamma:
            high = middle
        else:
            low = middle + 1
    count = 0
    for distance in distances:
        count += distance < low
    return low, gamma - count


@njit(nogil=True, cache=True)
def _keep_nearest(distances, gamma, kept):
    """Fills kept[:gamma] with the indices of the gamma smallest of ``distances``, [cells], in ascending order.

    Ties go to the lower index. ``kept`` is [cells + 1], since an index may be written behind the last one kept.
    """
    limit, spare = _distance_limit(distances, gamma)
    count = 0
    for cell in range(distances.shape[0]):
        tie = distances[cell] == limit and spare > 0
        spare -= tie
        # Always written, but counted only if kept, since a branch here would be mispredicted half the time.
        kept[count] = cell
        count += (distances[cell] < limit) | tie


@njit(nogil=True, cache=True, error_model="numpy")
def _match_samples(boxes_a, flips_a, grid_a, boxes_b, flips_b, grid_b, queries_bg, neighbours_bg):
    """Fills ``queries_bg`` and ``neighbours_bg`` as ``match_cells`` describes; boxes are [b, 4], flips [b]."""
    rows, row_squares = np.empty(grid_a, np.int64), np.empty(grid_a, np.int64)
    columns, column_squares = np.empty(grid_a, np.int64), np.empty(grid_a, np.int64)
    distances, nearest = np.empty(grid_a * grid_a, np.int64), np.empty(grid_a * grid_a, np.int64)
    kept = np.empty(grid_a * grid_a + 1, np.int64)
    gamma = queries_bg.shape[1]
    for i in range(boxes_a.shape[0]):
        top_a, left_a, height_a, width_a = boxes_a[i, 0], boxes_a[i, 1], boxes_a[i, 2], boxes_a[i, 3]
        top_b, left_b, height_b, width_b = boxes_b[i, 0], boxes_b[i, 1], boxes_b[i, 2], boxes_b[i, 3]
        _match_axis(top_a, height_a, False, grid_a, top_b, height_b, False, grid_b, rows, row_squares)
        _match_axis(left_a, width_a, flips_a[i], grid_a, left_b, width_b, flips_b[i], grid_b, columns, column_squares)
        for r in range(grid_a):
            for c in range(grid_a):
                distances[r * grid_a + c] = row_squares[r] + column_squares[c]
                nearest[r * grid_a + c] = rows[r] * grid_b + columns[c]
        _keep_nearest(distances, gamma, kept)
        for slot in range(gamma):
            queries_bg[i, slot] = kept[slot]
            neighbours_bg[i, slot] = nearest[kept[slot]]


def match_cells(
    boxes_a: np.ndarray,
    flips_a: np.ndarray,
    grid_a: int,
    boxes_b: np.ndarray,
    flips_b: np.ndarray,
    grid_b: int,
    gamma: int,
) -> Matches[np.ndarray]:
    """Matches every cell of view a with its nearest cell of view b, and keeps the gamma closest matches of each sample.

    Ties go to the lower index, both in choosing a neighbour and in keeping matches.

    Args:
        boxes_a, boxes_b: int [b, 4], (top, left, height, width) in pixels of the stored image.
        flips_a, flips_b: bool [b], whether the columns of a view are mirrored; all False to ignore flips.
        grid_a, grid_b: cells along a side of each view's feature map.
        gamma: how many matches are kept for each sample.

    Returns:
        Two arrays int64 [b, g], with g = min(gamma, grid_a**2).
    """
    kept = min(gamma, grid_a * grid_a)
    queries_bg = np.empty((len(boxes_a), kept), dtype=np.int64)
    neighbours_bg = np.empty_like(queries_bg)
    _match_samples(
        np.asarray(boxes_a, dtype=np.int64),
        np.asarray(flips_a, dtype=np.bool_),
        np.int64(grid_a),
        np.asarray(boxes_b, dtype=np.int64),
        np.asarray(flips_b, dtype=np.bool_),
        np.int64(grid_b),
        queries_bg,
        neighbours_bg,
    )
    return Matches(queries_bg, neighbours_bg)
