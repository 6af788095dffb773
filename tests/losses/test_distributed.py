"""The loss across processes against one process on the concatenated batch."""

import os
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from tests.losses.inputs import drawn, location_matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import LossTerms, VICRegLLoss

SAMPLES, GRIDS, GAMMAS = 12, (3, 3, 2), (5, 2)
Preset = Literal["paper", "official"]
PRESETS: tuple[Preset, ...] = ("paper", "official")
WIDTHS = (3, 8)  # of maps and embeddings: fewer channels than a rank's samples, and more


class Heads(nn.Module):
    """A projector and an expander, so that gradients of parameters meet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.projector = nn.Linear(WIDTHS[0], WIDTHS[0], dtype=torch.float64)
        self.expander = nn.Linear(WIDTHS[1], WIDTHS[1], dtype=torch.float64)

    def forward(self, embeddings: list[Tensor], maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return [self.expander(z) for z in embeddings], [self.projector(m) for m in maps]


def step(preset: Preset, network: nn.Module, rows: slice) -> LossTerms:
    embeddings, maps, positions = drawn(SAMPLES, GRIDS, *WIDTHS, seed=11)
    loss = VICRegLLoss(LossConfig(preset=preset, gamma_large=GAMMAS[0], gamma_small=GAMMAS[1]), len(GRIDS))
    matches = location_matches(loss.plan, [cells[rows] for cells in positions])
    terms = loss(*network([z[rows] for z in embeddings], [m[rows] for m in maps]), matches)
    terms.total.backward()
    return terms


def rank_main(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    count = SAMPLES // world
    for preset in PRESETS:
        network = nn.parallel.DistributedDataParallel(Heads())
        terms = step(preset, network, slice(rank * count, (rank + 1) * count))
        gradients = [parameter.grad for parameter in network.parameters()]
        found = {"total": terms.total.detach(), "named": terms.named, "gradients": gradients}
        torch.save(found, os.path.join(folder, f"{preset}{rank}.pt"))
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_together_are_one_process(world: int, tmp_path: Path) -> None:
    # A fork server imports torch once for all ranks of both tests.
    get_context("forkserver").set_forkserver_preload([__name__])
    mp.start_processes(rank_main, args=(world, str(tmp_path)), nprocs=world, start_method="forkserver")
    for preset in PRESETS:
        network = Heads()
        terms = step(preset, network, slice(None))
        expected = [parameter.grad for parameter in network.parameters()]
        for rank in range(world):
            found = torch.load(tmp_path / f"{preset}{rank}.pt", weights_only=True)
            torch.testing.assert_close(found["total"], terms.total.detach(), rtol=1e-9, atol=0)
            torch.testing.assert_close(found["named"], terms.named, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(found["gradients"], expected, rtol=1e-5, atol=1e-9)
