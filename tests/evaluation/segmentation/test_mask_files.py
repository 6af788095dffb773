"""Masks keep their values, whatever lies beside them in their files; their images are read as everywhere."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from tests.dataprep.files import deep_png, encoded, pnm, with_chunk
from vicregl_fast.evaluation.segmentation.config import Labels
from vicregl_fast.evaluation.segmentation.masks import MaskedImages, open_mask

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


def test_deep_images_beside_masks_have_one_range(tmp_path: Path) -> None:
    values = np.full((40, 60, 1), 4000, np.uint16)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in (0, 1):
        (tmp_path / "images" / f"{number}.png").write_bytes(deep_png(values // (1 + 7 * number)))
        (tmp_path / "masks" / f"{number}.png").write_bytes(encoded(Image.fromarray(LABELS), "PNG"))
    images = MaskedImages(tmp_path / "images", tmp_path / "masks", TWENTY)
    assert [int(images[number].pixels.max()) for number in (0, 1)] == [4000 >> 4, 500 >> 4]
