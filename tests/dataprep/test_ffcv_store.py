"""A store is read back by FFCV's own reader, and an unsuccessful conversion leaves nothing."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import JPEG_MODE, RAW_MODE, SkippedImage, manifest_path, read_manifest, sha256_of
from dataprep.sources import list_images
from tests.dataprep.pictures import smooth, write_jpeg, write_tree


def read_store(store: Path) -> Iterator[tuple[bytes, tuple[int, int], int]]:
    """(JPEG bytes, (height, width), label) of every sample, by FFCV's Reader."""
    from ffcv.reader import Reader

    reader = Reader(str(store))
    assert reader.field_names == ["image", "label"]
    assert reader.field_descriptors["type_id"].tolist() == [2, 1]
    sizes = dict(zip(reader.alloc_table["ptr"].tolist(), reader.alloc_table["size"].tolist(), strict=True))
    content = store.read_bytes()
    for image, label in reader.metadata:
        assert image["mode"] == JPEG_MODE
        start = int(image["data_ptr"])
        data = content[start : start + sizes[start]]
        yield data, (int(image["height"]), int(image["width"])), int(label)


def test_the_modes_are_ffcvs() -> None:
    from ffcv.fields.rgb_image import IMAGE_MODES

    assert {name: int(mode) for name, mode in IMAGE_MODES.items()} == {"jpg": JPEG_MODE, "raw": RAW_MODE}


def test_store_holds_the_files_bytes_sizes_and_labels(tmp_path: Path) -> None:
    files = write_tree(tmp_path / "images")
    manifest = write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", workers=2)
    samples = list(read_store(tmp_path / "s.beton"))
    assert [data for data, _, _ in samples] == list(files.values())
    assert [size for _, size, _ in samples] == [(30, 50), (37, 50), (44, 50), (30, 59), (37, 59), (44, 59)]
    assert [label for _, _, label in samples] == [0, 0, 0, 1, 1, 1]
    assert (manifest.count, manifest.originals, manifest.skipped) == (6, 6, ())
    assert (manifest.classes, manifest.label_counts) == (("ant", "bee"), (3, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "s.beton", "s.beton.json"]


def test_ffcvs_loader_decodes_the_store(tmp_path: Path) -> None:
    from ffcv.fields.basics import IntDecoder
    from ffcv.fields.rgb_image import SimpleRGBImageDecoder
    from ffcv.loader import Loader, OrderOption

    for index in range(5):
        write_jpeg(tmp_path / "images" / f"{index}.jpg", 48, 64, seed=index)
    (tmp_path / "images" / "2.jpg").write_bytes(b"broken")
    write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", workers=1, on_error="skip")
    pipelines = {"image": [SimpleRGBImageDecoder()], "label": [IntDecoder()]}
    order = OrderOption.SEQUENTIAL
    batches = list(Loader(str(tmp_path / "s.beton"), 2, 1, order=order, pipelines=pipelines, os_cache=True))
    images = np.concatenate([np.array(image) for image, _ in batches])
    assert [label for _, labels in batches for label in np.array(labels).ravel()] == [-1] * 4
    for image, seed in zip(images.astype(int), (0, 1, 3, 4), strict=True):
        assert abs(image - smooth(48, 64, seed)).mean() < 4


def test_bytes_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    for index in range(20):
        write_jpeg(tmp_path / "images" / f"{index}.jpg", 60, 60 + index, seed=index)
    source = list_images(tmp_path / "images")
    one = write_store(source, tmp_path / "one.beton", workers=1, max_side=64)
    three = write_store(source, tmp_path / "three.beton", workers=3, max_side=64)
    assert one == three and 0 < one.originals < one.count


def test_larger_images_are_reduced(tmp_path: Path) -> None:
    big = write_jpeg(tmp_path / "images" / "a.jpg", 120, 90)
    small = write_jpeg(tmp_path / "images" / "b.jpg", 64, 60)
    manifest = write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", max_side=64, workers=1)
    (first, size, _), (second, _, _) = read_store(tmp_path / "s.beton")
    assert second == small and manifest.originals == 1 and size == (64, 48)
    expected = Image.open(io.BytesIO(big)).resize((48, 64), Image.Resampling.LANCZOS)
    pixels = np.asarray(Image.open(io.BytesIO(first)))
    assert abs(pixels.astype(int) - np.asarray(expected)).mean() < 4


def test_more_than_one_page(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    (tmp_path / "images").mkdir()
    for index in range(6):
        Image.fromarray(np.roll(noise, index)).save(tmp_path / "images" / f"{index}.jpg", quality=97)
    write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", max_side=1500, workers=2)
    for index, (data, _, _) in enumerate(read_store(tmp_path / "s.beton")):
        assert data == (tmp_path / "images" / f"{index}.jpg").read_bytes()
    assert (tmp_path / "s.beton").stat().st_size > 2 * (8 << 20)


BROKEN = {"cut.jpg": "truncated", "empty.jpg": "the file is empty", "text.jpg": "no image that Pillow knows"}


def with_broken(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    files = write_tree(folder)
    contents = {"cut.jpg": next(iter(files.values()))[:700], "empty.jpg": b"", "text.jpg": b"no image"}
    for name in names:
        (folder / "ant" / name).write_bytes(contents[name])
    return files


@pytest.mark.parametrize("name", BROKEN)
def test_fail_names_the_image_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with_broken(tmp_path / "images", (name,))
    with pytest.raises(UserError, match=f"ant/{name} cannot be converted: .*{BROKEN[name]}"):
        write_store(list_images(tmp_path / "images"), tmp_path / "out" / "s.beton", workers=2)
    assert list((tmp_path / "out").iterdir()) == []


def test_skip_leaves_them_out_and_records_them(tmp_path: Path) -> None:
    files = with_broken(tmp_path / "images", tuple(BROKEN))
    manifest = write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", on_error="skip", workers=2)
    samples = list(read_store(tmp_path / "s.beton"))
    assert [data for data, _, _ in samples] == list(files.values())
    assert [label for _, _, label in samples] == [0, 0, 0, 1, 1, 1]
    assert manifest.count == 6 and manifest.label_counts == (3, 3)
    assert [image.path for image in manifest.skipped] == [f"ant/{name}" for name in BROKEN]
    for image, reason in zip(manifest.skipped, BROKEN.values(), strict=True):
        assert isinstance(image, SkippedImage) and reason in image.reason


def test_skipping_everything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    with pytest.raises(UserError, match=r"none of the images can be decoded, the first being a\.jpg: the file is"):
        write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", on_error="skip", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_an_existing_store_is_only_replaced_on_request_and_when_complete(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    source, out = list_images(tmp_path / "images"), tmp_path / "s.beton"
    first = write_store(source, out, workers=1)
    with pytest.raises(UserError, match=r"exists; remove it.*--overwrite"):
        write_store(source, out, workers=1)
    (tmp_path / "images" / "bee" / "2.jpg").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be converted"):
        write_store(source, out, workers=1, overwrite=True)
    assert read_manifest(out) == first and sha256_of(out) == first.sha256
    second = write_store(source, out, workers=1, overwrite=True, on_error="skip")
    assert read_manifest(out) == second and second.count == 5
    second.check(out, digest=True)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("s.ffcv", {}, "unknown extension"),
        ("file/s.beton", {}, "cannot write .*file/s.beton: (Not a directory|File exists)"),
        ("folder.beton", {}, "is a folder"),
        ("s.beton", {"max_side": 70000}, "--max-side 70000"),
        ("s.beton", {"quality": 0}, "--quality 0"),
        ("s.beton", {"workers": 0}, "--workers 0"),
        ("s.beton", {"on_error": "ignore"}, "--on-error ignore"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, name: str, options: dict, says: str) -> None:
    write_jpeg(tmp_path / "images" / "a.jpg")
    (tmp_path / "file").touch()
    (tmp_path / "folder.beton").mkdir()
    with pytest.raises(UserError, match=says):
        write_store(list_images(tmp_path / "images"), tmp_path / name, **options)


def test_manifest_shows_a_store_that_is_not_its_own(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    out = tmp_path / "s.beton"
    written = write_store(list_images(tmp_path / "images"), out, workers=1)
    manifest = read_manifest(out)
    assert manifest == written
    manifest.check(out, digest=True)
    content = bytearray(out.read_bytes())
    content[-1] ^= 1
    out.write_bytes(content)
    manifest.check(out)
    with pytest.raises(UserError, match=r"content of .* is not what its manifest says"):
        manifest.check(out, digest=True)
    out.write_bytes(content[:-1])
    with pytest.raises(UserError, match=f"has {len(content) - 1} bytes where its manifest says {len(content)}"):
        manifest.check(out)
    out.unlink()
    with pytest.raises(UserError, match="there is no store"):
        manifest.check(out)


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


def test_real_images_convert(tmp_path: Path, shared_data: Path) -> None:
    listed = sorted(path.name for path in (shared_data / "imagenet_sample").iterdir())[::13]
    (tmp_path / "list.txt").write_text("\n".join(listed))
    source = list_images(shared_data / "imagenet_sample", tmp_path / "list.txt")
    manifest = write_store(source, tmp_path / "s.beton", workers=2)
    assert manifest.count == len(listed) == 39 and manifest.classes is None
    kept = 0
    for name, (data, size, label) in zip(listed, read_store(tmp_path / "s.beton"), strict=True):
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
