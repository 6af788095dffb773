"""The loss across processes against one process on the concatenated batch."""

import os
from multiprocessing import get_context

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from tests.losses.inputs import drawn, location_matches
from vicregl_fast.losses.batch_statistics import FORMS, SpreadWeights, choose_form, cost, spread
from vicregl_fast.losses.collectives import count_traffic
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.contrast import contrast
from vicregl_fast.losses.vicregl import LossTerms, VICRegLLoss

SAMPLES, GRIDS, GAMMAS = 12, (4, 3, 2), {"gamma_large": 5, "gamma_small": 2}
WIDTHS = (3, 8)  # of maps and embeddings: fewer channels than a rank's samples, and more
CONFIGS = {
    "paper": LossConfig(**GAMMAS),
    "official": LossConfig(preset="official", **GAMMAS),
    "simclr": LossConfig(criterion="simclr", **GAMMAS),
    "global": LossConfig(alpha=1.0),
    "local, all cells": LossConfig(alpha=0.0),
    "without covariance": LossConfig(covariance=0.0, **GAMMAS),
    "invariance alone": LossConfig(local_variance=0.0, local_covariance=0.0, **GAMMAS),
    "mixed": LossConfig(local_criterion="simclr", **GAMMAS),
}
SLOT_SHAPES = [(1, 7), (2, 4), (5, 20)]  # slots, channels: fewer slots than ranks, and not a multiple of them


class Heads(nn.Module):
    """A projector and an expander, so that gradients of parameters meet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.projector = nn.Linear(WIDTHS[0], WIDTHS[0], dtype=torch.float64)
        self.expander = nn.Linear(WIDTHS[1], WIDTHS[1], dtype=torch.float64)

    def forward(self, embeddings: list[Tensor], maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return [self.expander(z) for z in embeddings], [self.projector(m) for m in maps]


def step(config: LossConfig, network: nn.Module, rows: slice) -> LossTerms:
    embeddings, maps, positions = drawn(SAMPLES, GRIDS, *WIDTHS, seed=11)
    loss = VICRegLLoss(config, len(GRIDS))
    matches = location_matches(loss.plan, [cells[rows] for cells in positions])
    terms = loss(*network([z[rows] for z in embeddings], [m[rows] for m in maps]), matches)
    terms.total.backward()
    return terms


def slots(shape: tuple[int, int]) -> tuple[Tensor, SpreadWeights]:
    generator = torch.Generator().manual_seed(3)
    z_snd = torch.randn(shape[0], SAMPLES, shape[1], generator=generator, dtype=torch.float64) * 0.6 + 1
    weights = torch.rand(2, shape[0], generator=generator, dtype=torch.float64)
    return z_snd, SpreadWeights(*weights)


def sides(z_snd: Tensor) -> Tensor:
    return torch.stack([z_snd, z_snd.flip(2).square()], dim=2)


def rank_main(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    rows = slice(rank * SAMPLES // world, (rank + 1) * SAMPLES // world)
    found: dict = {}
    for name, config in CONFIGS.items():
        network = nn.parallel.DistributedDataParallel(Heads(), find_unused_parameters=True)  # at alpha 0 and 1
        terms = step(config, network, rows)
        gradients = [parameter.grad for parameter in network.parameters()]
        found[name] = {"total": terms.total.detach(), **terms.by_name, **terms.details()}, gradients
    with count_traffic() as traffic:
        step(CONFIGS["paper"], Heads(), rows)
    found["step"] = traffic.moved
    for shape in SLOT_SHAPES:
        z_snd, weights = slots(shape)
        for form in FORMS:
            with count_traffic() as traffic:
                formed = spread(z_snd[:, rows].clone(), weights, form)
            values = torch.stack([formed.variance_s, formed.covariance_s])
            found[form, shape] = values, formed.gradient_snd, traffic.moved
        pairs = contrast(sides(z_snd[:, rows]), 0.3, weights.variance_s)
        found["contrast", shape] = pairs.values_s, pairs.gradient_sn2d
    torch.save(found, os.path.join(folder, f"{rank}.pt"))
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What every rank of so many found."""
    folder = tmp_path_factory.mktemp("ranks")
    # A fork server imports torch once for all ranks.
    get_context("forkserver").set_forkserver_preload([__name__])
    mp.start_processes(rank_main, args=(request.param, str(folder)), nprocs=request.param, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(request.param)]


@pytest.mark.parametrize("name", CONFIGS)
def test_ranks_together_are_one_process(ranks: list[dict], name: str) -> None:
    network = Heads()
    terms = step(CONFIGS[name], network, slice(None))
    expected = {"total": terms.total.detach(), **terms.by_name, **terms.details()}
    for found in ranks:
        torch.testing.assert_close(found[name][0], expected, rtol=1e-9, atol=1e-12)
        expected_gradients = [parameter.grad for parameter in network.parameters()]
        torch.testing.assert_close(found[name][1], expected_gradients, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("shape", SLOT_SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_statistics_of_the_global_batch(
    ranks: list[dict], form: str, shape: tuple[int, int]
) -> None:
    z_snd, weights = slots(shape)
    whole = spread(z_snd.clone(), weights, "rows")
    means = sum(found[form, shape][0] for found in ranks) / len(ranks)
    torch.testing.assert_close(means, torch.stack([whole.variance_s, whole.covariance_s]), rtol=1e-9, atol=1e-12)
    gradients = torch.cat([found[form, shape][1] for found in ranks], dim=1) / len(ranks)
    torch.testing.assert_close(gradients, whole.gradient_snd, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", SLOT_SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_the_bytes_moved_are_those_of_the_stated_cost(ranks: list[dict], form: str, shape: tuple[int, int]) -> None:
    world = len(ranks)
    expected = 2 * cost(form, shape[0], SAMPLES // world, shape[1], world).bytes_moved  # in float64
    if form == "partial":
        expected += 2 * 8 * shape[0] * shape[1] * (world - 1) / world  # the means, which the rule leaves out
    assert max(found[form, shape][2] for found in ranks) == pytest.approx(expected, abs=8)


def test_the_bytes_of_a_whole_step(ranks: list[dict]) -> None:
    """The global part, all slots of the local part together, and one small sum of all terms' values."""
    world = len(ranks)
    plan = VICRegLLoss(CONFIGS["paper"], len(GRIDS)).plan
    slots_of_both_sides = 2 * sum(min(each.gamma or 0, GRIDS[each.query] ** 2) for each in plan.location + plan.feature)
    expected = 2 * 8 * 3 * (1 + len(plan.location) + len(plan.feature)) * (world - 1) / world
    for slots_of_part, channels in ((len(GRIDS), WIDTHS[1]), (slots_of_both_sides, WIDTHS[0])):
        form = choose_form(slots_of_part, SAMPLES // world, channels, world)
        expected += 2 * cost(form, slots_of_part, SAMPLES // world, channels, world).bytes_moved
        expected += 2 * 8 * slots_of_part * channels * (world - 1) / world if form == "partial" else 0
    assert max(found["step"] for found in ranks) == pytest.approx(expected, abs=16)


@pytest.mark.parametrize("shape", SLOT_SHAPES)
def test_contrast_over_ranks_is_that_of_the_global_batch(ranks: list[dict], shape: tuple[int, int]) -> None:
    z_snd, weights = slots(shape)
    whole = contrast(sides(z_snd), 0.3, weights.variance_s)
    assert whole.gradient_sn2d is not None
    means = sum(found["contrast", shape][0] for found in ranks) / len(ranks)
    torch.testing.assert_close(means, whole.values_s, rtol=1e-9, atol=1e-12)
    gradients = torch.cat([found["contrast", shape][1] for found in ranks], dim=1) / len(ranks)
    torch.testing.assert_close(gradients, whole.gradient_sn2d, rtol=1e-9, atol=1e-12)
