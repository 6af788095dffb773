"""Linear segmentation: the score, the masks, the batches, and a set that a linear head can learn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from tests.evaluation.stand_in import mean_colour
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.segmentation import labels
from vicregl_fast.evaluation.segmentation.config import SegmentationConfig
from vicregl_fast.evaluation.segmentation.folders import folder_pairs
from vicregl_fast.evaluation.segmentation.labels import Labels
from vicregl_fast.evaluation.segmentation.linear_segmentation import SegmentationJudge
from vicregl_fast.evaluation.segmentation.map_batches import same_size_batches
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages, read_all
from vicregl_fast.evaluation.segmentation.score import SegmentationScore, majority_figures

IGNORED = 9
LABELS = Labels(3, IGNORED)
PALETTE = np.array([(220, 30, 30), (30, 220, 30), (30, 30, 220)])


def write_masked(root: Path, count: int, seed: int, side: int = 48) -> MaskedImages:
    """Images of 8 pixel blocks whose colours are their classes, with a stripe that is ignored."""
    generator = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder / "nested").mkdir(parents=True)
    for index in range(count):
        blocks = generator.choice(3, (side // 8, side // 8), p=(0.5, 0.3, 0.2))
        mask = np.kron(blocks, np.ones((8, 8), int)).astype(np.uint8)
        pixels = np.clip(PALETTE[mask] + generator.integers(-25, 25, (*mask.shape, 3)), 0, 255).astype(np.uint8)
        mask[:2] = IGNORED
        Image.fromarray(pixels).save(root / "images" / "nested" / f"{index}.png")
        Image.fromarray(mask).save(root / "masks" / "nested" / f"{index}.png")
    return masked(root)


def masked(root: Path) -> MaskedImages:
    return MaskedImages(folder_pairs(root / "images", root / "masks"), LABELS)


def first_mask(root: Path) -> Path:
    return root / "masks" / "nested" / "0.png"


def test_the_score_is_the_hand_computed_one() -> None:
    """Two images, counted as one set. Class 3 occurs nowhere: left out; class 2 is only predicted: 0."""
    score = SegmentationScore(Labels(4, names=("sky", "sea", "sand", "salt")))
    score.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 0, 0, labels.IGNORED]]))
    score.update(torch.tensor([[1, 1, 2, 3]]), torch.tensor([[1, 0, 1, labels.IGNORED]]))
    # Class 0: predicted 2, true 4, both 2. Class 1: predicted 3, true 2, both 1. Class 2: predicted 1.
    assert score.figures() == {
        "mIoU": pytest.approx(100 * (2 / 4 + 1 / 4 + 0) / 3),
        "pixel accuracy": pytest.approx(100 * 3 / 6),
        "IoU/sky": 50,
        "IoU/sea": 25,
        "IoU/sand": 0,
    }


def test_the_majority_row_predicts_the_commonest_training_class() -> None:
    # Class 1 everywhere: IoU 3 / 9; class 0 is 0 of 6; class 2 occurs nowhere.
    figures = majority_figures(torch.tensor([1, 8, 2]), torch.tensor([6, 3, 0]), LABELS)
    by_class = {"IoU/0": 0, "IoU/1": pytest.approx(100 / 3)}
    assert figures == {"mIoU": pytest.approx(100 / 6), "pixel accuracy": pytest.approx(100 / 3)} | by_class


@pytest.mark.parametrize("pixels", [[4, 0, 9], [4, 5, 0], [1, 2, 3], [0, 7, 0], [2, 0, 0]])
def test_the_majority_row_is_scored_like_any_prediction(pixels: list[int]) -> None:
    masks = torch.arange(3).repeat_interleave(torch.tensor(pixels))
    score = SegmentationScore(LABELS)
    score.update(torch.full_like(masks, 1), masks)
    assert majority_figures(torch.tensor([1, 8, 2]), torch.tensor(pixels), LABELS) == pytest.approx(score.figures())


@pytest.mark.parametrize("protocol", ["cached", "augmented"])
def test_a_linear_head_learns_colours(tmp_path: Path, protocol: str) -> None:
    train, val = write_masked(tmp_path / "train", 12, seed=0), write_masked(tmp_path / "val", 4, seed=1)
    crop = (40, 40) if protocol == "augmented" else None
    config = SegmentationConfig(protocol, iterations=60, batch_size=4, lr=(0.5,), crop=crop, workers=0)
    candidates = [Candidate("trained", mean_colour), Candidate("random", mean_colour, False)]
    rows = compare(candidates, SegmentationJudge(train, val, config))
    assert [row.name for row in rows] == ["trained", "random", "majority class"]
    assert rows[0].figures["mIoU"][0] > 90 and rows[0].figures["pixel accuracy"][0] > 90
    assert rows[1].figures["mIoU"][0] > 90
    assert rows[2].figures["mIoU"][0] < 25

    again = compare([Candidate("trained", mean_colour)], SegmentationJudge(train, val, config))
    assert again[0] == rows[0]


def test_crops_of_a_single_cell_are_refused_one_by_one(tmp_path: Path) -> None:
    data = write_masked(tmp_path, 2, seed=0)
    config = SegmentationConfig("augmented", iterations=2, batch_size=1, crop=(4, 4), workers=0)
    with pytest.raises(UserError, match=r"a single cell, .*: raise --batch_size"):
        SegmentationJudge(data, data, config).judge(mean_colour(0), 0)


def test_pixels_of_classes_leave_the_ignored_out(tmp_path: Path) -> None:
    data = write_masked(tmp_path, 3, seed=0)
    masks = torch.stack([data[index].mask for index in range(3)])
    assert read_all(data, workers=0).pixels.tolist() == [int((masks == label).sum()) for label in range(3)]
    assert read_all(data, workers=0).pixels.sum() == 3 * 48 * 46


def test_batches_hold_one_size_and_an_epoch_holds_every_sample_once() -> None:
    sizes = [(3, 2) if index % 3 else (2, 3) for index in range(20)]
    batches = list(same_size_batches(sizes, 4, range(20)))
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    assert all(len({sizes[index] for index in batch}) == 1 for batch in batches)
    assert sorted(len(batch) for batch in batches) == [1, 3, 4, 4, 4, 4]


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    write_masked(tmp_path, 2, seed=0)
    first_mask(tmp_path).unlink()
    with pytest.raises(UserError, match=r"nested/0.png has no mask: .*masks needs a file nested/0.png; .*--train_list"):
        masked(tmp_path)


def test_two_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    write_masked(tmp_path, 2, seed=0)
    Image.new("L", (48, 48)).save(first_mask(tmp_path).with_suffix(".bmp"))
    with pytest.raises(UserError, match="two masks of one name"):
        masked(tmp_path)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (Image.new("L", (48, 40)), r"masks/nested/0.png is 48x40, but its image .*0.png is 48x48"),
        (
            Image.new("L", (48, 48), 3),
            r"masks/nested/0.png holds the label 3, but classes are 0 to 2 and 9 is ign",
        ),
        (Image.new("RGB", (48, 48), "red"), r"masks/nested/0.png is a colour picture"),
    ],
)
def test_a_bad_mask_is_named_before_the_work_begins(
    tmp_path: Path, mask: Image.Image, sentence: str, workers: int
) -> None:
    train = write_masked(tmp_path / "train", 2, seed=0)
    val = write_masked(tmp_path / "val", 2, seed=1)
    mask.save(first_mask(tmp_path / "val"))

    def candidates():
        raise AssertionError("the work began")
        yield

    with pytest.raises(UserError, match=sentence) as raised:
        compare(candidates(), SegmentationJudge(train, val, SegmentationConfig(workers=workers)))
    assert "\n" not in str(raised.value)


def test_masks_of_nothing_but_ignored_pixels_are_refused(tmp_path: Path) -> None:
    data = write_masked(tmp_path, 1, seed=0)
    Image.new("L", (48, 48), IGNORED).save(first_mask(tmp_path))
    with pytest.raises(UserError, match=r"hold no class and 2304 pixels .* value 9, .* is 9 the foreground"):
        read_all(data, workers=0)


def test_palette_and_16_bit_masks_are_class_numbers(tmp_path: Path) -> None:
    values = np.arange(48 * 48).reshape(48, 48) % 3
    data = write_masked(tmp_path, 1, seed=0)
    palette = Image.fromarray(values.astype(np.uint8))
    palette = palette.convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    for image in (palette, Image.fromarray(values.astype(np.uint16))):
        image.save(first_mask(tmp_path))
        assert torch.equal(data[0].mask, torch.from_numpy(values))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match=r"--iterations is 0, but must be 1 or more"):
        SegmentationConfig(iterations=0)
    with pytest.raises(UserError, match=r"--lr is -1"):
        SegmentationConfig(lr=(-1.0,))
    with pytest.raises(UserError, match="1 classes is no task"):
        Labels(1, 255)
