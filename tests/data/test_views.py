"""The same sample gives the same views and matches, whatever batch, worker count, rank or resume point."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from vicregl_fast.augment.backends import Backend
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.data import views
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.loader import ViewLoader
from vicregl_fast.data.order import GlobalBatches
from vicregl_fast.data.stored_images import open_stored
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.plan import plan_directions

CPU = torch.device("cpu")


def maker(backend: Backend = "numba", whole: bool = False) -> ViewMaker:
    recipes = view_recipes(ViewsConfig(recipe="multicrop", large_size=32, small_size=16, small_count=2))
    plan = plan_directions(LossConfig(gamma_large=6, gamma_small=2), len(recipes))
    return ViewMaker(
        recipes=recipes,
        grids=(4, 4, 2, 2),
        directions=plan.location,
        mirror_flips=True,
        seed=11,
        device=CPU,
        backend=backend,
        threads=2,
        centre=recipes[0] if whole else None,
    )


def by_sample(
    beton: Path, backend: Backend, batch_size: int, workers: int, rank: int = 0, world: int = 1, start: int = 0
) -> dict:
    store = open_stored(beton)
    order = GlobalBatches(len(store), batch_size, seed=5, rank=rank, world=world)
    engine = FfcvEngine(store, batch_size // world, workers)
    seen = {}
    with ViewLoader(engine, maker(backend), order.epoch(3, start), epoch=3) as loader:
        for batch in loader:
            for k, index in enumerate(batch.indices.tolist()):
                matches = {d: kept.map(lambda cells, k=k: cells[k].tolist()) for d, kept in batch.matches.items()}
                seen[index] = ([view[k].clone() for view in batch.views], matches, batch.labels[k].item())
    return seen


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("other", [{"workers": 2}, {"start": 2}, {"batch_size": 4}, {"rank": 1, "world": 2}])
def test_a_sample_s_views_are_its_own(beton: Path, backend: Backend, other: dict) -> None:
    expected = by_sample(beton, backend, batch_size=12, workers=1)
    seen = by_sample(beton, backend, **{"batch_size": 12, "workers": 1, **other})
    assert len(expected) == 48 and seen
    for index, (own_views, matches, label) in seen.items():
        for view, expected_view in zip(own_views, expected[index][0], strict=True):
            assert torch.equal(view, expected_view)
        assert matches == expected[index][1]
        assert label == expected[index][2]


def test_another_epoch_gives_other_views(beton: Path) -> None:
    engine = FfcvEngine(open_stored(beton), 4, 1)
    views = [maker().make(engine.decode(np.arange(4)), epoch).views[0] for epoch in (0, 1)]
    assert not torch.allclose(views[0], views[1])


def test_centre_crops_are_undistorted(beton: Path) -> None:
    decoded = FfcvEngine(open_stored(beton), 2, 1).decode(np.array([3, 4]))
    batch = maker(whole=True).make(decoded, 0)
    assert batch.centre_crops is not None
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for image, whole in zip(decoded.images(), batch.centre_crops, strict=True):
        height, width = image.shape[:2]
        side = round(min(height, width) * 224 / 256)
        top, left = (height - side) // 2, (width - side) // 2
        crop = Image.fromarray(image.numpy()).crop((left, top, left + side, top + side))
        expected = np.asarray(crop.resize((32, 32), Image.Resampling.BICUBIC)) / 255
        shown = whole.permute(1, 2, 0).numpy() * std + mean
        assert np.abs(shown - expected).mean() < 0.5 / 255


class OnGpu:
    """A view that lies where it is needed already, which must not be pinned or copied."""

    device = torch.device("cuda", 0)


@pytest.mark.parametrize("device", ["cuda:0", "cuda"])
@pytest.mark.parametrize("backend", ["torch", "cuda"])
def test_a_view_made_on_a_gpu_stays_there(monkeypatch: pytest.MonkeyPatch, device: str, backend: Backend) -> None:
    made = OnGpu()
    monkeypatch.setattr(views, "make_view", lambda *arguments: made)
    on_gpu = replace(maker(backend), device=torch.device(device))
    assert on_gpu._view(on_gpu.recipes[0], None, None) is made  # type: ignore[arg-type]


class Broken:
    """An engine whose third batch fails."""

    def __init__(self, engine: FfcvEngine):
        self.engine, self.calls = engine, 0

    def decode(self, indices: np.ndarray) -> object:
        self.calls += 1
        if self.calls == 3:
            raise UserError("image 7 does not decode")
        return self.engine.decode(indices)


@pytest.mark.timeout(60)
def test_an_error_in_the_thread_is_raised_in_the_consumer(beton: Path) -> None:
    engine = Broken(FfcvEngine(open_stored(beton), 4, 1))
    order = GlobalBatches(48, 4, seed=0)
    seen: list[ViewBatch] = []
    with (
        pytest.raises(UserError, match="image 7"),
        ViewLoader(engine, maker(), order.epoch(0), 0) as loader,  # type: ignore[arg-type]
    ):
        seen.extend(loader)
    assert len(seen) == 2


@pytest.mark.timeout(60)
def test_an_abandoned_loader_leaves_no_thread(beton: Path) -> None:
    engine = FfcvEngine(open_stored(beton), 4, 1)
    for _ in range(5):
        with ViewLoader(engine, maker(), GlobalBatches(48, 4, seed=0).epoch(0), 0) as loader:
            next(iter(loader))
        assert not loader._thread.is_alive()
