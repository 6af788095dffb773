"""Decoded bytes are the images, in the order asked for, whatever the threads; what does not decode is said."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.sources import list_images
from vicregl_fast.data.ffcv_engine.beton import open_beton
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine


@pytest.mark.parametrize("workers", [1, 2])
def test_images_sizes_and_labels_are_those_of_the_files(beton: Path, image_folder: Path, workers: int) -> None:
    source = list_images(image_folder)
    engine = FfcvEngine(open_beton(beton), batch_size=9, workers=workers)
    indices = np.array([5, 0, 47, 21, 21, 13, 30, 8, 2])
    batch = engine.decode(indices)
    assert batch.labels.tolist() == [source.labels[k] for k in indices]
    for index, image in zip(indices, batch.images(), strict=True):
        with Image.open(source.root / source.files[index]) as opened:
            expected = np.asarray(opened.convert("RGB")).astype(int)
        assert image.shape == expected.shape
        # Two builds of libjpeg-turbo may round the colour conversion and chroma upsampling differently.
        assert np.abs(image.numpy().astype(int) - expected).mean() < 1.5


WITH_FFCV_S_LOADER = """
import sys
import numpy as np
from pathlib import Path
from ffcv.loader import Loader, OrderOption
from vicregl_fast.data.ffcv_engine.beton import open_beton
from vicregl_fast.data.ffcv_engine.decoder import PackedDecoder
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine

batch = FfcvEngine(open_beton(Path(sys.argv[1])), 4, 1).decode(np.arange(4))
used = int((batch.heights * batch.widths).sum()) * 3
expected = batch.packed.numpy()[:used].copy()
pipelines = {"image": [PackedDecoder()], "label": None}
loader = Loader(sys.argv[1], 4, num_workers=1, order=OrderOption.SEQUENTIAL, pipelines=pipelines)
np.testing.assert_array_equal(next(iter(loader))[0].reshape(-1)[:used], expected)
"""


@pytest.mark.slow
def test_the_decoder_also_serves_ffcv_s_own_loader(beton: Path) -> None:
    """In a process of its own: ffcv's loader spoils Numba's types for what was compiled before."""
    words = [sys.executable, "-c", WITH_FFCV_S_LOADER, str(beton)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def damaged(beton: Path, tmp_path: Path) -> Path:
    """The store with image 7 written over."""
    store = open_beton(beton)
    address = int(store.image_metadata[7]["data_ptr"])
    damaged = tmp_path / "damaged.beton"
    data = bytearray(beton.read_bytes())
    data[address : address + 200] = bytes(200)
    damaged.write_bytes(data)
    Path(f"{damaged}.json").write_text(Path(f"{beton}.json").read_text())
    return damaged


def test_a_damaged_image_is_named(damaged: Path) -> None:
    engine = FfcvEngine(open_beton(damaged), 4, 2)
    engine.decode(np.array([6, 8]))
    with pytest.raises(UserError, match=r"image 7 of .*damaged\.beton does not decode.*--data\.on_error skip"):
        engine.decode(np.array([6, 7, 8]))


@pytest.mark.parametrize("field", ["height", "width"])
def test_an_image_of_another_size_is_named(field: str, beton: Path) -> None:
    """libjpeg-turbo would shrink it, or fill a part of the room, and say that all is well."""
    store = open_beton(beton)
    for difference in (-5, 5):
        records = store.image_metadata.copy()
        records[field][7] = int(records[field][7]) + difference
        reader = SimpleNamespace(metadata={"f0": records}, field_names=["image"], handlers=store.reader.handlers)
        with pytest.raises(UserError, match="image 7 of"):
            FfcvEngine(replace(store, reader=reader), 4, 2).decode(np.array([6, 7, 8]))


def test_addresses_that_lead_nowhere_are_refused(beton: Path, tmp_path: Path) -> None:
    flipped = tmp_path / "flipped.beton"
    data = bytearray(beton.read_bytes())
    address = open_beton(beton).image_metadata["data_ptr"][3].tobytes()
    place = data.index(address)
    data[place + 2] ^= 0x40
    flipped.write_bytes(data)
    Path(f"{flipped}.json").write_text(Path(f"{beton}.json").read_text())
    with pytest.raises(UserError, match=r"the tables of .*flipped\.beton contradict each other"):
        open_beton(flipped)


def test_a_failed_batch_leaves_the_one_before_whole(damaged: Path) -> None:
    engine = FfcvEngine(open_beton(damaged), 4, 2)
    first = engine.decode(np.array([1, 2, 3]))
    before = first.packed.clone()
    with pytest.raises(UserError):
        engine.decode(np.array([6, 7, 8]))
    engine.decode(np.array([6, 8]))
    assert torch.equal(first.packed, before)


def test_a_batch_stays_whole_during_the_next_one(beton: Path) -> None:
    engine = FfcvEngine(open_beton(beton), 4, 2)
    first = engine.decode(np.arange(4))
    before = first.packed.clone()
    engine.decode(np.arange(4, 8))
    assert torch.equal(first.packed, before)


def test_what_is_no_store_is_said_in_one_sentence(beton: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no store at"):
        open_beton(tmp_path / "none.beton")
    cut = tmp_path / "cut.beton"
    cut.write_bytes(beton.read_bytes()[:5000])
    Path(f"{cut}.json").write_text(Path(f"{beton}.json").read_text())
    with pytest.raises(UserError, match="5000 bytes"):
        open_beton(cut)
