"""``.beton`` files of FFCV's own writer, and stores that lost their manifest, are checked and get one."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.adopt import adopt_store
from dataprep.beton import HEADER
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import manifest_path, read_manifest, sha256_of
from dataprep.sources import list_images
from dataprep.stored_samples import list_samples
from dataprep.verify import verify_store
from tests.dataprep.foreign_stores import COUNT, LABELS, picture
from tests.dataprep.pictures import write_tree

Copy = Callable[[str], Path]

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def copied(foreign_betons: Path, tmp_path: Path) -> Copy:
    """Copies a store of FFCV's writer, which tests may then adopt and change."""
    return lambda name: Path(shutil.copy(foreign_betons / f"{name}.beton", tmp_path))


def edit(path: Path, position: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("jpg", 0),
        ("raw", 12),
        ("smart", None),
        ("proportion", None),
        ("turned_round", 0),
        ("other_names", 0),
        ("more", 0),
    ],
)
def test_stores_of_ffcv_s_writer_are_adopted(copied: Copy, name: str, raw: int | None) -> None:
    store = copied(name)
    before = sha256_of(store)
    manifest = adopt_store(store, workers=2)
    assert manifest == read_manifest(store) and sha256_of(store) == before == manifest.sha256
    assert (manifest.count, manifest.label_counts, manifest.classes) == (COUNT, (4, 4, 4), None)
    assert (manifest.source, manifest.options, manifest.skipped) == ("", None, ())
    assert manifest.raw == raw if raw is not None else 0 < manifest.raw < COUNT
    samples = list_samples(store, manifest)
    assert samples.table["label"].tolist() == LABELS
    sizes = [(int(row["height"]), int(row["width"])) for row in samples.table]
    assert sizes == [picture(k).shape[:2] for k in range(COUNT)]
    assert verify_store(store, workers=1) == 0


def test_verify_says_that_it_compares_nothing(copied: Copy, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = copied("jpg")
    adopt_store(store, workers=1)
    assert verify_store(store, workers=1) == 0
    assert "was adopted: its manifest names no source" in capsys.readouterr().err
    with pytest.raises(UserError, match="was adopted, so that nothing says how a source was converted"):
        verify_store(store, source=tmp_path, workers=1)
    (tmp_path / "images").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "images" / "0.png")
    with pytest.raises(UserError, match="is a store that was adopted, perhaps the only copy"):
        write_store(list_images(tmp_path / "images"), store, workers=1, overwrite=True)
    replaced = store.read_bytes().replace(b"\xff\xd8", b"\xff\xd9", 1)
    store.write_bytes(replaced)
    with pytest.raises(UserError, match=r"image 0 of .* cannot be read: its content is no image"):
        verify_store(store, workers=1)


@pytest.mark.parametrize("name", ["image_only", "negative", "some_negative", "float_label"])
def test_a_store_may_have_no_labels(copied: Copy, name: str) -> None:
    store = copied(name)
    manifest = adopt_store(store, workers=1)
    assert manifest.label_counts is None and manifest.classes is None
    assert verify_store(store, workers=1) == 0


def test_classes_get_their_names(copied: Copy, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("ant\nbee\n cicada \ndragonfly\n\n")
    manifest = adopt_store(copied("jpg"), classes_file=tmp_path / "names", workers=1)
    assert manifest.classes == ("ant", "bee", "cicada", "dragonfly") and manifest.label_counts == (4, 4, 4, 0)


@pytest.mark.parametrize(
    ("name", "names", "says"),
    [
        ("jpg", "ant\nbee\n", "largest label is 2, and --classes names 2 classes"),
        ("jpg", "ant\n\nbee\n", "must have one name on every line"),
        ("jpg", "\n", "must have one name on every line"),
        ("jpg", None, "the file of classes .*names cannot be read"),
        ("image_only", "ant\n", "the images have no labels; leave --classes out"),
    ],
)
def test_wrong_names_are_refused(copied: Copy, tmp_path: Path, name: str, names: str | None, says: str) -> None:
    if names is not None:
        (tmp_path / "names").write_text(names)
    store = copied(name)
    with pytest.raises(UserError, match=says):
        adopt_store(store, classes_file=tmp_path / "names", workers=1)
    assert not manifest_path(store).exists()


def test_fields_are_chosen(copied: Copy) -> None:
    store = copied("two_ints")
    with pytest.raises(UserError, match=r"fields image \(RGB image\), a \(int\), b \(int\); say with --label_field"):
        adopt_store(store, workers=1)
    with pytest.raises(UserError, match="say with --label_field"):
        adopt_store(store, label_field="image", workers=1)
    manifest = adopt_store(store, label_field="b", workers=1)
    assert list_samples(store, manifest).table["label"].tolist() == list(range(COUNT))
    store = copied("two_images")
    with pytest.raises(UserError, match=r"left \(RGB image\), right \(RGB image\); say with --image_field"):
        adopt_store(store, workers=1)
    assert adopt_store(store, image_field="right", workers=1).raw == COUNT
    assert verify_store(store, workers=1) == 0


def test_labels_can_be_left_out(copied: Copy) -> None:
    store = copied("huge")
    with pytest.raises(UserError, match=r"label 1000000000011 is too large .*--label_field none"):
        adopt_store(store, workers=1)
    manifest = adopt_store(store, label_field="none", workers=1)
    assert (list_samples(store, manifest).table["label"] == -1).all()


@pytest.mark.parametrize(
    ("name", "position", "content", "says"),
    [
        ("no_image", 0, b"", r"has the fields label \(int\); none is of RGB images"),
        ("custom", 0, b"", r"label \(custom\); how to read past a custom field"),
        ("jpg", 0, b"\x03", "is no FFCV store of version 2 .its header says 3"),
        ("jpg", 8, b"\xff\xff", "is cut short"),
        ("jpg", 8, bytes(8), "holds no images"),
        ("jpg", 16, bytes(8), "was not written to its end"),
        ("jpg", 16, b"\xff" * 8, "was not written to its end, or is cut short"),
        ("jpg", HEADER.itemsize + 2 * 1041 + 1, b"\x09\x00", "image 0 of .* has 30x70 pixels where"),
        ("jpg", HEADER.itemsize + 2 * 1041 + 5, b"\x01", "tables of .* contradict each other"),
    ],
)
def test_what_cannot_be_read_is_said(copied: Copy, name: str, position: int, content: bytes, says: str) -> None:
    store = copied(name)
    edit(store, position, content)
    with pytest.raises(UserError, match=says):
        adopt_store(store, workers=1)
    assert not manifest_path(store).exists()


def test_a_damaged_image_is_named(copied: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    store = copied("jpg")
    content = store.read_bytes()
    end = content.index(b"\xff\xd9", 1 << 21)
    edit(store, end - 60, b"\xff\xd9")
    with pytest.raises(UserError, match=r"image 0 of .* is a damaged JPEG; .*--on_error skip"):
        adopt_store(store, workers=2)
    assert not manifest_path(store).exists()
    assert adopt_store(store, workers=2, on_error="skip").count == COUNT
    assert "image 0 of" in capsys.readouterr().err


def test_a_lost_manifest_comes_back(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    store = tmp_path / "s.beton"
    before = write_store(list_images(tmp_path / "images"), store, mode="mixed", raw_share=0.5, workers=1)
    with pytest.raises(UserError, match=r"has a manifest that fits it, .*s\.beton\.json"):
        adopt_store(store, workers=1)
    manifest_path(store).unlink()
    with pytest.raises(UserError, match=r"s\.beton has no manifest .*`python -m dataprep adopt .*s\.beton`"):
        read_manifest(store)
    (tmp_path / "names").write_text("ant\nbee\n")
    after = adopt_store(store, classes_file=tmp_path / "names", workers=1)
    for name in ("count", "raw", "classes", "label_counts", "size_bytes", "sha256"):
        assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize("damage", ["cut", "other store", "incomplete"])
def test_a_manifest_that_does_not_fit_makes_room(tmp_path: Path, copied: Copy, damage: str) -> None:
    store = copied("jpg")
    adopt_store(store, workers=1)
    record = manifest_path(store).read_text()
    other = json.loads(record) | {"size_bytes": 17}
    wrong = {"cut": record[:40], "other store": json.dumps(other), "incomplete": '{"format_version": 1}'}[damage]
    manifest_path(store).write_text(wrong)
    with pytest.raises(UserError, match=r"`python -m dataprep adopt .*jpg\.beton`"):
        read_manifest(store).check(store)
    assert adopt_store(store, workers=1).count == COUNT
    assert manifest_path(store).read_text() == record
    assert manifest_path(store).with_name("jpg.beton.json.old").read_text() == wrong


def test_what_is_no_store_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: Copy) -> None:
    with pytest.raises(UserError, match=r"there is no store .*gone\.beton"):
        adopt_store(tmp_path / "gone.beton")
    (tmp_path / "text.beton").write_text("no store at all, but long enough for a header")
    with pytest.raises(UserError, match="is no FFCV store of version 2"):
        adopt_store(tmp_path / "text.beton")
    store = copied("jpg")
    with pytest.raises(UserError, match="--workers 0 is too few"):
        adopt_store(store, workers=0)
    # Tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(UserError, match=r"cannot be written to, and the manifest lies beside .* links"):
        adopt_store(store)


def test_an_old_manifest_has_the_usual_fields(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    manifest = write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", workers=1)
    record = json.loads(manifest_path(tmp_path / "s.beton").read_text())
    del record["image_field"], record["label_field"]
    manifest_path(tmp_path / "s.beton").write_text(json.dumps(record))
    assert read_manifest(tmp_path / "s.beton") == manifest
    assert np.array_equal(list_samples(tmp_path / "s.beton", manifest).table["label"], [0, 0, 0, 1, 1, 1])
