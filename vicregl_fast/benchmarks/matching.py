"""Measures location matching on one core, beside brute force over all pairs of cells.

Shape letters: b view pairs, c cells, g matches kept.
"""

from collections.abc import Callable, Iterator

import numpy as np

from vicregl_fast.benchmarks.losses import drawn_boxes
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_side_by_side
from vicregl_fast.devices import choose_device
from vicregl_fast.geometry.cells import fine_centres
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.geometry.matching import match_cells

PAIRS, GRID, GAMMA = 1024, 7, 20


def bench_matching(repeats: int) -> Iterator[Measurement]:
    """Measures view pairs a second, each matched in both directions; views have 7x7 cells, and 20 matches are kept."""
    views = [drawn_boxes(PAIRS, view) for view in range(2)]

    def both_ways(match: Callable[..., object]) -> None:
        for a, b in (views, views[::-1]):
            match(*a, GRID, *b, GRID, GAMMA)

    calls = {"": lambda: both_ways(match_cells), "brute_force.": lambda: both_ways(match_by_brute_force)}
    seconds = time_side_by_side(calls, choose_device("cpu"), repeats)
    for prefix in calls:
        yield Measurement.rate(f"matching.{prefix}pairs_per_second", PAIRS, seconds[prefix], "pairs/s")
    yield Measurement.speedup("matching.speedup", seconds[""], seconds["brute_force."])


def match_by_brute_force(
    boxes_a: np.ndarray,
    flips_a: np.ndarray,
    grid_a: int,
    boxes_b: np.ndarray,
    flips_b: np.ndarray,
    grid_b: int,
    gamma: int,
) -> Matches[np.ndarray]:
    """Gives the same as ``match_cells``, and takes the same, by forming the squared distances of all pairs of cells.

    Returns:
        int64 [b, g] with g = min(gamma, grid_a**2).
    """
    a_bc2 = fine_centres(boxes_a, flips_a, grid_a).reshape(len(boxes_a), -1, 2) * grid_b
    b_bc2 = fine_centres(boxes_b, flips_b, grid_b).reshape(len(boxes_b), -1, 2) * grid_a
    # Both grids' centres are now whole numbers in one unit, 1 / (2 * grid_a * grid_b) pixel.
    squares = np.square(a_bc2[:, :, None] - b_bc2[:, None]).sum(-1)
    nearest = squares.argmin(2)
    queries = np.sort(squares.min(2).argsort(1, kind="stable")[:, :gamma], axis=1)
    return Matches(queries, np.take_along_axis(nearest, queries, axis=1))
