"""A value is the same grey in the images for training and in those for validation, of which each folder has its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import read_manifest
from dataprep.sources import list_images
from dataprep.value_range import FULL, ValueRange
from tests.dataprep.files import deep_png
from vicregl_fast.config import parse_config
from vicregl_fast.data.open_images import open_images
from vicregl_fast.data.shared_range import range_of
from vicregl_fast.data.store import Store
from vicregl_fast.training.feeds import open_stores, sources
from vicregl_fast.training.processes import Processes

pytestmark = pytest.mark.timeout(120)
ALONE = Processes(0, 1, torch.device("cpu"))
TWELVE = ValueRange(0, 4095)


def folder_of(path: Path, largest: int) -> Path:
    """Grey images of the value 800, the last with one pixel that is ``largest``."""
    path.mkdir()
    for number in range(3):
        values = np.full((16, 16, 1), 800, np.uint16)
        values[0, 0] = largest if number == 2 else 800
        (path / f"{number}.png").write_bytes(deep_png(values))
    return path


def opened(train: Path, val: Path, cache: Path, *more: str) -> list[Store]:
    data = parse_config([f"--data.path={train}", f"--data.val_path={val}", *more]).data
    first, second = open_stores(data, sources(data, cache), ALONE)
    assert second is not None
    return [first.store, second.store]


@pytest.mark.parametrize("engine", ["ffcv", "torchvision"])
def test_validation_takes_the_range_of_training(
    tmp_path: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val = folder_of(tmp_path / "train", 4000), folder_of(tmp_path / "val", 900)
    options = (tmp_path / "cache", f"--data.engine={engine}")
    stores = opened(train, val, *options)
    assert [range_of(store) for store in stores] == [TWELVE, TWELVE]
    said = capsys.readouterr().err
    assert "hold values up to 4000: taken as 12 bits" in said and "10 bits" not in said
    assert f"of {val} hold values up to 900, and are taken as 12 bits, like those of {stores[0].path}" in said
    for store in stores:
        images = store if engine == "torchvision" else open_images(store.path)
        assert abs(np.asarray(images.open(1)).astype(int) - (800 >> 4)).max() <= 1  # type: ignore[attr-defined]
    again = opened(train, val, *options)
    assert [store.path for store in again] == [store.path for store in stores]
    assert "converted once" not in capsys.readouterr().err


def test_a_store_of_another_range_is_not_taken(tmp_path: Path) -> None:
    """As a run has left it that was begun with each folder's own."""
    train, val = folder_of(tmp_path / "train", 4000), folder_of(tmp_path / "val", 900)
    (own,) = (opened(val, val, tmp_path / "cache")[0],)
    assert range_of(own) == ValueRange(0, 1023)
    shared = opened(train, val, tmp_path / "cache")[1]
    assert range_of(shared) == TWELVE and shared.path != own.path
    val.rename(tmp_path / "moved")
    assert opened(train, tmp_path / "moved", tmp_path / "cache")[1].path == shared.path


@pytest.mark.parametrize("engine", ["ffcv", "torchvision"])
def test_values_beyond_the_range_of_training_are_refused(tmp_path: Path, engine: str) -> None:
    train, val = folder_of(tmp_path / "train", 4000), folder_of(tmp_path / "val", 9000)
    says = r"val hold values up to 9000, and those of .*train.*, .* end at 4095: give one .*--data\.range"
    with pytest.raises(UserError, match=says):
        opened(train, val, tmp_path / "cache", f"--data.engine={engine}")
    options = (tmp_path / "cache", f"--data.engine={engine}", "--data.range=0,16383")
    assert [range_of(store) for store in opened(train, val, *options)] == [ValueRange(0, 16383, given=True)] * 2


def test_a_range_is_for_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, val = folder_of(tmp_path / "train", 4000), folder_of(tmp_path / "val", 900)
    stores = [tmp_path / "train.beton", tmp_path / "val.beton"]
    for folder, store in zip((train, val), stores, strict=True):
        write_store(list_images(folder), store, workers=1)
    capsys.readouterr()
    opened(stores[0], stores[1], tmp_path / "cache")
    said = capsys.readouterr().err
    assert f"of {stores[0]}, 0 to 4095 became black to white, and in those of {stores[1]} 0 to 1023" in said
    with pytest.raises(UserError, match=r"a range of values goes with a folder of images"):
        opened(stores[0], stores[1], tmp_path / "cache", "--data.range=full")
    beside = opened(stores[0], val, tmp_path / "cache")
    assert [range_of(store) for store in beside] == [TWELVE, TWELVE]
    assert range_of(opened(stores[0], val, tmp_path / "cache", "--data.range=full")[1]) == FULL
    with pytest.raises(UserError, match=r"data\.range high is no range; give auto, full, or two numbers LOW,HIGH"):
        parse_config(["--data.range=high"])


def test_images_that_are_opened_one_by_one_take_it_too(tmp_path: Path) -> None:
    train = open_images(folder_of(tmp_path / "train", 4000))
    val = open_images(folder_of(tmp_path / "val", 900), like=train)
    assert np.unique(np.asarray(val.open(0))).tolist() == [800 >> 4]
    write_store(list_images(tmp_path / "train"), tmp_path / "train.beton", workers=1)
    assert read_manifest(tmp_path / "train.beton").options.range == TWELVE  # type: ignore[union-attr]
    val = open_images(tmp_path / "val", like=open_images(tmp_path / "train.beton"))
    assert range_of(val) == TWELVE and range_of(open_images(tmp_path / "val")) == ValueRange(0, 1023)
