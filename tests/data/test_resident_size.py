"""Ten epochs, and fifty iterators that are left in the middle, leave no memory, no thread and no open file behind."""

import os
import threading
from pathlib import Path

import pytest
import torch

from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.loader import ViewLoader
from vicregl_fast.data.order import GlobalBatches
from vicregl_fast.data.stored_images import open_stored
from vicregl_fast.data.views import ViewMaker

MIB = 2**20


def held() -> tuple[int, int, int]:
    """Resident bytes that are no file's, threads, open files of this process."""
    resident, shared = (int(pages) for pages in Path("/proc/self/statm").read_text().split()[1:3])
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), open_files


@pytest.mark.timeout(120)
def test_resident_size_stays_flat(beton: Path) -> None:
    recipes = view_recipes(ViewsConfig(large_size=64))
    maker = ViewMaker(
        recipes=recipes,
        grids=(4, 4),
        directions=(),
        mirror_flips=True,
        seed=0,
        device=torch.device("cpu"),
        backend="numba",
        threads=2,
    )
    engine = FfcvEngine(open_stored(beton), 8, 2)
    order = GlobalBatches(48, 8, seed=0)

    def whole(epochs: range) -> int:
        count = 0
        for epoch in epochs:
            with ViewLoader(engine, maker, order.epoch(epoch), epoch) as loader:
                count += sum(1 for _ in loader)
        return count

    def abandoned(iterators: int) -> None:
        for _ in range(iterators):
            with ViewLoader(engine, maker, order.epoch(0), 0) as loader:
                next(iter(loader))

    whole(range(2))
    abandoned(5)
    before = held()
    assert whole(range(10)) == 60
    abandoned(50)
    after = held()
    assert after[0] - before[0] < 8 * MIB, f"{(after[0] - before[0]) / MIB:.1f} MiB more than before"
    assert after[1:] == before[1:]
