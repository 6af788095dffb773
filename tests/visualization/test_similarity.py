"""Heat maps: high where the image is as it is at the chosen point, low elsewhere; also as pixels of the picture."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from dataprep.errors import UserError
from tests.visualization.halves import BLUE, RED, halves, mapped
from vicregl_fast.visualization.similarity import check_points, draw_similarity, heat_map, similarities


def test_the_cosine_is_that_of_the_formula() -> None:
    maps = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    cosines = similarities(maps[:, 1, 2], maps)
    assert cosines[1, 2] == pytest.approx(1)
    a, b = maps[:, 1, 2].numpy(), maps[:, 2, 0].numpy()
    assert cosines[2, 0] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


def test_a_heat_map_is_resized_and_bounded() -> None:
    assert heat_map(torch.tensor([[0.0, 1.0]]), 2, 4).tolist() == [[0, 0.25, 0.75, 1]] * 2
    assert heat_map(torch.zeros(2, 2), 1000, 4000).shape == (128, 512)


def test_the_half_of_the_point_is_similar_in_every_image() -> None:
    first, second = mapped(halves(RED, BLUE), halves(BLUE, RED, 80, 80))
    figure = draw_similarity(first, [(10, 20), (90.5, 60)], [second])
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 6
    for row, (x, y), reddish in ((0, (10, 20), True), (3, (90.5, 60), False)):
        image, own, other = panels[row : row + 3]
        assert np.array_equal(image.images[0].get_array(), first.image)
        for axes in (image, own):
            assert all(line.get_xydata().tolist() == [[x, y]] for line in axes.lines) and len(axes.lines) == 2
        assert not other.lines
        for axes, of_left in ((own, reddish), (other, not reddish)):
            heat = axes.images[1].get_array()
            width = heat.shape[1]
            like, unlike = heat[:, : width // 3], heat[:, -(width // 3) :]
            if not of_left:
                like, unlike = unlike, like
            assert like.min() > 0.999 and unlike.max() < 0.5
        assert own.images[1].get_extent() == [0, 96, 64, 0] and other.images[1].get_extent() == [0, 80, 80, 0]
        assert own.images[1].get_clim() == other.images[1].get_clim()


def test_the_picture_s_pixels_are_hot_and_cold() -> None:
    figure = draw_similarity(*mapped(halves(RED, BLUE)), [(10, 20)])
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float)
    heat = next(axes for axes in figure.axes if len(axes.images) == 2)

    def pixel(x: float, y: float) -> np.ndarray:
        column, row = heat.transData.transform((x, y))
        return pixels[len(pixels) - 1 - int(row), int(column)]

    for (x, y), value, image in (((30, 50), 1.0, RED), ((90, 50), 0.0, BLUE)):
        colour = np.array(colormaps["turbo"](value)[:3]) * 255
        assert np.abs(pixel(x, y) - (0.65 * colour + 0.35 * np.mean(image))).max() < 3


def test_points_outside_are_refused() -> None:
    image = halves(RED, BLUE)
    check_points([(0, 0), (95.9, 63)], image)
    for point in ((96, 3), (5, 64), (-1, 5)):
        with pytest.raises(UserError, match="is not in the image, which has 96x64 pixels"):
            check_points([(1, 1), point], image)
