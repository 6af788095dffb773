"""Several files of weights in one command: what is said of each, and what is left if one cannot be judged."""

import json
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from tests.evaluation.classification.test_knn import write_class_folders
from vicregl_fast import evaluate
from vicregl_fast.evaluation.classification.knn import KnnJudge
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.weights.loading import drawn_backbone

SMALL = ["--size", "32", "--workers", "0"]


def write_timm(path: Path, name: str) -> Path:
    """A file of weights that does not say which backbone it holds."""
    torch.save(drawn_backbone(BackboneConfig(name), 0).model.state_dict(), path)
    return path


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """Two files, images, and where to write."""
    images = str(write_class_folders(tmp_path / "images", {"red": 12, "green": 14}))
    files = [str(write_timm(tmp_path / name, "resnet18")) for name in ("a.pth", "b.pth")]
    json_file = str(tmp_path / "out.json")
    return ["--run", files[0], "--run", files[1], "--train", images, "--test", images, "--json", json_file, *SMALL]


@pytest.mark.parametrize(
    ("error", "code", "said"), [(UserError("it is gone"), 2, "it is gone"), (KeyboardInterrupt(), 130, "Ctrl-C")]
)
def test_finished_rows_are_kept_whatever_ends_the_work(
    given: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    left = iter((Judgement({"accuracy": 60.0}), Judgement({"accuracy": 70.0}), Judgement({"accuracy": 80.0})))

    def judge(self: KnnJudge, backbone: Backbone, seed: int) -> Judgement:
        if (judgement := next(left, None)) is None:
            raise error
        return judgement

    monkeypatch.setattr(KnnJudge, "judge", judge)
    earlier = '{"environment": {}, "results": []}'
    (tmp_path / "out.json").write_text(earlier)
    with pytest.raises(SystemExit) as ended:
        evaluate.main(["knn", *given, "--backbone", "resnet18", "--seeds", "2"])
    told = capsys.readouterr()
    assert ended.value.code == code and "the table is incomplete" in told.err
    rows = [line.split() for line in told.out.splitlines()]
    assert rows[1:3] == [["a.pth", "65.0", "±7.1"], ["b.pth", "80.0"]] and rows[3][0] == "majority"
    assert (tmp_path / "out.json").read_text() == earlier and "out.json stays as it was" in told.err
    written = json.loads((tmp_path / "out.partial.json").read_text())
    assert written["environment"]["complete"] is False and written["environment"]["stopped_by"] == said
    assert written["results"][0]["values"] == [60.0, 70.0]


def test_a_later_file_that_is_refused_ends_no_work(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(KnnJudge, "judge", lambda *_: pytest.fail("the work began"))
    state = torch.load(tmp_path / "b.pth")
    del state["layer4.1.bn2.weight"]
    torch.save(state, tmp_path / "b.pth")
    with pytest.raises(SystemExit, match="2"):
        evaluate.main(["knn", *given, "--backbone", "resnet18"])
    assert "b.pth lacks 1 tensors of a resnet18: layer4.1.bn2.weight" in capsys.readouterr().err


def test_each_file_has_its_backbone_and_is_described(
    given: list[str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_timm(tmp_path / "b.pth", "test_resnet")
    several = ["--backbone", "resnet18", "--backbone", "test_resnet"]
    evaluate.main(["knn", *given, *several, "--output_stride", "16"])
    assert json.loads((tmp_path / "out.json").read_text())["backbones"] == {
        "a.pth": {"weights": "a.pth", "backbone": "resnet18", "output_stride": 16},
        "b.pth": {"weights": "b.pth", "backbone": "test_resnet", "output_stride": 16},
    }
    write_timm(tmp_path / "a.pth", "test_resnet")
    evaluate.main(
        ["knn", *given, "--run", str(run), "--backbone", "test_resnet", "--seeds", "2"]
    )  # the run says its own
    described = json.loads((tmp_path / "out.json").read_text())["backbones"]
    assert described[run.name] == {
        "checkpoint": "step-000000001.pt", "step": 1, "backbone": "resnet18", "output_stride": 16,
    }  # fmt: skip
    assert described["a.pth"]["backbone"] == "test_resnet" and described["a.pth"]["output_stride"] == 32
    assert f"nothing is drawn for {run.name}: it is judged once" in capsys.readouterr().err
    for more, words in (
        ([*several, *several[:2]], "--backbone is given 3 times, and --run 2"),
        (["--run", str(run), "--backbone", "resnet50"], "layer"),
    ):
        with pytest.raises(SystemExit, match="2"):
            evaluate.main(["knn", *given, *more])
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        evaluate.main(["knn", *given[4:], "--run", str(run), "--run", str(run), "--backbone", "resnet50"])
    assert "none is a resnet50: leave out --backbone" in capsys.readouterr().err


def test_notes_say_of_which_run_and_seed_they_are(given: list[str], capsys: pytest.CaptureFixture) -> None:
    short = ["--epochs", "1", "--lr", "0.1,1", "--seed", "3", "--seeds", "2", "--backbone", "resnet18"]
    evaluate.main(["linear", *given, *short])
    told = capsys.readouterr().err
    assert all(f"note: {name}.pth, seed {seed}: of 2 learning rates" in told for name in "ab" for seed in (3, 4))
