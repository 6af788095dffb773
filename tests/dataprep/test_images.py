"""Any image file to upright 8-bit RGB, and to the JPEG that a store keeps."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dataprep.images import StoredImage, UnreadableImage, load_rgb, stored_image
from tests.dataprep.pictures import odd_images, smooth, write_jpeg

PICTURE = smooth(40, 60)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.mark.parametrize("name", odd_images())
def test_modes_become_rgb(tmp_path: Path, name: str) -> None:
    odd_images()[name].save(tmp_path / name)
    expected = np.asarray(Image.open(tmp_path / name).convert("RGB"))
    assert np.array_equal(np.asarray(load_rgb(tmp_path / name)), expected)
    stored = stored_image(tmp_path / name, max_side=500, quality=95)
    assert not stored.original and (stored.height, stored.width) == (40, 60)
    difference = abs(decoded(stored.data) - expected)
    assert difference.mean() < (25 if name == "bits.png" else 6)  # JPEG blurs dither


def test_transparent_palette_keeps_its_colours(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).quantize(16).save(tmp_path / "p.png", transparency=bytes(range(0, 240, 15)))
    expected = Image.open(tmp_path / "p.png").convert("RGBA").convert("RGB")
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "p.png")), np.asarray(expected))


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    levels = (np.arange(40 * 60).reshape(40, 60) * 27).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    pixels = np.asarray(load_rgb(tmp_path / "deep.png"))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.repeat((levels >> 8)[..., None], 3, axis=2))


def test_pixels_of_unknown_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UnreadableImage, match="floating-point"):
        load_rgb(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 4), 1 << 20, np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(UnreadableImage, match="more than 16 bits"):
        load_rgb(tmp_path / "wide.tif")


@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 mean nothing
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = write_jpeg(tmp_path / "a.jpg", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "a.jpg")), expected)
    stored = stored_image(tmp_path / "a.jpg", max_side=500, quality=95)
    assert (stored.height, stored.width) == ((60, 40) if orientation in (5, 6, 7, 8) else (40, 60))
    assert stored.original == (orientation in (0, 1, 9)) == (stored.data == source)
    assert abs(decoded(stored.data) - expected).mean() < 3
    assert Image.open(io.BytesIO(stored.data)).getexif().get(0x0112) in (None, 0, 1, 9)


def test_upright_rgb_jpeg_keeps_its_bytes(tmp_path: Path) -> None:
    source = write_jpeg(tmp_path / "a.jpg", 40, 60, progressive=True)
    assert stored_image(tmp_path / "a.jpg", max_side=60, quality=90) == StoredImage(source, 40, 60, original=True)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_matter(tmp_path: Path) -> None:
    source = write_jpeg(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert stored_image(tmp_path / "a.jpg", 500, 90).data == source


@pytest.mark.parametrize(("height", "width", "size"), [(80, 120, (40, 60)), (121, 35, (60, 17)), (3, 400, (1, 60))])
def test_longer_side_is_reduced_to_the_limit(tmp_path: Path, height: int, width: int, size: tuple[int, int]) -> None:
    write_jpeg(tmp_path / "a.jpg", height, width)
    stored = stored_image(tmp_path / "a.jpg", max_side=60, quality=95)
    assert (stored.height, stored.width) == size and not stored.original
    small = Image.open(tmp_path / "a.jpg").resize(size[::-1], Image.Resampling.LANCZOS)
    assert abs(decoded(stored.data) - np.asarray(small)).mean() < 4


def test_raw_is_the_pixels(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    assert stored_image(tmp_path / "a.png", 500, 90, raw=True) == (PICTURE.tobytes(), 40, 60, False, True, False)
    small = stored_image(tmp_path / "a.png", 30, 90, raw=True)
    assert (small.height, small.width) == (20, 30)
    expected = Image.fromarray(PICTURE).resize((30, 20), Image.Resampling.LANCZOS)
    assert small.data == expected.tobytes()


def test_lower_quality_makes_fewer_bytes(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", 200, 200)
    assert len(stored_image(tmp_path / "a.jpg", 100, 30).data) < len(stored_image(tmp_path / "a.jpg", 100, 95).data) / 2


def test_what_only_pillow_forgives_is_encoded_anew(tmp_path: Path) -> None:
    source = write_jpeg(tmp_path / "a.jpg", 200, 200)
    (tmp_path / "a.jpg").write_bytes(source[: len(source) // 2] + b"\xff\xd9")
    stored = stored_image(tmp_path / "a.jpg", 500, 95)
    assert not stored.original
    assert abs(decoded(stored.data)[:80] - decoded(source)[:80]).mean() < 3


def unreadable(path: Path, kind: str) -> str:
    """Writes a file of the kind, and returns what the reason must match."""
    jpeg = write_jpeg(path, 100, 100)
    png = io.BytesIO()
    Image.fromarray(PICTURE).save(png, "PNG")
    content, reason = {
        "truncated": (jpeg[: len(jpeg) // 2], "truncated"),
        "truncated png": (png.getvalue()[:200], "truncated|Truncated"),
        "empty": (b"", "the file is empty"),
        "text": (b"not an image\n", "no image that Pillow knows"),
    }[kind]
    path.write_bytes(content)
    return reason


@pytest.mark.parametrize("kind", ["truncated", "truncated png", "empty", "text"])
def test_unreadable_files_give_a_reason(tmp_path: Path, kind: str) -> None:
    reason = unreadable(tmp_path / "a.jpg", kind)
    with pytest.raises(UnreadableImage, match=reason):
        stored_image(tmp_path / "a.jpg", 500, 90)
    with pytest.raises(UnreadableImage, match=reason):
        load_rgb(tmp_path / "a.jpg")


def test_a_missing_file_gives_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="No such file"):
        stored_image(tmp_path / "gone.jpg", 500, 90)
