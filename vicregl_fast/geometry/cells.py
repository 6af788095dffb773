"""Where the cells of a view's feature map lie in the stored image.

Shape letters: b samples, 4 the box (top, left, height, width).
"""

import numpy as np


def cell_centres(boxes_b4: np.ndarray, flips_b: np.ndarray, grid: int) -> np.ndarray:
    """Returns the centres of the cells of b views.

    The centre of cell (r, c) lies at top + (r + 1/2) * height / grid, left + (c + 1/2) * width / grid; the columns of
    a flipped view are mirrored.

    Args:
        boxes_b4: int [b, 4], in pixels of the stored image.
        flips_b: bool [b], which views are mirrored.
        grid: cells along a side of the feature map.

    Returns:
        float64 [b, grid, grid, 2], (y, x) in pixels of the stored image.
    """
    return fine_centres(boxes_b4, flips_b, grid) / (2 * grid)


def fine_centres(boxes_b4: np.ndarray, flips_b: np.ndarray, grid: int) -> np.ndarray:
    """Returns these centres in units of 1 / (2 * grid) pixel, which makes them integers: int64 [b, grid, grid, 2]."""
    top, left, height, width = np.asarray(boxes_b4, dtype=np.int64).T[:, :, None]
    odd = 2 * np.arange(grid) + 1
    odd_columns = np.where(np.asarray(flips_b, dtype=bool)[:, None], odd[::-1], odd)
    centres = np.empty((len(boxes_b4), grid, grid, 2), dtype=np.int64)
    centres[..., 0] = (2 * grid * top + odd * height)[:, :, None]
    centres[..., 1] = (2 * grid * left + odd_columns * width)[:, None, :]
    return centres
