"""FFCV's own code reads the store, and would have written the same bytes."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep import ffcv_store
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import JPEG_MODE, RAW_MODE, manifest_path, read_manifest
from dataprep.sources import list_images
from tests.dataprep.pictures import smooth, write_jpeg, write_tree
from tests.dataprep.stores import read_beton


def test_the_modes_are_ffcvs() -> None:
    from ffcv.fields.rgb_image import IMAGE_MODES

    assert {name: int(mode) for name, mode in IMAGE_MODES.items()} == {"jpg": JPEG_MODE, "raw": RAW_MODE}


def drawn_folder(folder: Path, count: int, side: int) -> list[np.ndarray]:
    """PNG files of pictures that JPEG would change, and their pixels."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (side, side - 9, 3), np.uint8)
    pictures = [np.roll(noise, index)[: side - index] for index in range(count)]
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index}.png", compress_level=1)
    return pictures


@pytest.mark.timeout(120)
def test_bytes_are_those_of_ffcvs_writer(tmp_path: Path) -> None:
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    pictures = drawn_folder(tmp_path / "images", 5, 1200)  # two on a page
    manifest = write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", mode="raw", max_side=1200)
    fields = {"image": RGBImageField(write_mode="raw"), "label": IntField()}
    writer = DatasetWriter(str(tmp_path / "theirs.beton"), fields, page_size=1 << 23, num_workers=1)
    writer.from_indexed_dataset([(picture, -1) for picture in pictures])
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("s.beton", "theirs.beton"))
    assert ours == theirs
    assert (manifest.count, manifest.raw, manifest.originals) == (5, 5, 0)


def test_mixed_keeps_a_share_as_pixels_whatever_else_is_there(tmp_path: Path) -> None:
    for index in range(40):
        write_jpeg(tmp_path / "images" / f"{index:02d}.jpg", 20, 24, seed=index)
    modes: dict[float, list[int]] = {}
    for share in (0.0, 0.3, 0.6, 1.0):
        out = tmp_path / f"{share}.beton"
        manifest = write_store(list_images(tmp_path / "images"), out, mode="mixed", raw_share=share, workers=1)
        samples = list(read_beton(out))
        modes[share] = [int(not data.startswith(b"\xff\xd8")) for data, _, _ in samples]
        assert sum(modes[share]) == manifest.raw == manifest.count - manifest.originals
        assert read_manifest(out).options.raw_share == share
        for (data, size, _), raw, index in zip(samples, modes[share], range(40), strict=True):
            file = tmp_path / "images" / f"{index:02d}.jpg"
            assert data == (np.asarray(Image.open(file)).tobytes() if raw else file.read_bytes()) and size == (20, 24)
    assert sum(modes[0.0]) == 0 and sum(modes[1.0]) == 40 and 5 < sum(modes[0.3]) < 20 and 15 < sum(modes[0.6]) < 33
    assert all(small <= large for small, large in zip(modes[0.3], modes[0.6], strict=True))
    write_jpeg(tmp_path / "images" / "later.jpg")
    write_store(list_images(tmp_path / "images"), tmp_path / "l.beton", mode="mixed", raw_share=0.3, workers=2)
    assert [int(not d.startswith(b"\xff\xd8")) for d, _, _ in read_beton(tmp_path / "l.beton")][:40] == modes[0.3]


WITH_FFCVS_LOADER = """
import sys
import numpy as np
from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import SimpleRGBImageDecoder
from ffcv.loader import Loader, OrderOption

store, out = sys.argv[1:]
pipelines = {"image": [SimpleRGBImageDecoder()], "label": [IntDecoder()]}
batches = list(Loader(store, 2, 1, order=OrderOption.SEQUENTIAL, pipelines=pipelines, os_cache=True))
images, labels = (np.concatenate([np.array(batch[part]) for batch in batches]) for part in (0, 1))
np.savez(out, images=images, labels=labels.ravel())
"""


@pytest.mark.slow
def test_ffcvs_loader_decodes_pixels_and_jpegs(tmp_path: Path) -> None:
    """In a process of its own: ffcv's loader spoils Numba's types for what was compiled before."""
    for index in range(7):
        write_jpeg(tmp_path / "images" / f"{index}.jpg", 48, 64, seed=index)
    (tmp_path / "images" / "2.jpg").write_bytes(b"broken")
    source = list_images(tmp_path / "images")
    options = {"mode": "mixed", "raw_share": 0.5, "workers": 1, "on_error": "skip"}
    manifest = write_store(source, tmp_path / "s.beton", **options)
    assert 0 < manifest.raw < manifest.count == 6
    words = [sys.executable, "-c", WITH_FFCVS_LOADER, str(tmp_path / "s.beton"), str(tmp_path / "read.npz")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = np.load(tmp_path / "read.npz")
    assert read["labels"].tolist() == [-1] * 6
    for image, seed in zip(read["images"].astype(int), (0, 1, 3, 4, 5, 6), strict=True):
        assert abs(image - smooth(48, 64, seed)).mean() < 4


def test_more_than_one_page(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    (tmp_path / "images").mkdir()
    for index in range(6):
        Image.fromarray(np.roll(noise, index)).save(tmp_path / "images" / f"{index}.jpg", quality=97)
    write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", max_side=1500, workers=2)
    for index, (data, _, _) in enumerate(read_beton(tmp_path / "s.beton")):
        assert data == (tmp_path / "images" / f"{index}.jpg").read_bytes()
    assert (tmp_path / "s.beton").stat().st_size > 2 * (8 << 20)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("s.ffcv", {}, "unknown extension"),
        ("folder.beton", {}, "is a folder"),
        ("s.beton", {"mode": "png"}, "--mode png is unknown"),
        ("s.beton", {"mode": "mixed"}, "--raw_share goes with --mode mixed"),
        ("s.beton", {"mode": "raw", "raw_share": 0.5}, "--raw_share goes with --mode mixed"),
        ("s.beton", {"mode": "mixed", "raw_share": 1.5}, "--raw_share 1.5 is out of range"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, name: str, options: dict, says: str) -> None:
    write_jpeg(tmp_path / "images" / "a.jpg")
    (tmp_path / "folder.beton").mkdir()
    with pytest.raises(UserError, match=says):
        write_store(list_images(tmp_path / "images"), tmp_path / name, **options)


def test_wrong_manifests_are_refused(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "images" / "a.jpg")
    out = tmp_path / "s.beton"
    manifest = write_store(list_images(tmp_path / "images"), out, workers=1)
    path = manifest_path(out)
    replace(manifest, format_version=99).write(path)
    with pytest.raises(UserError, match="has format version 99"):
        read_manifest(out)
    path.write_text('{"format_version": 1, "count": 3}')
    with pytest.raises(UserError, match="is incomplete"):
        read_manifest(out)
    path.write_text("{")
    with pytest.raises(UserError, match="is not a store's manifest"):
        read_manifest(out)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(out)


def test_manifests_from_before_pixels_and_shards_are_read(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    manifest = write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", workers=1)
    record = json.loads(manifest_path(tmp_path / "s.beton").read_text())
    del record["raw"], record["files"], record["options"]["mode"], record["options"]["raw_share"]
    manifest_path(tmp_path / "s.beton").write_text(json.dumps(record))
    assert read_manifest(tmp_path / "s.beton") == manifest


@pytest.mark.parametrize("name", ["s.beton.names.jsonl", "s.beton.json"])
def test_a_folder_with_the_name_of_a_companion_costs_nothing(tmp_path: Path, name: str) -> None:
    write_tree(tmp_path / "images")
    store = tmp_path / "s.beton"
    write_store(list_images(tmp_path / "images"), store, workers=1)
    before = store.read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=rf"{re.escape(name)} is a folder, .* move it away"):
        write_store(list_images(tmp_path / "images"), store, workers=1, overwrite=True)
    assert store.read_bytes() == before


def test_a_write_that_fails_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path / "images")

    def full(*given: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ffcv_store, "write_converted", full)
    with pytest.raises(UserError, match=r"cannot write .*s\.beton: No space left on device"):
        write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", workers=1)
