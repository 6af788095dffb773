"""A folder that is read without a conversion gives the pixels that a conversion would give."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.dataprep.files import deep_png, tiff
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.stored_images import open_stored

RAMP = np.linspace(0, 4095, 40 * 60).reshape(40, 60, 1).astype(np.uint16)


@pytest.mark.timeout(60)
def test_deep_images_have_the_range_of_all_as_in_a_store(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(deep_png(RAMP))
    (tmp_path / "images" / "b.tif").write_bytes(tiff(RAMP // 9, 1))
    source = list_images(tmp_path / "images")
    folder = ImageFolder.of(source)
    assert "note: the 16-bit images hold values up to 4095: taken as 12 bits" in capsys.readouterr().err
    write_store(source, tmp_path / "s.beton", mode="raw", workers=1)
    stored = open_stored(tmp_path / "s.beton")
    for index, values in enumerate((RAMP, RAMP // 9)):
        assert np.array_equal(np.asarray(folder.open(index)), np.repeat(values >> 4, 3, 2))
        assert np.array_equal(np.asarray(folder.open(index)), np.asarray(stored.open(index)))


def test_floats_are_refused_in_a_sentence(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"the image .*a\.tif does not decode: .*floating-point.*--range LOW,HIGH"):
        ImageFolder.of(list_images(tmp_path)).open(0)
