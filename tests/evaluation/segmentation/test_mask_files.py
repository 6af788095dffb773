"""Masks keep their values, whatever lies beside them in their files; their images are read as everywhere."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from tests.dataprep.files import deep_png, encoded, pnm, with_chunk
from vicregl_fast.evaluation.segmentation.folders import folder_pairs
from vicregl_fast.evaluation.segmentation.labels import Labels
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.masks import open_mask
from vicregl_fast.evaluation.segmentation.pairs import Pairs

LABELS = (np.arange(40 * 60).reshape(40, 60) // 100 % 20).astype(np.uint8)
TWENTY = Labels(classes=20, ignore_index=255)


@pytest.mark.parametrize("place", ["first", "last"])
def test_text_of_megabytes_does_not_matter(tmp_path: Path, place: str) -> None:
    png = encoded(Image.fromarray(LABELS), "PNG")
    text = b"Comment\0\0" + zlib.compress(bytes(3 << 20))
    (tmp_path / "a.png").write_bytes(with_chunk(png, b"zTXt", text, last=place == "last"))
    assert np.array_equal(open_mask(tmp_path / "a.png", TWENTY).numpy(), LABELS)


@pytest.mark.parametrize("kind", ["palette.gif", "palette.png", "deep.png", "a.tif", "a.bmp", "deep.pgm"])
def test_values_are_those_of_the_file(tmp_path: Path, kind: str) -> None:
    palette = Image.fromarray(LABELS)
    palette.putpalette(bytes(range(60)))
    files = {
        "palette.gif": encoded(palette, "GIF", optimize=False),
        "palette.png": encoded(palette, "PNG"),
        "deep.png": deep_png(LABELS[..., None].astype(np.uint16)),
        "deep.pgm": pnm(LABELS.astype(np.uint16), 65535),
        "a.tif": encoded(Image.fromarray(LABELS), "TIFF", compression="tiff_lzw"),
        "a.bmp": encoded(Image.fromarray(LABELS), "BMP"),
    }
    (tmp_path / kind).write_bytes(files[kind])
    assert np.array_equal(open_mask(tmp_path / kind, TWENTY).numpy(), LABELS)


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(LABELS), "PNG")[:-40])
    with pytest.raises(UserError, match=r"the mask .*a\.png cannot be decoded \("):
        open_mask(tmp_path / "a.png", TWENTY)


def deep_pairs(root: Path, *levels: int) -> Pairs:
    """Images of 16 bits, each of one level, with masks."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, level in enumerate(levels):
        (root / "images" / f"{number}.png").write_bytes(deep_png(np.full((40, 60, 1), level, np.uint16)))
        (root / "masks" / f"{number}.png").write_bytes(encoded(Image.fromarray(LABELS), "PNG"))
    return folder_pairs(root / "images", root / "masks")


def test_deep_images_beside_masks_have_one_range(tmp_path: Path) -> None:
    images = MaskedImages(deep_pairs(tmp_path, 4000, 500), TWENTY)
    assert [int(images[number].pixels.max()) for number in (0, 1)] == [4000 >> 4, 500 >> 4]


def test_validation_images_take_the_range_of_the_training_images(tmp_path: Path) -> None:
    train = MaskedImages(deep_pairs(tmp_path / "train", 4000), TWENTY)
    val = MaskedImages(deep_pairs(tmp_path / "val", 500), TWENTY, like=train)
    assert int(val[0].pixels.max()) == 500 >> 4
    assert int(MaskedImages(deep_pairs(tmp_path / "alone", 500), TWENTY)[0].pixels.max()) == 500 >> 2


def test_validation_images_beyond_that_range_are_named(tmp_path: Path) -> None:
    train = MaskedImages(deep_pairs(tmp_path / "train", 500), TWENTY)
    with pytest.raises(
        UserError, match=r"val/images hold values up to 4000, and those of .*train/images, .* end at 1023"
    ):
        MaskedImages(deep_pairs(tmp_path / "val", 4000), TWENTY, like=train)


def test_deep_validation_images_beside_shallow_training_images_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shallow = deep_pairs(tmp_path / "train", 0)
    Image.fromarray(LABELS).save(tmp_path / "train" / "images" / "0.png")
    val = MaskedImages(deep_pairs(tmp_path / "val", 3000), TWENTY, like=MaskedImages(shallow, TWENTY))
    assert int(val[0].pixels.max()) == 3000 >> 8
    assert "val/images hold values up to 3000, and are taken as 16 bits, like those of" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG"])
def test_several_pictures_are_no_mask(tmp_path: Path, kind: str) -> None:
    pages = [Image.fromarray(LABELS), Image.fromarray(LABELS[::-1])]
    pages[0].save(tmp_path / "a", kind, save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match=r"the mask .*a holds 2 pictures, and a mask is one: write each to a PNG file"):
        open_mask(tmp_path / "a", TWENTY)


def test_a_gif_whose_grey_levels_are_not_its_numbers_is_refused(tmp_path: Path) -> None:
    """Pillow writes grey levels 7 and 19 as the numbers 0 and 1 of a palette, and reads those."""
    Image.fromarray(np.where(LABELS > 9, 7, 19).astype(np.uint8)).save(tmp_path / "a.gif")
    with pytest.raises(UserError, match=r"a GIF whose grey levels are not the numbers of its palette"):
        open_mask(tmp_path / "a.gif", TWENTY)
    Image.fromarray(LABELS).save(tmp_path / "b.gif")  # all levels from 0 on
    assert np.array_equal(open_mask(tmp_path / "b.gif", TWENTY).numpy(), LABELS)
