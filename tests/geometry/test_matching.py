"""Separable matching against brute force over all pairs of cells, in exact integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicregl_fast.geometry.cells import cell_centres
from vicregl_fast.geometry.matching import match_cells


def positions(box, flip: bool, grid: int, other_grid: int) -> list[tuple[int, int]]:
    """Cell centres in units of 1 / (2 * grid * other_grid) pixel, as unbounded integers, in cell order."""
    top, left, height, width = (int(value) for value in box)
    columns = range(grid)[::-1] if flip else range(grid)
    return [
        (
            (2 * grid * top + (2 * r + 1) * height) * other_grid,
            (2 * grid * left + (2 * c + 1) * width) * other_grid,
        )
        for r in range(grid)
        for c in columns
    ]


def brute_force(box_a, flip_a, grid_a, box_b, flip_b, grid_b, gamma) -> tuple[list[int], list[int]]:
    theirs = positions(box_b, flip_b, grid_b, grid_a)
    nearest = []
    for query, (y, x) in enumerate(positions(box_a, flip_a, grid_a, grid_b)):
        squares = [(y - their_y) ** 2 + (x - their_x) ** 2 for their_y, their_x in theirs]
        nearest.append((min(squares), query, squares.index(min(squares))))
    kept = sorted((query, neighbour) for _, query, neighbour in sorted(nearest)[:gamma])
    return [query for query, _ in kept], [neighbour for _, neighbour in kept]


def boxes(place: int, side: int) -> st.SearchStrategy:
    return st.tuples(st.integers(0, place), st.integers(0, place), st.integers(1, side), st.integers(1, side))


# Few small values, so that ties abound; and ordinary ones.
BOX = st.one_of(boxes(4, 4), boxes(60, 60), boxes(500, 500))
GRID = st.sampled_from([1, 2, 3, 6, 7])


@settings(max_examples=400, deadline=None)
@given(
    pairs=st.lists(st.tuples(BOX, st.booleans(), BOX, st.booleans()), min_size=1, max_size=4),
    grid_a=GRID,
    grid_b=GRID,
    gamma=st.integers(1, 60),
)
def test_agrees_with_brute_force(pairs, grid_a, grid_b, gamma):
    boxes_a, flips_a, boxes_b, flips_b = (np.array(column) for column in zip(*pairs, strict=True))
    queries, neighbours = match_cells(boxes_a, flips_a, grid_a, boxes_b, flips_b, grid_b, gamma)
    assert queries.dtype == neighbours.dtype == np.int64
    assert queries.shape == neighbours.shape == (len(pairs), min(gamma, grid_a**2))
    for (box_a, flip_a, box_b, flip_b), query, neighbour in zip(pairs, queries, neighbours, strict=True):
        expected = brute_force(box_a, flip_a, grid_a, box_b, flip_b, grid_b, gamma)
        assert (query.tolist(), neighbour.tolist()) == expected


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("gamma", [1, 10, 49])
def test_a_view_matches_itself(flips, gamma):
    box = np.array([[3, 5, 70, 35]])
    queries, neighbours = match_cells(box, np.array(flips[:1]), 7, box, np.array(flips[1:]), 7, gamma)
    assert queries.tolist() == [list(range(gamma))], "every distance is 0: the first cells win"
    mirrored = [7 * (q // 7) + 6 - q % 7 if flips[0] != flips[1] else q for q in range(gamma)]
    assert neighbours.tolist() == [mirrored]


def test_ties_go_to_the_lower_index_of_a_mirrored_view():
    # The query's single cell lies at (2, 2), midway between all four cells of b.
    query, b = np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 4]])
    for flip in (False, True):
        assert match_cells(query, np.array([False]), 1, b, np.array([flip]), 2, 1)[1].tolist() == [[0]]


@pytest.mark.parametrize(
    ("box_a", "box_b"), [((0, 0, 1, 1), (65534, 65534, 1, 1)), ((0, 0, 65535, 65535), (65533, 0, 2, 65535))]
)
def test_the_largest_boxes_and_grids_do_not_overflow(box_a, box_b):
    for grid_b in (1, 2, 64):
        a, b, zero = np.array([box_a]), np.array([box_b]), np.zeros(1, dtype=bool)
        queries, neighbours = match_cells(a, zero, 64, b, zero, grid_b, 50)
        # Nearest row and column apart, in unbounded integers: brute force over 64**4 pairs takes minutes.
        mine = [[p[axis] for p in positions(box_a, False, 64, grid_b)[:: (64, 1)[axis]]][:64] for axis in (0, 1)]
        other = [
            [p[axis] for p in positions(box_b, False, grid_b, 64)[:: (grid_b, 1)[axis]]][:grid_b] for axis in (0, 1)
        ]
        best = [[min(((p - o) ** 2, i) for i, o in enumerate(other[axis])) for p in mine[axis]] for axis in (0, 1)]
        cells = [(best[0][q // 64][0] + best[1][q % 64][0], q) for q in range(64 * 64)]
        expected = sorted(q for _, q in sorted(cells)[:50])
        assert queries.tolist() == [expected]
        assert neighbours.tolist() == [[best[0][q // 64][1] * grid_b + best[1][q % 64][1] for q in expected]]


def test_neighbours_are_nearest_by_cell_centres():
    rng = np.random.default_rng(0)
    boxes_a, boxes_b = rng.integers(1, 300, (2, 20, 4))
    flips_a, flips_b = rng.random((2, 20)) < 0.5
    queries, neighbours = match_cells(boxes_a, flips_a, 7, boxes_b, flips_b, 3, 49)
    centres_a = cell_centres(boxes_a, flips_a, 7).reshape(20, 49, 1, 2)
    centres_b = cell_centres(boxes_b, flips_b, 3).reshape(20, 1, 9, 2)
    distances = np.linalg.norm(centres_a - centres_b, axis=-1)
    assert (queries == np.arange(49)).all()
    chosen = np.take_along_axis(distances, neighbours[..., None], axis=2)[..., 0]
    np.testing.assert_allclose(chosen, distances.min(axis=2), rtol=1e-12)
