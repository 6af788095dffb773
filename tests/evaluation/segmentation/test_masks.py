"""What masks mean: binary ones, colour files of grey, and masks beside images that EXIF turns."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from dataprep.errors import UserError
from tests.dataprep.files import png_chunk, pnm, tiff
from vicregl_fast.evaluation.segmentation.folders import folder_pairs
from vicregl_fast.evaluation.segmentation.labels import Labels, ignore_index_of
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages, read_all
from vicregl_fast.evaluation.segmentation.masks import open_mask

ORIENTATION = 0x0112
BINARY = np.kron(np.array([[0, 255], [255, 255]]), np.ones((4, 4), int)).astype(np.uint8)


def save(path: Path, values: np.ndarray, orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    Image.fromarray(values).save(path, exif=exif)
    return path


def pair(folder: Path, image: np.ndarray, mask: np.ndarray, orientation: int | None = None) -> None:
    save(folder / "images" / "a.png", image, orientation)
    save(folder / "masks" / "a.png", mask)


def masked(folder: Path, labels: Labels, orientation: str = "ask") -> MaskedImages:
    return MaskedImages(folder_pairs(folder / "images", folder / "masks"), labels, orientation)  # type: ignore[arg-type]


def test_binary_masks_are_asked_about_and_can_be_told(tmp_path: Path) -> None:
    pair(tmp_path, np.zeros((8, 8, 3), np.uint8), BINARY)
    with pytest.raises(UserError, match=r"only class 0 and 48 pixels .*, .* is 255 the foreground\? .*--foreground"):
        read_all(masked(tmp_path, Labels(2)), workers=0)
    told = masked(tmp_path, Labels(2, None, foreground=255))
    assert torch.equal(told[0].mask, torch.from_numpy((BINARY > 0).astype(np.int64)))
    assert read_all(told, workers=0).pixels.tolist() == [16, 48]


@pytest.mark.parametrize(("value", "labels"), [(0, Labels(2)), (1, Labels(3, None)), (1, Labels(2, None, 255))])
def test_one_class_alone_is_no_evaluation(tmp_path: Path, value: int, labels: Labels) -> None:
    pair(tmp_path, np.zeros((8, 8, 3), np.uint8), np.full((8, 8), value, np.uint8))
    with pytest.raises(UserError, match=f"masks hold only class {value}, so that .* check the masks and what their"):
        read_all(masked(tmp_path, labels), workers=0)


def test_which_value_is_ignored() -> None:
    for foreground, ignored in ((None, 255), (1, 255), (255, None)):
        assert ignore_index_of(None, Labels(2, None, foreground)) == ignored
    assert [ignore_index_of(given, Labels(2, None)) for given in ("none", "0", "255")] == [None, 0, 255]
    for wrong in ("-1", "any", ""):
        with pytest.raises(UserError, match="is no value of a pixel"):
            ignore_index_of(wrong, Labels(2, None))


def test_with_nothing_ignored_every_value_must_be_a_class(tmp_path: Path) -> None:
    mask = save(tmp_path / "m.png", BINARY)
    with pytest.raises(UserError, match=r"the label 255, but classes are 0 to 1 and none is ignored: .*--foreground"):
        open_mask(mask, Labels(2, None))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "P"])
def test_grey_in_other_modes_is_a_mask(tmp_path: Path, mode: str) -> None:
    values = (BINARY > 0).astype(np.uint8)
    image = Image.fromarray(BINARY if mode == "1" else values).convert(mode)
    if mode == "P":
        image = Image.fromarray(values, "P")
        image.putpalette([0, 0, 0, 200, 100, 0])
    image.save(tmp_path / "m.png")
    assert torch.equal(open_mask(tmp_path / "m.png", Labels(2)), torch.from_numpy(values).long())


@pytest.mark.parametrize(("ending", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_lossy_masks_are_refused(tmp_path: Path, ending: str, kind: str) -> None:
    Image.fromarray(BINARY).save(tmp_path / f"m.{ending}")
    with pytest.raises(UserError, match=rf"m\.{ending} is a {kind}, which changes labels"):
        open_mask(tmp_path / f"m.{ending}", Labels(2, None, 255))


def test_numbers_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    for value in (0.9, np.nan):
        Image.fromarray(np.full((4, 4), value, np.float32)).save(tmp_path / "m.tif")
        with pytest.raises(UserError, match="numbers that are not whole"):
            open_mask(tmp_path / "m.tif", Labels(2))


def test_what_is_passed_over_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pair(tmp_path, np.zeros((8, 8, 3), np.uint8), BINARY)
    (tmp_path / "images" / "b.heic").touch()
    masked(tmp_path, Labels(2))
    said = capsys.readouterr().err
    assert "1 file (1 .heic)" in said and "labels" not in said


@pytest.mark.parametrize("stored", [True, False])
def test_a_turned_tiff_s_mask_is_told_by_its_size(tmp_path: Path, stored: bool) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[0] = 1
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.repeat(200 * mask[:, :, None], 3, axis=2)).save(tmp_path / "images" / "a.tif", exif=exif)
    save(tmp_path / "masks" / "a.png", mask if stored else np.ascontiguousarray(np.rot90(mask, -1)))
    item = masked(tmp_path, Labels(2))[0]
    assert item.mask.shape == (6, 4) and torch.equal(item.mask, (item.pixels[0] > 0).long())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(6, 6), (4, 6)], ids=["square", "wide"])
def test_masks_lie_as_their_images_do(tmp_path: Path, orientation: int, shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[0, :2] = mask[1, 0] = 1  # no turn leaves it as it is
    image = np.repeat(200 * mask[:, :, None], 3, axis=2)
    pair(tmp_path, image, mask, orientation)
    item = masked(tmp_path, Labels(2), "stored")[0]
    assert torch.equal(item.mask, (item.pixels[0] > 0).long())
    upright = np.array(ImageOps.exif_transpose(Image.open(tmp_path / "images" / "a.png")))[:, :, 0] // 200
    pair(tmp_path, image, upright, orientation)
    assert torch.equal(masked(tmp_path, Labels(2), "upright")[0].mask, torch.from_numpy(upright).long())
    save(tmp_path / "masks" / "a.png", mask, orientation)  # both are turned
    item = masked(tmp_path, Labels(2))[0]
    assert torch.equal(item.mask, (item.pixels[0] > 0).long())


def test_where_sizes_tell_how_a_mask_lies_nothing_is_asked(tmp_path: Path) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[0] = 1
    pair(tmp_path, np.repeat(200 * mask[:, :, None], 3, axis=2), mask, orientation=6)
    item = masked(tmp_path, Labels(2))[0]
    assert item.mask.shape == (6, 4) and torch.equal(item.mask, (item.pixels[0] > 0).long())
    save(tmp_path / "masks" / "a.png", np.ascontiguousarray(np.rot90(mask, -1)))
    assert torch.equal(masked(tmp_path, Labels(2))[0].mask, item.mask)


@pytest.mark.parametrize(("orientation", "shape"), [(6, (6, 6)), (3, (4, 6)), (2, (4, 6))])
def test_where_they_do_not_it_is_asked(tmp_path: Path, orientation: int, shape: tuple[int, int]) -> None:
    pair(tmp_path, np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), orientation)
    with pytest.raises(UserError, match=r"a\.png is turned by its EXIF orientation and its mask .*--mask_orientation"):
        masked(tmp_path, Labels(2))[0]


def test_masks_of_sixteen_bit_colours_are_refused(tmp_path: Path) -> None:
    """Pillow would read the label 1 as 0."""
    cv2.imwrite(str(tmp_path / "m.png"), np.ones((4, 4, 3), np.uint16))
    with pytest.raises(UserError, match=r"m\.png cannot be decoded .*only eight of the more bits of its colours"):
        open_mask(tmp_path / "m.png", Labels(2))


def test_grey_levels_that_are_scaled_are_no_labels(tmp_path: Path) -> None:
    """Pillow makes 0, 17, 34 of the 0, 1, 2 of four bits; either may be meant."""
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    files = {"white.tif": tiff(values[..., None], 0), "maximum.pgm": pnm(values, 20)}
    for bits in (2, 4):
        packed = np.packbits(np.unpackbits(values[..., None] % (1 << bits), axis=2)[..., -bits:].reshape(4, -1), axis=1)
        header = struct.pack(">IIBBBBB", 4, 4, bits, 0, 0, 0, 0)
        rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
        chunks = (png_chunk(b"IHDR", header), png_chunk(b"IDAT", rows), png_chunk(b"IEND", b""))
        files[f"{bits}.png"] = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert Image.open(tmp_path / name).mode == "L"
        with pytest.raises(UserError, match=r"grey levels are not the numbers in the file.*8-bit grey PNG"):
            open_mask(tmp_path / name, Labels(21))
    plain = f"P2 4 4 255 {' '.join(map(str, range(16)))}".encode()
    for name, content in {
        "a.tif": tiff(values[..., None], 1),
        "a.pgm": b"P5 4 4 255\n" + values.tobytes(),
        "b.pgm": plain,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert open_mask(tmp_path / name, Labels(21)).tolist() == values.tolist()
