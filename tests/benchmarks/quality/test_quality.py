"""Time to accuracy, with our own run and with lightly's, on a few drawn pictures."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import matplotlib.image
import pytest
import torch
from torch import Tensor, nn

from dataprep.errors import UserError
from vicregl_fast.bench import main
from vicregl_fast.benchmarks.measurements import Measurement, read_file, read_measurements
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.benchmarks.quality import measure
from vicregl_fast.benchmarks.quality.curve import Curve, Point
from vicregl_fast.benchmarks.quality.plot import draw_quality
from vicregl_fast.benchmarks.quality.run import QualityRun
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.schedule import Schedule

pytestmark = pytest.mark.timeout(200)
SETTINGS = {
    "views.large_size": 32,
    "model.backbone": "test_resnet",
    "model.output_stride": 16,
    "model.expander": 16,
    "model.projector": 8,
    "loss.gamma_large": 2,
    "batch_size": 16,
    "optim.warmup_epochs": 1,
    "train.precision": "fp32",
    "data.workers": 1,
}
IMAGES = 48


def quality(images: Path, json: Path, *more: str) -> dict[str, float]:
    """The rows of ``bench quality`` with two epochs, trained and judged on the same images."""
    options = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    where = ["--train", str(images), "--test", str(images), "--device", "cpu", "--json", str(json)]
    main(["quality", *options, *where, "--epochs", "2", *more])
    return {row.name: row.value for row in read_measurements(json)}


def test_our_curve(image_folder: Path, tmp_path: Path) -> None:
    rows = quality(image_folder, tmp_path / "q.json", "--plot", str(tmp_path / "q.png"))
    assert rows["quality.majority.accuracy"] == pytest.approx(100 / 3)
    assert 0 <= rows["quality.untrained.accuracy"] <= 100
    for epoch in (1, 2):
        assert rows[f"quality.ours.epoch_{epoch}.images"] == epoch * IMAGES
        assert 0 <= rows[f"quality.ours.epoch_{epoch}.accuracy"] <= 100
    assert 0 < rows["quality.ours.epoch_1.seconds"] < rows["quality.ours.epoch_2.seconds"]
    assert rows["quality.ours.seconds"] == rows["quality.ours.epoch_2.seconds"]
    best = max(rows[f"quality.ours.epoch_{epoch}.accuracy"] for epoch in (1, 2))
    assert rows["quality.ours.best_accuracy"] == best
    wanted = f"quality.ours.seconds_to_{best:.4g}_percent"
    assert (wanted in rows) == (best > rows["quality.untrained.accuracy"])
    assert matplotlib.image.imread(tmp_path / "q.png").shape[2] == 4


def test_methods_take_turns_with_each_seed(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[str, int, str]] = []

    def train(name: str, run: QualityRun) -> Curve:
        trained.append((name, run.config.seed, run.config.run_dir))
        if name == "lightly_vicreg" and run.config.seed == 6:
            raise RuntimeError("no memory left")
        return Curve(name, 0, (Point(1, 10, 2.0, 10.0 * run.config.seed),))

    peers = {name: partial(train, name) for name in ("lightly_vicregl", "lightly_vicreg")}
    monkeypatch.setattr(measure, "train_ours", partial(train, "ours"))
    monkeypatch.setattr(measure, "_installed", lambda names: peers)
    more = ["--peers", "all", "--seeds", "3", "--set", "seed=5", "--plot", str(tmp_path / "q.png")]
    quality(image_folder, tmp_path / "q.json", *more)
    rows = {row.name: row for row in read_measurements(tmp_path / "q.json")}
    assert [(name, seed) for name, seed, _ in trained] == [
        ("ours", 5), ("lightly_vicregl", 5), ("lightly_vicreg", 5),
        ("ours", 6), ("lightly_vicregl", 6), ("lightly_vicreg", 6),
        ("ours", 7), ("lightly_vicregl", 7),
    ]  # fmt: skip
    assert len({folder for _, _, folder in trained}) == 3
    name = "quality.lightly_vicregl.accuracy"
    assert rows[name] == Measurement(name, 60.0, "%", 3, 50.0, 70.0) and rows["quality.untrained.accuracy"].n == 3
    assert not any("lightly_vicreg." in name for name in rows)
    assert capsys.readouterr().err.count("lightly_vicreg is left out") == 1


def test_a_stop_leaves_the_points_so_far_and_promises_nothing(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's folder is temporary: the same command would begin anew."""
    judged: list[float] = []

    def accuracy(run: QualityRun, backbone: nn.Module) -> float:
        judged.append(12.5)
        os.kill(os.getpid(), signal.SIGTERM)
        return judged[-1]

    monkeypatch.setattr(QualityRun, "untrained_accuracy", lambda run: 0.0)
    monkeypatch.setattr(QualityRun, "accuracy", accuracy)
    with pytest.raises(SystemExit) as stopped:
        quality(image_folder, tmp_path / "q.json", "--epochs", "9")
    assert stopped.value.code == 75 and len(judged) == 1
    environment, rows = read_file(tmp_path / "q.json")
    found = {row.name: row.value for row in rows}
    assert found["quality.ours.epoch_1.accuracy"] == 12.5 and environment["complete"] is False
    assert environment["recipe"]["model"]["backbone"] == "test_resnet"
    said = capsys.readouterr().out
    assert "stopped\n" in said and "goes on" not in said


@pytest.fixture
def untrained_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On images that it is compared with themselves, any network is right."""
    monkeypatch.setattr(QualityRun, "untrained_accuracy", lambda run: 0.0)


@pytest.mark.usefixtures("untrained_knows_nothing")
def test_a_missing_peer_is_named_and_skipped(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("lightly.", "vicregl_fast.benchmarks.quality.lightly"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightly", None)  # type: ignore[arg-type]  # as if it were not installed
    rows = quality(image_folder, tmp_path / "q.json", "--peers", "lightly_vicreg", "--targets", "1")
    said = [line for line in capsys.readouterr().err.splitlines() if "lightly" in line]
    assert len(said) == 1 and said[0].startswith("note: peer lightly_vicreg is left out")
    assert "quality.ours.seconds_to_1_percent" in rows and not [name for name in rows if "lightly" in name]


@pytest.mark.usefixtures("untrained_knows_nothing")
def test_a_peer_that_fails_in_its_training_is_named_and_skipped(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(run: QualityRun) -> Curve:
        raise RuntimeError("no memory\nleft")

    peers = {"lightly_vicregl": fails, "lightly_vicreg": lambda run: Curve("other", 0, (Point(1, 10, 2.0, 20.0),))}
    monkeypatch.setattr(measure, "_installed", lambda names: peers)
    rows = quality(image_folder, tmp_path / "q.json", "--peers", "all", "--targets", "1")
    assert {"quality.ours.seconds_to_1_percent", "quality.other.seconds_to_1_percent"} < set(rows)
    said = [line for line in capsys.readouterr().err.splitlines() if "lightly" in line]
    assert said == ["note: peer lightly_vicregl is left out, since it failed in its training (no memory left)"]


def test_curves_of_lightly(image_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightly")
    rows = quality(image_folder, tmp_path / "q.json", "--peers", "all", "--targets", "1", "--points", "1")
    for name in ("ours", "lightly_vicregl", "lightly_vicreg"):
        assert rows[f"quality.{name}.epoch_2.images"] == 2 * IMAGES
        assert rows[f"quality.{name}.seconds_to_1_percent"] == rows[f"quality.{name}.seconds"] > 0
        assert f"quality.{name}.epoch_1.images" not in rows
    over = rows["quality.lightly_vicregl.seconds"] / rows["quality.ours.seconds"]
    assert rows["quality.ours.speedup_over_lightly_vicregl_to_1_percent"] == pytest.approx(over)


def tiny_config(*more: str) -> RunConfig:
    return parse_config([*(f"--{key}={value}" for key, value in SETTINGS.items()), "--epochs=2", *more])


def test_lightly_begins_with_our_backbone() -> None:
    pytest.importorskip("lightly")
    from vicregl_fast.benchmarks.quality.lightly_methods import LightlyVICReg, LightlyVICRegL

    config = tiny_config()
    drawn: list[nn.Module] = []
    for make in (
        lambda: VICRegLNetwork(config.model, True, True),
        *(lambda m=m: m(config) for m in (LightlyVICReg, LightlyVICRegL)),
    ):
        torch.manual_seed(0)
        drawn.append(make().backbone)
    for other in drawn[1:]:
        for one, same in zip(drawn[0].parameters(), other.parameters(), strict=True):
            assert (one == same).all()


@pytest.mark.parametrize("views", ["two", "multicrop"])
def test_losses_of_lightly(views: str) -> None:
    """They are lightly's, of all views, and reach every parameter."""
    pytest.importorskip("lightly")
    from lightly.loss import VICRegLLoss

    from vicregl_fast.benchmarks.quality.lightly_methods import LightlyVICRegL

    config = tiny_config(
        f"--views.recipe={views}", "--views.small_size=16", "--views.small_count=2", "--loss.alpha=0.5"
    )
    method = LightlyVICRegL(config)
    sizes = [32, 32] if views == "two" else [32, 32, 16, 16]
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.randn(4, 3, size, size, generator=generator) for size in sizes]
    grids = [torch.rand(4, size // 16, size // 16, 2, generator=generator) for size in sizes]
    batch: list[Tensor] = [*pictures, *grids]
    outputs = method.outputs(batch)
    assert [tuple(cells.shape) for _, cells in outputs] == [(4, size // 16, size // 16, 8) for size in sizes]
    loss = method.loss(outputs, batch)
    matches = (2, 4) if views == "two" else (1, 1)  # at most as many as there are cells
    small = {} if views == "two" else {"local_view_features": outputs[2:], "local_view_grids": grids[2:]}
    expected = VICRegLLoss(25, 25, 1, 0.5, num_matches=matches)(outputs[:2], grids[:2], **small)
    assert loss.ndim == 0 and loss.item() == pytest.approx(expected.item())
    loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


class Line(nn.Module):
    """Stands in for a method: its loss is weight times the sum of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1))

    def outputs(self, batch: list[Tensor]) -> list[Tensor]:
        return [self.weight * batch[0]]

    def loss(self, outputs: list[Tensor], batch: list[Tensor]) -> Tensor:
        return outputs[0].sum()


def test_steps_of_lightly_follow_our_schedule() -> None:
    """Each step has the gradient of its batch alone, and our rate and optimiser."""
    pytest.importorskip("lightly")
    from vicregl_fast.benchmarks.quality.lightly_training import _Step

    config = tiny_config("--optim.name=adamw")
    method, same = Line(), Line()
    step = _Step(method, config, epoch_steps=3, device=torch.device("cpu"))
    optimizer = build_optimizer(config.optim, same)
    schedule = Schedule.of(config.optim, config.batch_size, 2, 3)
    for number, total in enumerate((2.0, 5.0, -1.0)):
        step([torch.tensor([[total]])])
        assert method.weight.grad is not None and method.weight.grad.item() == total
        same.weight.grad = torch.tensor([[total]])
        optimizer.param_groups[0]["lr"] = schedule.rate(number)
        optimizer.step()
        assert method.weight.item() == same.weight.item()
    assert method.weight.item() != 1


def test_what_is_drawn() -> None:
    first = Curve("ours", 0, (Point(1, 10, 2.0, 20.0), Point(2, 20, 4.0, 40.0)))
    second = Curve("lightly_vicreg", 0, (Point(1, 10, 8.0, 10.0), Point(2, 20, 16.0, 30.0)))
    seed = Curve("ours", 0, (Point(1, 10, 3.0, 25.0), Point(2, 30, 5.0, 35.0)))
    by_time, by_images = draw_quality([[first, seed], [second]], 5.0, "title").axes
    lines = [tuple(map(list, line.get_data())) for line in by_time.get_lines()]
    assert lines[:3] == [([2.0, 4.0], [20.0, 40.0]), ([3.0, 5.0], [25.0, 35.0]), ([8.0, 16.0], [10.0, 30.0])]
    one, same, other = (line.get_color() for line in by_time.get_lines()[:3])
    assert one == same != other
    assert [line.get_xdata()[-1] for line in by_images.get_lines()[:3]] == [20, 30, 20]
    assert list(by_time.get_lines()[3].get_ydata()) == [5.0, 5.0]
    legend = by_images.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "lightly vicreg", "untrained"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--targets", "101"], "percentages"),
        (["--targets", "a"], "percentages"),
        (["--peers", "spdl"], "there is no 'spdl'"),
        (["--points", "0"], "too few"),
    ],
)
def test_bad_options_are_refused(options: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        bench_parser(None).parse_args(["quality", "--train", "a", "--test", "b", *options])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "epocs=3"], "epocs"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--set", "data.workers=1", "--plot", "curves"], "ends in .png"),
        (["--set", "model.weights=old.pth"], "model.weights"),
    ],
)
def test_bad_settings_are_one_sentence(
    options: list[str], reason: str, image_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["quality", "--train", str(image_folder), "--test", str(image_folder), "--device", "cpu", *options])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and reason in error
