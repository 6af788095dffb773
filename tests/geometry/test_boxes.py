"""Crop boxes: the bounds, and the distribution beside torchvision's own rule."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandomResizedCrop

from vicregl_fast.geometry.boxes import sample_boxes
from vicregl_fast.geometry.crop_rule import CropRule

DRAWS = 2000
LARGE = CropRule((0.08, 1.0))


def draw(rule: CropRule, height: int, width: int, count: int = DRAWS, seed: int = 0) -> np.ndarray:
    return sample_boxes(rule, seed, 0, 0, np.arange(count), np.full(count, height), np.full(count, width))


def torchvision_boxes(rule: CropRule, height: int, width: int, count: int = DRAWS) -> np.ndarray:
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    return np.array([RandomResizedCrop.get_params(image, list(rule.scale), list(rule.ratio)) for _ in range(count)])


def largest_gap(first: np.ndarray, second: np.ndarray) -> float:
    """The Kolmogorov-Smirnov statistic."""
    places = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(values), places, side="right") / len(values) for values in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.mark.parametrize("rule", [LARGE, CropRule((0.4, 1.0)), CropRule((0.08, 0.4)), CropRule((0.2, 0.9), (0.3, 2.0))])
@pytest.mark.parametrize(("height", "width"), [(375, 500), (600, 200), (64, 64)])
def test_boxes_are_distributed_as_torchvisions(rule, height, width):
    ours, theirs = draw(rule, height, width), torchvision_boxes(rule, height, width)

    def features(boxes):
        top, left, box_height, box_width = boxes.astype(float).T
        free = np.maximum(height - box_height, 1), np.maximum(width - box_width, 1)
        return box_height * box_width, box_width / box_height, top, left, top / free[0], left / free[1]

    for mine, reference in zip(features(ours), features(theirs), strict=True):
        assert largest_gap(mine, reference) < 1.95 * np.sqrt(2 / DRAWS), "they differ at the 0.1% level"


SIZES = st.one_of(st.integers(1, 9), st.integers(1, 700), st.integers(1, 65535))


@settings(max_examples=300, deadline=None)
@given(
    height=SIZES,
    width=SIZES,
    low=st.floats(0.001, 1),
    high=st.floats(0.001, 1),
    seed=st.integers(0, 2**64 - 1),
)
@example(height=1, width=1, low=0.08, high=1.0, seed=0)
@example(height=1, width=500, low=0.08, high=1.0, seed=0)
@example(height=500, width=1, low=0.08, high=1.0, seed=0)
@example(height=65535, width=65535, low=1.0, high=1.0, seed=2**64 - 1)
def test_boxes_lie_within_the_image(height, width, low, high, seed):
    boxes = draw(CropRule((min(low, high), max(low, high))), height, width, count=20, seed=seed)
    top, left, box_height, box_width = boxes.T
    assert boxes.dtype == np.int32
    assert (top >= 0).all() and (left >= 0).all()
    assert (box_height >= 1).all() and (box_width >= 1).all()
    assert (top + box_height <= height).all() and (left + box_width <= width).all()


@pytest.mark.parametrize(("height", "width"), [(1, 500), (500, 1), (1, 1), (20, 900), (900, 20), (3, 4)])
def test_the_fallback_is_torchvisions(height, width):
    # Boxes of the whole area fit into none of these images but the last two.
    rule = CropRule((1.0, 1.0))
    ours = {tuple(box) for box in draw(rule, height, width, count=200).tolist()}
    theirs = {tuple(box) for box in torchvision_boxes(rule, height, width, count=200).tolist()}
    assert ours == theirs


def test_sides_round_half_to_even():
    for area, side in ((6.25, 2), (12.25, 4)):
        rule = CropRule((area / 256, area / 256), (1.0, 1.0))
        assert (draw(rule, 16, 16, count=50)[:, 2:] == side).all()


def test_every_position_is_reached():
    boxes = draw(CropRule((0.25, 0.25), (1.0, 1.0)), 8, 8)
    assert sorted(set(boxes[:, 0].tolist())) == [0, 1, 2, 3, 4]
    assert sorted(set(boxes[:, 1].tolist())) == [0, 1, 2, 3, 4]


def test_a_sample_keeps_its_box_in_any_batch():
    rng = np.random.default_rng(0)
    heights, widths = rng.integers(1, 600, (2, 64))
    whole = sample_boxes(LARGE, 5, 7, 1, np.arange(64), heights, widths)
    some = np.array([40, 3, 3, 63])
    assert (sample_boxes(LARGE, 5, 7, 1, some, heights[some], widths[some]) == whole[some]).all()
    assert (sample_boxes(LARGE, 5, 7, 0, np.arange(64), heights, widths) != whole).any()
    assert (sample_boxes(LARGE, 5, 8, 1, np.arange(64), heights, widths) != whole).any()


@pytest.mark.parametrize(
    ("scale", "ratio"),
    [((0, 1), (1, 1)), ((0.5, 0.4), (1, 1)), ((0.5, 1.5), (1, 1)), ((0.5, 1), (2, 1)), ((0.5, 1), (0, 1))],
)
def test_a_wrong_rule_cannot_be_built(scale, ratio):
    with pytest.raises(ValueError, match="low <= high"):
        CropRule(scale, ratio)
