"""Cells in colours: one basis for all images."""

import numpy as np
import torch

from tests.visualization.halves import BLUE, RED, halves, mapped
from vicregl_fast.visualization.cell_colours import cell_colours, draw_cell_colours

GREEN = (40, 200, 40)


def test_like_cells_have_like_colours_in_all_images() -> None:
    first, second = mapped(halves(RED, BLUE), halves(GREEN, RED, 80, 80))
    a, b = cell_colours([first.map, second.map])
    assert a.shape == (8, 12, 3) and b.shape == (8, 8, 3)
    # The image's middle lies between cells, but resizing blends its neighbours a little.
    red, blue, green, red_again = a[:, :5], a[:, 7:], b[:, :3], b[:, 5:]
    for half in (red, blue, green, red_again):
        assert np.ptp(half.reshape(-1, 3), axis=0).max() < 0.02
    assert np.abs(red[0, 0] - red_again[0, 0]).max() < 0.02
    for one, other in ((red, blue), (red, green), (blue, green)):
        assert np.abs(one[0, 0] - other[0, 0]).max() > 0.5


def test_quantiles_cut_off_what_is_rare() -> None:
    maps = torch.randn(6, 40, 40, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [9.0, 5.0, 3.0, 1, 1, 1]
    ).view(6, 1, 1)
    maps[:, 0, 0] = 1e3  # a cell that is far from all
    (colours,) = cell_colours([maps])
    assert colours.min() == 0 and colours.max() == 1
    assert (colours.reshape(-1, 3).std(0) > 0.15).any()
    cut = ((colours == 0) | (colours == 1)).reshape(-1, 3).mean(0)
    assert np.allclose(cut, 0.04, atol=0.005)


def test_equal_cells_are_grey() -> None:
    assert (cell_colours([torch.ones(4, 2, 3)])[0] == 0.5).all()


def test_every_image_stands_beside_its_cells() -> None:
    images = mapped(*(halves(RED, BLUE, 64, 64 + 8 * number) for number in range(5)))
    figure = draw_cell_colours(images)
    assert len(figure.axes) == 10
    colours = cell_colours([each.map for each in images])
    for number, each in enumerate(images):
        left, right = figure.axes[2 * number : 2 * number + 2]
        assert np.array_equal(left.images[0].get_array(), each.image)
        assert np.array_equal(right.images[0].get_array(), colours[number])
        assert left.images[0].get_extent() == right.images[0].get_extent() == [0, 64 + 8 * number, 64, 0]
