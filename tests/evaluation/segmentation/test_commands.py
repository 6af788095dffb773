"""The commands of segmentation on a run folder with a small untrained network in it."""

import json
from pathlib import Path

import numpy as np
import pytest

from dataprep.command_line import SentenceParser
from dataprep.value_range import ValueRange
from tests.evaluation.segmentation.datasets.miniature import write_cityscapes, write_voc
from tests.evaluation.segmentation.test_linear_segmentation import IGNORED, write_masked
from vicregl_fast import evaluate
from vicregl_fast.evaluation import comparison
from vicregl_fast.evaluation.segmentation import masked_images
from vicregl_fast.evaluation.segmentation.commands import add_masked_images, open_masked_images

FOLDERS = ["--train_images", ".", "--train_masks", ".", "--val_images", ".", "--val_masks", "."]


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
    assert written["backbones"]["trained"]["output_stride"] == 8
    assert "the output stride is 8" in written["judged"]["trained"][0]["protocol"]
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
    assert judge.published.task == ("voc12aug fine-tuned" if finetune else "voc12aug")
    assert judge._val._images.taken is judge._train._images.taken
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


def test_classes_without_values_and_shared_images_are_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_masked(tmp_path, 4, seed=0)
    (tmp_path / "map.txt").write_text("0 0\n1 1\n2 4\nothers ignore\n")
    (tmp_path / "list.txt").write_text("nested/0.png\nnested/2.png\n")
    parser = SentenceParser()
    add_masked_images(parser)
    given = ["--label_map", str(tmp_path / "map.txt"), "--train_list", str(tmp_path / "list.txt")]
    for side in ("train", "val"):
        given += [f"--{side}_images", str(tmp_path / "images"), f"--{side}_masks", str(tmp_path / "masks")]
    open_masked_images(parser.parse_args(given))
    told = capsys.readouterr().err
    assert "map.txt names 5 classes, but gives no value to 2, 3\n" in told
    assert "2 of the 4 validation images are training images, too\n" in told


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
