"""What a run does when it comes back to its folder."""

import shutil
import signal
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.conftest import drawn_image
from tests.tiny_run import ALONE, rows, tiny_options, tiny_trainer
from vicregl_fast.config import parse_config
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training import trainer
from vicregl_fast.training.learner import build_learner
from vicregl_fast.training.step import StepResult, TrainingStep


def test_a_validation_that_was_cut_off_is_made_up_for(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit(137)

    run = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(trainer, "validate", killed)
        tiny_trainer(beton, run, data__val_path=beton, epochs=1).run()
    assert not any("val_loss" in row for row in rows(run))
    again = tiny_trainer(beton, run, data__val_path=beton, epochs=1)
    assert again.finished_steps == again.total_steps and again.run() == 0
    assert [row["step"] for row in rows(run) if "val_loss" in row] == [4]
    assert tiny_trainer(beton, run, data__val_path=beton, epochs=1).run() == 0
    assert len([row for row in rows(run) if "val_loss" in row]) == 1


def test_the_end_of_each_epoch_is_told_before_its_checkpoint(beton: Path, tmp_path: Path) -> None:
    run = tiny_trainer(beton, tmp_path / "run", train__checkpoint_every=5)
    told: list[tuple[int, int, int]] = []
    run.after_epoch = lambda epochs: told.append((epochs, run.finished_steps, run.checkpointing.saved_step))
    assert run.run() == 0
    assert told == [(1, 4, 0), (2, 8, 5), (3, 12, 10)]


def test_an_epoch_that_was_cut_off_is_not_told(beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_trainer(beton, tmp_path / "run")
    told: list[int] = []
    run.after_epoch = told.append
    take_step = run._train_step

    def stopped_in_the_second(*given: Any) -> None:
        take_step(*given)
        if run.finished_steps == 6:
            run.stop.received = signal.SIGTERM

    monkeypatch.setattr(run, "_train_step", stopped_in_the_second)
    assert run.run() == 75 and told == [1]


def validated_steps(run: Path) -> list[int]:
    return [row["step"] for row in rows(run) if "val_loss" in row]


@pytest.mark.slow
def test_a_validation_of_steps_that_are_done_again_is_made_again(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest checkpoint is lost, and the run is killed between its steps' second end and their validation."""

    def killed(*_: object) -> None:
        raise SystemExit(137)

    run = tmp_path / "run"
    setting = {"data__val_path": beton, "epochs": 2, "train__checkpoint_every": 4}
    assert tiny_trainer(beton, run, **setting).run() == 0
    assert validated_steps(run) == [4, 8]
    RunFolder(run).checkpoints.path(8).unlink()
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        again = tiny_trainer(beton, run, **setting)
        assert again.finished_steps == 4
        make_up = trainer.validate
        patch.setattr(trainer, "validate", lambda *given: make_up(*given) if again.finished_steps == 4 else killed())
        again.run()
    assert validated_steps(run) == [4]
    assert tiny_trainer(beton, run, **setting).run() == 0
    assert validated_steps(run) == [4, 8]


def test_a_validation_row_stays_where_none_can_be_made(beton: Path, tmp_path: Path) -> None:
    """As in a run of an earlier version, which recorded validations in its metrics only."""
    run = tmp_path / "run"
    assert tiny_trainer(beton, run, data__val_path=beton, epochs=1).run() == 0
    RunFolder(run).validation.unlink()
    assert tiny_trainer(beton, run, epochs=1).run() == 0
    assert validated_steps(run) == [4]


def test_a_stop_at_the_end_of_an_epoch_does_not_wait_for_the_validation(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, step, calls = tmp_path / "run", TrainingStep.__call__, iter(range(1, 100))

    def stopped_in_the_fourth(self: TrainingStep, *arguments: Any) -> StepResult:
        if next(calls) == 4:
            signal.raise_signal(signal.SIGTERM)
        return step(self, *arguments)

    monkeypatch.setattr(TrainingStep, "__call__", stopped_in_the_fourth)
    assert tiny_trainer(beton, run, data__val_path=beton, epochs=2).run() == 75
    assert not any("val_loss" in row for row in rows(run))
    assert tiny_trainer(beton, run, data__val_path=beton, epochs=2).run() == 0
    assert [row["step"] for row in rows(run) if "val_loss" in row] == [4, 8]


def test_images_without_labels_train_without_a_classifier(tmp_path: Path) -> None:
    """A flat folder, of which some images are grey."""
    folder, run = tmp_path / "images", tmp_path / "run"
    folder.mkdir()
    for index in range(24):
        picture = Image.fromarray(drawn_image(index, 40 + index, 64))
        (picture.convert("L") if index % 5 == 0 else picture).save(folder / f"{index}.jpg")
    assert tiny_trainer(folder, run, data__val_path=folder, epochs=1).run() == 0
    train, val = (row for row in rows(run) if row["step"] == 2)
    assert isfinite(train["loss"]) and isfinite(val["val_loss"])
    assert not any(name.startswith("online") or name == "val_accuracy" for row in (train, val) for name in row)


def test_other_images_do_not_resume_a_run(beton: Path, image_folder: Path, tmp_path: Path) -> None:
    store, run = tmp_path / "train.beton", tmp_path / "run"
    for suffix in ("", ".json"):
        shutil.copy(f"{beton}{suffix}", f"{store}{suffix}")
    assert tiny_trainer(store, run, epochs=1).run() == 0
    files = list_images(image_folder).files
    (tmp_path / "list.txt").write_text("\n".join([files[1], files[0], *files[2:]]))
    write_store(list_images(image_folder, tmp_path / "list.txt"), store, workers=1, overwrite=True)
    with pytest.raises(UserError, match="are not those that the run in"):
        tiny_trainer(store, run, epochs=1)


def test_a_wrong_name_or_too_few_images_are_said_before_the_work(image_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError, match="near it are resnet50"):
        tiny_trainer(image_folder, run, model__backbone="resnet5o")
    assert not run.exists()
    one = tmp_path / "one" / "class_a"
    one.mkdir(parents=True)
    shutil.copy(next(image_folder.glob("*/*.jpg")), one)
    with pytest.raises(UserError, match="too few images for validation, 1"):
        tiny_trainer(image_folder, run, data__val_path=one.parent)
    shutil.copy(sorted(image_folder.glob("*/*.jpg"))[-1], one)
    tiny_trainer(image_folder, run, data__val_path=one.parent)  # two are enough


def test_a_folder_of_another_run_is_refused_before_images_are_converted(image_folder: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim(parse_config(tiny_options(image_folder, folder.path)))
    with pytest.raises(UserError, match=r"model.expander was 32 and now is 33"):
        tiny_trainer(image_folder, folder.path, model__expander=33)
    folder.checkpoints.save({"step": 4}, 4)
    with pytest.raises(UserError, match="has checkpoints of format None"):
        tiny_trainer(image_folder, folder.path)
    assert not folder.stores.exists()


def test_resuming_reads_no_metrics_back(beton: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert tiny_trainer(beton, run, data__val_path=beton, epochs=1).run() == 0
    (run / "metrics.jsonl").unlink()
    again = tiny_trainer(beton, run, data__val_path=beton, epochs=1)
    assert again.finished_steps == 4 and again.run() == 0
    assert rows(run) == []  # neither trained nor validated again


def test_a_checkpoint_of_another_format_of_numbers_goes_on_in_this_one() -> None:
    """As a job that began in fp32 and is requeued to a V100, where auto is fp16."""
    single, half = (
        build_learner(parse_config(tiny_options(Path("x"), Path("y"), train__precision=name)), 3, ALONE)
        for name in ("fp32", "fp16")
    )
    with torch.no_grad():
        single.network.classifier.bias.fill_(7)
    half.load_state(single.state())
    assert half.network.classifier.bias.tolist() == [7] * 3
    assert half.step.scaler.get_scale() == 2**16
    single.load_state(half.state())


@pytest.mark.parametrize(
    ("state", "words"),
    [({"step": 3}, "format None, and this version resumes format 2"), ({"network": {}}, "is of another network")],
)
def test_a_checkpoint_of_something_else_is_one_sentence(beton: Path, tmp_path: Path, state: dict, words: str) -> None:
    run = tiny_trainer(beton, tmp_path / "run", epochs=1)
    if "network" in state:
        run.run()
        state = {**run.folder.checkpoints.load_newest(), **state}
    run.folder.checkpoints.save(state, 4)
    with pytest.raises(UserError, match=words) as raised:
        tiny_trainer(beton, tmp_path / "run", epochs=1)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("backbone", "recipe", "noted"),
    [("resnet18", "multicrop", True), ("resnet18", "two", False), ("convnext_atto", "multicrop", False)],
)
def test_multi_crop_with_another_backbone_than_a_convnext_is_noted(
    backbone: str, recipe: str, noted: bool, capsys: pytest.CaptureFixture
) -> None:
    more = {"model__backbone": backbone, "views__recipe": recipe, "views__small_size": 32, "views__large_size": 64}
    build_learner(parse_config(tiny_options(Path("x"), Path("y"), model__output_stride=32, **more)), 3, ALONE)
    assert ("multi-crop is published for ConvNeXts" in capsys.readouterr().err) == noted


@pytest.mark.parametrize(("size", "alpha", "noted"), [(32, 0.75, True), (32, 1, False), (64, 0.75, False)])
def test_views_of_one_cell_are_noted_where_cells_are_matched(
    size: int, alpha: float, noted: bool, capsys: pytest.CaptureFixture
) -> None:
    more = {"model__output_stride": 32, "views__large_size": size, "loss__alpha": alpha}
    build_learner(parse_config(tiny_options(Path("x"), Path("y"), **more)), 3, ALONE)
    assert (f"of a view of {size} pixels has one cell" in capsys.readouterr().err) == noted


def test_a_network_without_cells_trains_with_the_global_criterion_alone() -> None:
    more = {"model__backbone": "pit_ti_224", "model__output_stride": 32, "views__large_size": 224}
    with pytest.raises(UserError, match="pit_ti_224 gives a single vector"):
        build_learner(parse_config(tiny_options(Path("x"), Path("y"), **more)), 3, ALONE)
    assert build_learner(parse_config(tiny_options(Path("x"), Path("y"), **more, loss__alpha=1)), 3, ALONE).grids == (
        1,
        1,
    )
