"""Several backbones, seeds and the paper's rows in one table."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.candidates import Candidate, candidates_of, distinct_names, untrained_names
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.paper import PaperColumn, Task, published_rows
from vicregl_fast.evaluation.report import Judgement, Row
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.weights.source import Weights


class SeedJudge:
    """Its figure is the seed that it was given, and its training images are of that many levels."""

    def __init__(self, task: Task | None = None, same_protocol: bool = True, draws: bool = True):
        self.published, self._draws = task and PaperColumn(task, same_protocol), draws

    def training_images(self, seed: int) -> Iterator[Tensor]:
        yield torch.full((2, 3, 8, 8), float(seed))

    def judge(self, backbone: MeanColour, seed: int) -> Judgement:
        figures = {"accuracy": 10.0 * seed, "mean": backbone.norm.running_mean[0].item()}
        return Judgement(figures, {"lr": seed / 10}, self._draws)

    def majority_figures(self) -> dict[str, float]:
        return {"accuracy": 5.0, "mean": 0.0}


def test_every_seed_draws_and_judges_anew() -> None:
    drawn: list[int] = []

    def build(seed: int) -> MeanColour:
        drawn.append(seed)
        return MeanColour().eval()

    rows = compare([Candidate("trained", build), Candidate("random", build, trained=False)], SeedJudge(), (3, 4))
    assert drawn == [3, 4, 3, 4]
    assert rows[0].settings == [{"lr": 0.3}, {"lr": 0.4}] and rows[2].settings == ()
    assert rows == [
        Row("trained", {"accuracy": [30.0, 40.0], "mean": [0.0, 0.0]}),
        Row("random", {"accuracy": [30.0, 40.0], "mean": [3.0, 4.0]}),  # its statistics are of each seed's images
        Row("majority class", {"accuracy": [5.0], "mean": [0.0]}),
    ]


def test_a_trained_backbone_is_judged_once_where_nothing_is_drawn() -> None:
    built: list[int] = []

    def build(seed: int) -> MeanColour:
        built.append(seed)
        return MeanColour().eval()

    candidates = [Candidate("trained", build), Candidate("random", build, trained=False)]
    trained, random, _ = compare(candidates, SeedJudge(draws=False), (3, 4))
    assert built == [3, 3, 4]
    assert trained.figures["accuracy"] == [30.0] and random.figures["accuracy"] == [30.0, 40.0]


def test_the_paper_s_rows_are_those_of_the_task_and_architecture() -> None:
    candidate = Candidate("trained", lambda _: MeanColour().eval(), architecture="resnet50.a1_in1k")
    rows = compare([candidate], SeedJudge("voc12aug"))
    assert [(row.name, row.figures) for row in rows[2:]] == [
        ("paper: resnet50, VICReg, 300 epochs", {"mIoU": [47.8]}),
        ("paper: resnet50, VICRegL α 0.9, 300 epochs", {"mIoU": [54.0]}),
        ("paper: resnet50, VICRegL α 0.75, 300 epochs", {"mIoU": [55.9]}),
    ]
    (row,) = compare([candidate], SeedJudge("voc12aug", same_protocol=False))[2:3]
    assert row.name == "paper by its protocol: resnet50, VICReg, 300 epochs"
    assert len(compare([candidate], SeedJudge(None))) == len(compare([candidate], SeedJudge("ade20k"))) == 2


@pytest.mark.parametrize(
    ("task", "architecture", "figures"),
    [
        ("imagenet", "resnet50", [71.5, 71.2, 70.4]),
        ("cityscapes", "resnet50", [23.5, 25.1, 25.2]),
        ("voc12aug fine-tuned", "convnext_small", [77.8, 80.0, 80.6]),
        ("ade20k", "convnext_base", [32.7, 33.5, 35.3]),
        ("ade20k", "convnext_xlarge", [43.2]),
        ("cityscapes", "convnext_base", []),
        ("imagenet", "resnet18", []),
    ],
)
def test_published_figures(task: Task, architecture: str, figures: list[float]) -> None:
    rows = published_rows(PaperColumn(task, True), [architecture, architecture, ""])
    assert [value for row in rows for values in row.figures.values() for value in values] == figures


def test_runs_are_called_by_the_shortest_ends_of_their_paths_that_differ() -> None:
    assert distinct_names(["runs/a", "runs/b/"]) == ["a", "b"]
    assert distinct_names(["x/run", "y/run", "other"]) == ["x/run", "y/run", "other"]
    assert distinct_names(["a", "a"]) == ["a (1)", "a (2)"]


def test_untrained_networks_have_names_of_their_own() -> None:
    one, other = BackboneConfig("resnet18"), BackboneConfig("resnet18", output_stride=16)
    shallow, vit = BackboneConfig("resnet18", zero_init=False), BackboneConfig("test_vit")
    assert list(untrained_names([one], [])) == ["random"]
    assert list(untrained_names([one], ["a", "random"])) == ["random (untrained)"]
    assert untrained_names([one, other], []) == {"random output_stride 32": one, "random output_stride 16": other}
    assert list(untrained_names([one, vit], [])) == ["random resnet18", "random test_vit"]
    assert list(untrained_names([shallow, one, other, vit], [])) == [
        "random resnet18 output_stride 32 zero_init False",
        "random resnet18 output_stride 32 zero_init True",
        "random resnet18 output_stride 16 zero_init True",
        "random test_vit output_stride 32 zero_init True",
    ]
    assert not untrained_names([], ["trained"])


def test_one_stride_for_all_makes_one_untrained_network() -> None:
    strides = (32, 16)
    runs = [Weights(Path(f"run{k}"), {}, {}, BackboneConfig("resnet18", output_stride=k)) for k in strides]
    names = [candidate.name for candidate in candidates_of(runs, random_init=True)]
    assert names == ["run32", "run16", "random output_stride 32", "random output_stride 16"]
    (*_, random) = candidates_of(runs, True, lambda name: 8)
    assert random.name == "random" and len(list(candidates_of(runs, True, lambda name: 8))) == 3
    assert random.build(0)(torch.zeros(1, 3, 64, 64)).map.shape[2:] == (8, 8)
