"""One, two and four processes train a network to the same weights, with a BatchNorm over all of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_run import ALONE, TINY
from tests.two_processes import on_processes
from vicregl_fast.config import parse_config
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.training.learner import Learner, build_learner
from vicregl_fast.training.processes import Processes, join_processes

BATCH, STEPS = 8, 20
NETWORKS = {"test_resnet": {}, "test_convnext": {"model.head_norm": "layer", "optim.name": "adamw"}}
WITH_UNREACHED = {"model.output_stride": 32, "views.large_size": 64, "train.allreduce": "bf16"}


def learner(backbone: str, processes: Processes, **more: object) -> Learner:
    options = {**TINY, "model.backbone": backbone, "loss.gamma_large": 2, **more}
    return build_learner(parse_config([f"--{key}={value}" for key, value in options.items()]), 3, processes)


def batch(tried: Learner, step: int, processes: Processes) -> ViewBatch:
    """This rank's part of a drawn batch."""
    generator, size = torch.Generator().manual_seed(step), tried.recipes[0].size
    part = BATCH // processes.world
    rows = slice(processes.rank * part, (processes.rank + 1) * part)
    views = tuple(torch.randn(BATCH, 3, size, size, generator=generator, dtype=torch.float64)[rows] for _ in range(2))
    cells = torch.stack([torch.randperm(4, generator=generator)[:2].sort().values for _ in range(BATCH)])[rows]
    matches = {direction: Matches(cells, cells.flip(1)) for direction in tried.criterion.plan.location}
    return ViewBatch(np.arange(BATCH)[rows], views, torch.arange(BATCH)[rows] % 3, matches)


def trained(backbone: str, processes: Processes, steps: int = STEPS, **more: object) -> dict[str, torch.Tensor]:
    torch.set_default_dtype(torch.float64)  # so that rounding, which training magnifies, does not hide a fault
    try:
        tried = learner(backbone, processes, **more)
    finally:
        torch.set_default_dtype(torch.float32)
    for step in range(steps):
        assert tried.step(batch(tried, step, processes), 0.05 if backbone == "test_resnet" else 1e-3).finite
    return tried.network.state_dict()


def _train(folder: Path) -> None:
    processes = join_processes("cpu")
    found = {backbone: trained(backbone, processes, **more) for backbone, more in NETWORKS.items()}
    if processes.world == 2:
        found["unreached"] = trained("mobilenetv3_small_050", processes, steps=3, **WITH_UNREACHED)
        found["apart"] = trained("test_resnet", processes, **{"train.sync_batchnorm": False})
    torch.save(found, folder / f"{processes.world}-{processes.rank}.pt")
    processes.leave()


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """The largest difference of a tensor's values, as a share of how far the largest of them is from 0."""
    return max(float((a[key] - b[key]).abs().max() / b[key].abs().max().clamp(min=1e-3)) for key in b)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("worlds", [(2,), pytest.param((2, 4), marks=pytest.mark.slow)])
def test_the_number_of_processes_does_not_matter(tmp_path: Path, worlds: tuple[int, ...]) -> None:
    alone = {backbone: trained(backbone, ALONE, **more) for backbone, more in NETWORKS.items()}
    start = {backbone: trained(backbone, ALONE, steps=0, **more) for backbone, more in NETWORKS.items()}
    for world in worlds:
        on_processes(world, _train, tmp_path)
        ranks = [torch.load(tmp_path / f"{world}-{rank}.pt") for rank in range(world)]
        for backbone in NETWORKS:
            assert distance(start[backbone], alone[backbone]) > 0.1
            for made in ranks:
                assert distance(made[backbone], alone[backbone]) < 1e-7, (world, backbone)
                assert all(torch.equal(value, made[backbone][key]) for key, value in ranks[0][backbone].items())
    two = torch.load(tmp_path / "2-0.pt")
    assert distance(two["apart"], alone["test_resnet"]) > 0.05
    frozen, learning = "backbone.model.conv_head.weight", "backbone.model.conv_stem.weight"
    drawn = trained("mobilenetv3_small_050", ALONE, steps=0, **WITH_UNREACHED)
    assert torch.equal(two["unreached"][frozen], drawn[frozen])
    assert not torch.equal(two["unreached"][learning], drawn[learning])
