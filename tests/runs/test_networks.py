"""What is loaded from a run is what the run has trained."""

import shutil
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from tests.tiny_run import tiny_trainer
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.runs.networks import load_network
from vicregl_fast.training.trainer import Trainer
from vicregl_fast.weights.loading import drawn_backbone, load_backbone


@pytest.fixture(scope="module")
def trained(beton: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    trainer = tiny_trainer(beton, tmp_path_factory.mktemp("runs") / "run", epochs=1)
    assert trainer.run() == 0
    return trainer


def test_the_trained_network_comes_back(trained: Trainer) -> None:
    folder = trained.folder
    expected = trained.learner.network.state_dict()
    for run in (folder.path, folder.checkpoints.path(4)):
        network, config = load_network(run)
        assert not network.training and config == trained.config
        assert network.state_dict().keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())
        backbone = load_backbone(run)
        assert not backbone.training
        assert all(torch.equal(value, expected[f"backbone.{name}"]) for name, value in backbone.state_dict().items())
    older = load_backbone(folder.checkpoints.path(3)).state_dict()["model.conv1.weight"]
    assert not torch.equal(older, expected["backbone.model.conv1.weight"])


def test_an_untrained_one_is_drawn_from_its_seed_and_leaves_torch_s_generator(trained: Trainer) -> None:
    before = torch.get_rng_state()
    architecture = trained.config.model.backbone_config
    first, again, other = (drawn_backbone(architecture, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [each.state_dict()["model.conv1.weight"] for each in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_another_output_stride_makes_a_finer_map_of_the_same_weights(trained: Trainer) -> None:
    images = torch.zeros(1, 3, 64, 64)
    coarse, fine = (load_backbone(trained.folder.path, output_stride=stride) for stride in (None, 8))
    assert coarse(images).map.shape[2:] == (4, 4) and fine(images).map.shape[2:] == (8, 8)
    for one, other in zip(coarse.parameters(), fine.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_cannot_be_loaded_is_one_sentence(trained: Trainer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a run of vicregl_fast\.train: there is no"):
        load_backbone(tmp_path)
    shutil.copy(trained.folder.config, tmp_path)
    with pytest.raises(UserError, match="has no checkpoint yet; train it first"):
        load_network(tmp_path)
    state = trained.folder.checkpoints.load_newest()
    assert state is not None
    state["network"]["backbone.model.conv1.weight"][0, 0] = torch.nan
    RunFolder(tmp_path).checkpoints.save(state, 9)
    with pytest.raises(UserError, match=r"1 tensors of the network in .* hold non-finite values, the first being "):
        load_backbone(tmp_path)
    RunFolder(tmp_path).checkpoints.path(9).write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read; give another run$"):
        load_backbone(tmp_path)
