"""WebDataset shards of other programs are checked, and get an index and a manifest."""

import json
import os
import tarfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from dataprep.adopt import adopt_store
from dataprep.errors import UserError
from dataprep.manifest import manifest_path, read_manifest
from dataprep.shard_index import INDEX, read_index
from dataprep.sources import list_images
from dataprep.stored_samples import list_samples, read_bytes
from dataprep.verify import verify_store
from dataprep.webdataset_store import write_shards
from tests.dataprep.foreign_stores import COUNT, LABELS, contents, encoded, jpeg, picture, sample, shards_of, write_tar
from tests.dataprep.pictures import write_tree

NAMES = ("00007.tar", "00012.tar")

pytestmark = pytest.mark.timeout(120)


def check_images(folder: Path, numbers: list[int]) -> None:
    """The index leads to the bytes of these images, with their sizes; the store is whole."""
    samples = list_samples(folder, read_manifest(folder))
    assert [read_bytes(row, samples.files) for row in samples.table] == [jpeg(k) for k in numbers]
    sizes = [(int(row["height"]), int(row["width"])) for row in read_index(folder)]
    assert sizes == [picture(k).shape[:2] for k in numbers]
    assert verify_store(folder, workers=1) == 0


def test_shards_with_cls_are_adopted(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [sample(k, f"{LABELS[k]}\n") for k in range(COUNT)])
    before = contents(folder)
    manifest = adopt_store(folder, workers=2)
    assert contents(folder).items() >= before.items()
    assert set(contents(folder)) - set(before) == {"index.npy", "manifest.json", "names.jsonl"}
    assert (manifest.count, manifest.label_counts, manifest.classes) == (COUNT, (4, 4, 4), None)
    assert (manifest.source, manifest.options, manifest.kind) == ("", None, "webdataset")
    assert read_index(folder)["label"].tolist() == LABELS
    check_images(folder, list(range(COUNT)))


@pytest.mark.parametrize(
    ("record", "options", "labels", "classes"),
    [
        (lambda k: {"label": LABELS[k]}, {}, LABELS, None),
        (lambda k: {"label": str(LABELS[k])}, {}, LABELS, None),
        (lambda k: {"label": float(LABELS[k])}, {}, LABELS, None),
        (lambda k: {"label": "cba"[LABELS[k]]}, {}, [2 - label for label in LABELS], ("a", "b", "c")),
        (lambda k: {"class": LABELS[k], "label": None}, {"label_field": "class"}, LABELS, None),
        (lambda k: {"url": "http", "caption": "a picture", "label": None}, {}, [-1] * COUNT, None),
        (lambda k: {"label": k * 10**9}, {"label_field": "none"}, [-1] * COUNT, None),
        (lambda k: [k], {}, [-1] * COUNT, None),
    ],
    ids=["number", "digits", "float", "name", "other key", "img2dataset", "none", "list"],
)
def test_labels_come_from_json(tmp_path: Path, record, options: dict, labels: list[int], classes) -> None:
    samples = [sample(k, json=json.dumps(record(k)).encode(), txt=b"a caption") for k in range(COUNT)]
    folder = shards_of(tmp_path / "s", samples)
    for name in ("00007.parquet", "00007_stats.json"):
        (folder / name).write_bytes(b"left alone")
    manifest = adopt_store(folder, workers=1, **options)
    assert manifest.classes == classes and read_index(folder)["label"].tolist() == labels
    check_images(folder, list(range(COUNT)))
    assert sorted(file.name for file in manifest.files) == ["00007.tar", "00012.tar", "index.npy"]


def test_names_are_numbered_by_the_list(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [sample(k, "xyz"[LABELS[k]]) for k in range(COUNT)])
    names = tmp_path / "names"
    for text, says in {"z\ny": "'x' is a label", "x\ny\nz\nz": "labels are names"}.items():
        names.write_text(text)
        with pytest.raises(UserError, match=says):
            adopt_store(folder, classes_file=names, workers=1)
    names.write_text("w\nz\ny\nx")
    assert adopt_store(folder, classes_file=names, workers=1).label_counts == (0, 4, 4, 4)
    assert read_index(folder)["label"].tolist() == [3 - label for label in LABELS]


def test_nested_folders_and_odd_orders_are_read(tmp_path: Path) -> None:
    """The members of a sample need not stand together; ``a-b`` sorts before ``a/`` as text, and after it as a path."""
    numbers = range(3)
    labels = {f"deep/{k}.cls": str(k).encode() for k in numbers}
    write_tar(tmp_path / "s" / "a" / "0.tar", {**labels, **{f"deep/{k}.JPG": jpeg(k) for k in numbers}})
    write_tar(
        tmp_path / "s" / "a-b" / "0.TAR", {"x.jpeg": jpeg(4), "x.cls": b"1", "__MACOSX/._x.jpeg": b"", "dir/": b""}
    )
    write_tar(tmp_path / "s" / ".hidden" / "0.tar", {"x.jpeg": jpeg(5)})
    adopt_store(tmp_path / "s", workers=1)
    assert read_index(tmp_path / "s")["label"].tolist() == [1, 0, 1, 2]
    check_images(tmp_path / "s", [4, 0, 1, 2])


def test_own_shards_get_their_index_back(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    before = write_shards(list_images(tmp_path / "images"), tmp_path / "s", workers=1)
    index = read_index(tmp_path / "s")
    with pytest.raises(UserError, match="has a manifest that fits it"):
        adopt_store(tmp_path / "s", workers=1)
    manifest_path(tmp_path / "s").unlink()
    with pytest.raises(UserError, match=r"s has no manifest .*`python -m dataprep adopt .*s`"):
        read_index(tmp_path / "s")
    after = adopt_store(tmp_path / "s", workers=1)
    assert np.array_equal(read_index(tmp_path / "s"), index) and after.label_counts == before.label_counts
    (tmp_path / "s" / "index.npy").unlink()
    with pytest.raises(UserError, match=r"there is no index .*python -m dataprep adopt"):
        read_index(tmp_path / "s")
    adopt_store(tmp_path / "s", workers=1)
    assert np.array_equal(read_index(tmp_path / "s"), index)
    with pytest.raises(UserError, match="holds shards that were adopted"):
        write_shards(list_images(tmp_path / "images"), tmp_path / "s", workers=1, overwrite=True)


TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
PNG = encoded(1, "PNG")
UNUSABLE = {
    "png": ({"1001.png": PNG}, "1001.png", "is a PNG of mode RGB, where a JPEG"),
    "png in jpg": (sample(1) | {"1001.jpg": PNG}, "1001.jpg", "is a PNG of mode RGB, where a JPEG"),
    "cmyk": (sample(1) | {"1001.jpg": jpeg(1, "CMYK")}, "1001.jpg", "is a JPEG of mode CMYK, where a JPEG of mode RGB"),
    "cut": (sample(1) | {"1001.jpg": jpeg(1)[:-300]}, "1001.jpg", "is a damaged JPEG"),
    "turned": (sample(1) | {"1001.jpg": jpeg(1, exif=TURNED)}, "1001.jpg", "is turned by its EXIF orientation"),
    "empty": (sample(1) | {"1001.jpg": b""}, "1001.jpg", "cannot be read: its content is no image that Pillow knows"),
    "two images": (sample(1, png=PNG), "1001.jpg", r"is one of several images .*\(jpg, png\)"),
    "no label": ({"1001.jpg": jpeg(1)}, "1001.jpg", "has no label, and others have one"),
    "negative": (sample(1, "-1"), "1001.jpg", "has no label, and others have one"),
    "json": ({"1001.jpg": jpeg(1), "1001.json": b'{"label": 0.5}'}, "1001.jpg", "has a label that cannot be read .0.5"),
    "deep json": (
        {"1001.jpg": jpeg(1), "1001.json": b"[" * 100_000},
        "1001.jpg",
        "has a label that cannot be read",
    ),
    "no json": ({"1001.jpg": jpeg(1), "1001.json": b"{"}, "1001.jpg", "has a label that cannot be read"),
    "no text": (sample(1) | {"1001.cls": b"\xff\xfe"}, "1001.jpg", "has a label that cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("members", "name", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_samples_are_named_or_left_out(tmp_path: Path, members: dict, name: str, says: str) -> None:
    own = members if "1001.cls" in members or "label" in says else {**members, "1001.cls": b"1"}
    folder = shards_of(tmp_path / "s", [sample(0, "0"), own, sample(2, "1"), sample(3, "1")])
    before = contents(folder)
    with pytest.raises(UserError, match=rf"^{name} of .*s/00007\.tar {says}.*--on_error skip"):
        adopt_store(folder, workers=1)
    assert contents(folder) == before
    manifest = adopt_store(folder, workers=1, on_error="skip")
    assert [image.path for image in manifest.skipped] == [f"00007.tar/{name}"]
    assert manifest.label_counts == (1, 2)
    check_images(folder, [0, 2, 3])


def test_nothing_usable_is_said(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [{"a.png": encoded(0, "PNG")}, {"b.png": encoded(1, "PNG")}])
    with pytest.raises(UserError, match=r"none of the images .* can be used; the first, 00007\.tar/a\.png, is a PNG"):
        adopt_store(folder, workers=1, on_error="skip")
    assert len(contents(folder)) == 2


def test_mixed_labels_are_refused(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [sample(0, "0"), sample(1, "cat"), sample(2, "7")])
    with pytest.raises(UserError, match=r"some labels are numbers, such as 0, and others names, such as 'cat'"):
        adopt_store(folder, workers=1)
    with pytest.raises(UserError, match=r"no sample in .* has a label topic"):
        adopt_store(folder, label_field="topic", workers=1)


def test_an_image_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``mask.png`` beside ``jpg`` is no second image; samples without an image are said to be left out."""
    members = [sample(0, "0", **{"mask.png": b"mask"}), {"meta.json": b"{}"}, sample(1, "1", **{"mask.png": b"mask"})]
    folder = shards_of(tmp_path / "s", members)
    adopt_store(folder, workers=1)
    check_images(folder, [0, 1])
    assert "1 samples without an image are left out, the first being meta of" in capsys.readouterr().err
    several = shards_of(tmp_path / "t", [sample(0, ending="left.jpg", **{"right.jpg": jpeg(3)})], ("0.tar",))
    with pytest.raises(UserError, match=r"several images of its sample \(left\.jpg, right\.jpg\); --image_field"):
        adopt_store(several, workers=1)
    adopt_store(several, image_field=".Right.JPG", workers=1)
    check_images(several, [3])


def test_grey_jpegs_are_read_as_they_are(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "0.tar", {"a.jpg": jpeg(0, "L"), "b.jpg": jpeg(1)})
    assert adopt_store(tmp_path / "s", workers=1).count == 2
    assert verify_store(tmp_path / "s", workers=1) == 0


def test_what_is_adopted_verifies(tmp_path: Path) -> None:
    """Also a JPEG with a second picture behind it, as cameras write them: engines read the first."""
    second = Image.fromarray(picture(2))
    two = encoded(1, "MPO", save_all=True, append_images=[second])
    folder = shards_of(tmp_path / "s", [{"0.jpg": jpeg(0)}, {"1.jpg": two}, {"2.jpg": jpeg(2, "L")}])
    assert adopt_store(folder, workers=1).count == 3
    verify_store(folder, workers=1)


def test_what_holds_no_shards_is_said(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    with pytest.raises(UserError, match="there are no shards in"):
        adopt_store(tmp_path / "images")
    write_tar(tmp_path / "s" / "0.tar", {"a.txt": b"text"})
    with pytest.raises(UserError, match="there are no images in the shards"):
        adopt_store(tmp_path / "s", workers=1)
    with pytest.raises(UserError, match="is a single shard; give the folder"):
        adopt_store(tmp_path / "s" / "0.tar")


@pytest.mark.timeout(60)
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    for name in ("a.beton", "shards/a.tar", "shards/b.tar"):
        (tmp_path / "shards").mkdir(exist_ok=True)
        os.mkfifo(tmp_path / name)
    for store, says in (("a.beton", r"a\.beton is no"), ("shards", r"the shard .*a\.tar is no")):
        with pytest.raises(UserError, match=f"{says} regular file but a pipe, a socket or a device; "):
            adopt_store(tmp_path / store, workers=1)


def test_shards_are_not_taken_for_images(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [sample(k) for k in range(3)])
    says = r"s holds WebDataset shards, not image files: `python -m dataprep adopt .*s`"
    with pytest.raises(UserError, match=says):
        list_images(folder)
    with pytest.raises(UserError, match=r"is no store; .* python -m dataprep adopt .*s"):
        verify_store(folder)


def test_an_interruption_leaves_a_store_to_be_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shards_of(tmp_path / "s", [sample(k, "0") for k in range(3)])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("dataprep.manifest.write_text", mock.Mock(side_effect=KeyboardInterrupt))
        adopt_store(folder, workers=1)
    with pytest.raises(UserError, match=r"s has no manifest .*python -m dataprep adopt"):
        read_index(folder)
    assert adopt_store(folder, workers=1).count == 3
    check_images(folder, [0, 1, 2])


def test_a_large_header_is_no_obstacle(tmp_path: Path) -> None:
    """Long names take a header of several blocks."""
    name = "folder/" * 30 + "x" * 120
    write_tar(tmp_path / "s" / "0.tar", {f"{name}.jpg": jpeg(0), f"{name}.cls": b"1"})
    with tarfile.open(tmp_path / "s" / "0.tar") as tar:
        assert tar.getmembers()[0].offset_data > 1000
    assert adopt_store(tmp_path / "s", workers=1).label_counts == (0, 1)
    check_images(tmp_path / "s", [0])
    assert read_index(tmp_path / "s").dtype == INDEX


def test_labels_that_a_program_wrote_as_floats_are_numbers(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [sample(k, f"{label}.0") for k, label in enumerate((2, 10, 0))])
    manifest = adopt_store(folder, workers=1)
    assert manifest.classes is None and read_index(folder)["label"].tolist() == [2, 10, 0]


def test_labels_lie_beside_their_images_in_names_with_dots(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    samples = [{f"img{k}.v1.jpg": jpeg(k), f"img{k}.v1.cls": b"\xef\xbb\xbf%d" % LABELS[k]} for k in range(3)]
    folder = shards_of(tmp_path / "s", samples)
    adopt_store(folder, workers=1)
    assert read_index(folder)["label"].tolist() == LABELS[:3]
    unlabelled = shards_of(tmp_path / "u", [sample(k, txt=b"a caption") for k in range(3)])
    assert adopt_store(unlabelled, workers=1).label_counts is None
    assert "have no labels" in capsys.readouterr().err


def test_names_of_shards_are_any_bytes(tmp_path: Path) -> None:
    folder = shards_of(tmp_path / "s", [sample(k, "1") for k in range(3)])
    (folder / NAMES[0]).rename(folder / "a\udcff.tar")
    adopt_store(folder, workers=1)
    assert verify_store(folder, workers=1) == 0
