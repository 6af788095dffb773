"""Every format that is taken gives its pixels, whatever its file is called; what is not taken is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, features

from dataprep.decoding import open_header
from dataprep.formats import DEEP_EXTENSIONS, IMAGE_EXTENSIONS, foreign
from dataprep.images import UnreadableImage, load_rgb
from tests.dataprep.files import every_format, tiff
from tests.dataprep.pictures import smooth

RGB = smooth(40, 56)
FILES = every_format(RGB)
DITHERED = {"bits.png", "a.pbm"}
GREY = {"grey.jpg", "grey.png", "grey_alpha.png", "a.pgm"}


def load(folder: Path, name: str, data: bytes) -> np.ndarray:
    (folder / name).write_bytes(data)
    return np.asarray(load_rgb(folder / name)).astype(int)


def test_files_of_every_extension_are_tried() -> None:
    assert {Path(name).suffix for name in FILES} == IMAGE_EXTENSIONS
    assert DEEP_EXTENSIONS < IMAGE_EXTENSIONS


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_those_of_the_picture(tmp_path: Path, name: str) -> None:
    """And of its first frame or page: the second shows the negative."""
    expected = RGB.astype(int)
    if name in GREY or name in DITHERED:
        expected = np.repeat(np.asarray(Image.fromarray(RGB).convert("L")).astype(int)[..., None], 3, 2)
    if name in DITHERED:
        expected = np.asarray(Image.fromarray(RGB).convert("L").convert("1").convert("RGB")).astype(int)
    assert abs(load(tmp_path, name, FILES[name]) - expected).mean() < 4


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("cmyk.tif",)])
def test_pixels_are_those_of_opencv(tmp_path: Path, name: str) -> None:
    theirs = cv2.imdecode(np.frombuffer(FILES[name], np.uint8), cv2.IMREAD_COLOR)
    if theirs is None:
        pytest.skip(f"this OpenCV does not read {name}")
    assert abs(load(tmp_path, name, FILES[name]) - theirs[..., ::-1].astype(int)).mean() < 1.5


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".tga")])
def test_the_extension_does_not_matter(tmp_path: Path, name: str) -> None:
    ours = load(tmp_path, name, FILES[name])
    assert np.array_equal(load(tmp_path, "called.jpg", FILES[name]), ours)
    assert np.array_equal(load(tmp_path, "called.tga", FILES[name]), ours)


def test_a_tga_needs_its_extension(tmp_path: Path) -> None:
    """It has no signature, so that noise could pass for one."""
    with pytest.raises(UnreadableImage, match="no image that Pillow knows"):
        load(tmp_path, "a.png", FILES["a.tga"])


@pytest.mark.parametrize(("codec", "name", "kind"), [("avif", "a.avif", "AVIF"), ("jpg_2000", "a.jp2", "JPEG 2000")])
def test_a_codec_that_pillow_lacks_is_named(monkeypatch: pytest.MonkeyPatch, codec: str, name: str, kind: str) -> None:
    assert foreign(FILES[name]) is None
    monkeypatch.setattr(features, "get_supported", lambda: ["jpg", "zlib"])
    said = foreign(FILES[name])
    assert said is not None and f"this Pillow cannot read {kind}; install" in said
    with pytest.raises(UnreadableImage, match=f"this Pillow cannot read {kind}"):
        open_header(FILES[name][:60])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is HEIC, which Pillow cannot read; convert it"),
        (b"\xff\x0a" + bytes(40), "it is JPEG XL"),
        (b"%PDF-1.7\n" + bytes(40), "it is PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "it is SVG"),
        (b"\n<!DOCTYPE html><html>404</html>", "it is a web page, which Pillow cannot read; download the image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image that Pillow knows"),
    ],
    ids=["heic", "jxl", "pdf", "svg", "html", "eps"],
)
def test_other_kinds_of_files_are_named(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(UnreadableImage, match=says):
        load(tmp_path, "a.jpg", data)


@pytest.mark.parametrize("bands", [4, 5, 6])
def test_bands_beyond_rgb_are_left_out(tmp_path: Path, bands: int) -> None:
    pixels = np.concatenate([RGB, np.repeat(RGB[..., :1], bands - 3, 2)], axis=2)
    assert np.array_equal(load(tmp_path, "a.tif", tiff(pixels, 2)), RGB)


@pytest.mark.parametrize("order", ["<", ">"])
def test_separate_planes_of_rgb_are_read(tmp_path: Path, order: str) -> None:
    assert np.array_equal(load(tmp_path, "a.tif", tiff(RGB, 2, separate=True, order=order)), RGB)
    with_infrared = np.concatenate([RGB, RGB[..., :1]], axis=2)
    assert np.array_equal(load(tmp_path, "b.tif", tiff(with_infrared, 2, separate=True, order=order)), RGB)
    deep = tiff(RGB.astype(np.uint16) * 257, 2, separate=True, order=order)
    with pytest.raises(UnreadableImage, match=r"a TIFF with 3 bands of 16-bit unsigned numbers in separate planes"):
        load(tmp_path, "c.tif", deep)  # both Pillow and OpenCV would mix up the channels


@pytest.mark.parametrize("bands", [2, 3, 5, 8, 13])
def test_a_tiff_of_other_bands_says_what_it_is(tmp_path: Path, bands: int) -> None:
    data = tiff(np.zeros((8, 9, bands), np.uint16), 1)
    with pytest.raises(UnreadableImage, match=f"it is a TIFF with {bands} bands of 16-bit unsigned numbers, which is"):
        load(tmp_path, "a.tif", data)


def test_a_cut_tiff_of_separate_planes_is_refused(tmp_path: Path) -> None:
    """OpenCV would fill up what is missing."""
    data = tiff(np.concatenate([RGB, RGB[..., :1]], axis=2), 2, separate=True)
    with pytest.raises(UnreadableImage, match="cut short"):
        load(tmp_path, "a.tif", data[:-200])
