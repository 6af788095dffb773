"""Where the cells of a view's feature map lie in the stored image."""

import numpy as np


def cell_centres(boxes_b4: np.ndarray, flips_b: np.ndarray, grid: int) -> np.ndarray:
    """Returns the centres float64[b, grid, grid, 2] as (y, x), in pixels of the stored image.

    Cell (r, c) of a view with box (top, left, height, width) lies at top + (r + 1/2) * height / grid and
    left + (c + 1/2) * width / grid; the columns of a flipped view are mirrored.
    """
    return fine_centres(boxes_b4, flips_b, grid) / (2 * grid)


def fine_centres(boxes_b4: np.ndarray, flips_b: np.ndarray, grid: int) -> np.ndarray:
    """The same centres in units of 1 / (2 * grid) pixel, in which they are whole: int64[b, grid, grid, 2]."""
    top, left, height, width = np.asarray(boxes_b4, dtype=np.int64).T[:, :, None]
    odd = 2 * np.arange(grid) + 1
    odd_columns = np.where(np.asarray(flips_b, dtype=bool)[:, None], odd[::-1], odd)
    centres = np.empty((len(boxes_b4), grid, grid, 2), dtype=np.int64)
    centres[..., 0] = (2 * grid * top + odd * height)[:, :, None]
    centres[..., 1] = (2 * grid * left + odd_columns * width)[:, None, :]
    return centres
