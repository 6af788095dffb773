"""Predicted masks: what is predicted, in which colours, and where it stands."""

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.segmentation.test_linear_segmentation import LABELS, write_masked
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels
from vicregl_fast.visualization.mask_sheet import class_palette, coloured, draw_masks
from vicregl_fast.visualization.predicted_masks import PredictedMask, learn_cells, predict_masks


@pytest.mark.parametrize("by", ["linear", "nearest"])
def test_masks_of_colours_are_predicted(tmp_path: Path, by: str) -> None:
    train, val = write_masked(tmp_path / "train", 8, seed=0), write_masked(tmp_path / "val", 3, seed=1)
    features = SegmentationFeatures(MeanColour(stride=4).eval(), "last")
    classify = learn_cells(features, train, range(6), by, seed=0, workers=0)
    made = predict_masks(features, classify, val, [2, 0], workers=0)
    assert len(made) == 2
    for each, item in zip(made, (val[2], val[0]), strict=True):
        assert np.array_equal(each.image, item.pixels.permute(1, 2, 0)) and np.array_equal(each.truth, item.mask)
        accuracy = each.accuracy
        assert accuracy is not None and accuracy > 0.9
        figure = draw_masks([each], LABELS, by)
        seen = [axes.images[0].get_array() for axes in figure.axes]
        counted = each.truth != IGNORED
        assert (seen[1] == seen[2]).all(2)[counted].mean() == pytest.approx(accuracy)
        assert (seen[1][~counted] == 255).all()
        assert f"{accuracy:.0%} of pixels right" in figure.axes[2].get_title()


def test_accuracy_leaves_the_ignored_out() -> None:
    mask = np.array([[0, 1], [IGNORED, 2]])
    assert PredictedMask(np.zeros((2, 2, 3), np.uint8), mask, np.array([[0, 2], [0, 2]])).accuracy == 2 / 3
    nothing = np.full((2, 2), IGNORED)
    assert PredictedMask(np.zeros((2, 2, 3), np.uint8), nothing, mask).accuracy is None


@pytest.mark.parametrize("classes", [2, 10, 11, 19, 20, 150])
def test_every_class_has_a_colour_of_its_own(classes: int) -> None:
    palette = class_palette(classes)
    assert palette.shape == (classes, 3) and len(np.unique(palette, axis=0)) == classes
    assert (np.ptp(palette[1:].astype(int), axis=1) > 20).all()  # none but class 0 is a grey, nor white as the ignored


def test_the_legend_names_what_is_seen() -> None:
    labels = Labels(12, 255)
    mask = np.array([[3, 3, IGNORED], [7, 3, 0]])
    made = PredictedMask(np.zeros((2, 3, 3), np.uint8), mask, np.where(mask == IGNORED, 11, mask))
    figure = draw_masks([made, made], labels, "linear head of 5 images")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0", "3", "7", "11", "ignored"]
    palette = class_palette(12)
    for key, label in zip(legend.get_patches(), (0, 3, 7, 11), strict=False):
        assert np.allclose(np.array(key.get_facecolor()[:3]) * 255, palette[label])
    assert [axes.get_title() for axes in figure.axes] == [
        "image", "mask", "predicted, linear head of 5 images\n100% of pixels right", "", "", "100% of pixels right"
    ]  # fmt: skip
    assert coloured(mask, labels)[0].tolist() == [[*palette[3]], [*palette[3]], [255, 255, 255]]


def test_what_is_ignored_has_an_end_on_the_page() -> None:
    nothing = np.full((40, 40), IGNORED)
    figure = draw_masks([PredictedMask(np.zeros((40, 40, 3), np.uint8), nothing, nothing)], LABELS, "x")
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    left, bottom, right, top = (round(each) for each in figure.axes[1].get_window_extent().extents)
    inside = pixels[len(pixels) - top + 5 : len(pixels) - bottom - 5, left + 5 : right - 5]
    across = pixels[len(pixels) - (bottom + top) // 2, left - 4 : left + 5]
    assert (inside == 255).all() and across.min() < 200
