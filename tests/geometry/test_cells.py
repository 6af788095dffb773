"""Cell positions, read back from an image whose pixel values are their own coordinates."""

import numpy as np
import pytest

from vicregl_fast.geometry.cells import cell_centres

HEIGHT, WIDTH = 90, 140


def coordinates_seen(box, flip: bool, grid: int) -> np.ndarray:
    """Crops, flips and resizes the image of coordinates and averages each cell: float64[grid, grid, 2]."""
    rows, columns = np.meshgrid(np.arange(HEIGHT) + 0.5, np.arange(WIDTH) + 0.5, indexing="ij")
    top, left, height, width = box
    crop = np.stack([rows, columns], axis=-1)[top : top + height, left : left + width]
    if flip:
        crop = crop[:, ::-1]
    # Every pixel repeated `grid` times: a view of grid * height by grid * width pixels, cut into even cells.
    view = crop.repeat(grid, axis=0).repeat(grid, axis=1)
    return view.reshape(grid, height, grid, width, 2).mean(axis=(1, 3))


@pytest.mark.parametrize("grid", [1, 3, 6, 7])
@pytest.mark.parametrize("flip", [False, True])
def test_cells_lie_where_the_view_shows_them(grid, flip):
    # In the first two boxes every cell is made of whole pixels; in the others its border cuts some.
    boxes = np.array([[0, 0, 84, 126], [3, 5, 42, 84], [17, 40, 61, 29], [80, 1, 10, 139]], dtype=np.int32)
    centres = cell_centres(boxes, np.full(4, flip), grid)
    assert centres.dtype == np.float64
    for box, centre, tolerance in zip(boxes, centres, (1e-9, 1e-9, 0.13, 0.13), strict=True):
        np.testing.assert_allclose(centre, coordinates_seen(box, flip, grid), rtol=0, atol=tolerance)


def test_flips_are_per_sample():
    boxes = np.array([[0, 10, 4, 8]] * 2, dtype=np.int32)
    plain, flipped = cell_centres(boxes, np.array([False, True]), 2)
    assert plain.tolist() == [[[1, 12], [1, 16]], [[3, 12], [3, 16]]]
    assert flipped.tolist() == [[[1, 16], [1, 12]], [[3, 16], [3, 12]]]
