"""A run's folder: where its files lie, and which settings may continue it."""

from pathlib import Path

import pytest

from dataprep.errors import UserError
from tests.tiny_run import tiny_options
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.runs.folder import FREE, RunFolder


def configured(folder: RunFolder, **more: object) -> RunConfig:
    return parse_config(tiny_options(Path("train.beton"), folder.path, **more))


def test_a_run_is_named_by_its_folder_or_a_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    file = folder.checkpoints.save({"step": 1}, 1)
    assert RunFolder.holding(tmp_path) == RunFolder.holding(file) == folder


def test_leaving_broken_images_out_may_be_decided_later(tmp_path: Path) -> None:
    """The error of an image that does not decode advises it, and it comes in the middle of a run."""
    folder = RunFolder(tmp_path / "run")
    for more in ({}, {"data__on_error": "skip", "data__workers": 2}):
        config = configured(folder, **more)
        folder.check(config)
        folder.claim(config)
        assert folder.read_config() == config


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model__expander": 33}, "model.expander was 32 and now is 33"),
        ({"views__large_scale": "[0.2,1.0]"}, r"views.large_scale was None and now is \[0.2, 1.0\]"),
        ({"seed": 1, "epochs": 4}, "epochs was 3 and now is 4; seed was 0 and now is 1"),
    ],
)
def test_what_would_train_something_else_is_refused(tmp_path: Path, changed: dict, words: str) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim(configured(folder))
    with pytest.raises(UserError, match=words):
        folder.check(configured(folder, **changed))


def test_what_is_free_is_a_setting(tmp_path: Path) -> None:
    config = configured(RunFolder(tmp_path))
    for key in FREE:
        part, _, name = key.rpartition(".")
        assert hasattr(getattr(config, part) if part else config, name), key


def test_settings_that_an_earlier_version_did_not_know_are_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.lacks_setting("train.sync_batchnorm")  # no run lies here
    folder.claim(parse_config([]))
    assert not folder.lacks_setting("train.sync_batchnorm")
    lines = folder.config.read_text().splitlines()
    folder.config.write_text("\n".join(line for line in lines if "sync_batchnorm" not in line))
    assert folder.lacks_setting("train.sync_batchnorm") and not folder.lacks_setting("train.patience")
