"""The entry point visualize on a run folder with a small untrained network in it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.evaluation.classification.test_knn import write_class_folders
from tests.evaluation.segmentation.test_linear_segmentation import IGNORED, write_masked
from vicregl_fast import visualize
from vicregl_fast.runs.checkpoints import load_checkpoint


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
    visualize.main(["masks", *weights, *masked, "--by", "nearest", "--count", "1", "--out", "A.JPG"])
    assert Image.open("A.JPG").format == "JPEG"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--image", "none.png"], "none.png does not"),
        (["--image", "/dev/zero"], "/dev/zero is no regular file but a pipe, a socket or a device"),
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
