"""What lies beside the pixels never costs a picture, and a store does not drag it along."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from dataprep.images import BALLAST, UnreadableImage, load_pixels, load_rgb, stored_image
from dataprep.libffcv import imdecode
from dataprep.metadata import bare_jpeg, exif_orientation, without_metadata
from tests.dataprep.files import encoded, every_format, png_chunk, segment, with_chunk, with_segments
from tests.dataprep.pictures import smooth

RGB = smooth(40, 56)
JPEG = every_format(RGB)["a.jpg"]
PNG = encoded(Image.fromarray(RGB), "PNG")
TURNED = np.asarray(Image.fromarray(RGB).transpose(Image.Transpose.ROTATE_270))


def exif(entries: list[tuple[int, int, int, bytes]], order: str = ">", count: int | None = None) -> bytes:
    """EXIF data of the entries (tag, type, count, the four bytes of value)."""
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", 42, 8, len(entries) if count is None else count)
    return head + b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4)


def orientation(value: int, order: str = ">") -> tuple[int, int, int, bytes]:
    return 0x0112, 3, 1, struct.pack(order + "HH", value, 0)


ODD_EXIF = {
    "unknown type": exif([orientation(6), (0x9003, 99, 1, bytes(4))]),
    "an offset beyond the end": exif([(0x010F, 2, 900, b"\0\0\xff\xff"), orientation(6)]),
    "an IFD of Exif beyond the end": exif([orientation(6), (0x8769, 4, 1, b"\x7f\xff\xff\xff")]),
    "an IFD of Exif that is no number": exif([orientation(6), (0x8769, 2, 4, b"abc\0")]),
    "a rational over zero": exif([orientation(6), (0x011A, 5, 1, b"\0\0\0\x10")]),
    "more entries than there are": exif([orientation(6)], count=9000),
    "little endian": exif([orientation(6, "<"), (0x9003, 7, 4_000_000_000, bytes(4))], "<"),
    "a maker note of text": exif([orientation(6), (0x927C, 2, 4, b"abc\0")]),
    "text where numbers should be": exif([(0x0100, 2, 4, b"ab\xff\0"), orientation(6), (0x8825, 2, 4, b"gps\0")]),
}


def load(folder: Path, data: bytes, name: str = "a.jpg") -> np.ndarray:
    (folder / name).write_bytes(data)
    return np.asarray(load_rgb(folder / name)).astype(int)


@pytest.mark.parametrize("name", ODD_EXIF)
def test_a_valid_orientation_in_odd_exif_is_applied(tmp_path: Path, name: str) -> None:
    data = with_segments(JPEG, segment(0xE1, b"Exif\0\0" + ODD_EXIF[name]))
    assert abs(load(tmp_path, data) - TURNED).mean() < 3
    stored = stored_image(tmp_path / "a.jpg", max_side=500, quality=95)
    assert (stored.height, stored.width, stored.original) == (56, 40, False)
    assert np.array_equal(load(tmp_path, with_chunk(PNG, b"eXIf", ODD_EXIF[name]), "a.png"), TURNED)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("start", range(0, 400, 100))
def test_no_exif_loses_a_picture(tmp_path: Path, start: int) -> None:
    """Bits turned over and bytes cut off; the orientation may be gone, the pixels are not."""
    whole = Image.Exif()
    whole[0x0112], whole[0x010F], whole[0x011A] = 6, "maker", 72.0
    whole.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    whole.get_ifd(0x8825)[1] = "N"
    good = whole.tobytes()
    for seed in range(start, start + 100):
        chance = random.Random(seed)
        odd = bytearray(good[: chance.randrange(6, len(good))] if seed % 3 == 0 else good)
        for _ in range(chance.randrange(1, 6)):
            odd[chance.randrange(6, len(odd))] ^= 1 << chance.randrange(8)
        shown = load(tmp_path, with_segments(JPEG, segment(0xE1, bytes(odd))))
        assert sorted(shown.shape) == [3, 40, 56]
        assert sorted(load(tmp_path, with_chunk(PNG, b"eXIf", bytes(odd[6:])), "a.png").shape) == [3, 40, 56]


def test_orientation_is_read_from_what_is_left() -> None:
    for value in range(1, 9):
        assert exif_orientation(b"Exif\0\0" + exif([orientation(value)])) == value
    for value in (0, 9, 200):
        assert exif_orientation(exif([orientation(value)])) == 1
    assert (
        exif_orientation(exif([orientation(6)])[:15])
        == exif_orientation(b"")
        == exif_orientation(b"XX" + bytes(40))
        == 1
    )


BIG = zlib.compress(bytes(3 << 20))
CHUNKS = {
    "text of megabytes": (b"zTXt", b"Comment\0\0" + BIG),
    "international text": (b"iTXt", b"XML\0\1\0\0\0" + BIG),
    "a large profile": (b"iCCP", b"icc\0\0" + BIG),
    "a broken profile": (b"iCCP", b"icc\0\0" + b"not compressed"),
    "a profile of unknown compression": (b"iCCP", b"icc\0\7xx"),
    "an empty resolution": (b"pHYs", b""),
    "an empty animation": (b"acTL", b""),
    "a short gamma": (b"gAMA", b"\0"),
}


def heavy(png: bytes, name: str) -> bytes:
    if name == "text at the end":
        return with_chunk(png, *CHUNKS["text of megabytes"], last=True)
    if name == "many texts":
        chunk = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))
        return png[:33] + 80 * chunk + png[33:]
    if name == "a damaged chunk of text":
        return with_chunk(png, b"tEXt", b"Comment\0hello").replace(b"hello", b"hallo")
    return with_chunk(png, *CHUNKS[name])


@pytest.mark.parametrize("name", [*CHUNKS, "text at the end", "many texts", "a damaged chunk of text"])
def test_a_png_is_read_despite_its_other_chunks(tmp_path: Path, name: str) -> None:
    assert np.array_equal(load(tmp_path, heavy(PNG, name), "a.png"), RGB)
    turned = with_chunk(heavy(PNG, name), b"eXIf", exif([orientation(6)]))
    assert np.array_equal(load(tmp_path, turned, "a.png"), TURNED)
    labels = RGB[..., 0] % 20
    (tmp_path / "mask.png").write_bytes(heavy(encoded(Image.fromarray(labels), "PNG"), name))
    assert np.array_equal(np.asarray(load_pixels(tmp_path / "mask.png")), labels)


def test_damaged_pixels_are_not_read_without_their_metadata(tmp_path: Path) -> None:
    data = heavy(PNG, "text of megabytes")
    with pytest.raises(UnreadableImage):
        load(tmp_path, data[:-40], "a.png")
    damaged = bytearray(data)
    damaged[-30] ^= 1
    with pytest.raises(UnreadableImage):
        load(tmp_path, bytes(damaged), "a.png")


def test_a_comment_that_no_jpeg_can_hold_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(encoded(Image.fromarray(RGB).quantize(64), "GIF", comment=b"x" * 100_000))
    stored = stored_image(tmp_path / "a.gif", max_side=500, quality=90)
    assert (stored.height, stored.width) == (40, 56) and len(stored.data) < 10_000


MPEG = b"\0\0\0\x18ftypmp42" + bytes(range(1, 255)) * 2000
SEGMENTS = [segment(0xE2, b"ICC_PROFILE\0" + bytes([i, 3]) + bytes(60_000)) for i in (1, 2, 3)]
HEAVY_JPEG = {
    "a film behind its end": JPEG + MPEG,
    "a film and another end": JPEG + MPEG + b"\xff\xd9",
    "profiles": with_segments(JPEG, *SEGMENTS),
    "both": with_segments(JPEG, *SEGMENTS) + MPEG,
    "upright exif with a large note": with_segments(
        JPEG, segment(0xE1, b"Exif\0\0" + exif([orientation(1)]) + bytes(60_000)), *SEGMENTS[:1]
    ),
    "another picture behind its end": every_format(RGB)["two.mpo"],
    "progressive": every_format(RGB)["progressive.jpg"] + MPEG,
    "restarts": every_format(RGB)["restarts.jpg"] + MPEG,
    "rgb": with_segments(every_format(RGB)["rgb.jpg"], *SEGMENTS) + MPEG,
}


def decoded_by_ffcv(data: bytes) -> np.ndarray:
    pixels = np.empty((40, 56, 3), np.uint8)
    assert imdecode()(data, len(data), 40, 56, pixels.ctypes.data, 40, 56, 0, 0, 1, 1, False, False) == 0
    return pixels


@pytest.mark.parametrize("name", HEAVY_JPEG)
def test_a_stored_jpeg_is_relieved_and_keeps_its_pixels(tmp_path: Path, name: str) -> None:
    data = HEAVY_JPEG[name]
    (tmp_path / "a.jpg").write_bytes(data)
    stored = stored_image(tmp_path / "a.jpg", max_side=500, quality=50)
    assert stored.original and len(stored.data) < 9000 and stored.data in (bare_jpeg(data), bare_jpeg(stored.data))
    with Image.open(io.BytesIO(stored.data)) as image:
        assert image.format == "JPEG"
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(data))))
    assert np.array_equal(decoded_by_ffcv(stored.data), decoded_by_ffcv(data))
    earlier = stored_image(tmp_path / "a.jpg", max_side=500, quality=50, frugal=False)
    assert earlier.data == data if name != "another picture behind its end" else not earlier.original


@pytest.mark.parametrize("name", ["adobe", "little"])
def test_ordinary_metadata_stays(tmp_path: Path, name: str) -> None:
    data = with_segments(JPEG, segment(0xED, b"Photoshop 3.0\0" + bytes(20_000)), segment(0xFE, b"hello"))
    data = data if name == "adobe" else data + bytes(BALLAST // 2)
    (tmp_path / "a.jpg").write_bytes(data)
    assert stored_image(tmp_path / "a.jpg", max_side=500, quality=50).data == data


def test_a_cut_jpeg_is_still_refused(tmp_path: Path) -> None:
    for data in (JPEG[:-900], with_segments(JPEG, *SEGMENTS)[:-900], JPEG[:-900] + MPEG):
        (tmp_path / "a.jpg").write_bytes(data)
        with pytest.raises(UnreadableImage):
            stored = stored_image(tmp_path / "a.jpg", max_side=500, quality=50)
            assert not stored.original  # what libjpeg fills up is encoded anew at most
            raise UnreadableImage


def test_turned_metadata_becomes_small_metadata() -> None:
    data = with_segments(JPEG, segment(0xE1, b"Exif\0\0" + ODD_EXIF["unknown type"]), *SEGMENTS) + MPEG
    bare = without_metadata(data)
    assert len(bare) < len(JPEG) + 60
    with Image.open(io.BytesIO(bare)) as image:
        assert image.getexif()[0x0112] == 6 and image.size == (56, 40)
        assert np.array_equal(
            np.asarray(ImageOps.exif_transpose(image)), np.rot90(np.asarray(Image.open(io.BytesIO(JPEG))), -1)
        )
    assert without_metadata(JPEG[:30]) == JPEG[:30] and without_metadata(b"GIF89a") == b"GIF89a"


def test_pillow_still_has_the_limits_that_are_worked_around() -> None:
    assert PngImagePlugin.MAX_TEXT_CHUNK < 3 << 20
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        Image.open(io.BytesIO(heavy(PNG, "text of megabytes"))).load()
