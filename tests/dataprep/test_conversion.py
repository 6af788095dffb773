"""What holds of every kind of store: its bytes, sizes and labels, what is refused, and that nothing half is left."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dataprep.errors import UserError
from dataprep.images import load_rgb
from dataprep.manifest import SkippedImage, read_manifest
from dataprep.sources import list_images
from tests.dataprep.pictures import odd_images, write_jpeg, write_tree
from tests.dataprep.stores import KINDS, Kind

BROKEN = {
    "cut.jpg": "truncated",
    "empty.jpg": "the file is empty",
    "text.jpg": "no image that Pillow knows",
    "text.png": "no image that Pillow knows",
    "zeros.jpg": "no image that Pillow knows",
}

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


def with_broken(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    files = write_tree(folder)
    jpeg = next(iter(files.values()))
    contents = {"cut.jpg": jpeg[:700], "empty.jpg": b"", "zeros.jpg": bytes(5000)}
    for name in names:
        (folder / "ant" / name).write_bytes(contents.get(name, b"no image"))
    return files


@every_kind
def test_store_holds_the_files_bytes_sizes_and_labels(tmp_path: Path, kind: Kind) -> None:
    files = write_tree(tmp_path / "images")
    manifest = kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, workers=2)
    samples = list(kind.read(tmp_path / kind.name))
    assert [data for data, _, _ in samples] == list(files.values())
    assert [size for _, size, _ in samples] == [(30, 50), (37, 50), (44, 50), (30, 59), (37, 59), (44, 59)]
    assert [label for _, _, label in samples] == [0, 0, 0, 1, 1, 1]
    assert (manifest.kind, manifest.count, manifest.originals, manifest.skipped) == (kind.command, 6, 6, ())
    assert (manifest.classes, manifest.label_counts) == (("ant", "bee"), (3, 3))
    assert read_manifest(tmp_path / kind.name) == manifest
    beside = ["s.beton.json", "s.beton.names.jsonl"] if kind.command == "ffcv" else []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", kind.name, *beside]


@every_kind
def test_bytes_do_not_depend_on_the_workers(tmp_path: Path, kind: Kind) -> None:
    for index in range(20):
        write_jpeg(tmp_path / "images" / f"{index}.jpg", 60, 60 + index, seed=index)
    source = list_images(tmp_path / "images")
    one = kind.write(source, tmp_path / f"one{kind.name}", workers=1, max_side=64)
    three = kind.write(source, tmp_path / f"three{kind.name}", workers=3, max_side=64)
    assert one == three and 0 < one.originals < one.count


@every_kind
def test_larger_images_are_reduced(tmp_path: Path, kind: Kind) -> None:
    big = write_jpeg(tmp_path / "images" / "a.jpg", 120, 90)
    small = write_jpeg(tmp_path / "images" / "b.jpg", 64, 60)
    manifest = kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, max_side=64, workers=1)
    (first, size, label), (second, _, _) = kind.read(tmp_path / kind.name)
    assert second == small and manifest.originals == 1 and size == (64, 48) and label == -1
    expected = Image.open(io.BytesIO(big)).resize((48, 64), Image.Resampling.LANCZOS)
    pixels = np.asarray(Image.open(io.BytesIO(first)))
    assert abs(pixels.astype(int) - np.asarray(expected)).mean() < 4


@pytest.mark.timeout(60)
@every_kind
@pytest.mark.parametrize("name", BROKEN)
def test_fail_names_the_image_and_leaves_nothing(tmp_path: Path, kind: Kind, name: str) -> None:
    with_broken(tmp_path / "images", (name,))
    with pytest.raises(UserError, match=f"ant/{name} cannot be converted: .*{BROKEN[name]}"):
        kind.write(list_images(tmp_path / "images"), tmp_path / "out" / kind.name, workers=2)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.timeout(60)
@every_kind
def test_skip_leaves_them_out_names_and_records_them(tmp_path: Path, kind: Kind, capsys: pytest.CaptureFixture) -> None:
    files = with_broken(tmp_path / "images", tuple(BROKEN))
    manifest = kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, on_error="skip", workers=2)
    samples = list(kind.read(tmp_path / kind.name))
    assert [data for data, _, _ in samples] == list(files.values())
    assert [label for _, _, label in samples] == [0, 0, 0, 1, 1, 1]
    assert manifest.count == 6 and manifest.label_counts == (3, 3)
    assert [image.path for image in manifest.skipped] == [f"ant/{name}" for name in BROKEN]
    said = capsys.readouterr().err
    for image, reason in zip(manifest.skipped, BROKEN.values(), strict=True):
        assert isinstance(image, SkippedImage) and reason in image.reason
        assert f"note: {image.path} is left out: {image.reason}" in said


@every_kind
def test_a_wrong_extension_does_not_matter(tmp_path: Path, kind: Kind) -> None:
    """What a file is, its content says."""
    jpeg = write_jpeg(tmp_path / "images" / "a.png")
    Image.open(tmp_path / "images" / "a.png").save(tmp_path / "images" / "b.jpg", "PNG")
    manifest = kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, workers=1)
    (first, _, _), (second, size, _) = kind.read(tmp_path / kind.name)
    assert first == jpeg and manifest.originals == 1
    assert second.startswith(b"\xff\xd8") and size == (40, 60)


@every_kind
def test_every_mode_and_orientation_is_upright_rgb(tmp_path: Path, kind: Kind) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    write_jpeg(tmp_path / "images" / "turned.jpg", 60, 40, exif=turned)
    deep = (np.arange(40 * 60).reshape(40, 60) * 27).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "images" / "deep.png")
    for name, image in odd_images().items():
        image.save(tmp_path / "images" / name)
    source = list_images(tmp_path / "images")
    manifest = kind.write(source, tmp_path / kind.name, quality=95, workers=2)
    assert manifest.count == 9 and manifest.originals == 0
    for file, (data, size, _) in zip(source.files, kind.read(tmp_path / kind.name), strict=True):
        stored, expected = Image.open(io.BytesIO(data)), np.asarray(load_rgb(tmp_path / "images" / file)).astype(int)
        assert (stored.format, stored.mode, size) == ("JPEG", "RGB", (40, 60))
        assert abs(np.asarray(stored) - expected).mean() < (25 if file == "bits.png" else 6)  # JPEG blurs dither


@every_kind
def test_skipping_everything_is_refused(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    with pytest.raises(UserError, match=r"none of the images can be decoded, the first being a\.jpg: the file is"):
        kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, on_error="skip", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@every_kind
def test_an_existing_store_is_only_replaced_on_request_and_when_complete(tmp_path: Path, kind: Kind) -> None:
    write_tree(tmp_path / "images")
    source, out = list_images(tmp_path / "images"), tmp_path / kind.name
    first = kind.write(source, out, workers=1)
    with pytest.raises(UserError, match=r"exists; remove it.*--overwrite"):
        kind.write(source, out, workers=1)
    (tmp_path / "images" / "bee" / "2.jpg").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be converted"):
        kind.write(source, out, workers=1, overwrite=True)
    assert read_manifest(out) == first
    first.check(out, digest=True)
    second = kind.write(source, out, workers=1, overwrite=True, on_error="skip")
    assert read_manifest(out) == second and second.count == 5
    second.check(out, digest=True)


@every_kind
@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("", {"max_side": 70000}, "--max_side 70000"),
        ("", {"quality": 0}, "--quality 0"),
        ("", {"workers": 0}, "--workers 0"),
        ("", {"on_error": "ignore"}, "--on_error ignore"),
        ("file/", {}, "cannot write .*file/s.*: (Not a directory|File exists)"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(tmp_path: Path, kind: Kind, name: str, options: dict, says: str) -> None:
    write_jpeg(tmp_path / "images" / "a.jpg")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=says):
        kind.write(list_images(tmp_path / "images"), tmp_path / (name + kind.name), **options)


@every_kind
def test_manifest_shows_a_store_that_is_not_its_own(tmp_path: Path, kind: Kind) -> None:
    write_tree(tmp_path / "images")
    out = tmp_path / kind.name
    written = kind.write(list_images(tmp_path / "images"), out, workers=1)
    file = out if out.is_file() else out / "shard-000000.tar"
    written.check(out, digest=True)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    written.check(out)
    with pytest.raises(UserError, match=rf"content of .*{file.name} is not what its manifest says"):
        written.check(out, digest=True)
    file.write_bytes(content[:-1])
    with pytest.raises(UserError, match=f"has {len(content) - 1} bytes where its manifest says {len(content)}"):
        written.check(out)
    file.unlink()
    with pytest.raises(UserError, match="is missing"):
        written.check(out)


@every_kind
def test_real_images_convert(tmp_path: Path, shared_data: Path, kind: Kind) -> None:
    listed = sorted(path.name for path in (shared_data / "imagenet_sample").iterdir())[::13]
    (tmp_path / "list.txt").write_text("\n".join(listed))
    source = list_images(shared_data / "imagenet_sample", tmp_path / "list.txt")
    manifest = kind.write(source, tmp_path / kind.name, workers=2)
    assert manifest.count == len(listed) == 39 and manifest.classes is None
    kept = 0
    for name, (data, size, label) in zip(listed, kind.read(tmp_path / kind.name), strict=True):
        original = Image.open(shared_data / "imagenet_sample" / name)
        stored = Image.open(io.BytesIO(data))
        assert label == -1 and stored.mode == "RGB" and size == stored.size[::-1]
        upright = ImageOps.exif_transpose(original)
        turned = original.getexif().get(0x0112) in range(2, 9)
        if original.mode == "RGB" and max(original.size) <= 500 and not turned:
            assert data == (shared_data / "imagenet_sample" / name).read_bytes()
            kept += 1
        else:
            assert max(stored.size) == min(500, max(original.size))
            expected = np.asarray(upright.convert("RGB").resize(stored.size, Image.Resampling.LANCZOS))
            assert abs(np.asarray(stored).astype(int) - expected).mean() < 8
    assert kept == manifest.originals > 20
