"""Each benchmark measures the real part: the loss that it times, the step that it takes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.demo import draw_picture
from vicregl_fast.augment.backends import make_view
from vicregl_fast.augment.parameters import CHANCE_NAMES, draw_parameters
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.bench import main
from vicregl_fast.benchmarks.augmentation import bench_augmentation, photograph_sized
from vicregl_fast.benchmarks.copying import bench_copy
from vicregl_fast.benchmarks.drawn_views import DIFFERENT_PICTURES, drawn_batch
from vicregl_fast.benchmarks.losses import CRITERIA, LossSizes, bench_loss, drawn_boxes
from vicregl_fast.benchmarks.matching import bench_matching, match_by_brute_force
from vicregl_fast.benchmarks.measurements import read_measurements
from vicregl_fast.benchmarks.optimizers import bench_optimizer
from vicregl_fast.benchmarks.overhead import bench_overhead
from vicregl_fast.geometry.matching import match_cells
from vicregl_fast.models.config import ModelConfig

CPU = torch.device("cpu")
TINY = ModelConfig("test_resnet", expander=16, projector=8)


def test_a_drawn_batch_holds_the_pictures() -> None:
    batch = drawn_batch(DIFFERENT_PICTURES + 2)
    images = batch.images()
    for index in (0, 3, DIFFERENT_PICTURES + 1):
        picture = draw_picture(0, index % DIFFERENT_PICTURES, index % DIFFERENT_PICTURES % 8)
        assert (images[index].numpy() == picture.image).all()
        assert batch.labels[index] == picture.label


def test_rows_of_the_loss() -> None:
    rows = {row.name: row for row in bench_loss(CPU, LossSizes(64, (7, 7, 3), 2048, 128), repeats=1)}
    for name in CRITERIA:
        ours, direct = rows[f"loss.{name}"], rows[f"loss.direct.{name}"]
        assert ours.n == direct.n == 1 and ours.unit == "s"
        assert rows[f"loss.{name}_speedup"].value == pytest.approx(direct.value / ours.value)
    over = rows["loss.direct.local_official"].value / rows["loss.local"].value
    assert rows["loss.local_over_official"].value == pytest.approx(over)
    ratios = [rows[f"loss.{name}.peak"].value / rows[f"loss.direct.{name}.peak"].value for name in CRITERIA]
    assert rows["loss.memory_ratio"].value == pytest.approx(max(ratios))


MEASURE_MEMORY = """
import torch
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.memory import peak_bytes, with_peak_memory

before = torch.ones(1 << 24)  # 64 MiB

def hold_two():
    first = before + 1
    second = first + 1
    del first
    torch.add(second, 1)

for call in (before.sum, hold_two):
    call()  # threads and whatever else is made once
    print(peak_bytes(call, torch.device("cpu")) / before.nbytes)

def part():
    hold_two()
    yield Measurement.ratio("part.row", 1, 1)

row, peak = with_peak_memory(part(), "part", torch.device("cpu"))
assert (row.name, peak.name, peak.unit) == ("part.row", "part.peak_host_memory", "GiB")
print(peak.value * (1 << 30) / before.nbytes)
"""


def test_peak_memory_of_a_call_and_of_a_part() -> None:
    """What is held at once counts, what was there before does not; in a process without a past to be used again."""
    done = subprocess.run([sys.executable, "-c", MEASURE_MEMORY], capture_output=True, text=True)
    nothing, two, part = map(float, done.stdout.split())
    assert abs(nothing) < 0.2 and abs(two - 2) < 0.2 and abs(part - 2) < 0.2, done.stderr


def test_rows_of_augmentation() -> None:
    views = ViewsConfig("two", large_size=32)
    rows = {row.name: row for row in bench_augmentation(CPU, views, 4, threads=1, repeats=1)}
    assert rows["augment.numba_over_torch"].value == pytest.approx(
        rows["augment.numba"].value / rows["augment.torch"].value
    )
    assert {f"augment.{name}.crop_{each}" for name in ("torch", "numba") for each in CHANCE_NAMES} < set(rows)


@pytest.mark.parametrize("operation", CHANCE_NAMES)
def test_an_operation_is_measured_alone(operation: str) -> None:
    batch, recipe = photograph_sized(3), view_recipes(ViewsConfig(large_size=24))[0]
    drawn = draw_parameters(recipe, 0, 0, 0, batch.indices, batch.heights, batch.widths)
    plain, changed = (make_view("torch", recipe, drawn.only(*names), batch, 1) for names in ((), (operation,)))
    assert (plain != changed).any()
    assert all((drawn.only(operation).column(name) == (name == operation)).all() for name in CHANCE_NAMES)


def test_rows_of_matching() -> None:
    rows = {row.name: row for row in bench_matching(repeats=1)}
    speed, brute_force = rows["matching.pairs_per_second"], rows["matching.brute_force.pairs_per_second"]
    assert rows["matching.speedup"].value == pytest.approx(speed.value / brute_force.value)


@pytest.mark.parametrize("grids", [(7, 7), (7, 3), (3, 7)])
def test_brute_force_matches_are_the_separable_ones(grids: tuple[int, int]) -> None:
    a, b = drawn_boxes(500, 0), drawn_boxes(500, 1)
    for gamma in (4, 20, 100):
        expected = match_by_brute_force(*a, grids[0], *b, grids[1], gamma)
        for part, right in zip(match_cells(*a, grids[0], *b, grids[1], gamma), expected, strict=True):
            np.testing.assert_array_equal(part, right)


def test_rows_of_the_optimizer_and_of_copying() -> None:
    names = [row.name for row in bench_optimizer(CPU, TINY, repeats=2)]
    assert names == ["optimizer.loop", "optimizer.foreach", "optimizer.speedup", "optimizer.bandwidth_share"]
    (row,) = bench_copy(CPU, 1, repeats=2)
    assert row.name == "copy.device" and row.n == 2 and 0 < row.min <= row.value <= row.max


def test_rows_of_the_engine() -> None:
    bare, engine, overhead = bench_overhead(CPU, ModelConfig("test_resnet", 16, expander=8, projector=8), repeats=3)
    assert [row.name for row in (bare, engine, overhead)] == ["engine.bare", "engine.engine", "engine.overhead"]
    assert min(bare.value, engine.value) > 0 and overhead.min <= overhead.value <= overhead.max
    assert overhead.min >= engine.min - bare.max and overhead.max <= engine.max - bare.min


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "loss.json"
    options = "--batch 4 --views multicrop --expander 6 --projector 5 --repeats 2 --device cpu"
    main(["loss", *options.split(), "--json", str(path)])
    rows = read_measurements(path)
    promised = {"loss.global", "loss.local", "loss.local_speedup", "matching.pairs_per_second"}
    assert promised <= {row.name for row in rows}
    printed = capsys.readouterr().out
    main(["show", str(path)])
    assert printed.split() == capsys.readouterr().out.split()
    main(["show", str(path), "--only", "matching."])
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 3 and all(line.startswith("matching.") for line in shown)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("loss --batch 0", "0 is too few"),
        ("copy --device cuda", "no CUDA device"),
        ("step --backbone resnet51", "no model named"),
        ("loss --json missing/x.json", "make the folder missing first"),
    ],
)
def test_bad_options_are_one_sentence(options: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(SystemExit) as exit_:
        main(options.split())
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert reason in error and "Traceback" not in error
