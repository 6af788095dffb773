"""What a whole run records besides its losses."""

import json
from pathlib import Path

import pytest
import torch

from tests.tiny_run import rows, tiny_trainer
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.weights.loading import load_backbone

SETTINGS = {"epochs": 4, "train__keep_every": 2, "train__profile": 3, "train__log_every": 2}


@pytest.fixture(scope="module")
def recorded(beton: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 epochs of 4 steps."""
    run = tmp_path_factory.mktemp("runs") / "recorded"
    assert tiny_trainer(beton, run, data__val_path=beton, **SETTINGS).run() == 0
    return run


def test_rows_tell_where_the_time_goes_and_what_the_device_does(recorded: Path) -> None:
    training = [row for row in rows(recorded) if "loss" in row]
    assert [row["step"] for row in training] == list(range(2, 17, 2))
    for row in training:
        parts = [row[f"seconds_{part}"] for part in ("data", "forward", "loss", "backward", "optimizer")]
        assert min(parts) >= 0 and min(parts[1:]) > 0
        assert row["tflops"] > 0 and 0 < row["flop_utilisation"] < 2  # a neighbour may slow the measured product
        assert 1 <= row["health/global_rankme"] <= 12
    row = training[-1]
    assert row["flop_utilisation"] / row["tflops"] == pytest.approx(
        training[0]["flop_utilisation"] / training[0]["tflops"]
    )


def test_every_validation_has_its_neighbours(recorded: Path) -> None:
    validations = [row for row in rows(recorded) if "val_loss" in row]
    assert [row["epoch"] for row in validations] == [1, 2, 3, 4]
    assert all(0 <= row["val_knn_accuracy"] <= 1 for row in validations)


def test_every_other_epoch_is_kept_and_can_be_judged(recorded: Path) -> None:
    files = RunFolder(recorded).checkpoints.paths()
    assert [path.name for path in files] == [
        "step-000000016-kept.pt",
        "step-000000015.pt",
        "step-000000008-kept.pt",
    ]
    old, new = (load_backbone(path).state_dict() for path in (files[2], recorded))
    assert RunFolder.holding(files[2]).path == recorded
    assert not torch.equal(old["model.conv1.weight"], new["model.conv1.weight"])


def test_a_profile_names_the_parts_of_its_steps(recorded: Path) -> None:
    (file,) = RunFolder(recorded).profile.iterdir()
    assert file.name == "steps-000000003-000000005.json"
    names = [event.get("name") for event in json.loads(file.read_text())["traceEvents"]]
    for part in ("forward", "loss", "backward", "optimizer"):
        assert names.count(part) == 3, part
    assert any("convolution_backward" in str(name) for name in names)


def test_a_resumed_run_may_keep_others_and_goes_on(recorded: Path, beton: Path) -> None:
    again = tiny_trainer(beton, recorded, **{**SETTINGS, "train__keep_every": 1, "train__profile": 0})
    assert again.finished_steps == 16
    newest, *others = RunFolder(recorded).checkpoints.paths()
    for path in (newest, others[0]):
        path.write_bytes(b"damaged")
    assert tiny_trainer(beton, recorded, **SETTINGS).finished_steps == 8  # the one that was kept is left
