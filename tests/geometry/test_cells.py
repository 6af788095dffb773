"""Cell positions, read back from an image whose pixel values are their own coordinates."""

import numpy as np
import pytest

from vicregl_fast.geometry.cells import cell_centres


def coordinates_seen(box, flip: bool, grid: int, height: int, width: int) -> np.ndarray:
    """Crops, flips and resizes the image of coordinates and averages each cell: float64[grid, grid, 2]."""
    rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    top, left, box_height, box_width = box
    crop = np.stack([rows, columns], axis=-1)[top : top + box_height, left : left + box_width]
    if flip:
        crop = crop[:, ::-1]
    # Every pixel repeated `grid` times: a view of grid * box_height by grid * box_width pixels, exactly resized.
    view = crop.repeat(grid, axis=0).repeat(grid, axis=1)
    return view.reshape(grid, box_height, grid, box_width, 2).mean(axis=(1, 3))


@pytest.mark.parametrize("grid", [1, 3, 6, 7])
@pytest.mark.parametrize("flip", [False, True])
def test_cells_lie_where_the_view_shows_them(grid, flip):
    boxes = np.array([[0, 0, 40, 60], [3, 5, 17, 11], [39, 59, 1, 1], [10, 0, 2, 60]], dtype=np.int32)
    centres = cell_centres(boxes, np.full(4, flip), grid)
    assert centres.dtype == np.float64
    for box, centre in zip(boxes, centres, strict=True):
        np.testing.assert_allclose(centre, coordinates_seen(box, flip, grid, 40, 60), rtol=0, atol=1e-9)


def test_flips_are_per_sample():
    boxes = np.array([[0, 10, 4, 8]] * 2, dtype=np.int32)
    plain, flipped = cell_centres(boxes, np.array([False, True]), 2)
    assert plain.tolist() == [[[1, 12], [1, 16]], [[3, 12], [3, 16]]]
    assert flipped.tolist() == [[[1, 16], [1, 12]], [[3, 16], [3, 12]]]
