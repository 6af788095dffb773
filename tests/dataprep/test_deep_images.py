"""Images of more than eight bits a channel: one range for all of a source, found or given; none is silently wrong."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.bit_depth import find_range
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.images import UnreadableImage, load_rgb
from dataprep.manifest import manifest_path, read_manifest
from dataprep.sources import list_images
from dataprep.value_range import FULL, ValueRange, parse_range, to_bytes
from dataprep.verify import verify_store
from tests.dataprep.files import deep_png, encoded, pnm, tiff
from tests.dataprep.pictures import smooth
from tests.dataprep.stores import KINDS, Kind

pytestmark = pytest.mark.timeout(60)

RGB = smooth(40, 60)
GREY = RGB[..., 0].astype(np.uint16)


def twelve_bits(eight: np.ndarray) -> np.ndarray:
    return (eight.astype(np.uint16) << 4) + 7


def sixteen_bits(eight: np.ndarray) -> np.ndarray:
    return (eight.astype(np.uint16) << 8) + 99


def deep_files(deepen: Callable[[np.ndarray], np.ndarray]) -> dict[str, bytes]:
    """The same picture, deepened, in every layout that holds it."""
    grey, colour = deepen(GREY), deepen(RGB)
    alpha = np.full((*GREY.shape, 1), 1000, np.uint16)
    return {
        "grey.png": deep_png(grey[..., None]),
        "grey_alpha.png": deep_png(np.concatenate([grey[..., None], alpha], 2)),
        "rgb.png": deep_png(colour),
        "rgba.png": deep_png(np.concatenate([colour, alpha], 2)),
        "little.tif": tiff(grey[..., None], 1),
        "big.tif": tiff(grey[..., None], 1, order=">"),
        "lzw.tif": encoded(Image.fromarray(grey), "TIFF", compression="tiff_lzw"),
        "rgb.tif": tiff(colour, 2),
        "rgb_big.tif": tiff(colour, 2, order=">"),
        "infrared.tif": tiff(np.concatenate([colour, alpha], 2), 2),
        "grey.pgm": pnm(grey, 65535),
        "grey.jp2": encoded(Image.fromarray(grey), "JPEG2000"),
    }


def expected(name: str) -> np.ndarray:
    return RGB if name.startswith(("rgb", "infra")) else np.repeat(GREY[..., None], 3, 2)


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("name", deep_files(twelve_bits))
def test_twelve_bits_are_found_and_shown(tmp_path: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    write(tmp_path, {name: deep_files(twelve_bits)[name]})
    taken = find_range(list_images(tmp_path), workers=1)
    assert taken == ValueRange(0, 4095)
    largest = int(twelve_bits(expected(name)).max())
    said = (
        f"note: the 16-bit images hold values up to {largest}: taken as 12 bits; --range of a conversion, "
        "--data.range in training, says otherwise"
    )
    assert capsys.readouterr().err == said + "\n"
    assert np.array_equal(np.asarray(load_rgb(tmp_path / name, taken)), expected(name))
    assert np.array_equal(np.asarray(load_rgb(tmp_path / name, ValueRange(0, 4095, given=True))), expected(name))


@pytest.mark.parametrize("name", deep_files(sixteen_bits))
def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    write(tmp_path, {name: deep_files(sixteen_bits)[name]})
    assert find_range(list_images(tmp_path), workers=1) == FULL and capsys.readouterr().err == ""
    assert np.array_equal(np.asarray(load_rgb(tmp_path / name)), expected(name))


@pytest.mark.parametrize(("largest", "bits"), [(200, 8), (1023, 10), (1024, 12), (9999, 14), (16384, 16), (65535, 16)])
def test_the_largest_value_of_all_files_decides(tmp_path: Path, largest: int, bits: int) -> None:
    for number in range(5):
        values = np.full((4, 5, 1), largest if number == 3 else 9, np.uint16)
        (tmp_path / f"{number}.png").write_bytes(deep_png(values))
    Image.fromarray(RGB).save(tmp_path / "shallow.png")
    (tmp_path / "broken.png").write_bytes(deep_png(values)[:50])
    assert find_range(list_images(tmp_path), workers=2) == ValueRange(0, (1 << bits) - 1)


def test_a_source_without_deep_extensions_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(deep_png(np.zeros((4, 5, 1), np.uint16)))
    opened = []
    monkeypatch.setattr("dataprep.bit_depth._may_be_deep", lambda path: opened.append(path.name) or False)
    assert find_range(list_images(tmp_path), workers=1) == FULL and opened == ["b.png"]
    monkeypatch.setattr("dataprep.bit_depth.MOST_FILES", 10)
    for number in range(35):
        (tmp_path / f"{number:02d}.png").touch()
    find_range(list_images(tmp_path), workers=1)
    assert opened[1:] == [f"{number:02d}.png" for number in range(0, 35, 4)]


@pytest.mark.parametrize("maxval", [1000, 4095])
@pytest.mark.parametrize("colour", [False, True])
def test_a_pgm_that_says_its_maximum_is_taken_by_it(tmp_path: Path, maxval: int, colour: bool) -> None:
    values = np.rint((RGB if colour else GREY) * (maxval / 255)).astype(np.uint16)
    write(tmp_path, {"a.pnm": pnm(values, maxval), "b.png": deep_png(np.full((4, 5, 1), 900, np.uint16))})
    taken = find_range(list_images(tmp_path), workers=1)
    assert taken == ValueRange(0, 1023), "only the PNG counts"
    shown = np.asarray(load_rgb(tmp_path / "a.pnm", taken)).astype(int)
    assert abs(shown - expected("rgb" if colour else "grey")).max() <= 1
    given = np.asarray(load_rgb(tmp_path / "a.pnm", ValueRange(0, maxval / 2, given=True))).astype(int)
    assert abs(given - np.minimum(2 * expected("rgb" if colour else "grey").astype(int), 255)).max() <= 1


def test_packed_twelve_bits_are_no_sixteen(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(twelve_bits(GREY)[..., None], 1, bits=12))
    assert find_range(list_images(tmp_path), workers=1) == FULL
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "a.tif")), expected("grey"))


def test_deep_images_where_zero_is_white_are_not_negative(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff((0xFFFF - sixteen_bits(GREY))[..., None], 0))
    assert abs(np.asarray(load_rgb(tmp_path / "a.tif")).astype(int) - expected("grey")).max() <= 1


@pytest.mark.parametrize("kind", ["grey", "rgb"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.int32])
def test_floats_and_signed_values_need_a_range(tmp_path: Path, kind: str, dtype: type) -> None:
    low, high = (0.0, 1.0) if dtype == np.float32 else (-2000.0, 550.0)
    picture = RGB if kind == "rgb" else GREY[..., None]
    values = low + picture * ((high - low) / 255)
    values = values if high == 1 else np.rint(values)
    (tmp_path / "a.tif").write_bytes(tiff(values.astype(dtype), 1 + (kind == "rgb")))
    assert find_range(list_images(tmp_path), workers=1) == FULL
    says = "floating-point numbers of unknown range" if high == 1 else "more than 16 bits or a sign"
    with pytest.raises(UnreadableImage, match=f"{says}.*--range LOW,HIGH"):
        load_rgb(tmp_path / "a.tif")
    shown = np.asarray(load_rgb(tmp_path / "a.tif", ValueRange(low, high, given=True))).astype(int)
    assert abs(shown - expected(kind)).max() <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.uint32, 0, 2**32 - 1),
        (np.int8, -128, 127),
        (np.float64, 0, 1),
        (np.uint32, 0, 4080),
        (np.int32, -2040, 2040),
    ],
)
def test_every_kind_of_number_goes_from_black_to_white(
    tmp_path: Path, dtype: type, low: int, high: int, white: bool, order: str
) -> None:
    values = (low + GREY.astype(np.float64) / 255 * (high - low)).astype(dtype)
    write(tmp_path, {"a.tif": tiff(values[..., None], 0 if white else 1, order=order)})
    levels = np.asarray(load_rgb(tmp_path / "a.tif", ValueRange(low, high, given=True)))[..., 0].astype(int)
    wanted = 255 - GREY.astype(int) if white else GREY.astype(int)
    assert abs(levels - wanted).max() <= 1


def test_signed_bytes_need_a_range(tmp_path: Path) -> None:
    for low in (-100, 0):
        write(tmp_path, {"a.tif": tiff((GREY.astype(int) // 3 + low).astype(np.int8)[..., None], 1)})
        with pytest.raises(UnreadableImage, match=r"or a sign .*; say what is black and white"):
            load_rgb(tmp_path / "a.tif", find_range(list_images(tmp_path)))


def test_what_only_opencv_reads_is_looked_at_for_the_range(tmp_path: Path) -> None:
    write(tmp_path, {"a.tif": tiff(twelve_bits(GREY)[..., None], 0, order=">")})
    taken = find_range(list_images(tmp_path))
    assert taken == ValueRange(0, 4095)
    assert (np.asarray(load_rgb(tmp_path / "a.tif", taken))[..., 0] == 255 - GREY).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.pbm"])
@pytest.mark.parametrize("kind", ["grey.png", "rgb.png", "grey.pgm"])
def test_deep_images_with_an_ending_of_others_are_not_silently_dark(tmp_path: Path, kind: str, name: str) -> None:
    """The search for the range passes such endings over."""
    write(tmp_path, {name: deep_files(twelve_bits)[kind]})
    with pytest.raises(UnreadableImage, match=r"up to \d+\) use fewer.*rename it.*--range"):
        load_rgb(tmp_path / name)
    assert abs(np.asarray(load_rgb(tmp_path / name, ValueRange(0, 4095, given=True))) - expected(kind)).max() <= 1
    write(tmp_path, {name: deep_files(sixteen_bits)[kind]})
    assert (np.asarray(load_rgb(tmp_path / name)) == expected(kind)).all()


def test_values_beyond_a_found_range_are_an_error_and_beyond_a_given_one_clipped(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(deep_png(np.array([[[100], [5000]]], np.uint16)))
    with pytest.raises(
        UnreadableImage, match="its values reach 5000, those of the other images 4095; say what is black"
    ):
        load_rgb(tmp_path / "a.png", ValueRange(0, 4095))
    shown = np.asarray(load_rgb(tmp_path / "a.png", ValueRange(200, 4095, given=True)))
    assert shown[0, :, 0].tolist() == [0, 255]


def test_values_become_bytes() -> None:
    full = np.arange(0, 1 << 16, dtype=np.uint16)
    assert np.array_equal(to_bytes(full, FULL), full >> 8)
    assert np.array_equal(to_bytes(full[:4096], ValueRange(0, 4095)), full[:4096] >> 4)
    assert to_bytes(np.array([0, 1], np.int32), ValueRange(0, 1, given=True)).tolist() == [0, 255]
    odd = np.array([-np.inf, -1, 0, 0.5, 1, 7, np.inf, np.nan], np.float32)
    assert to_bytes(odd, ValueRange(0, 1, given=True)).tolist() == [0, 0, 0, 128, 255, 255, 255, 0]
    assert to_bytes(np.array([-1024, 0, 3071], np.int16), ValueRange(-1024, 3071, given=True)).tolist() == [0, 64, 255]


@pytest.mark.parametrize("text", ["", "12", "5,5", "9,1", "a,b", "0,inf", "nan,1", "0,1,2", "AUTO"])
def test_a_wrong_range_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=f"--range {text} is no range; give auto, full, or two numbers LOW,HIGH"):
        parse_range(text)
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="is no range"):
        write_store(list_images(tmp_path), tmp_path / "s.beton", range=text)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    ("asked", "recorded", "scale"),
    [
        ("auto", ValueRange(0, 4095), 1.0),
        ("full", FULL, 1 / 16),
        ("0,8190", ValueRange(0, 8190, given=True), 0.5),
    ],
)
def test_a_conversion_maps_all_alike_records_it_and_verifies(
    tmp_path: Path, kind: Kind, asked: str, recorded: ValueRange, scale: float
) -> None:
    dark = (twelve_bits(GREY) // 8)[..., None]
    files = {
        "a.png": deep_png(twelve_bits(RGB)),
        "b.png": deep_png(dark),
        "c.png": encoded(Image.fromarray(RGB), "PNG"),
    }
    write(tmp_path / "images", files)
    manifest = kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, quality=95, range=asked, workers=2)
    assert manifest.options.range == recorded == read_manifest(tmp_path / kind.name).options.range
    stored = [np.asarray(Image.open(io.BytesIO(data))).astype(int) for data, _, _ in kind.read(tmp_path / kind.name)]
    for pixels, picture in zip(stored, (RGB * scale, expected("grey") // 8 * scale, RGB), strict=True):
        assert abs(pixels - picture).mean() < 3
    assert verify_store(tmp_path / kind.name, workers=1) == 3


def test_a_manifest_of_an_earlier_version_is_read_and_verifies(tmp_path: Path) -> None:
    write(tmp_path / "images", {"a.png": deep_png(sixteen_bits(RGB))})
    write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", workers=1)
    path = manifest_path(tmp_path / "s.beton")
    record = json.loads(path.read_text())
    for name in ("range", "max_pixels", "frugal"):
        del record["options"][name]
    path.write_text(json.dumps(record))
    assert read_manifest(tmp_path / "s.beton").options.range == FULL
    assert not read_manifest(tmp_path / "s.beton").options.frugal
    assert verify_store(tmp_path / "s.beton", workers=1) == 1
