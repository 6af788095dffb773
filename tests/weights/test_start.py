"""Trainings that start from given weights."""

import os
import shutil
from pathlib import Path

import pytest
import torch
import torchvision

import tests.weights.layouts as made
from dataprep.errors import UserError
from tests.tiny_run import tiny_options, tiny_trainer
from tests.two_processes import on_two_processes
from vicregl_fast.config import parse_config
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.processes import join_processes
from vicregl_fast.training.trainer import Trainer
from vicregl_fast.weights.loading import check_start


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A ResNet-18 of torchvision."""
    torch.save(made.drawn(torchvision.models.resnet18(), 0), tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def backbone_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.learner.network.backbone.model.state_dict().items()}


def same(state: dict[str, torch.Tensor], file: Path) -> bool:
    stored = torch.load(file, weights_only=True)
    return all(torch.equal(value, stored[name]) for name, value in state.items())


def test_a_run_starts_from_a_file_once_and_records_it(
    beton: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    trainer = tiny_trainer(beton, run, epochs=1, model__weights=weights)
    assert same(backbone_of(trainer), weights)
    words = capsys.readouterr().err
    assert f"starts with 120 tensors of {weights}, and has no place for fc.*; not in the file" in words
    assert "as drawn, are expander.*, projector.*\n" in words
    assert trainer.run() == 0 and not same(backbone_of(trainer), weights)
    assert RunFolder(run).read_config().model.weights == str(weights)
    capsys.readouterr()
    weights.unlink()  # not read again
    resumed = tiny_trainer(beton, run, epochs=1, model__weights=weights)
    assert "starts with" not in capsys.readouterr().err
    trained = backbone_of(trainer)
    assert all(torch.equal(value, trained[name]) for name, value in backbone_of(resumed).items())
    with pytest.raises(UserError, match=r"model\.weights was .* and now is None"):
        tiny_trainer(beton, run, epochs=1)


def test_a_run_starts_from_another_with_its_heads(beton: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first = tiny_trainer(beton, tmp_path / "first", epochs=1)
    assert first.run() == 0
    learned = first.learner.network.state_dict()
    for number, source in enumerate((tmp_path / "first", first.folder.checkpoints.path(4))):
        capsys.readouterr()
        second = tiny_trainer(beton, tmp_path / f"second{number}", epochs=1, seed=1, model__weights=source)
        words = capsys.readouterr().err
        assert "has no place for classifier.*" in words and "as drawn" not in words
        for name, value in second.learner.network.state_dict().items():
            assert torch.equal(value, learned[name]) != name.startswith("classifier."), name


def test_what_does_not_fit_is_refused_before_images_are_looked_at(tmp_path: Path, weights: Path) -> None:
    torch.save({"expander.0.weight": torch.zeros(3, 3)}, tmp_path / "head.pth")
    torch.save(made.resnet_tensors("resnet18", 0) | {"layer1.0.conv1.weight": torch.ones(2)}, tmp_path / "odd.pth")
    for more, words in (
        ({"model__weights": tmp_path / "none.pth"}, "there is no file of weights"),
        ({"model__weights": tmp_path / "head.pth"}, r"nothing in .*head\.pth fits the network: it holds expander"),
        ({"model__weights": tmp_path / "odd.pth"}, r"1 tensors of .* layer1\.0\.conv1\.weight \(2,\) for \(64, 64, 3"),
        ({"model__weights": weights, "model__backbone": "resnet50"}, r"tensors of .* for .* and \d+ more"),
    ):
        with pytest.raises(UserError, match=words) as raised:
            tiny_trainer(tmp_path / "no_images_are_looked_for", tmp_path / "run", **more)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "run").exists()


def test_a_run_of_another_backbone_is_named(beton: Path, tmp_path: Path) -> None:
    assert tiny_trainer(beton, tmp_path / "run", epochs=1).run() == 0
    options = {"model__weights": tmp_path / "run", "model__backbone": "resnet34"}
    with pytest.raises(UserError, match=r"run holds a resnet18, and --model\.backbone is resnet34"):
        tiny_trainer(beton, tmp_path / "other", **options)


@pytest.mark.parametrize(
    "name",
    ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224", "test_efficientnet", "convnextv2_atto", "pvt_v2_b0"],
)
def test_shapes_of_any_family_are_enough_to_check(name: str, tmp_path: Path) -> None:
    torch.save({"stem.weight": torch.zeros(3)}, tmp_path / "none.pth")
    with pytest.raises(UserError, match="nothing in"):
        check_start(ModelConfig(name, expander=8, projector=8, weights=str(tmp_path / "none.pth")), True, True)


def _start(store: Path, run: Path, folder: Path) -> None:
    processes = join_processes("cpu")
    os.chdir(folder / str(processes.rank))
    trainer = Trainer(parse_config(tiny_options(store, run, model__weights="weights.pth")), processes)
    assert same(backbone_of(trainer), folder / "0" / "weights.pth")
    processes.leave()


@pytest.mark.slow
def test_every_process_starts_with_what_the_first_one_reads(beton: Path, tmp_path: Path, weights: Path) -> None:
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    shutil.copy(weights, tmp_path / "0" / "weights.pth")  # the other sees no file
    on_two_processes(_start, beton, tmp_path / "run", tmp_path)
