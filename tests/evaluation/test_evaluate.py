"""The entry points evaluate and visualize on a run folder with a small untrained network in it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.value_range import ValueRange
from tests.evaluation.classification.test_knn import write_class_folders
from tests.evaluation.segmentation.datasets.miniature import write_cityscapes, write_voc
from tests.evaluation.segmentation.test_linear_segmentation import IGNORED, write_masked
from vicregl_fast import evaluate, visualize
from vicregl_fast.config import RunConfig, dump_config
from vicregl_fast.evaluation import comparison
from vicregl_fast.evaluation.segmentation import masked_images
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.runs.checkpoints import Checkpoints, load_checkpoint

FOLDERS = ["--train_images", ".", "--train_masks", ".", "--val_images", ".", "--val_masks", "."]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training leaves, as far as judging reads it."""
    folder = tmp_path_factory.mktemp("run")
    config = RunConfig(model=ModelConfig("resnet18", output_stride=16, expander=8, projector=8))
    (folder / "config.yaml").write_text(dump_config(config))
    torch.manual_seed(0)
    network = VICRegLNetwork(config.model, use_global=True, use_local=True)
    Checkpoints(folder / "checkpoints").save({"network": network.state_dict()}, step=1)
    return folder


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
    assert [line[-1].strip() for line in lines[1:]] == ["100.0 ±0.0"] * 3 + ["60.0"]


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


def test_linear_seg_at_another_stride_from_a_checkpoint(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["linear-seg", "--run", str(next((run / "checkpoints").glob("*.pt")))]
    for side, seed in (("train", 0), ("val", 1)):
        write_masked(tmp_path / side, 4, seed)
        for kind in ("images", "masks"):
            arguments += [f"--{side}-{kind}", str(tmp_path / side / kind)]
    arguments += ["--classes", "3", "--ignore_index", str(IGNORED), "--output_stride", "8", "--workers", "0"]
    evaluate.main([*arguments, "--iterations", "40", "--batch_size", "4"])
    header, trained, majority = capsys.readouterr().out.splitlines()
    assert header.split() == ["linear-seg", "mIoU", "pixel", "accuracy"]
    # Cells of 8 pixels are the blocks that the classes come in.
    assert float(trained.split()[1]) > 2 * float(majority.split()[2])


def test_knn_seg_needs_no_training(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["knn-seg", "--run", str(run), "--random_init"]
    for side, seed in (("train", 0), ("val", 1)):
        write_masked(tmp_path / side, 4, seed)
        for kind in ("images", "masks"):
            arguments += [f"--{side}_{kind}", str(tmp_path / side / kind)]
    arguments += ["--classes", "3", "--ignore_index", str(IGNORED), "--output_stride", "8", "--workers", "0"]
    evaluate.main([*arguments, "--k", "5"])
    header, trained, random, majority = capsys.readouterr().out.splitlines()
    assert header.split() == ["knn-seg", "mIoU", "pixel", "accuracy"]
    # Even the cells of an untrained network tell colours apart.
    assert min(float(row.split()[1]) for row in (trained, random)) > 1.5 * float(majority.split()[2])


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


def test_linear_seg_of_a_named_data_set_by_the_published_protocol(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Shortened; the ResNet is dilated to 8 pixels a cell, and each class has a figure in the file."""
    write_voc(tmp_path)
    arguments = ["linear-seg", "--run", str(run), "--dataset", "voc12aug", "--root", str(tmp_path), "--workers", "0"]
    small = ["--iterations", "10", "--batch_size", "2", "--crop", "32x40", "--base_size", "64x48"]
    evaluate.main([*arguments, *small, "--per_class", "--json", str(tmp_path / "out.json")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["linear-seg", "mIoU", "pixel", "accuracy"]
    assert [line.split()[0] for line in lines[1:3]] == ["trained", "majority"]
    assert lines[3].split() == ["per", "class", "trained", "majority", "class"]
    assert {"IoU/bird", "IoU/car", "IoU/dog"} <= {line.split("  ")[0] for line in lines[4:]}
    written = json.loads((tmp_path / "out.json").read_text())
    assert {"linear-seg.trained.mIoU", "linear-seg.trained.IoU/car"} <= {row["name"] for row in written["results"]}
    assert (
        written["settings"]["dataset"] == "voc12aug"
        and written["settings"]["protocol"] == "published"
        and written["settings"]["crop"] == [32, 40]
    )


@pytest.mark.parametrize("finetune", [False, True])
def test_linear_seg_hands_on_what_was_given(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finetune: bool
) -> None:
    """The data set and fine-tuning, the training images' range of values, and the stride of the map."""
    handed = []
    monkeypatch.setattr(masked_images, "find_range", lambda source: ValueRange(0, 4095))
    monkeypatch.setattr(comparison, "run_judge", lambda options, judge, stride: handed.append((judge(), stride)))
    write_voc(tmp_path)
    arguments = ["linear-seg", "--run", str(run), "--dataset", "voc12aug", "--root", str(tmp_path), "--workers", "0"]
    for more in ([], ["--output_stride", "16"]):
        evaluate.main([*arguments, *["--finetune"] * finetune, *more])
    (judge, published), (_, given) = handed
    assert judge.task == ("voc12aug fine-tuned" if finetune else "voc12aug")
    assert judge._val.taken is judge._train.taken
    assert [published(name) for name in ("resnet50", "convnext_small")] == [8, None]
    assert [given(name) for name in ("resnet50", "convnext_small")] == [16, 16]


def test_linear_seg_with_lists_suffixes_and_a_label_map(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The majority row follows from the masks: of the listed images' classes, by the map's numbers."""
    classes = write_cityscapes(tmp_path, ("labelIds",))
    (tmp_path / "map.txt").write_text("12 0\n20 1\n25 2\nothers ignore\n")
    (tmp_path / "list.txt").write_text("aachen/aachen_000000_000019\nzurich/zurich_000000_000020\n")
    arguments = ["linear-seg", "--run", str(run), "--label_map", str(tmp_path / "map.txt"), "--workers", "0"]
    arguments += ["--image_suffix", "_leftImg8bit", "--mask_suffix", "_gtFine_labelIds", "--iterations", "2"]
    for side in ("train", "val"):
        arguments += [f"--{side}_images", str(tmp_path / "leftImg8bit" / side)]
        arguments += [f"--{side}_masks", str(tmp_path / "gtFine" / side)]
    number = {3: 0, 7: 1, 12: 2}  # of wall, traffic sign and rider, whose values are 12, 20 and 25
    learned, tried = (
        np.bincount([number[each] for name in names for each in classes[name].flat if each in number], minlength=3)
        for names in (
            ("aachen_000000_000019", "zurich_000000_000020"),
            [name for name in classes if name.startswith("munster")],
        )
    )
    evaluate.main([*arguments, "--train_list", str(tmp_path / "list.txt"), "--output_stride", "8", "--per_class"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == ["linear-seg", "trained", "majority class"]
    commonest = learned.argmax()
    share = 100 * tried[commonest] / tried.sum()
    assert [float(part) for part in lines[2].split()[2:]] == pytest.approx([share / 3, share], abs=0.1)
    by_class = {line.split()[0]: float(line.split()[-1]) for line in lines[4:]}
    expected = {f"IoU/{each}": share if each == commonest else 0 for each in range(3)}
    assert by_class == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            [],
            "--train_images, --train_masks, --val_images, --val_masks is missing: give the four folders",
        ),
        (["--dataset", "ade20k"], "--dataset ade20k wants --root"),
        (
            ["--dataset", "ade20k", "--root", ".", "--classes", "3", "--zero_ignored"],
            "--dataset ade20k knows its folders and labels: leave --classes, --zero_ignored out",
        ),
        (["--root", "."], "--root goes with --dataset"),
        (["--dataset", "ade20k", "--root", "."], "--root . does not hold ADE20K"),
        ([*FOLDERS], "--classes is missing: say how many classes the masks have, or give a --label_map"),
        ([*FOLDERS, "--label_map", "map.txt"], "the label map map.txt cannot be read: No such file"),
        (["--crop", "0"], "--crop: 0 must be a number of pixels"),
        (["--lr", "0"], "--lr: 0 must be different numbers above 0"),
        (["--cache_folder", "nowhere"], "--cache_folder nowhere does not exist or is no folder"),
    ],
)
def test_wrong_options_of_linear_seg_end_in_one_sentence(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        evaluate.main(["linear-seg", *arguments, "--run", str(run)])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in error and error.count("\n") == 1


def test_matches_are_drawn_into_the_run_folder(run: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(tmp_path / "flat.png")
    visualize.main(["matches", "--run", str(run), "--images", str(tmp_path), "--count", "2", "--gamma", "3"])
    assert Image.open(run / "matches.png").width > 1000


def test_pictures_of_maps_lie_in_the_run_folder(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images = write_class_folders(tmp_path / "images", {"red": 1, "green": 2})
    given = ["--run", str(run), "--side", "64", "--images", str(images)]
    visualize.main(["pca", *given])
    visualize.main(["similarity", *given, "--image", str(images / "red" / "0.jpg"), "--at", "3,4", "--at", "20,9.5"])
    assert capsys.readouterr().out.split() == [str(run / "pca.png"), str(run / "similarity.png")]
    assert all(Image.open(run / name).width > 500 for name in ("pca.png", "similarity.png"))


def test_pictures_of_masks_and_of_a_file_of_weights(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    masked = []
    for side, seed in (("train", 0), ("val", 1)):
        write_masked(tmp_path / side, 3, seed)
        for kind in ("images", "masks"):
            masked += [f"--{side}_{kind}", str(tmp_path / side / kind)]
    masked += ["--classes", "3", "--ignore_index", str(IGNORED)]
    monkeypatch.chdir(tmp_path)
    state = load_checkpoint(run / "checkpoints" / "step-000000001.pt")["network"]
    inner = {name.removeprefix("backbone.model."): value for name, value in state.items() if "backbone" in name}
    torch.save(inner, "timm.pth")
    weights = ["--weights", "timm.pth", "--backbone", "resnet18", "--output_stride", "8"]
    visualize.main(["masks", *weights, *masked, "--by", "nearest", "--count", "2"])
    assert capsys.readouterr().out.strip() == "masks.png" and Image.open("masks.png").width > 500


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--image", "none.png"], "none.png does not"),
        (["--image", "images/red/0.jpg", "--at", "500,3"], "--at 500,3 is not in the image, which has 32x24 pixels"),
        (["--image", "images/red/0.jpg", "--at", "5"], "5 must be two numbers with a comma between"),
    ],
)
def test_wrong_points_end_in_one_sentence(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    given: list[str],
    sentence: str,
) -> None:
    write_class_folders(tmp_path / "images", {"red": 1})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        visualize.main(["similarity", "--run", str(run), *given])
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


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
