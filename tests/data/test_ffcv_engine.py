"""Decoded bytes are the images, in the order asked for, whatever the threads; what does not decode is said."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from vicregl_fast.data import stored_images
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.ffcv_engine.packed_images import decode_packed
from vicregl_fast.data.stored_images import open_stored


@pytest.mark.parametrize("workers", [1, 2])
def test_images_sizes_and_labels_are_those_of_the_files(beton: Path, image_folder: Path, workers: int) -> None:
    source = list_images(image_folder)
    engine = FfcvEngine(open_stored(beton), batch_size=9, workers=workers)
    indices = np.array([5, 0, 47, 21, 21, 13, 30, 8, 2])
    batch = engine.decode(indices)
    assert batch.labels.tolist() == [source.labels[k] for k in indices]
    for index, image in zip(indices, batch.images(), strict=True):
        with Image.open(source.root / source.files[index]) as opened:
            expected = np.asarray(opened.convert("RGB")).astype(int)
        assert image.shape == expected.shape
        # Two builds of libjpeg-turbo may round the colour conversion and chroma upsampling differently.
        assert np.abs(image.numpy().astype(int) - expected).mean() < 1.5


BY_FFCV = """
import sys
import numpy as np
from ffcv.libffcv import imdecode
from ffcv.memory_managers import OSCacheManager
from ffcv.reader import Reader

reader = Reader(sys.argv[1])
memory = OSCacheManager(reader)
read = memory.compile_reader()
with memory.schedule_epoch([]) as context:
    for image in reader.metadata["f0"]:
        size = int(image["height"]), int(image["width"])
        pixels = np.empty((*size, 3), np.uint8)
        assert imdecode(read(image["data_ptr"], context.state), pixels, *size, *size, 0, 0, 1, 1, 0, 0) == 0
        sys.stdout.buffer.write(pixels.tobytes())
"""


@pytest.mark.slow
def test_pixels_are_those_of_ffcv_itself(beton: Path) -> None:
    """By its reader, memory manager and decoder, in a process of its own: they spoil Numba's types for other code."""
    done = subprocess.run([sys.executable, "-c", BY_FFCV, str(beton)], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    store = open_stored(beton)
    batch = FfcvEngine(store, len(store), 1).decode(np.arange(len(store)))
    assert batch.packed.numpy().tobytes() == done.stdout


@pytest.fixture(params=["header", "scan"])
def damaged(request: pytest.FixtureRequest, beton: Path, tmp_path: Path) -> Path:
    """The store with image 7 written over: its first 200 bytes, or its last third, which only the decoder sees."""
    store = open_stored(beton)
    start, size = int(store.starts[7]), int(store.sizes[7])
    place = slice(start, start + 200) if request.param == "header" else slice(start + 2 * size // 3, start + size)
    damaged = tmp_path / "damaged.beton"
    data = bytearray(beton.read_bytes())
    data[place] = bytes(place.stop - place.start)
    damaged.write_bytes(data)
    Path(f"{damaged}.json").write_text(Path(f"{beton}.json").read_text())
    return damaged


def test_a_damaged_image_is_named(damaged: Path) -> None:
    engine = FfcvEngine(open_stored(damaged), 4, 2)
    engine.decode(np.array([6, 8]))
    with pytest.raises(UserError, match=r"image 7 of .*damaged\.beton does not decode.*--data\.on_error skip"):
        engine.decode(np.array([6, 7, 8]))


@pytest.mark.parametrize("mode", ["jpg", "raw"])
@pytest.mark.parametrize("field", ["height", "width"])
def test_an_image_of_another_size_is_named(mode: str, field: str, image_folder: Path, tmp_path: Path) -> None:
    """libjpeg-turbo would shrink it, or fill a part of the room, and say that all is well."""
    write_store(list_images(image_folder), tmp_path / "s.beton", workers=1, mode=mode)
    store = open_stored(tmp_path / "s.beton")
    for difference in (-5, 5):
        sides = getattr(store, f"{field}s").copy()
        sides[7] += difference
        with pytest.raises(UserError, match="image 7 of"):
            FfcvEngine(replace(store, **{f"{field}s": sides}), 4, 2).decode(np.array([6, 7, 8]))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("files_allowed", [True, False])
def test_pixels_that_are_stored_as_they_are_come_out_so(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, files_allowed: bool
) -> None:
    """Also from the memory map that is taken where too few files may be open."""
    write_store(list_images(image_folder), tmp_path / "s.beton", workers=1, mode="mixed", raw_share=0.5)
    if not files_allowed:
        monkeypatch.setattr(stored_images, "missing_open_files", lambda _: 1)
    store = open_stored(tmp_path / "s.beton")
    assert 10 < store.raw.sum() < 38
    for index, image in enumerate(FfcvEngine(store, 48, workers).decode(np.arange(48)).images()):
        apart = np.abs(image.numpy().astype(int) - np.asarray(store.open(index)))
        assert apart.max() == 0 if store.raw[index] else apart.mean() < 1.5


def test_a_buffer_that_is_too_small_is_not_written(beton: Path) -> None:
    store = open_stored(beton)
    needed = int((store.heights[:3] * store.widths[:3] * 3).sum())
    with pytest.raises(AssertionError):
        decode_packed(store, np.arange(3), np.empty(needed - 1, np.uint8), parallel=False)


DECODE = """
import sys
import numpy as np
from pathlib import Path
from vicregl_fast.data.ffcv_engine import packed_images
from vicregl_fast.data.stored_images import open_stored
store = open_stored(Path(sys.argv[1]))
for parallel in (True, False):
    packed_images.decode_packed(store, np.arange(4), np.empty(1 << 20, np.uint8), parallel)
for each in (packed_images._on_threads, packed_images._here):
    print(sum(each.stats.cache_hits.values()), sum(each.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_what_is_compiled_is_kept_for_the_next_process(beton: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-W", "error::numba.core.errors.NumbaWarning", "-c", DECODE, str(beton)]
    for kept in ("0 1\n0 1\n", "1 0\n1 0\n"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
        assert (done.stdout, done.returncode) == (kept, 0), done.stderr


def test_addresses_that_lead_nowhere_are_refused(beton: Path, tmp_path: Path) -> None:
    flipped = tmp_path / "flipped.beton"
    data = bytearray(beton.read_bytes())
    address = open_stored(beton).starts[3].tobytes()
    place = data.index(address)
    data[place + 2] ^= 0x40
    flipped.write_bytes(data)
    Path(f"{flipped}.json").write_text(Path(f"{beton}.json").read_text())
    with pytest.raises(UserError, match=r"the tables of .*flipped\.beton contradict each other"):
        open_stored(flipped)


def test_a_failed_batch_leaves_the_one_before_whole(damaged: Path) -> None:
    engine = FfcvEngine(open_stored(damaged), 4, 2)
    first = engine.decode(np.array([1, 2, 3]))
    before = first.packed.clone()
    with pytest.raises(UserError):
        engine.decode(np.array([6, 7, 8]))
    engine.decode(np.array([6, 8]))
    assert torch.equal(first.packed, before)


def test_a_batch_stays_whole_during_the_next_one(beton: Path) -> None:
    engine = FfcvEngine(open_stored(beton), 4, 2)
    first = engine.decode(np.arange(4))
    before = first.packed.clone()
    engine.decode(np.arange(4, 8))
    assert torch.equal(first.packed, before)


def test_what_is_no_store_is_said_in_one_sentence(beton: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no store at"):
        open_stored(tmp_path / "none.beton")
    cut = tmp_path / "cut.beton"
    cut.write_bytes(beton.read_bytes()[:5000])
    Path(f"{cut}.json").write_text(Path(f"{beton}.json").read_text())
    with pytest.raises(UserError, match="5000 bytes"):
        open_stored(cut)
