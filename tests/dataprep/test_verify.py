"""Every way in which a store can be wrong is found, said in one sentence, and the image named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataprep.beton import HEADER, ROW, ROWS_START
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import manifest_path, read_manifest, sha256_of
from dataprep.sources import list_images
from dataprep.stored_samples import StoredSamples, list_samples
from dataprep.verify import verify_store
from tests.dataprep.pictures import write_jpeg, write_tree
from tests.dataprep.stores import KINDS, Kind

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=KINDS, ids=str)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Four images in two classes that keep their bytes, one that is reduced, and one that is left out."""
    return make_store(tmp_path, request.param)


def make_store(folder: Path, kind: Kind) -> Path:
    write_tree(folder / "images")
    write_jpeg(folder / "images" / "ant" / "2.jpg", 90, 80)
    (folder / "images" / "bee" / "0.jpg").write_bytes(b"broken")
    source = list_images(folder / "images")
    kind.write(source, folder / kind.name, max_side=64, on_error="skip", workers=1)
    return folder / kind.name


def samples_of(store: Path) -> StoredSamples:
    return list_samples(store, read_manifest(store))


def edit(path: Path, position: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)


def test_a_whole_store_passes_and_is_compared(store: Path) -> None:
    assert verify_store(store, workers=2) == 5
    assert verify_store(store, sample=2, workers=1) == 2
    assert read_manifest(store).originals == 4


def test_a_moved_source_is_given(store: Path, tmp_path: Path) -> None:
    (tmp_path / "images").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"the source .*images is not there; say with --source"):
        verify_store(store, workers=1)
    assert verify_store(store, source=tmp_path / "moved", workers=1) == 5
    assert verify_store(store, sample=0, workers=1) == 0


def test_a_damaged_jpeg_is_named(store: Path) -> None:
    samples = samples_of(store)
    row = samples.table[3]
    edit(samples.files[0], int(row["offset"] + row["size"] - 50), b"\xff\xd9")
    with pytest.raises(UserError, match=rf"image 3 of {samples.files[0]} is a damaged JPEG"):
        verify_store(store, workers=2)


def test_no_image_at_all_is_named(store: Path) -> None:
    samples = samples_of(store)
    edit(samples.files[0], int(samples.table[1]["offset"]), bytes(4))
    with pytest.raises(UserError, match=rf"image 1 of {samples.files[0]} cannot be read: its content is no image"):
        verify_store(store, workers=1)


def test_a_flipped_bit_that_decodes_is_found_by_the_digest(store: Path) -> None:
    samples = samples_of(store)
    edit(samples.files[0], samples.files[0].stat().st_size // 2 if store.is_file() else 10, b"\x01")
    with pytest.raises(UserError, match=f"content of {samples.files[0]} is not what its manifest says"):
        verify_store(store, workers=1)


def test_a_truncated_store_is_found(store: Path) -> None:
    file = samples_of(store).files[0]
    file.write_bytes(file.read_bytes()[:-600])
    with pytest.raises(UserError, match=rf"{file} has \d+ bytes where its manifest says"):
        verify_store(store, workers=1)


def test_a_missing_store_is_found(store: Path, tmp_path: Path) -> None:
    samples_of(store).files[0].unlink()
    with pytest.raises(UserError, match=r"(there is no store .*s\.beton|shard-000000\.tar is missing)"):
        verify_store(store, workers=1)
    with pytest.raises(UserError, match=r"there is no store .*nowhere; give a \.beton file or a folder of shards"):
        verify_store(tmp_path / "nowhere", workers=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": 9}, "has format version 9 where this program reads 1"),
        ({"count": 6}, "5 images where its manifest says 6|not the index of 6 images"),
        ({"label_counts": [2, 3]}, "3 images with label 0 where its manifest says 2"),
        ({"classes": None, "label_counts": None}, "5 images with labels where its manifest says 0"),
        ({"raw": 1}, "0 images as pixels where its manifest says 1"),
        ({"kind": "zip"}, "unknown kind zip"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_manifest_is_found(store: Path, change: dict, says: str) -> None:
    record = json.loads(manifest_path(store).read_text())
    manifest_path(store).write_text(json.dumps(record | change))
    with pytest.raises(UserError, match=says):
        verify_store(store, workers=1)


def replaced(tmp_path: Path) -> str:
    write_jpeg(tmp_path / "images" / "ant" / "1.jpg", 37, 50, seed=99)
    return r"image 1 of .* is not what .*ant/1\.jpg gives"


def reduced_one_replaced(tmp_path: Path) -> str:
    write_jpeg(tmp_path / "images" / "ant" / "2.jpg", 90, 80, seed=99)
    return r"image 2 of .* is not what .*ant/2\.jpg gives"


def unreadable(tmp_path: Path) -> str:
    (tmp_path / "images" / "bee" / "2.jpg").write_bytes(b"")
    return r"image 4 of .* cannot be compared with .*bee/2\.jpg: the file is empty"


def one_more(tmp_path: Path) -> str:
    write_jpeg(tmp_path / "images" / "ant" / "new.jpg")
    return "images lists other images or classes than were converted"


def other_classes(tmp_path: Path) -> str:
    (tmp_path / "images" / "ant" / "2.jpg").rename(tmp_path / "images" / "bee" / "0a.jpg")
    return "images lists other images or classes than were converted"


@pytest.mark.parametrize("change", [replaced, reduced_one_replaced, unreadable, one_more, other_classes])
def test_a_changed_source_is_found(store: Path, tmp_path: Path, change: Callable[[Path], str]) -> None:
    says = change(tmp_path)
    with pytest.raises(UserError, match=says):
        verify_store(store, workers=1)
    assert verify_store(store, sample=0, workers=1) == 0


def test_a_list_is_kept_to(tmp_path: Path) -> None:
    files = list(write_tree(tmp_path / "images"))
    (tmp_path / "list.txt").write_text("\n".join(files[::-2]))
    write_store(list_images(tmp_path / "images", tmp_path / "list.txt"), tmp_path / "s.beton", workers=1)
    assert verify_store(tmp_path / "s.beton", workers=1) == 3


def test_a_choice_of_labels_is_kept_to(tmp_path: Path) -> None:
    files = list(write_tree(tmp_path / "images"))
    (tmp_path / "labels.txt").write_text(
        "\n".join(f"{file},{'odd' if n % 2 else 'even'}" for n, file in enumerate(files))
    )
    for labels, classes in ((str(tmp_path / "labels.txt"), ("even", "odd")), ("none", None)):
        source = list_images(tmp_path / "images", labels=labels)
        assert write_store(source, tmp_path / "s.beton", workers=1, overwrite=True).classes == classes
        assert verify_store(tmp_path / "s.beton", workers=1) == len(files)


def test_pixels_are_checked(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    store = tmp_path / "s.beton"
    write_store(list_images(tmp_path / "images"), store, mode="mixed", raw_share=0.5, workers=1)
    samples = samples_of(store)
    pixels = np.flatnonzero(samples.table["raw"])
    assert verify_store(store, workers=1) == 6 and 0 < len(pixels) < 6
    shutil.copy(store, tmp_path / "whole")
    edit(store, int(samples.table[pixels[0]]["offset"]), b"\x00\x01\x02\x03")
    with pytest.raises(UserError, match=r"content of .* is not what its manifest says"):
        verify_store(store, workers=1)
    manifest = read_manifest(store)
    replace(manifest, sha256=sha256_of(store)).write(manifest_path(store))
    with pytest.raises(UserError, match=rf"image {pixels[0]} of .* is not what .* gives"):
        verify_store(store, workers=1)
    shutil.copy(tmp_path / "whole", store)
    height = ROWS_START + pixels[0] * ROW.itemsize + 3
    edit(store, int(height), np.uint16(11).tobytes())
    with pytest.raises(UserError, match=rf"image {pixels[0]} of .* has \d+ bytes of 11x"):
        verify_store(store, workers=1)


@pytest.mark.parametrize(
    ("position", "content", "says"),
    [
        (0, b"\x03", "no FFCV store of version 2 .its header says 3"),
        (8, b"\xff\xff", "is cut short: it announces more images than it holds"),
        (HEADER.itemsize, b"\x07", "has other fields than image and label"),
        (ROWS_START + 1, b"\x09", "image 0 of .* has 30x50 pixels where 30x9 are recorded"),
        (ROWS_START + 5, b"\x01", "the tables of .* contradict each other"),
        (ROWS_START + 16, b"\x01", "2 images with label 0 where its manifest says 3"),
    ],
)
def test_damaged_tables_of_a_beton_are_found(tmp_path: Path, position: int, content: bytes, says: str) -> None:
    store = make_store(tmp_path, KINDS[0])
    edit(store, position, content)
    with pytest.raises(UserError, match=says):
        verify_store(store, workers=1)


@pytest.mark.parametrize(
    ("options", "says"), [({"sample": -1}, "--sample -1 is negative"), ({"workers": 0}, "--workers 0 is too few")]
)
def test_wrong_options_are_refused(store: Path, options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        verify_store(store, **options)


def test_a_manifest_of_other_options_is_found(store: Path) -> None:
    manifest = read_manifest(store)
    replace(manifest, options=replace(manifest.options, quality=40)).write(manifest_path(store))
    with pytest.raises(UserError, match=r"image 2 of .* is not what .*ant/2\.jpg gives"):
        verify_store(store, workers=1)
