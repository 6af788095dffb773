"""Whichever engine reads, training gets the same samples, views and matches; what an engine cannot read is said."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.data.shards import write_small_shards
from tests.data.sized import Sized
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed, open_store
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.source import Source
from vicregl_fast.data.stored_images import StoredImages, open_jpegs, open_stored
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.plan import plan_directions
from vicregl_fast.training import feeds
from vicregl_fast.training.feeds import build_feeds, count_classes, open_stores, sources
from vicregl_fast.training.learner import build_learner
from vicregl_fast.training.processes import Processes

pytestmark = pytest.mark.timeout(200)
ALONE = Processes(0, 1, torch.device("cpu"))
LEVEL = 1 / (255 * 0.225)
ORDER = [np.array([3, 40, 17, 22]), np.array([8, 1, 46, 30])]
TINY = (
    "--batch_size=4 --views.recipe=multicrop --views.large_size=64 --views.small_size=32 --views.small_count=1 "
    "--model.backbone=resnet18 --model.expander=16 --model.projector=8 --data.workers=1"
)


def configured(path: Path, engine: str, *more: str) -> RunConfig:
    data = [f"--data.path={path}", f"--data.val_path={path}", f"--data.engine={engine}"]
    return parse_config([*TINY.split(), *data, *more])


def fed(path: Path, engine: str, cache: Path, *more: str) -> tuple[list[ViewBatch], list[ViewBatch]]:
    config = configured(path, engine, *more)
    train, val = open_stores(config.data, sources(config.data, cache), ALONE)
    assert len(train.store) == 48 and count_classes(train.store) == 3
    feed, val_feed = build_feeds(config, train, val, build_learner(config, 3, ALONE), ALONE)
    assert val_feed is not None
    with feed.loader(ORDER, 2) as loader, val_feed.loader(ORDER[:1], 0) as val_loader:
        return list(loader), list(val_loader)


@pytest.fixture(scope="module")
def expected(beton: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ViewBatch], list[ViewBatch]]:
    return fed(beton, "ffcv", tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    ("kind", "engine", "levels"),
    [
        ("beton", "auto", 0),
        ("images", "ffcv", 0),
        ("beton", "dali", 0.5),
        ("shards", "auto", 0.5),
        ("images", "torchvision", 6),  # PIL's hue in bytes, and its approximate blur
    ],
)
def test_every_engine_feeds_the_same(
    kind: str,
    engine: str,
    levels: float,
    beton: Path,
    image_folder: Path,
    tmp_path: Path,
    expected: tuple[list[ViewBatch], list[ViewBatch]],
) -> None:
    if engine == "dali" or kind == "shards":
        pytest.importorskip("nvidia.dali")
    if kind == "shards":
        write_small_shards(list_images(image_folder), tmp_path / "shards", shards=3)
    path = {"beton": beton, "images": image_folder, "shards": tmp_path / "shards"}[kind]
    for batches, right in zip(fed(path, engine, tmp_path), expected, strict=True):
        for batch, other in zip(batches, right, strict=True):
            assert batch.indices.tolist() == other.indices.tolist()
            assert batch.labels is not None and other.labels is not None
            assert batch.labels.tolist() == other.labels.tolist() == (other.indices // 16).tolist()
            for view, right_view in zip(
                (*batch.views, batch.centre_crops), (*other.views, other.centre_crops), strict=True
            ):
                assert (view is None) == (right_view is None)
                if view is not None and right_view is not None:
                    assert (view - right_view).abs().mean(dim=(1, 2, 3)).max() <= levels * LEVEL
            for direction, pairs in other.matches.items():
                assert all(map(torch.equal, batch.matches[direction], pairs))


@pytest.mark.parametrize("engine", ["ffcv", "dali", "torchvision"])
def test_every_engine_works_without_workers(engine: str, beton: Path, image_folder: Path, tmp_path: Path) -> None:
    if engine == "dali":
        pytest.importorskip("nvidia.dali")
    path = image_folder if engine == "torchvision" else beton
    made, right = (fed(path, engine, tmp_path, f"--data.workers={workers}")[0] for workers in (0, 1))
    for batch, other in zip(made, right, strict=True):
        assert batch.indices.tolist() == other.indices.tolist()
        assert all(map(torch.equal, batch.views, other.views))


@pytest.mark.parametrize(
    ("kind", "engine", "reason"),
    [
        ("beton", "torchvision", "is a store, and the torchvision engine reads folders"),
        ("shards", "ffcv", "WebDataset shards, which the ffcv engine cannot read"),
        ("shards", "torchvision", "WebDataset shards, which the torchvision engine cannot read"),
        ("nothing", "torchvision", "does not exist or is no folder"),
        ("nothing", "auto", "there is neither a store nor a folder of images at"),
    ],
)
def test_what_an_engine_cannot_read_is_said(kind: str, engine: str, reason: str, beton: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "index.npy").touch()
    path = {"beton": beton, "shards": tmp_path / "shards", "nothing": tmp_path / "nothing"}[kind]
    with pytest.raises(UserError, match=reason):
        open_store(Source(path, tmp_path), engine)  # type: ignore[arg-type]


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.engine.*tensorflow"):
        configured(Path("x"), "tensorflow")


def test_a_folder_is_converted_for_all_engines_but_torchvision(image_folder: Path, tmp_path: Path) -> None:
    opened = open_store(Source(image_folder, tmp_path / "a"))
    assert opened.engine == "ffcv" and isinstance(opened.store, StoredImages)
    assert len(list((tmp_path / "a").glob("*.beton"))) == 1
    assert len(open_store(Source(image_folder, tmp_path / "b"), "torchvision").store) == 48
    assert not (tmp_path / "b").exists()


def test_labels_of_a_folder_are_chosen_and_missing_ones_said(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    names = [f"{name.replace('/', '_')} {name.split('/')[0]}" for name in list_images(image_folder).files]
    for name in list_images(image_folder).files:
        (flat / name.replace("/", "_")).symlink_to(image_folder / name)
    (tmp_path / "labels.txt").write_text("\n".join(names))
    options = [*TINY.split(), f"--data.path={image_folder}", f"--data.val_path={flat}"]
    _, val = open_stores(data := parse_config(options).data, sources(data, tmp_path / "stores"), ALONE)
    assert val is not None and val.store.labels is None
    said = capsys.readouterr().err
    assert "flat has no class folders" in said and "validation gives the loss, and no accuracy" in said
    options.append(f"--data.val_labels={tmp_path / 'labels.txt'}")
    train, val = open_stores(data := parse_config(options).data, sources(data, tmp_path / "stores"), ALONE)
    assert val is not None and val.store.labels is not None and val.store.classes == train.store.classes
    assert np.array_equal(np.sort(val.store.labels), np.sort(train.store.labels))
    assert "no accuracy" not in capsys.readouterr().err


def test_engines_agree_on_real_images(shared_data: Path, tmp_path: Path) -> None:
    """From the same stored bytes: DALI to the bit, the ordinary way but for PIL's hue and blur; boxes are the same."""
    pytest.importorskip("nvidia.dali")
    files = sorted((shared_data / "imagenet_sample").glob("*.JPEG"))[::25]
    (tmp_path / "list.txt").write_text("\n".join(file.name for file in files))
    store = tmp_path / "real.beton"
    write_store(list_images(shared_data / "imagenet_sample", tmp_path / "list.txt"), store, workers=1)
    indices = np.arange(len(files))
    recipes = view_recipes(ViewsConfig(large_size=96))
    directions = plan_directions(LossConfig(gamma_large=4), 2).location
    made = {}
    for backend, engine in (("torch", "ffcv"), ("numba", "ffcv"), ("numba", "dali"), ("numba", "torchvision")):
        maker = ViewMaker(
            recipes=recipes,
            grids=(6, 6),
            directions=directions,
            mirror_flips=True,
            seed=7,
            device=torch.device("cpu"),
            backend=backend,
            threads=2,
        )
        opened = OpenedStore(engine, (open_stored if engine == "ffcv" else open_jpegs)(store))
        feed = open_feed(opened, maker, FeedOptions(len(files), workers=2))
        with feed.loader([indices], 1) as loader:
            (made[backend, engine],) = loader
    reference = made["torch", "ffcv"]
    assert len(made) == 4
    for (_, engine), batch in made.items():
        for view, right in zip(batch.views, reference.views, strict=True):
            apart = (view - right).abs().mean(dim=(1, 2, 3)) / LEVEL
            assert apart.max() <= (6 if engine == "torchvision" else 0.3), (engine, apart)
        for direction, pairs in reference.matches.items():
            assert all(map(torch.equal, batch.matches[direction], pairs)), engine
    for view, right in zip(made["numba", "dali"].views, made["numba", "ffcv"].views, strict=True):
        assert torch.equal(view, right)


def test_a_batch_s_memory_is_that_of_the_largest_images() -> None:
    heights, widths = np.array([10, 30, 20, 5]), np.array([10, 40, 20, 5])
    store = Sized(Path("x"), None, None, heights, widths)
    assert feeds._buffer_bytes(store, 2) == BATCHES_HELD * (1200 + 400) * 3
    assert feeds._buffer_bytes(store, 9) == BATCHES_HELD * (1200 + 400 + 100 + 25) * 3
    assert feeds._buffer_bytes(ImageFolder(Path("x"), ("a.jpg", "b.jpg"), None, None), 2) == 0


def test_memory_of_the_machine_is_counted_as_it_is_taken() -> None:
    """On a GPU torch page-locks buffers in powers of two, and DALI holds its own on the GPU."""
    sized = Sized(Path("x"), None, None, np.array([10, 30]), np.array([10, 40]))
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    held = {
        (engine, device.type, backend): feeds._host_bytes(OpenedStore(engine, sized), 2, device, backend)
        for engine in ("ffcv", "dali")
        for device, backend in ((cpu, "numba"), (gpu, "cuda"), (gpu, "numba"))
    }
    assert held == {
        ("ffcv", "cpu", "numba"): BATCHES_HELD * 3900,
        ("ffcv", "cuda", "cuda"): BATCHES_HELD * 4096,
        ("ffcv", "cuda", "numba"): BATCHES_HELD * 4096,
        ("dali", "cpu", "numba"): BATCHES_HELD * 3900,
        ("dali", "cuda", "cuda"): 0,
        ("dali", "cuda", "numba"): BATCHES_HELD * 3900,
    }
    folder = ImageFolder(Path("x"), ("a.jpg", "b.jpg"), None, None)
    assert feeds._host_bytes(OpenedStore("torchvision", folder), 2, gpu, "cuda") == 0
