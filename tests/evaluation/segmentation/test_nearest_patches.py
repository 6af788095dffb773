"""k-NN segmentation: the classes of cells, which of them are kept, and masks against a slow reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dataprep.errors import UserError
from tests.evaluation.segmentation.test_linear_segmentation import PALETTE, write_masked
from tests.evaluation.stand_in import MeanColour, mean_colour
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.folders import folder_pairs
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.nearest_patches.cells import cell_labels, draw_cells
from vicregl_fast.evaluation.segmentation.nearest_patches.config import NearestPatchesConfig
from vicregl_fast.evaluation.segmentation.nearest_patches.judge import (
    NearestPatches,
    NearestPatchesJudge,
    nearest_patches,
)


def write_quadrants(root: Path, count: int) -> MaskedImages:
    """32 pixel images of four quadrants, each of a class and its colour."""
    palette = np.vstack([PALETTE, (200, 200, 60)])
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for index in range(count):
        classes = np.random.default_rng(index).permutation(4).reshape(2, 2)
        mask = np.kron(classes, np.ones((16, 16), int)).astype(np.uint8)
        Image.fromarray(palette[mask].astype(np.uint8)).save(root / "images" / f"{index}.png")
        Image.fromarray(mask).save(root / "masks" / f"{index}.png")
    return MaskedImages(folder_pairs(root / "images", root / "masks"), Labels(4))


def last_maps(stride: int) -> SegmentationFeatures:
    return SegmentationFeatures(MeanColour(stride).eval(), "last")


def small(**changes: int) -> NearestPatchesConfig:
    return NearestPatchesConfig(**{"k": 3, "workers": 0, **changes})


def test_colours_that_are_classes_are_segmented_without_a_fault(tmp_path: Path) -> None:
    judge = NearestPatchesJudge(write_quadrants(tmp_path / "a", 3), write_quadrants(tmp_path / "b", 5), small())
    rows = compare([Candidate("trained", mean_colour), Candidate("random", mean_colour, False)], judge)
    shown = [{name: row.figures[name] for name in ("mIoU", "pixel accuracy")} for row in rows]
    assert shown[:2] == [{"mIoU": [100.0], "pixel accuracy": [100.0]}] * 2
    assert shown[2] == {"mIoU": [pytest.approx(6.25)], "pixel accuracy": [pytest.approx(25)]}


def test_a_cell_s_class_is_the_commonest_of_its_pixels() -> None:
    mask = torch.tensor([[0, 0, 1, 2], [0, 1, 2, 1], [-1, -1, -1, -1], [-1, 2, -1, -1]])
    # Top right: 1 and 2 are equally common. Below, ignored pixels have no say, and the last cell has no other.
    assert cell_labels(mask, 2, 2, 3).tolist() == [0, 1, 2, IGNORED]
    # Five columns in two cells: the centre of the middle one lies on the border, and belongs to the right.
    assert cell_labels(torch.tensor([[0, 0, 1, 1, 2]]), 1, 2, 3).tolist() == [0, 1]
    # More cells than pixels: a pixel is in one of them.
    assert cell_labels(torch.tensor([[1, 0]]), 1, 4, 3).tolist() == [IGNORED, 1, IGNORED, 0]


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7), (1, 3)])
def test_cells_are_as_a_plain_count_finds_them(tmp_path: Path, height: int, width: int) -> None:
    mask = write_masked(tmp_path, 1, seed=0)[0].mask
    expected = []
    for row in range(height):
        for column in range(width):
            counts = [0, 0, 0]
            for y in range(48):
                for x in range(48):
                    inside = row <= (y + 0.5) * height / 48 < row + 1 and column <= (x + 0.5) * width / 48 < column + 1
                    if inside and mask[y, x] != IGNORED:
                        counts[mask[y, x]] += 1
            expected.append(int(np.argmax(counts)) if sum(counts) else IGNORED)
    assert cell_labels(mask, height, width, 3).tolist() == expected


def slow_shares(train_nc: np.ndarray, labels_n: np.ndarray, cell_c: np.ndarray, k: int) -> np.ndarray:
    """The vote of the k nearest of one cell, by the formula."""
    mean, deviation = train_nc.mean(0), train_nc.std(0)
    bank, query = (train_nc - mean) / deviation, (cell_c - mean) / deviation
    cosines = bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
    shares = np.zeros(3)
    for place in np.argsort(-cosines)[:k]:
        shares[labels_n[place]] += np.exp(cosines[place] / 0.07)
    return shares / shares.sum()


def test_votes_are_those_of_a_slow_reference(tmp_path: Path) -> None:
    train, val = write_masked(tmp_path / "train", 2, seed=0), write_masked(tmp_path / "val", 1, seed=1)
    features = last_maps(6)  # cells of several colours, since blocks have 8 pixels
    features_nc, labels_n = draw_cells(features, train, range(len(train)), 1000, 0, workers=0)
    assert len(labels_n) == 2 * 64 and (labels_n >= 0).all()
    maps = torch.rand(2, 3, 3, 4, generator=torch.Generator().manual_seed(0)) * 3 - 1
    shares = NearestPatches(features_nc, labels_n, 3, k=7)(maps)
    assert shares.shape == (2, 3, 3, 4)
    for sample, row, column in np.ndindex(2, 3, 4):
        expected = slow_shares(features_nc.double().numpy(), labels_n.numpy(), maps[sample, :, row, column].numpy(), 7)
        assert np.allclose(shares[sample, :, row, column], expected, atol=1e-4)
    assert (shares.max(1).values < 0.99).any()  # some votes are not unanimous

    # The figures are those of these votes, resized and counted by hand.
    figures = NearestPatchesJudge(train, val, small(k=7)).judge(features.backbone, 0).figures
    with torch.no_grad():
        votes = nearest_patches(features, train, range(2), small(k=7), 0)(
            features.backbone(normalised(val[0].pixels)).map
        )
    answers = torch.nn.functional.interpolate(votes, (48, 48), mode="bilinear", align_corners=False)[0].argmax(0)
    counted = val[0].mask != IGNORED
    assert figures["pixel accuracy"] == pytest.approx(100 * (answers == val[0].mask)[counted].float().mean().item())


def normalised(pixels: Tensor) -> Tensor:
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return ((pixels / 255 - mean) / deviation)[None]


def test_too_many_cells_are_drawn_with_equal_chances(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = write_masked(tmp_path, 6, seed=0)
    features = last_maps(8)
    whole, labels = draw_cells(features, train, range(len(train)), 1000, 0, workers=0)
    assert len(whole) == 6 * 36
    places = {tuple(row): place for place, row in enumerate(whole.tolist())}
    drawn, counts = set(), np.zeros(len(whole))
    for seed in range(60):
        features_nc, labels_n = draw_cells(features, train, range(len(train)), 30, seed, workers=0)
        found = [places[tuple(row)] for row in features_nc.tolist()]
        assert found == sorted(set(found)) and len(found) == 30
        assert torch.equal(labels_n, labels[found])
        drawn.add(tuple(found))
        counts[found] += 1
    assert len(drawn) == 60
    per_image = counts.reshape(6, 36).sum(1)  # 300 expected, standard deviation 15
    assert (abs(per_image - 300) < 60).all()
    assert "30 of 216 training cells with a class are drawn" in capsys.readouterr().err


def test_the_seed_has_a_say_only_where_cells_are_drawn(tmp_path: Path) -> None:
    train = write_masked(tmp_path, 2, seed=0)
    backbone = last_maps(8).backbone
    drew = [NearestPatchesJudge(train, train, small(k=3, bank=bank)).judge(backbone, 0).drew for bank in (20, 500)]
    assert drew == [True, False]


def test_too_few_cells_are_said(tmp_path: Path) -> None:
    train = write_masked(tmp_path, 1, seed=0)
    with pytest.raises(UserError, match="--k is 37, but only 36 training cells have a class"):
        nearest_patches(last_maps(8), train, range(1), small(k=37), 0)
    with pytest.raises(UserError, match="--bank is 3, but must be 20 or more"):
        NearestPatchesConfig(bank=3)
