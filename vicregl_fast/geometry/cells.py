"""Where the cells of a view's feature map lie in the stored image."""

import numpy as np


def cell_centres(boxes_b4: np.ndarray, flips_b: np.ndarray, grid: int) -> np.ndarray:
    """Returns the centres float64[b, grid, grid, 2] as (y, x), in pixels of the stored image.

    Cell (r, c) of a view with box (top, left, height, width) lies at top + (r + 1/2) * height / grid and
    left + (c + 1/2) * width / grid; the columns of a flipped view are mirrored.
    """
    top, left, height, width = np.asarray(boxes_b4, dtype=np.int64).T[:, :, None]
    odd = 2 * np.arange(grid) + 1
    odd_columns = np.where(np.asarray(flips_b, dtype=bool)[:, None], odd[::-1], odd)
    centres = np.empty((len(boxes_b4), grid, grid, 2), dtype=np.float64)
    centres[..., 0] = ((2 * grid * top + odd * height) / (2 * grid))[:, :, None]
    centres[..., 1] = ((2 * grid * left + odd_columns * width) / (2 * grid))[:, None, :]
    return centres
