"""Single images of a store are those of their folder, and one that does not decode is named."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.data.shards import write_small_shards
from vicregl_fast.data import stored_images
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.open_images import open_images
from vicregl_fast.data.stored_images import StoredImages, open_jpegs, open_stored


@pytest.fixture(scope="module", params=["jpg", "mixed", "shards"])
def store(request: pytest.FixtureRequest, image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, folder = list_images(image_folder), tmp_path_factory.mktemp(request.param)
    if request.param == "shards":
        write_small_shards(source, folder / "shards", shards=3)
        return folder / "shards"
    share = {"raw_share": 0.5} if request.param == "mixed" else {}
    write_store(source, folder / "s.beton", mode=request.param, workers=1, **share)
    return folder / "s.beton"


def test_they_are_the_folder_s(store: Path, image_folder: Path) -> None:
    stored, folder = open_images(store), open_images(image_folder)
    assert isinstance(stored, StoredImages) and isinstance(folder, ImageFolder)
    assert len(stored) == len(folder) == 48 and stored.classes == folder.classes == ("class_a", "class_b", "class_c")
    assert stored.labels is not None and folder.labels is not None
    assert stored.labels.tolist() == folder.labels.tolist()
    for index in (0, 7, 23, 47):
        image = stored.open(index)
        assert np.array_equal(image, folder.open(index)) and image.mode == "RGB"
        assert (image.height, image.width) == (stored.heights[index], stored.widths[index])


def test_few_open_files_are_enough(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_stored(store)
    monkeypatch.setattr(stored_images, "missing_open_files", lambda _: 1)
    opened = len(os.listdir("/proc/self/fd"))
    stored = open_stored(store)
    assert len(os.listdir("/proc/self/fd")) == opened
    assert all(np.array_equal(stored.stored(index), before.stored(index)) for index in range(48))
    assert np.array_equal(stored.open(23), before.open(23))


def test_one_that_does_not_decode_is_named(store: Path) -> None:
    stored = open_stored(store)
    cut = replace(stored, sizes=stored.sizes // 2)
    for index in range(0, 48, 5):
        with pytest.raises(UserError, match=rf"image {index} of .*{store.name} does not decode"):
            cut.open(index)


def test_pixels_are_no_jpegs(store: Path) -> None:
    if open_stored(store).raw.any():
        with pytest.raises(UserError, match="holds uncompressed images, where JPEGs are needed"):
            open_jpegs(store)
    else:
        assert len(open_jpegs(store)) == 48


def test_what_is_not_there_or_read_whole_is_said(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no store at"):
        open_images(tmp_path / "gone.beton")
    with pytest.raises(UserError, match=r"a list of files goes with a folder of images, and .* is a store"):
        open_images(store, tmp_path / "list.txt")
    with pytest.raises(UserError, match=r"a choice of labels goes with a folder of images, and .* has its own"):
        open_images(store, labels="folders")
