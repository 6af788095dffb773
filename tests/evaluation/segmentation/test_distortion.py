"""Photometric distortion beside its definition, pixel by pixel."""

import colorsys

import numpy as np
import pytest

from vicregl_fast.evaluation.segmentation.distortion import Distortion, distort, drawn_distortion

NONE = Distortion(None, None, True, None, None)
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)


def changed(**by: object) -> np.ndarray:
    return distort(PIXELS, Distortion(**{**vars(NONE), **by})).astype(int)  # type: ignore[arg-type]


def test_nothing_is_changed_where_nothing_is_drawn() -> None:
    assert np.array_equal(distort(PIXELS, NONE), PIXELS)


def test_brightness_is_added_and_contrast_multiplied() -> None:
    levels = PIXELS.astype(float)
    assert np.array_equal(changed(brightness=20.5), np.clip(levels + 20.5, 0, 255).astype(int))
    assert np.array_equal(changed(brightness=-30.0), np.clip(levels - 30, 0, 255).astype(int))
    assert np.array_equal(changed(contrast=1.3), np.clip(levels * 1.3, 0, 255).astype(int))


@pytest.mark.parametrize(("saturation", "hue"), [(0.6, None), (1.4, None), (None, -17), (None, 9), (0.8, 5)])
def test_saturation_and_hue_are_those_of_hsv(saturation: float | None, hue: int | None) -> None:
    """Hue moves by two degrees a step; levels differ by what eight bits of hue and saturation lose."""
    expected = np.empty_like(PIXELS, float)
    for place in np.ndindex(9, 9):
        h, s, v = colorsys.rgb_to_hsv(*PIXELS[place] / 255)
        expected[place] = colorsys.hsv_to_rgb((h + (hue or 0) / 180) % 1, min(1, s * (saturation or 1)), v)
    assert np.abs(changed(saturation=saturation, hue=hue) - 255 * expected).max() < 6


def test_contrast_comes_before_or_after_the_colours() -> None:
    """Clipped levels lose their colour only if contrast comes first."""
    first, last = (changed(contrast=1.5, contrast_first=first, saturation=0.5) for first in (True, False))
    assert np.abs(first - last).max() > 20


def test_what_is_drawn() -> None:
    low, high = np.zeros(4), np.full(4, 1 - 1e-12)
    assert drawn_distortion(low, low, 0.0) == Distortion(-32.0, 0.5, True, 0.5, -18)
    made = drawn_distortion(high, low, 0.5)
    assert not made.contrast_first and made.hue == 17
    assert (made.brightness, made.contrast, made.saturation) == pytest.approx((32.0, 1.5, 1.5))
    assert drawn_distortion(low, np.array([0.5, 0.4, 0.9, 0.1]), 0.7) == Distortion(None, 0.5, False, None, -18)
