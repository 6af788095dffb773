"""A folder of figures that nobody has measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from vicregl_fast.benchmarks.measurements import Measurement, write_measurements

CPU = {
    "processor": "Some CPU", "cores": 2, "threads": 1, "device": "cpu", "python": "3.11.7",
    "versions": {"torch": "2.15.0"}, "command": "python -m vicregl_fast.bench loader --path x",
    "warm_up": "the first turn",
}  # fmt: skip
GPU = {
    **CPU, "device": "Some GPU", "device_memory_gib": 79.1, "cuda": "13.2",
    "command": "python -m vicregl_fast.bench step", "warm_up": "3 calls",
}  # fmt: skip


def write(path: Path, environment: Mapping, rows: Mapping[str, tuple[Sequence[float], str]]) -> None:
    measured = [Measurement.of(name, samples, unit) for name, (samples, unit) in rows.items()]
    write_measurements(path, environment, measured)


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    folder = tmp_path / "measured"
    folder.mkdir()
    rates = {
        "bare.decode": 1188, "ffcv.decode": 1078, "ffcv.views": 459, "dali.decode": 920, "dali.views": 399,
        "torchvision.decode": 310, "torchvision.views": 120, "peer.spdl.decode": 700,
        "peer.spdl.decode_resize_224": 650, "peer.lightly.views_with_grids_without_matches": 77,
        "peer.kornia.views_without_matches": 55,
    }  # fmt: skip
    loader = {f"loader.{name}": ([0.9 * rate, rate, 1.15 * rate], "images/s") for name, rate in rates.items()}
    write(folder / "loader.json", CPU, {**loader, "loader.ffcv.decode_over_bare": ([0.907], "x")})
    for name, scale in (("steps", 1.0), ("compiled", 0.7)):
        parts = {"forward": 0.1, "loss": 0.02, "backward": 0.2, "optimizer": 0.01}
        seconds = {f"step.{part}": ([scale * value] * 3, "s") for part, value in parts.items()}
        shares = {f"step.{part}_share": ([value / 0.33], "x") for part, value in parts.items()}
        rate = {"step.images_per_second": ([128 / 0.33 / scale], "images/s")}
        write(folder / f"{name}.json", GPU, {**rate, **seconds, **shares})
    scaling = {}
    for world, efficiency in ((1, 1.0), (2, 0.97), (4, 0.93), (8, 0.85)):
        rate = 1500 * world * efficiency
        scaling[f"scaling.{world}.images_per_second"] = ([0.97 * rate, rate, 1.02 * rate], "images/s")
        scaling[f"scaling.{world}.efficiency"] = ([efficiency], "x")
        scaling[f"scaling.{world}.fixed_global.images_per_second"] = ([0.9 * rate], "images/s")
        scaling[f"scaling.{world}.fixed_global.efficiency"] = ([0.9 * efficiency], "x")
    write(folder / "scaling.json", GPU, scaling)
    projected = {"projection.32_gpus.no_overlap.hours": ([61.5], "h")}
    write(folder / "projection.json", {**CPU, "measured": [GPU]}, projected)
    (folder / "notes.json").write_text("{}")
    return folder
