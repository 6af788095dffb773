"""Feature maps of whole images, and which cell lies where."""

import numpy as np
import pytest

from tests.visualization.halves import BLUE, RED, halves, mapped
from vicregl_fast.models.backbone import build_backbone
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.visualization.mapped_image import map_images, seen_size


@pytest.mark.parametrize(
    ("height", "width", "side", "seen"),
    [(480, 640, 448, (448, 608)), (640, 480, 448, (608, 448)), (10, 10, 7, (32, 32)), (20, 2000, 32, (32, 3200))],
)
def test_images_are_seen_at_sides_that_cells_divide(height: int, width: int, side: int, seen: tuple[int, int]) -> None:
    assert seen_size(height, width, side) == seen


@pytest.mark.parametrize(
    ("patch", "seen"), [((16, 16), (448, 608)), ((14, 14), (448, 602)), ((8, 14), (448, 602)), ((48, 32), (432, 608))]
)
def test_patches_tile_what_is_seen(patch: tuple[int, int], seen: tuple[int, int]) -> None:
    assert seen_size(480, 640, 448, patch) == seen


def test_a_vit_of_patches_of_14_pixels_maps_an_image() -> None:
    backbone = build_backbone(BackboneConfig("vit_small_patch14_dinov2")).eval()
    (made,) = map_images(backbone, [halves(RED, BLUE, 48, 64)], 56)
    assert made.map.shape == (384, 4, 5) and made.image.shape == (48, 64, 3)


def test_a_map_covers_its_image() -> None:
    (made,) = mapped(halves(RED, BLUE, 50, 80))
    assert made.image.shape == (50, 80, 3) and made.map.shape == (3, 8, 12) and made.extent == (0, 80, 50, 0)
    reddish = (made.map[0] > made.map[2]).numpy()
    assert reddish[:, :6].all() and not reddish[:, 6:].any()
    assert made.cell_at(0, 0) == (0, 0) and made.cell_at(79.9, 49.9) == (7, 11)
    assert made.cell_at(39.9, 6.3) == (1, 5) and made.cell_at(40, 6.2) == (0, 6)
    assert np.array_equal(made.image, halves(RED, BLUE, 50, 80))
