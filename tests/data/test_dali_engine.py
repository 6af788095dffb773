"""DALI decodes the pixels that the ffcv engine does, from both kinds of store, and says what it cannot decode."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("nvidia.dali")

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.data.shards import write_small_shards
from vicregl_fast.augment.backends import make_view
from vicregl_fast.augment.normalisation import levels_of
from vicregl_fast.augment.parameters import draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.dali_engine.engine import DaliEngine
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.stored_images import StoredImages, open_jpegs, open_stored
from vicregl_fast.geometry.crop_rule import CropRule

pytestmark = pytest.mark.timeout(120)
CPU = torch.device("cpu")
INDICES = np.array([5, 0, 47, 21, 21, 13, 30, 8, 2])


@pytest.fixture(scope="module")
def shards(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "shards"
    write_small_shards(list_images(image_folder), folder, shards=3)
    return folder


def opened(kind: str, beton: Path, shards: Path) -> StoredImages:
    return open_jpegs(beton if kind == "beton" else shards)


@pytest.mark.parametrize("kind", ["beton", "shards"])
def test_pixels_are_the_ffcv_engine_s(kind: str, beton: Path, shards: Path) -> None:
    engine = DaliEngine(opened(kind, beton, shards), 9, 2, CPU)
    expected = FfcvEngine(open_stored(beton), 9, 2)
    for indices in (INDICES, INDICES[4:1:-1]):
        ours, right = engine.decode(indices), expected.decode(indices)
        assert ours.indices.tolist() == indices.tolist()
        assert ours.labels.tolist() == right.labels.tolist() == (indices // 16).tolist()
        for image, expected_image in zip(ours.images(), right.images(), strict=True):
            assert image.shape == expected_image.shape
            # Bit for bit with one build of libjpeg-turbo; two may round the colour conversion differently.
            assert (image.int() - expected_image.int()).abs().max() <= 2


def test_stores_agree(beton: Path, shards: Path) -> None:
    ours, right = open_jpegs(shards), open_stored(beton)
    assert len(ours) == 48 and ours.classes == right.classes
    assert (ours.heights == right.heights).all() and (ours.widths == right.widths).all()
    jpegs = open_jpegs(beton)
    assert all((ours.stored(k) == jpegs.stored(k)).all() for k in range(48))


def test_images_without_labels(image_folder: Path, tmp_path: Path) -> None:
    write_small_shards(list_images(image_folder / "class_a"), tmp_path / "shards", shards=1)
    store = open_jpegs(tmp_path / "shards")
    assert store.labels is None and store.classes is None
    assert DaliEngine(store, 4, 1, CPU).decode(np.arange(4)).labels.tolist() == [-1] * 4


def test_nothing_outside_the_box_is_read(tmp_path: Path) -> None:
    pixels = np.full((120, 140, 3), 255, np.uint8)
    pixels[32:80, 48:112] = 0  # on the borders of JPEG's blocks, so that these stay pure
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    write_store(list_images(tmp_path / "images"), tmp_path / "store.beton", quality=100, workers=1)
    store = open_jpegs(tmp_path / "store.beton")
    batch = DaliEngine(store, 1, 1, CPU).decode(np.array([0]))
    plain = ViewRecipe(16, CropRule((1, 1)), 0, 0, flip_probability=0, jitter_probability=0, grey_probability=0)
    parameters = draw_parameters(plain, 0, 0, 0, batch.indices, batch.heights, batch.widths)
    box = np.array([[32, 48, 48, 64]], np.int32)
    for size in (16, 100):
        for backend in ("torch", "numba"):
            recipe = replace(plain, size=size)
            view = make_view(backend, recipe, replace(parameters, boxes=box), batch, 1)
            assert levels_of(view).max() <= 2
            wider = replace(parameters, boxes=box + np.array([[-8, -8, 16, 16]], np.int32))
            assert levels_of(make_view(backend, recipe, wider, batch, 1)).max() > 200


@pytest.mark.parametrize("damage", ["header", "end"])
def test_a_damaged_image_is_named(damage: str, shards: Path, tmp_path: Path) -> None:
    for file in shards.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    row = np.load(shards / "index.npy")[27]
    start, size = int(row["offset"]), int(row["size"])
    first, last = (start, start + 200) if damage == "header" else (start + size // 2, start + size)
    shard = tmp_path / f"shard-{row['shard']:06d}.tar"
    data = bytearray(shard.read_bytes())
    data[first:last] = bytes(last - first)
    shard.write_bytes(data)
    store = open_jpegs(tmp_path)
    engine = DaliEngine(store, 4, 2, CPU)
    engine.decode(np.array([26, 28]))
    with pytest.raises(UserError, match=f"image 27 of {tmp_path} does not decode"):
        engine.decode(np.array([26, 27, 28]))
    assert torch.equal(
        engine.decode(np.array([28])).images()[0], DaliEngine(store, 1, 1, CPU).decode(np.array([28])).images()[0]
    )


def test_an_image_of_another_size_is_named(shards: Path, tmp_path: Path) -> None:
    for file in shards.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    index = np.load(shards / "index.npy")
    index["height"][3] += 1
    np.save(tmp_path / "index.npy", index)
    with pytest.raises(UserError, match="image 3 of"):
        DaliEngine(open_jpegs(tmp_path), 4, 1, CPU).decode(np.array([2, 3]))


def test_incomplete_shards_are_refused(shards: Path, tmp_path: Path) -> None:
    for file in shards.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "shard-000002.tar").unlink()
    with pytest.raises(UserError, match=r"shard-000002\.tar"):
        open_jpegs(tmp_path)


@pytest.mark.gpu
def test_a_gpu_decodes_what_the_cpu_does(beton: Path, cuda: torch.device) -> None:
    store = open_jpegs(beton)
    on_gpu, on_cpu = DaliEngine(store, 9, 2, cuda).decode(INDICES), DaliEngine(store, 9, 2, CPU).decode(INDICES)
    for image, expected in zip(on_gpu.images(), on_cpu.images(), strict=True):
        difference = (image.cpu().int() - expected.int()).abs().float()
        assert difference.mean() < 2
