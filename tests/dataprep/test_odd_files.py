"""Files of many formats, very large ones, and those that crash their decoder, in every kind of store."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from dataprep.images import StoredImage, UnreadableImage, convert, load_rgb, stored_image
from dataprep.manifest import SkippedImage, StoreOptions
from dataprep.sources import list_images
from dataprep.verify import verify_store
from tests.dataprep.files import every_format, tiff
from tests.dataprep.pictures import smooth, write_jpeg, write_tree
from tests.dataprep.stores import KINDS, Kind

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


@pytest.mark.timeout(60)
@every_kind
def test_a_file_that_crashes_its_decoder_is_named(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    files = write_tree(tmp_path / "images")
    for module in ("conversion", "disk_space"):  # which tries some images first
        monkeypatch.setattr(f"dataprep.{module}.convert", crashing_convert)
    source = list_images(tmp_path / "images")
    manifest = kind.write(source, tmp_path / kind.name, on_error="skip", workers=2)
    assert manifest.skipped == (SkippedImage("bee/1.jpg", "its decoder crashes at it"),)
    assert [data for data, _, _ in kind.read(tmp_path / kind.name)] == [
        data for name, data in files.items() if name != "bee/1.jpg"
    ]
    assert "note: bee/1.jpg is left out: its decoder crashes at it" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"bee/1\.jpg cannot be converted: its decoder crashes at it; remove it"):
        kind.write(source, tmp_path / ("again" + kind.name), workers=2)


def crashing_convert(item: tuple[int, str], root: Path, options: StoreOptions) -> StoredImage | UnreadableImage:
    if item[1] == "bee/1.jpg":
        os.kill(os.getpid(), signal.SIGSEGV)
    return convert(item, root, options)


@pytest.mark.timeout(60)
@every_kind
def test_every_format_is_stored_right_and_verifies(tmp_path: Path, kind: Kind) -> None:
    picture = smooth(40, 56)
    (tmp_path / "images").mkdir()
    for name, data in every_format(picture).items():
        (tmp_path / "images" / name).write_bytes(data)
    source = list_images(tmp_path / "images")
    assert len(source) == len(every_format(picture))
    manifest = kind.write(source, tmp_path / kind.name, quality=95, workers=2)
    for file, (data, size, _) in zip(source.files, kind.read(tmp_path / kind.name), strict=True):
        stored, expected = Image.open(io.BytesIO(data)), np.asarray(load_rgb(tmp_path / "images" / file)).astype(int)
        assert (stored.format, stored.mode, size) == ("JPEG", "RGB", (40, 56))
        assert abs(np.asarray(stored) - expected).mean() < (25 if file in ("bits.png", "a.pbm") else 4), file
    assert manifest.originals == 10  # the JPEGs of colour, and the two of several pictures without the second
    assert verify_store(tmp_path / kind.name, workers=2) == len(source)


@every_kind
def test_files_of_several_pictures_are_counted(tmp_path: Path, kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    files = every_format(smooth(40, 56))
    for name, data in files.items():
        (tmp_path / "images" / name).write_bytes(data)
    kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, workers=1)
    several = [name for name in files if name.startswith("two.") and not name.endswith(("mpo", "jpg"))]
    assert len(several) == 4
    said = f"of 4 files with several frames or pages, such as {min(several)}, the first was taken"
    assert capsys.readouterr().err.count(said) == 1
    one = [file for file in files if file not in several]
    (tmp_path / "list.txt").write_text("\n".join(one))
    kind.write(list_images(tmp_path / "images", tmp_path / "list.txt"), tmp_path / ("one" + kind.name), workers=1)
    assert "several frames" not in capsys.readouterr().err


@every_kind
def test_an_image_of_more_pixels_is_named_with_the_option(tmp_path: Path, kind: Kind) -> None:
    write_jpeg(tmp_path / "images" / "a.jpg", 40, 60)
    Image.fromarray(smooth(50, 60)).save(tmp_path / "images" / "b.png")
    (tmp_path / "images" / "c.tif").write_bytes(tiff(np.zeros((50, 60, 4), np.uint8), 2, separate=True))
    source = list_images(tmp_path / "images")
    manifest = kind.write(source, tmp_path / kind.name, on_error="skip", max_pixels=2400, workers=1)
    assert [image.path for image in manifest.skipped] == ["b.png", "c.tif"] and manifest.options.max_pixels == 2400
    for image in manifest.skipped:
        assert image.reason.startswith("its 60x50 pixels are more than the 2400") and "--max_pixels" in image.reason
    with pytest.raises(UserError, match="--max_pixels 0 is too few"):
        kind.write(source, tmp_path / ("again" + kind.name), max_pixels=0)


def test_images_beyond_pillows_own_limit_are_taken(tmp_path: Path) -> None:
    """Of 200 million pixels, where Pillow would stop at 179; half a gigabyte would be needed at full size."""
    Image.new("L", (20_000, 10_000), 90).save(tmp_path / "a.jpg")
    stored = stored_image(tmp_path / "a.jpg", max_side=500, quality=90)
    assert (stored.height, stored.width) == (250, 500)
    assert abs(np.asarray(Image.open(io.BytesIO(stored.data))).astype(int) - 90).max() <= 1


LIMITED = """
from pathlib import Path
from dataprep.images import stored_image
stored = stored_image(Path("{path}"), max_side=500, quality=90)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(stored.height, stored.width, int(status["VmHWM"].split()[0]) >> 10)
"""


@pytest.mark.timeout(60)
def test_a_large_photograph_is_reduced_while_it_is_decoded(tmp_path: Path) -> None:
    big = Image.fromarray(smooth(500, 750)).resize((7500, 5000))
    big.save(tmp_path / "a.jpg", quality=90)
    code = LIMITED.format(path=tmp_path / "a.jpg")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    height, width, mebibytes = map(int, done.stdout.split())
    assert (height, width) == (333, 500) and mebibytes < 100  # at full size 300
    stored = stored_image(tmp_path / "a.jpg", max_side=500, quality=95)
    expected = np.asarray(big.resize((500, 333), Image.Resampling.LANCZOS)).astype(int)
    assert abs(np.asarray(Image.open(io.BytesIO(stored.data))) - expected).mean() < 1
    turned = Image.Exif()
    turned[0x0112] = 6
    big.save(tmp_path / "b.jpg", quality=90, exif=turned)
    upright = stored_image(tmp_path / "b.jpg", max_side=500, quality=95)
    assert (upright.height, upright.width) == (500, 333)
    assert abs(np.asarray(Image.open(io.BytesIO(upright.data))) - np.rot90(expected, -1)).mean() < 1.5


def test_an_ordinary_photograph_is_reduced_as_before(tmp_path: Path) -> None:
    """To the bit: from all of its pixels."""
    write_jpeg(tmp_path / "a.jpg", 2000, 3000)
    expected = Image.open(tmp_path / "a.jpg").resize((200, 133), Image.Resampling.LANCZOS)
    stored = stored_image(tmp_path / "a.jpg", max_side=200, quality=90, raw=True)
    assert stored.data == expected.tobytes()
