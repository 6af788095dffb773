"""k-NN: the whole way from class folders to a table."""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.evaluation.stand_in import MeanColour, mean_colour
from vicregl_fast.data.open_images import open_images
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.chosen_images import open_chosen
from vicregl_fast.evaluation.classification.config import KnnConfig, counts
from vicregl_fast.evaluation.classification.crop_feed import CentreCropFeed, CropFeeds
from vicregl_fast.evaluation.classification.features import pooled_features
from vicregl_fast.evaluation.classification.knn import KnnJudge
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.report import Row

COLOURS = {"blue": (0, 0, 230), "green": (0, 230, 0), "red": (230, 0, 0), "yellow": (230, 230, 0)}


def write_class_folders(root: Path, counts: dict[str, int]) -> Path:
    """Images of one colour with some noise, sorted into folders by their colour."""
    generator = np.random.default_rng(len(str(root)))
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.clip(np.array(COLOURS[name]) + generator.integers(-20, 20, (24, 32, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{index}.jpg", quality=95)
    return root


def small(**changes: Any) -> KnnConfig:
    return KnnConfig(**{"k": (3,), "size": 16, "batch_size": 4, "workers": 0, **changes})


def centre_feed(folder: Path, size: int, batch_size: int = 4) -> CentreCropFeed:
    return CropFeeds(size, batch_size, 0, torch.device("cpu")).centre(open_chosen(folder, None).opened)


def test_a_centre_crop_takes_the_middle_of_the_image(tmp_path: Path) -> None:
    """A 16×32 image whose red is 5 × column: the crop of 14 pixels starts at column 9, and is resized to 7."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[..., 0] = 5 * np.arange(32)
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "ramp.png")
    ((indices, crops),) = centre_feed(tmp_path, 7).batches(np.arange(2))
    assert indices.tolist() == [0, 1] and crops.shape == (2, 3, 7, 7)
    red = (crops[1, 0] * 0.229 + 0.485) * 255
    # Column k of the crop lies between the image's columns 9 + 2k and 10 + 2k, but for what the edge does to its ends.
    expected = 5 * (9.5 + 2 * torch.arange(7.0))
    assert (red - expected)[:, 1:-1].abs().max() < 1.0


def test_pooled_features_come_in_order(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, {"red": 2, "blue": 2})
    crops, cpu = centre_feed(folder, 16, batch_size=3), torch.device("cpu")
    # Classes by name: blue, blue, red, red.
    features = pooled_features(MeanColour().eval(), crops, np.arange(4), cpu)
    assert features[:, 2].gt(1).tolist() == [True, True, False, False]
    assert features[:, 0].gt(1).tolist() == [False, False, True, True]
    chosen = np.array([3, 0, 2])
    assert torch.equal(pooled_features(MeanColour().eval(), crops, chosen, cpu), features[chosen])


def test_colour_classes_are_told_apart_and_the_majority_class_is_shown(tmp_path: Path) -> None:
    train = open_chosen(write_class_folders(tmp_path / "train", {"red": 5, "green": 4, "blue": 3}), None)
    test = open_chosen(write_class_folders(tmp_path / "test", {"red": 1, "green": 2, "blue": 1}), None)
    candidates = [Candidate("trained", mean_colour), Candidate("random", mean_colour, False)]
    assert compare(candidates, KnnJudge(train, test, small())) == [
        Row("trained", {"accuracy": [100.0]}),
        Row("random", {"accuracy": [100.0]}),
        Row("majority class", {"accuracy": [25.0]}),
    ]


def test_test_images_of_unknown_classes_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Blue comes first, so that the others have other numbers than among the training images."""
    train = open_chosen(write_class_folders(tmp_path / "train", {"red": 5, "green": 4}), None)
    test = open_chosen(write_class_folders(tmp_path / "test", {"red": 1, "green": 3, "blue": 4}), None)
    assert compare([Candidate("trained", mean_colour)], KnnJudge(train, test, small())) == [
        Row("trained", {"accuracy": [100.0]}),
        Row("majority class", {"accuracy": [25.0]}),
    ]
    told = capsys.readouterr().err
    assert "test has 2 of the 2 classes; they are matched by name" in told
    assert re.search(r"test has 4 images of 1 classes that .*train lacks, which are left out: blue", told)


def test_each_k_and_each_vote_has_a_figure(tmp_path: Path) -> None:
    """Ten blue training images outvote five red ones as soon as the k of a plain vote takes them in."""
    train = open_chosen(write_class_folders(tmp_path / "train", {"red": 5, "blue": 10}), None)
    test = open_chosen(write_class_folders(tmp_path / "test", {"red": 3, "blue": 1}), None)
    judge = KnnJudge(train, test, small(k=(1, 15), vote="both"))
    assert compare([Candidate("trained", mean_colour)], judge) == [
        Row("trained", {"k 1": [100.0], "k 15": [100.0], "k 1 plain": [100.0], "k 15 plain": [25.0]}),
        Row("majority class", {"k 1": [25.0], "k 15": [25.0], "k 1 plain": [25.0], "k 15 plain": [25.0]}),
    ]


@pytest.mark.parametrize("text", ["", "0", "5,", "5,5", "-1", "a", "1.5"])
def test_wrong_numbers_of_neighbours_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="whole numbers above 0"):
        counts(text)
    assert counts("20,10") == (10, 20)


def test_only_the_untrained_network_is_re_estimated(tmp_path: Path) -> None:
    images = open_chosen(write_class_folders(tmp_path, {"red": 4, "blue": 4}), None)
    trained, untrained = MeanColour().eval(), MeanColour().eval()
    compare(
        [Candidate("a", lambda _: trained), Candidate("b", lambda _: untrained, trained=False)],
        KnnJudge(images, images, small()),
    )
    assert trained.norm.running_mean.tolist() == [0, 0, 0]
    # Half the images are red (230), half are not (0), in normalised units.
    expected = ((230 + 6) / 2 / 255 - 0.485) / 0.229
    assert untrained.norm.running_mean[0].item() == pytest.approx(expected, abs=0.1)


def test_a_store_gives_what_its_folder_gives(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "images", {"red": 3, "green": 3})
    write_store(list_images(folder), tmp_path / "images.beton")
    from_folder, from_store = open_images(folder), open_images(tmp_path / "images.beton")
    assert from_folder.labels is not None and from_store.labels is not None
    assert from_store.labels.tolist() == from_folder.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert from_store.classes == ("green", "red")
    for index in range(6):
        assert np.array_equal(from_store.open(index), from_folder.open(index))


def test_wrong_inputs_end_in_a_sentence(tmp_path: Path) -> None:
    train = write_class_folders(tmp_path / "train", {"red": 2, "green": 2})
    other = write_class_folders(tmp_path / "other", {"blue": 2, "yellow": 1})
    candidates = [Candidate("trained", mean_colour)]
    with pytest.raises(UserError, match=r"other and .*train have no class in common: those .* blue, yellow, "):
        compare(candidates, KnnJudge(open_chosen(train, None), open_chosen(other, None), small()))
    with pytest.raises(UserError, match=r"--k is 9, but there are only 4 training images"):
        compare(candidates, KnnJudge(open_chosen(train, None), open_chosen(train, None), small(k=(2, 9))))
    with pytest.raises(UserError, match=r"--size is 0, but must be 1 or more"):
        small(size=0)
    with pytest.raises(UserError, match=r"red has no labels"):
        compare(candidates, KnnJudge(open_chosen(train / "red", None), open_chosen(train, None), small()))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named_without_a_traceback(tmp_path: Path, workers: int) -> None:
    folder = write_class_folders(tmp_path, {"red": 2, "green": 2})
    (folder / "green" / "1.jpg").write_bytes(b"no image")
    images = open_chosen(folder, None)
    with pytest.raises(UserError) as raised:
        compare([Candidate("trained", mean_colour)], KnnJudge(images, images, small(workers=workers)))
    assert "green/1.jpg" in str(raised.value)
    assert "\n" not in str(raised.value)
