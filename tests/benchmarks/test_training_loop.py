"""The loop that is measured is the real one: it trains on the store's images."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from dataprep.value_range import ValueRange
from tests.benchmarks.tiny_recipe import TINY, recipe
from vicregl_fast.bench import main
from vicregl_fast.benchmarks import training_loop
from vicregl_fast.benchmarks.feeds_in_turns import Turn
from vicregl_fast.benchmarks.measurements import Measurement, read_measurements
from vicregl_fast.benchmarks.training_loop import MARGIN, bench_training
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.torchvision_engine.feed import TorchvisionFeed
from vicregl_fast.training.step import TrainingStep
from vicregl_fast.training.step_log import StepLog

pytestmark = pytest.mark.timeout(200)
CPU = torch.device("cpu")


def test_margins_are_what_a_feed_prepares_ahead(image_folder: Path) -> None:
    files = TorchvisionFeed(ImageFolder.of(list_images(image_folder)), SimpleNamespace(), 3)  # type: ignore[arg-type]
    assert training_loop._margin(files, 3) == 2 * 3 + 3
    assert training_loop._margin(SimpleNamespace(), 3) == MARGIN == 4  # type: ignore[arg-type]


def test_the_loop_trains_on_the_images_of_the_store(beton: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, repeats = 2, 1
    decoded: list[list[int]] = []
    trained: list[tuple[list[int], float]] = []
    by_torchvision: list[list[int]] = []
    decode, step, ordinary = FfcvEngine.decode, TrainingStep.__call__, TorchvisionFeed.loader

    def decoding(self, indices):  # type: ignore[no-untyped-def]
        decoded.append(indices.tolist())
        return decode(self, indices)

    def stepping(self, batch, rate, clock):  # type: ignore[no-untyped-def]
        trained.append((batch.indices.tolist(), batch.views[0].mean().item()))
        return step(self, batch, rate, clock)

    def loading(self, batches, epoch):  # type: ignore[no-untyped-def]
        by_torchvision.extend(indices.tolist() for indices in batches)
        return ordinary(self, batches, epoch)

    monkeypatch.setattr(FfcvEngine, "decode", decoding)
    monkeypatch.setattr(TrainingStep, "__call__", stepping)
    monkeypatch.setattr(TorchvisionFeed, "loader", loading)
    rows = {row.name: row for row in bench_training(recipe(beton), CPU, steps, repeats)}
    longer, length = 2 * 5 + steps, 2 * MARGIN + steps  # one worker process prepares 5 batches ahead
    assert len(trained) == (1 + repeats) * (longer + 2 * length)
    turns = []
    while trained:
        for taken in (longer, length, length):
            turns.append(trained[:taken])
            del trained[:taken]
    order = [indices for indices, _ in turns[0]]
    inner = order[1:-1]
    assert len({index for batch in order[:8] for index in batch}) == 48  # an epoch has 8 steps
    for torchvision, synthetic, real in zip(turns[0::3], turns[1::3], turns[2::3], strict=True):
        assert [indices for indices, _ in torchvision] == order and [indices for indices, _ in real] == inner
        assert (
            set(indices[0] for indices, _ in synthetic) == {order[0][0]} and len({mean for _, mean in synthetic}) == 1
        )
        assert len({mean for _, mean in real}) == length
        assert [mean for _, mean in torchvision[1:-1]] == pytest.approx([mean for _, mean in real], abs=0.02)
    alone = order[:steps] * repeats  # what a feed takes of the processors is measured after the run
    assert decoded == [order[0], *inner * (1 + repeats), *alone]
    assert by_torchvision == order * (1 + repeats) + alone
    assert rows["train.images_per_second"].n == repeats
    assert {"train.real_over_synthetic", "train.real_over_torchvision", "train.loader_cpu_share"} < set(rows)


def test_rows_are_of_the_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two turns of 10 steps of 6 images; the real ones take 2 and 3 s, and loading 1.2 s of one core."""
    turns = {
        "real": [Turn(2.0, 0.5), Turn(3.0, 0.75)],
        "synthetic": [Turn(1.0, 0.0), Turn(2.0, 0.0)],
        "torchvision": [Turn(6.0, 3.0), Turn(6.0, 3.0)],
    }
    alone = {"real": [0.01, 0.03], "torchvision": [0.1, 0.1]}
    monkeypatch.setattr(training_loop, "_turns_of_a_run", lambda *of: (turns, alone))
    monkeypatch.setattr(training_loop.os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    rows: dict[str, Measurement] = {row.name: row for row in bench_training(recipe(tmp_path), CPU, 10, 2)}
    assert rows["train.images_per_second"] == Measurement("train.images_per_second", 25, "images/s", 2, 20, 30)
    assert rows["train.synthetic_images_per_second"].value == 45
    assert rows["train.torchvision_images_per_second"].value == 10
    assert rows["train.real_over_synthetic"].value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert rows["train.real_over_torchvision"] == Measurement("train.real_over_torchvision", 2.5, "x", 2, 2, 3)
    shares = rows["train.loader_cpu_share"]
    assert (shares.min, shares.max) == pytest.approx((1.2 / 3 / 4, 1.2 / 2 / 4))
    assert rows["train.torchvision_loader_cpu_share"].value == pytest.approx(6 / 6 / 4)
    per_image = rows["train.loader_cpu_ms_per_image"]
    assert (per_image.value, per_image.min, per_image.max, per_image.n) == pytest.approx((20, 10, 30, 2))
    assert rows["train.data_wait_share"].value == 0.25


def test_timed_steps_of_every_turn_have_equally_many_logged_ones(tmp_path: Path) -> None:
    for steps, wanted, workers, taken, timed in (
        (30, 10, 2, 10, 30), (30, 10, 16, 8, 32), (25, 10, 1, 5, 25), (4, 10, 1, 4, 4), (7, 3, 0, 7, 7),
        (30, 10, 13, 13, 39),
    ):  # fmt: skip
        given = recipe(tmp_path, f"--train.log_every={wanted}")
        config, rounded = training_loop._measured(given, tmp_path, steps, workers)
        assert (config.train.log_every, rounded) == (taken, timed)


def test_no_epoch_ends_while_steps_are_timed(beton: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch of the store has 8 steps, each logged at its end; here only every fifth step is, and the last of all."""
    logged: list[int] = []
    write = StepLog.write

    def writing(self, step, *more):  # type: ignore[no-untyped-def]
        logged.append(step)
        write(self, step, *more)

    monkeypatch.setattr(StepLog, "write", writing)
    list(bench_training(recipe(beton, "--train.log_every=5"), CPU, 5, 1))
    last = 2 * (5 + 2 * 5 + 2 * (5 + 2 * MARGIN))
    assert logged == [*range(5, last, 5), last]


def test_the_files_are_opened_with_the_settings_of_the_run(image_folder: Path, tmp_path: Path) -> None:
    """A list, no labels and a range of values; of a store what it was made with."""
    names = list_images(image_folder).files[3:15]
    (tmp_path / "list.txt").write_text("\n".join(names))
    more = f"--data.list={tmp_path / 'list.txt'} --data.labels=none --data.range=0,99"
    of_run = SimpleNamespace(folder=SimpleNamespace(stores=tmp_path), feed=SimpleNamespace(store=names))
    files = training_loop._files_of(recipe(image_folder, more), of_run)  # type: ignore[arg-type]
    assert isinstance(files, ImageFolder) and files.files == names
    assert files.labels is None and files.taken == ValueRange(0, 99, given=True)
    source = list_images(image_folder, tmp_path / "list.txt", "none")
    write_store(source, tmp_path / "x.beton", range=ValueRange(0, 99, given=True))
    stored = training_loop._files_of(recipe(tmp_path / "x.beton"), of_run)  # type: ignore[arg-type]
    assert isinstance(stored, ImageFolder) and stored.files == names
    assert stored.labels is None and stored.taken == ValueRange(0, 99, given=True)


def test_the_command_without_the_original_files(
    beton: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved, out = tmp_path / "moved.beton", tmp_path / "train.json"
    moved.write_bytes(beton.read_bytes())
    record = Path(f"{beton}.json").read_text()
    source = record.split('"source": "')[1].split('"')[0]
    Path(f"{moved}.json").write_text(record.replace(source, str(tmp_path / "gone")))
    options = f"train --path {moved} --batch 6 --steps 2 --repeats 1 --workers 1 --device cpu --json {out} -- {TINY}"
    main(options.split())
    names = {row.name for row in read_measurements(out)}
    assert "train.real_over_synthetic" in names and not any("torchvision" in name for name in names)
    assert "torchvision is left out" in capsys.readouterr().err


def test_too_few_images_are_one_sentence(beton: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(f"train --path {beton} --batch 64 --device cpu".split())
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and "48 images, fewer than one batch of 64" in error and "Traceback" not in error
