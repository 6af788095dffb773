"""The entry point evaluate on a run folder with a small untrained network in it; segmentation has a file of its own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.classification.test_knn import write_class_folders
from vicregl_fast import evaluate
from vicregl_fast.runs.checkpoints import Checkpoints, load_checkpoint


def test_knn_prints_and_writes_three_rows(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = write_class_folders(tmp_path / "train", {"red": 4, "green": 6})
    test = write_class_folders(tmp_path / "test", {"red": 3, "green": 1})
    options = ["--size", "32", "--k", "3", "--workers", "0", "--random_init"]
    out = ["--json", str(tmp_path / "knn.json")]
    evaluate.main(["knn", "--run", str(run), "--train", str(train), "--test", str(test), *options, *out])
    names = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["knn", "trained", "random", "majority class"]
    written = json.loads((tmp_path / "knn.json").read_text())
    values = {row["name"]: row["value"] for row in written["results"]}
    # Even an untrained network tells red from green; the commonest training class is one of four test images.
    assert values == {
        "knn.trained.accuracy": 100,
        "knn.random.accuracy": 100,
        "knn.majority_class.accuracy": 25,
    }
    assert written["settings"]["k"] == [3] and written["settings"]["train"] == str(train)


def test_several_runs_and_seeds_are_one_table(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images = write_class_folders(tmp_path / "images", {"red": 4, "green": 6})
    other = tmp_path / "other"
    shutil.copytree(run, other)
    options = ["--size", "32", "--k", "3", "--workers", "0", "--random_init", "--seeds", "2"]
    runs = ["--run", str(run), "--run", str(other)]
    evaluate.main(["knn", *runs, "--train", str(images), "--test", str(images), *options, "--seed", "5"])
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["knn", run.name, "other", "random", "majority class"]
    assert [line[-1].strip() for line in lines[1:]] == ["100.0", "100.0", "100.0 ±0.0", "60.0"]


def test_linear_learns_from_the_training_images(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = write_class_folders(tmp_path / "train", {"red": 4, "green": 6, "blue": 5})
    test = write_class_folders(tmp_path / "test", {"red": 3, "green": 1})  # which has no blue to learn from
    options = ["--size", "32", "--workers", "0", "--epochs", "20", "--lr", "1", "--batch_size", "8"]
    out = ["--json", str(tmp_path / "linear.json")]
    evaluate.main(["linear", "--run", str(run), "--train", str(train), "--test", str(test), *options, *out])
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "linear",
        "trained",
        "majority class",
    ]
    written = json.loads((tmp_path / "linear.json").read_text())
    assert {row["name"]: row["value"] for row in written["results"]} == {
        "linear.trained.accuracy": 100,
        "linear.majority_class.accuracy": 25,
    }
    assert written["settings"]["lr"] == [1.0]


def test_a_file_of_weights_is_judged_by_its_backbone_s_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    state = load_checkpoint(run / "checkpoints" / "step-000000001.pt")["network"]
    inner = {name.removeprefix("backbone.model."): value for name, value in state.items() if "backbone" in name}
    torch.save(inner, tmp_path / "timm.pth")
    train = write_class_folders(tmp_path / "train", {"red": 4, "green": 6})
    given = ["knn", "--weights", str(tmp_path / "timm.pth"), "--train", str(train), "--test", str(train)]
    for name, words in ((None, "does not say which backbone"), ("resnet5o", "near it are resnet50")):
        with pytest.raises(SystemExit):
            evaluate.main([*given, *(["--backbone", name] if name else [])])
        assert words in capsys.readouterr().err
    small = ["--size", "32", "--k", "3", "--workers", "0", "--random_init"]
    evaluate.main([*given, "--backbone", "resnet18", *small])
    names = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["knn", "trained", "random", "majority class"]


def test_weights_outside_their_run_are_judged_alike_with_its_stride(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Of a checkpoint's copy nothing says that it was trained at a stride of 16."""
    shutil.copy(run / "checkpoints" / "step-000000001.pt", tmp_path / "copy.pt")
    images = str(write_class_folders(tmp_path / "images", {"red": 4, "green": 6}))
    given = ["embed", "--images", images, "--size", "64", "--workers", "0", "--picture", "none"]
    weights = ["--weights", str(tmp_path / "copy.pt"), "--backbone", "resnet18"]
    for name, options in {"run": ["--run", str(run)], "32": weights, "16": [*weights, "--output_stride", "16"]}.items():
        evaluate.main([*given, *options, "--out", str(tmp_path / name)])
    of_run, as_32, as_16 = (np.load(tmp_path / name / "features.npy") for name in ("run", "32", "16"))
    assert (of_run == as_16).all() and abs(of_run - as_32).max() > 0.01 * abs(of_run).max()
    assert "copy.pt does not say at which output stride" in capsys.readouterr().err
    knn = ["knn", "--train", images, "--test", images, "--size", "64", "--k", "3", "--workers", "0", *weights]
    evaluate.main([*knn, "--output_stride", "16"])
    assert "stride" not in capsys.readouterr().err


def test_embed_writes_features_and_a_picture(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images = write_class_folders(tmp_path / "images", {"red": 3, "green": 2})
    out = tmp_path / "out"
    given = ["embed", "--run", str(run), "--images", str(images), "--out", str(out), "--size", "64", "--workers", "0"]
    evaluate.main([*given, "--maps", "--picture", "pca"])
    names = ["features.npy", "maps.npy", "paths.csv", "settings.json", "picture.png"]
    assert capsys.readouterr().out.split() == [str(out / name) for name in names]
    features, maps = np.load(out / "features.npy"), np.load(out / "maps.npy")
    assert features.shape == (5, 512) and maps.shape == (5, 512, 4, 4)  # at the stride of 16 that the run says
    assert np.allclose(maps.astype(np.float32).mean((2, 3)), features, atol=2e-3 * np.abs(features).max())
    with pytest.raises(SystemExit):
        evaluate.main(given)
    assert "give --overwrite to replace them" in capsys.readouterr().err
    evaluate.main([*given, "--overwrite", "--picture", "none"])
    assert sorted(path.name for path in out.iterdir()) == ["features.npy", "paths.csv", "settings.json"]


def test_a_network_with_nan_weights_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    broken = tmp_path / "run" / "checkpoints"
    shutil.copytree(run, broken.parent)
    state = load_checkpoint(broken / "step-000000001.pt")
    state["network"]["backbone.model.bn1.running_var"][3] = float("nan")
    Checkpoints(broken).save(state, step=2)
    images = write_class_folders(tmp_path / "images", {"red": 4, "green": 6})
    with pytest.raises(SystemExit):
        evaluate.main(["knn", "--run", str(broken.parent), "--train", str(images), "--test", str(images)])
    assert "the first being backbone.model.bn1.running_var" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["knn", "--train", "missing", "--test", "missing"], "missing does not exist"),
        (["knn", "--train", ".", "--test", ".", "--k", "0"], "--k: 0 must be different whole numbers above 0"),
        (["knn", "--train", ".", "--test", ".", "--json", "no/where.json"], "make the folder no first"),
    ],
)
def test_wrong_options_end_in_one_sentence(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(write_class_folders(tmp_path, {"red": 1, "green": 1}))
    with pytest.raises(SystemExit) as ended:
        evaluate.main([*arguments, "--run", str(run)])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in error and error.count("\n") == 1
