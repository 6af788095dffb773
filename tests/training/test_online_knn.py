"""The bank of features: what it holds, and how it classifies."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.tiny_run import ALONE
from tests.two_processes import on_two_processes
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.training.online_knn import FeatureBank
from vicregl_fast.training.processes import Processes, join_processes
from vicregl_fast.training.validation import validate

CPU = torch.device("cpu")
CLASSES, CHANNELS = 4, 6


def planted(count: int, noise: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features around one centre a class, far from each other, with their classes in turn."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    centres = 5 * torch.eye(CLASSES, CHANNELS)
    return centres[labels] + noise * torch.randn(count, CHANNELS, generator=generator), labels


def held(bank: FeatureBank) -> list[int]:
    neighbours = bank.neighbours()
    assert neighbours is not None
    return sorted(neighbours.labels_n.tolist())


def test_new_features_replace_the_oldest() -> None:
    bank = FeatureBank(7, 2, CPU)
    for start in range(0, 12, 3):
        labels = torch.arange(start, start + 3)
        bank.add(torch.stack([labels, -labels], 1).float(), labels)
        if start < 6:
            assert bank.neighbours() is None  # it is not full yet
    assert held(bank) == list(range(5, 12))
    neighbours = bank.neighbours()
    restored = neighbours.features_nc * neighbours.standardise.deviation_c + neighbours.standardise.mean_c
    torch.testing.assert_close(restored[:, 0], neighbours.labels_n.float())  # each with its own label
    bank.add(torch.zeros(20, 2), torch.arange(100, 120))  # more than it holds
    assert held(bank) == list(range(113, 120))


def test_a_bank_comes_back_as_it_was() -> None:
    for steps in (2, 5):  # not yet full, and with replaced ones
        bank, again = (FeatureBank(32, CHANNELS, CPU) for _ in range(2))
        for step in range(steps):
            bank.add(*planted(9, 0.3, seed=step))
        again.load_state(bank.state())
        for each in (bank, again):
            each.add(*planted(30, 0.3, seed=9))
        ours, theirs = again.neighbours(), bank.neighbours()
        assert torch.equal(ours.features_nc, theirs.features_nc) and torch.equal(ours.labels_n, theirs.labels_n)


def test_separable_features_are_classified() -> None:
    bank = FeatureBank(64, CHANNELS, CPU)
    bank.add(*planted(64, 0.3, seed=0))
    pooled, labels = planted(40, 0.3, seed=1)
    assert torch.equal(bank.neighbours().classify(pooled), labels)


def test_features_of_a_broken_step_do_not_count() -> None:
    bank = FeatureBank(64, CHANNELS, CPU)
    features, labels = planted(64, 0.3, seed=0)
    features[::3, 1] = torch.nan
    features[1, 0] = 1e6  # more than half precision holds
    bank.add(features, labels)
    pooled, expected = planted(40, 0.3, seed=1)
    assert torch.equal(bank.neighbours().classify(pooled), expected)
    assert len(held(bank)) == 41
    bank.add(torch.full((64, CHANNELS), torch.inf), labels)
    assert bank.neighbours() is None


def accuracies(processes: Processes) -> dict[str, float]:
    """Of validation with a network whose backbone gives what the images hold, and a bank that holds the last step."""
    rank, world = processes.rank, processes.world
    features, labels = planted(64, 1.6, seed=2)
    bank = FeatureBank(32 // world, CHANNELS, CPU)
    for step in range(2):
        rows = slice(32 * step + 32 // world * rank, 32 * step + 32 // world * (rank + 1))
        bank.add(features[rows], labels[rows])
    pooled, expected = (part[rank::world] for part in planted(40, 1.6, seed=3))
    batches = [
        ViewBatch(np.arange(10), (), expected[at], {}, pooled[at, :, None, None])
        for at in (slice(0, 10), slice(10, None))
    ]
    network = torch.nn.Module()
    network.backbone = lambda crops: SimpleNamespace(pooled=crops[:, :, 0, 0])
    network.classifier = torch.nn.Linear(CHANNELS, CLASSES)
    step = SimpleNamespace(
        losses=lambda batch: SimpleNamespace(terms=SimpleNamespace(total=torch.tensor(1.0))),
        precision=SimpleNamespace(autocast=lambda: torch.autocast("cpu", enabled=False)),
    )

    class Loader(list):
        def __enter__(self) -> "Loader":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    return validate(SimpleNamespace(network=network, step=step), Loader(batches), processes, bank)  # type: ignore[arg-type]


def _together(folder: Path) -> None:
    processes = join_processes("cpu")
    torch.save(accuracies(processes), folder / f"{processes.rank}.pt")
    processes.leave()


@pytest.mark.slow
def test_two_processes_classify_as_one(tmp_path: Path) -> None:
    alone = accuracies(ALONE)["val_knn_accuracy"]
    assert 0.5 < alone < 1  # so that the neighbours matter
    on_two_processes(_together, tmp_path)
    for rank in (0, 1):
        assert torch.load(tmp_path / f"{rank}.pt")["val_knn_accuracy"] == pytest.approx(alone)
