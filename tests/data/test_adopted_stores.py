"""Stores that were adopted are read by both engines, one image at a time, and trained from."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.adopt import adopt_store
from dataprep.errors import UserError
from tests.dataprep.foreign_stores import COUNT, LABELS, jpeg, picture, write_tar
from tests.tiny_run import rows, tiny_trainer
from vicregl_fast.benchmarks.loader_sources import open_files
from vicregl_fast.data.engine import Engine
from vicregl_fast.data.engine_table import open_store
from vicregl_fast.data.open_images import open_images
from vicregl_fast.data.source import Source
from vicregl_fast.data.store import check_same_classes
from vicregl_fast.data.stored_images import StoredImages, open_jpegs
from vicregl_fast.training.feeds import count_classes

pytestmark = pytest.mark.timeout(300)

ORDER = np.array([5, 0, 11, 3, 3, 8])


@pytest.fixture
def copied(foreign_betons: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a store of FFCV's writer."""
    return lambda name: Path(shutil.copy(foreign_betons / f"{name}.beton", tmp_path))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two shards in folders of their own, the second with grey images."""
    for part in (0, 1):
        numbers = range(6 * part, 6 * part + 6)
        images = {f"{k:05d}.jpg": jpeg(k, "L" if part else "RGB") for k in numbers}
        labels = {f"{k:05d}.cls": str(LABELS[k]).encode() for k in numbers}
        write_tar(tmp_path / "shards" / f"part{part}" / "00000.tar", {**images, **labels})
    return tmp_path / "shards"


def check_pixels(engine: Engine, grey_from: int = COUNT) -> None:
    """JPEG of quality 90 changes smooth pictures by a few levels."""
    batch = engine.decode(ORDER)
    for number, image in zip(ORDER.tolist(), batch.images(), strict=True):
        expected = picture(number).astype(int)
        if number >= grey_from:
            expected = (expected @ [0.299, 0.587, 0.114])[..., None]
        assert image.shape == picture(number).shape
        assert np.abs(image.cpu().numpy() - expected).mean() < 3
    assert batch.labels.tolist() == [LABELS[k] for k in ORDER]


@pytest.mark.parametrize("name", ["jpg", "raw", "smart", "turned_round", "other_names", "more", "image_only"])
def test_the_ffcv_engine_reads_them(copied: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    from vicregl_fast.data.ffcv_engine.engine import FfcvEngine

    store = copied(name)
    adopt_store(store, workers=1)
    opened = open_store(Source(store, tmp_path), "ffcv").store
    engine = FfcvEngine(opened, 6, workers=1)
    images = open_images(store)
    assert isinstance(images, StoredImages)
    if name == "image_only":
        assert opened.labels is None and images.labels is None and count_classes(opened) == 0
        assert (engine.decode(ORDER).labels == -1).all()
        return
    check_pixels(engine)
    assert images.labels is not None and images.labels.tolist() == LABELS and count_classes(opened) == 3
    batch = engine.decode(ORDER)
    for number, image in zip(ORDER.tolist(), batch.images(), strict=True):
        assert np.abs(np.asarray(images.open(number)).astype(int) - image.numpy()).mean() < 1.5


@pytest.mark.parametrize("name", ["negative", "some_negative"])
def test_negative_labels_are_none(copied: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    store = copied(name)
    adopt_store(store, workers=1)
    for images in (open_store(Source(store, tmp_path), "ffcv").store, open_images(store)):
        assert images.labels is None and count_classes(images) == 0


@pytest.mark.parametrize("kind", ["other_names", "shards"])
def test_the_dali_engine_reads_them(copied: Callable[[str], Path], shards: Path, kind: str) -> None:
    from vicregl_fast.data.dali_engine.engine import DaliEngine

    store = shards if kind == "shards" else copied(kind)
    adopt_store(store, workers=1)
    engine = DaliEngine(open_jpegs(store), 6, 1, torch.device("cpu"))
    check_pixels(engine, 6 if kind == "shards" else COUNT)
    for number, image in zip(ORDER.tolist(), engine.decode(ORDER).images(), strict=True):
        assert np.abs(np.asarray(open_images(store).open(number)).astype(int) - image.numpy()).mean() < 1.5


@pytest.mark.parametrize("kind", ["ffcv", "shards"])
def test_a_run_trains_from_them(copied: Callable[[str], Path], shards: Path, tmp_path: Path, kind: str) -> None:
    store = shards if kind == "shards" else copied("more")
    adopt_store(store, workers=1)
    tiny_trainer(store, tmp_path / "run", epochs=1, optim__warmup_epochs=0, batch_size=6).run()
    logged = rows(tmp_path / "run")
    assert len(logged) >= 2 and all(np.isfinite(row["loss"]) for row in logged if "loss" in row)


def test_unknown_names_of_classes_are_compared_with_none(copied: Callable[[str], Path], beton: Path) -> None:
    store = copied("jpg")
    adopt_store(store, workers=1)
    check_same_classes(open_images(store), open_images(beton))


def test_what_is_not_adopted_says_how(copied: Callable[[str], Path], shards: Path, tmp_path: Path) -> None:
    store = copied("jpg")
    for path in (store, shards):
        says = rf"{path.name} (has no manifest|holds WebDataset shards).*`python -m dataprep adopt {path}` checks"
        for engine in ("auto", "ffcv", "dali", "torchvision"):
            if path == shards or engine != "torchvision":
                with pytest.raises(UserError, match=says):
                    open_store(Source(path, tmp_path), engine)
        with pytest.raises(UserError, match=says):
            open_images(path)
    adopt_store(store, workers=1)
    with pytest.raises(UserError, match="was adopted, so that nothing says where the files"):
        open_files(store)
