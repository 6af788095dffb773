"""Predicted masks: what is predicted, in which colours, and where it stands."""

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.segmentation.test_linear_segmentation import IGNORED, LABELS, write_masked
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.segmentation.config import Labels
from vicregl_fast.visualization.mask_sheet import class_palette, coloured, draw_masks
from vicregl_fast.visualization.predicted_masks import PredictedMask, SomeMaskedImages, learn_cells, predict_masks


@pytest.mark.parametrize("by", ["linear", "nearest"])
def test_masks_of_colours_are_predicted(tmp_path: Path, by: str) -> None:
    train, val = write_masked(tmp_path / "train", 8, seed=0), write_masked(tmp_path / "val", 3, seed=1)
    backbone = MeanColour(stride=4).eval()
    some = SomeMaskedImages(val, 2, seed=0)
    assert len(some) == 2 and some.labels == LABELS
    made = predict_masks(backbone, learn_cells(backbone, train, by, seed=0, workers=0), some, workers=0)
    assert len(made) == 2
    for each, item in zip(made, (some[0], some[1]), strict=True):
        assert np.array_equal(each.image, item.pixels.permute(1, 2, 0)) and np.array_equal(each.truth, item.mask)
        accuracy = each.accuracy(LABELS)
        assert accuracy is not None and accuracy > 0.9
        figure = draw_masks([each], LABELS, by)
        seen = [axes.images[0].get_array() for axes in figure.axes]
        counted = each.truth != IGNORED
        assert (seen[1] == seen[2]).all(2)[counted].mean() == pytest.approx(accuracy)
        assert (seen[1][~counted] == 255).all()
        assert f"{accuracy:.0%} of pixels right" in figure.axes[2].get_title()


def test_some_of_the_images_are_drawn(tmp_path: Path) -> None:
    whole = write_masked(tmp_path, 6, seed=0)
    some = [SomeMaskedImages(whole, 3, seed) for seed in (0, 1)]
    pixels = [whole[index].pixels for index in range(6)]
    places = [[next(k for k in range(6) if (each[i].pixels == pixels[k]).all()) for i in range(3)] for each in some]
    assert all(len(set(found)) == 3 for found in places) and places[0] != places[1]
    assert len(SomeMaskedImages(whole, 100, 0)) == 6


def test_accuracy_leaves_the_ignored_out() -> None:
    mask = np.array([[0, 1], [IGNORED, 2]])
    assert PredictedMask(np.zeros((2, 2, 3), np.uint8), mask, np.array([[0, 2], [0, 2]])).accuracy(LABELS) == 2 / 3
    nothing = np.full((2, 2), IGNORED)
    assert PredictedMask(np.zeros((2, 2, 3), np.uint8), nothing, mask).accuracy(LABELS) is None


@pytest.mark.parametrize("classes", [2, 10, 11, 19, 20, 150])
def test_every_class_has_a_colour_of_its_own(classes: int) -> None:
    palette = class_palette(classes)
    assert palette.shape == (classes, 3) and len(np.unique(palette, axis=0)) == classes
    assert (np.ptp(palette[1:].astype(int), axis=1) > 20).all()  # none but class 0 is a grey, nor white as the ignored


def test_the_legend_names_what_is_seen() -> None:
    labels = Labels(12, 255)
    mask = np.array([[3, 3, 255], [7, 3, 0]])
    made = PredictedMask(np.zeros((2, 3, 3), np.uint8), mask, np.where(mask == 255, 11, mask))
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
