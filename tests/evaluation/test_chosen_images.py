"""A list chooses images of a store as it does those of the store's folder."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.data.shards import write_small_shards
from tests.evaluation.classification.test_knn import write_class_folders
from tests.evaluation.stand_in import mean_colour
from vicregl_fast.data.source import is_store
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.chosen_images import ChosenImages, open_chosen
from vicregl_fast.evaluation.classification.config import KnnConfig, LinearConfig
from vicregl_fast.evaluation.classification.crop_feed import RandomCropFeed
from vicregl_fast.evaluation.classification.knn import KnnJudge
from vicregl_fast.evaluation.classification.labels import matched_labels
from vicregl_fast.evaluation.classification.linear import LinearJudge
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.report import Row

LINES = ("red/2.jpg\tsome label", "green/1", "red/0.jpg", "green/0.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "list.txt").write_text("\n".join(LINES))
    return write_class_folders(tmp_path / "images", {"blue": 3, "green": 3, "red": 4})


@pytest.fixture(params=["folder", "store", "shards"])
def images(request: pytest.FixtureRequest, folder: Path) -> Path:
    """The same images, as a folder or a store."""
    if request.param == "store":
        write_store(list_images(folder), folder.with_suffix(".beton"), workers=1)
        return folder.with_suffix(".beton")
    if request.param == "shards":
        pytest.importorskip("nvidia.dali")
        write_small_shards(list_images(folder), folder.with_name("shards"), 1)
        return folder.with_name("shards")
    return folder


def labels_of(chosen: ChosenImages) -> list[int]:
    assert chosen.store.labels is not None
    return chosen.store.labels[chosen.indices].tolist()


def test_a_list_chooses_in_its_order(images: Path, tmp_path: Path) -> None:
    chosen = open_chosen(images, tmp_path / "list.txt")
    assert len(chosen) == 4 and labels_of(chosen) == [2, 1, 2, 1]
    assert labels_of(open_chosen(images, None)) == [0] * 3 + [1] * 3 + [2] * 4


def test_only_what_is_listed_is_learned_from_and_tested(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of k-NN, blue images, which are not listed, get a wrong answer each."""
    (tmp_path / "one.txt").write_text("green/2.jpg\n")
    train, test = open_chosen(images, tmp_path / "list.txt"), open_chosen(images, None)
    config = KnnConfig(k=(1,), size=16, batch_size=3, workers=0)
    knn = KnnJudge(train, test, config)
    rows = [Row("trained", {"accuracy": [70.0]}), Row("majority class", {"accuracy": [30.0]})]
    assert compare([Candidate("trained", mean_colour)], knn) == rows
    linear = LinearConfig(lr=(3.0,), epochs=30, computed_epochs=2, size=16, batch_size=3, workers=0)
    learned: set[int] = set()
    batches = RandomCropFeed.batches

    def noting(self: RandomCropFeed, order: np.ndarray, epoch: int) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        learned.update(order.tolist())
        return batches(self, order, epoch)

    monkeypatch.setattr(RandomCropFeed, "batches", noting)
    judged = compare([Candidate("trained", mean_colour)], LinearJudge(train, train, linear))
    assert judged[0] == Row("trained", {"accuracy": [100.0]}) and learned == set(train.indices.tolist())
    one = KnnJudge(train, open_chosen(images, tmp_path / "one.txt"), config)
    assert compare([Candidate("trained", mean_colour)], one)[0] == Row("trained", {"accuracy": [100.0]})
    matched = matched_labels(train, test)
    assert sorted(matched.batchnorm_sample(0).tolist()) == sorted(train.indices.tolist())


def test_classes_are_those_of_the_chosen_images(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Of the training images blue is not on the list; of the test images red alone is, or two that nothing knows."""
    other = write_class_folders(tmp_path / "other", {"blue": 2, "red": 2, "yellow": 3})
    (tmp_path / "known.txt").write_text("red/0.jpg\nblue/1.jpg\nyellow/0.jpg\nyellow/2.jpg\n")
    (tmp_path / "unknown.txt").write_text("yellow/0.jpg\nyellow/2.jpg\n")
    write_store(list_images(other), tmp_path / "other.beton", workers=1)
    train = open_chosen(images, tmp_path / "list.txt")
    for path in (other, tmp_path / "other.beton"):
        matched = matched_labels(train, open_chosen(path, tmp_path / "known.txt"))
        assert matched.test_t.tolist() == [2, 0] and matched.train_n.tolist() == [2, 1, 2, 1] and matched.classes == 3
        told = capsys.readouterr().err
        assert f"{path} has 2 of the 3 classes" in told
        assert re.search(rf"{path} has 2 images of 1 classes that .* lacks, which are left out: yellow\n", told)
        with pytest.raises(UserError, match=r"no class in common: those of the test images are yellow, those of .*red"):
            matched_labels(train, open_chosen(path, tmp_path / "unknown.txt"))


def test_a_single_class_folder_is_a_class_that_the_training_images_know(images: Path, tmp_path: Path) -> None:
    train = open_chosen(images, None)
    for name, labels in (("red", "auto"), ("red", "folders")):
        one = open_chosen(write_class_folders(tmp_path / labels, {name: 3}), None, labels, like=train)
        assert matched_labels(train, one).test_t.tolist() == [2, 2, 2]
    with pytest.raises(UserError, match="yellow_only has no labels"):
        unknown = open_chosen(write_class_folders(tmp_path / "yellow_only", {"yellow": 2}), None, like=train)
        matched_labels(train, unknown)


def test_a_list_that_may_leave_images_out_is_known(images: Path, tmp_path: Path) -> None:
    """What lies in a folder beside the images of a list is not looked at."""
    counts = {"blue": 3, "green": 3, "red": 4}
    everything = [f"{name}/{number}.jpg\n" for name, count in counts.items() for number in range(count)]
    (tmp_path / "all.txt").write_text("".join(everything))
    assert open_chosen(images, None).complete and not open_chosen(images, tmp_path / "list.txt").complete
    assert open_chosen(images, tmp_path / "all.txt").complete == is_store(images)


def test_a_list_of_other_images_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("red/1.jpg\nred/9.jpg\n")
    with pytest.raises(UserError, match=r"1 of the 2 entries of .*list\.txt are no images in .*images"):
        open_chosen(images, tmp_path / "list.txt")
