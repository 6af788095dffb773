"""Views made on a GPU, ahead of the step and on a stream of their own, are those made on a CPU."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
import torch

from vicregl_fast.augment.backends import Backend
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.benchmarks.drawn_views import drawn_batch
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.loader import ViewLoader
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.plan import plan_directions

pytestmark = pytest.mark.gpu
BATCHES = 6


class Pinned:
    """An engine that decodes in turns into two pinned buffers, as the real ones do."""

    def __init__(self) -> None:
        self.batches = [drawn_batch(8, seed) for seed in range(BATCHES)]
        size = max(batch.packed.numel() for batch in self.batches)
        pin = torch.cuda.is_available()
        self.buffers = cycle([torch.zeros(size, dtype=torch.uint8, pin_memory=pin) for _ in range(BATCHES_HELD)])

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        batch, buffer = self.batches[int(indices[0]) // 8], next(self.buffers)
        buffer.zero_()
        buffer[: batch.packed.numel()] = batch.packed
        return replace(batch, indices=indices, packed=buffer)


def made_on(device: torch.device, backend: Backend = "torch", busy: bool = False) -> list[ViewBatch]:
    recipes = view_recipes(ViewsConfig("multicrop", large_size=64, small_size=32, small_count=1))
    plan = plan_directions(LossConfig(gamma_large=6, gamma_small=2), len(recipes))
    maker = ViewMaker(
        recipes=recipes,
        grids=(4, 4, 2),
        directions=plan.location,
        mirror_flips=True,
        seed=11,
        device=device,
        backend=backend,
    )
    order = [np.arange(8) + 8 * number for number in range(BATCHES)]
    seen = []
    with ViewLoader(Pinned(), maker, order, epoch=0) as loader:  # type: ignore[arg-type]  # has no store
        for batch in loader:
            if busy:  # what the consumer launches must see whole views, and may outlive the batch
                product = torch.ones(2048, 2048, device=device) @ torch.ones(2048, 2048, device=device)
                seen.append(replace(batch, views=tuple(view + 0 * product[0, 0] for view in batch.views)))
            else:
                seen.append(batch)
    return seen


@pytest.mark.parametrize("backend", ["torch", "numba", "cuda"])
def test_views_and_matches_are_the_cpu_s(backend: Backend, cuda: torch.device) -> None:
    if backend == "cuda":
        pytest.importorskip("numba_cuda")
    for ours, right in zip(made_on(cuda, backend, busy=True), made_on(torch.device("cpu")), strict=True):
        for view, expected in zip(ours.views, right.views, strict=True):
            difference = (view.cpu() - expected).abs()
            # One level either side of a threshold or a rounding is all that may differ.
            assert difference.mean() < 0.02 and (difference > 0.1).float().mean() < 0.02
        assert ours.labels is not None and right.labels is not None
        assert torch.equal(ours.labels.cpu(), right.labels)
        for direction, kept in right.matches.items():
            assert torch.equal(ours.matches[direction].queries.cpu(), kept.queries)
            assert torch.equal(ours.matches[direction].neighbours.cpu(), kept.neighbours)


def test_batches_are_handed_over_without_waiting(cuda: torch.device) -> None:
    pytest.importorskip("numba_cuda")
    made_on(cuda, "cuda")  # compiled
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert len(made_on(cuda, "cuda")) == BATCHES
    finally:
        torch.cuda.set_sync_debug_mode("default")
