"""The loop that is measured is the real one: it trains on the store's images, and turns are timed for what they are."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from dataprep.value_range import ValueRange
from vicregl_fast.bench import main
from vicregl_fast.benchmarks import feeds_in_turns, training_loop
from vicregl_fast.benchmarks.feeds_in_turns import FeedsInTurns, Turn
from vicregl_fast.benchmarks.measurements import Measurement, read_measurements
from vicregl_fast.benchmarks.processor_time import processor_seconds
from vicregl_fast.benchmarks.repeated_batch import RepeatedBatchFeed
from vicregl_fast.benchmarks.training_loop import MARGIN, bench_training
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.data.engine import BatchLoader
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.torchvision_engine.feed import TorchvisionFeed
from vicregl_fast.training.step import TrainingStep
from vicregl_fast.training.step_log import StepLog

pytestmark = pytest.mark.timeout(200)
CPU = torch.device("cpu")
TINY = (
    "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=6 "
    "--data.workers=1 --train.precision=fp32 --optim.name=adamw"
)


def recipe(store: Path, more: str = "") -> RunConfig:
    return parse_config([*TINY.split(), f"--data.path={store}", *more.split()])


class Clock:
    """A clock that only ``sleep`` moves, so that no other program's work counts; processors take a quarter of it."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(feeds_in_turns, "time", made)
    monkeypatch.setattr(feeds_in_turns, "processor_seconds", lambda: made.now / 4)
    return made


class SlowFeed:
    """Lets the consumer wait for a set time for each batch; a batch is its indices."""

    store = SimpleNamespace()

    def __init__(self, seconds: float, clock: Clock):
        self.seconds, self.clock, self.waited = seconds, clock, 0.0
        self.gives_up: Callable[[], bool] = lambda: False
        self.epochs: list[int] = []

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "SlowFeed":
        self.batches, self.waited = batches, 0.0
        self.epochs.append(epoch)
        return self

    def __enter__(self) -> "SlowFeed":
        return self

    def __exit__(self, *error: object) -> None:
        self.batches = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, batch in enumerate(self.batches):
            seconds = 0.2 if number < 1 else self.seconds
            self.clock.sleep(seconds)
            self.waited += seconds
            yield batch


def test_turns_are_timed_without_their_first_and_last_steps(clock: Clock) -> None:
    """A feed of 10 ms and a consumer of 10 ms take 20 ms a step."""
    feeds = {"slow": SlowFeed(0.01, clock), "fast": SlowFeed(0.0, clock)}
    batches = [np.array([number]) for number in range(9)]
    margins = {"slow": 1, "fast": 2}
    in_turns = FeedsInTurns(feeds, margins, batches, repeats=2, device=CPU)  # type: ignore[arg-type]
    assert in_turns.steps == 3 * (7 + 9)
    loader: BatchLoader = in_turns.loader([], epoch=7)
    seen = []
    with loader:
        for batch in loader:
            seen.append(int(batch[0]))  # type: ignore[index]
            clock.sleep(0.01)
    assert seen == [*range(1, 8), *range(9)] * 3 and feeds["slow"].epochs == [0, 1, 2]
    assert loader.waited == pytest.approx(3 * (2 * 0.2 + 6 * 0.01))
    assert set(in_turns.turns) == {"slow", "fast"}
    for name, seconds in (("slow", 0.1), ("fast", 0.05)):
        turns = in_turns.turns[name]
        assert [turn.seconds for turn in turns] == [pytest.approx(seconds)] * 2
        assert [turn.waited for turn in turns] == [pytest.approx(5 * feeds[name].seconds)] * 2
        assert [turn.processor_seconds for turn in turns] == [pytest.approx(seconds / 4)] * 2


class BurstingFeed(SlowFeed):
    """Eight batches at once every 0.2 s, as eight worker processes make them, kept ready in any number."""

    def __iter__(self) -> Iterator[np.ndarray]:
        start = self.clock.now
        for number, batch in enumerate(self.batches):
            self.clock.sleep(max(0.0, start + 0.2 * (1 + number // 8) - self.clock.now))
            yield batch


@pytest.mark.parametrize("wanted", [3, 9])
def test_what_lay_ready_is_not_counted_as_speed(image_folder: Path, clock: Clock, wanted: int) -> None:
    """40 batches a second, however they come."""
    files = TorchvisionFeed(ImageFolder.of(list_images(image_folder)), SimpleNamespace(), 8)  # type: ignore[arg-type]
    _, steps = training_loop._measured(recipe(image_folder), image_folder, wanted, workers=8)
    margin = training_loop._margin(files, 8)
    batches = [np.array([number]) for number in range(margin + steps + margin)]
    in_turns = FeedsInTurns({"bursts": BurstingFeed(0, clock)}, {"bursts": margin}, batches, 1, CPU)  # type: ignore[dict-item]
    with in_turns.loader([], epoch=0) as loader:
        assert sum(1 for _ in loader) == 2 * len(batches)
    (turn,) = in_turns.turns["bursts"]
    assert steps / turn.seconds == pytest.approx(40)


def test_reading_the_time_of_processors_is_not_timed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> float:
        clock.sleep(0.3)
        return 0.0

    monkeypatch.setattr(feeds_in_turns, "processor_seconds", slow)
    batches = [np.array([number]) for number in range(4)]
    in_turns = FeedsInTurns({"fast": SlowFeed(0, clock)}, {"fast": 1}, batches, 1, CPU)  # type: ignore[dict-item]
    with in_turns.loader([], epoch=0) as loader:
        list(loader)
    assert in_turns.turns["fast"][0].seconds == 0


def test_margins_are_what_a_feed_prepares_ahead(image_folder: Path) -> None:
    files = TorchvisionFeed(ImageFolder.of(list_images(image_folder)), SimpleNamespace(), 3)  # type: ignore[arg-type]
    assert training_loop._margin(files, 3) == 2 * 3 + 3
    assert training_loop._margin(SlowFeed(0, Clock()), 3) == MARGIN == 4  # type: ignore[arg-type]


def test_time_of_processors_is_that_of_threads_and_children() -> None:
    """A child that counts for 0.3 s of its processor's time is seen while it lives."""
    before = processor_seconds()
    code = "import time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "done\n"
        assert 0.35 < processor_seconds() - before < 1.5
        child.communicate("\n")
    start = processor_seconds()
    while time.process_time() < 0.2:
        continue
    assert processor_seconds() >= start


def test_a_repeated_batch_is_made_once() -> None:
    made: list[list[int]] = []

    class Maker(SlowFeed):
        def loader(self, batches: Iterable[np.ndarray], epoch: int) -> SlowFeed:
            made.extend(indices.tolist() for indices in batches)
            return super().loader(batches, epoch)

    feed = RepeatedBatchFeed(Maker(0.0, Clock()), np.array([3, 1]))  # type: ignore[arg-type]
    for _ in range(2):
        with feed.loader([np.array([0])] * 3, epoch=4) as loader:
            assert [batch.tolist() for batch in loader] == [[3, 1]] * 3  # type: ignore[attr-defined]
            assert loader.waited == 0
    assert made == [[3, 1]]


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
    assert decoded == [order[0], *inner * (1 + repeats)] and by_torchvision == order * (1 + repeats)
    assert rows["train.images_per_second"].n == repeats
    assert {"train.real_over_synthetic", "train.real_over_torchvision", "train.loader_cpu_share"} < set(rows)


def test_rows_are_of_the_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two turns of 10 steps of 6 images; the real ones take 2 and 3 s, of which loading takes 1 s of one core."""
    turns = {
        "real": [Turn(2.0, 3.0, 0.5), Turn(3.0, 3.5, 0.75)],
        "synthetic": [Turn(1.0, 2.0, 0.0), Turn(2.0, 2.5, 0.0)],
        "torchvision": [Turn(6.0, 8.0, 3.0), Turn(6.0, 8.5, 3.0)],
    }
    monkeypatch.setattr(training_loop, "_turns_of_a_run", lambda *of: turns)
    monkeypatch.setattr(training_loop.os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    rows: dict[str, Measurement] = {row.name: row for row in bench_training(recipe(tmp_path), CPU, 10, 2)}
    assert rows["train.images_per_second"] == Measurement("train.images_per_second", 25, "images/s", 2, 20, 30)
    assert rows["train.synthetic_images_per_second"].value == 45
    assert rows["train.torchvision_images_per_second"].value == 10
    assert rows["train.real_over_synthetic"].value == pytest.approx(25 / 45)
    assert rows["train.real_over_torchvision"].value == 2.5
    shares = rows["train.loader_cpu_share"]
    assert (shares.min, shares.max) == pytest.approx((1 / 3 / 4, 1 / 2 / 4))
    assert rows["train.torchvision_loader_cpu_share"].value == pytest.approx(6 / 6 / 4)
    assert rows["train.loader_cpu_ms_per_image"].value == pytest.approx(1000 / 60)
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
