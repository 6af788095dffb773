"""Measures how training steps scale with the number of processes of this machine, which torchrun starts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.memory import memory_rows
from vicregl_fast.choices import DeviceName
from vicregl_fast.config import RunConfig, dump_config
from vicregl_fast.data.order import GlobalBatches


@dataclass(frozen=True)
class ScalingBench:
    """What is measured.

    Attributes:
        config: the recipe; its batch size is that of one process, and the global one where that is fixed.
        device: where each process computes.
        processes: how many, each measured once, from few to many; ratios are to a single process, if 1 is among them.
        steps: steps in a row, of which the mean is one duration.
        repeats: number of durations.
    """

    config: RunConfig
    device: DeviceName
    processes: Sequence[int]
    steps: int
    repeats: int

    @property
    def threads(self) -> int:
        """Threads of each process on a CPU: as many as leave cores for the most processes, however many there are."""
        return max(1, len(os.sched_getaffinity(0)) // max(self.processes))

    @property
    def described(self) -> dict[str, str | int]:
        """What stands for GPUs, for the environment of the figures."""
        if self.device == "cpu":
            return {"backend": "gloo", "processes": "CPU processes (gloo)", "threads_per_process": self.threads}
        return {"backend": "nccl", "processes": "GPUs (nccl)"}


def counts_here(limit: int) -> list[int]:
    """1, 2, 4 and so on, up to ``limit`` (GPUs, or cores of a CPU)."""
    return [2**power for power in range(limit.bit_length()) if 2**power <= limit]


def bench_scaling(bench: ScalingBench) -> Iterator[Measurement]:
    """Measures images/s of all processes together, for each number of processes N, on drawn pictures.

    ``scaling.N.images_per_second`` is with a fixed batch per process, ``scaling.N.fixed_global.images_per_second`` with
    a fixed global batch, which N must divide with at least two images for each. ``efficiency`` of either is the rate
    over N times that of a single process. ``scaling.N.gradient_bytes`` is what a process sends a step to add up
    gradients around a ring, by the sizes of the parameters; ``scaling.N.loss_bytes`` what the loss moved through its
    link, counted. What a BatchNorm over all processes sends is in neither. Peak memory is that of the first process.

    On a CPU each process has the same number of threads, however many there are. Such figures show that it works, not
    how GPUs scale: a note says so.

    Raises:
        UserError: the processes cannot be started, or fail, or the recipe wants CUDA graphs, which hold the whole step
            of one process, but not of several.
    """
    if bench.config.train.cuda_graphs:
        raise UserError(
            "steps of one process and of several are compared as they are launched kernel by kernel: leave "
            "train.cuda_graphs at false"
        )
    if bench.device == "cpu":
        note(f"these are CPU processes, joined by gloo, of {bench.threads} threads each: not how GPUs scale")
    size, counts = bench.config.batch_size, sorted(set(bench.processes))
    GlobalBatches(size, size, bench.config.seed)  # refuses what training refuses
    alone: Measurement | None = None
    for world in counts:
        row, found = _measure(bench, world, world * size, f"scaling.{world}")
        if world == 1:
            alone = row
        yield from _with_efficiency(row, alone, world)
        for name in ("gradient_bytes", "loss_bytes"):
            yield Measurement.of(f"scaling.{world}.{name}", [found[name]], "B")
        yield from memory_rows(f"scaling.{world}", found["peak_memory"], found["peak_host_memory"])
    for world in counts:
        name = f"scaling.{world}.fixed_global"
        if world == 1 and alone is not None:
            yield from _with_efficiency(replace(alone, name=f"{name}.images_per_second"), alone, 1)
        elif size % world or size // world < 2:
            note(f"{name} is left out: {world} processes cannot share a batch of {size}")
        else:
            yield from _with_efficiency(_measure(bench, world, size, name)[0], alone, world)


def _with_efficiency(row: Measurement, alone: Measurement | None, world: int) -> Iterator[Measurement]:
    yield row
    if alone is not None:
        name = row.name.replace("images_per_second", "efficiency")
        yield Measurement.ratio(name, row.value, world * alone.value)


def _measure(bench: ScalingBench, world: int, batch_size: int, name: str) -> tuple[Measurement, Mapping[str, Any]]:
    """Lets ``world`` processes train on this global batch; returns the rate and what ``scaling_process`` wrote."""
    with TemporaryDirectory(prefix="bench-scaling-") as folder:
        config, out = Path(folder) / "config.yaml", Path(folder) / "measured.json"
        config.write_text(dump_config(replace(bench.config, batch_size=batch_size)))
        given = {"config": config, "device": bench.device, "steps": bench.steps, "repeats": bench.repeats, "out": out}
        _torchrun(bench, world, [word for key, value in given.items() for word in (f"--{key}", str(value))])
        measured = json.loads(out.read_text())
    return Measurement.rate(f"{name}.images_per_second", batch_size, measured["seconds"], "images/s"), measured


def _torchrun(bench: ScalingBench, world: int, arguments: Sequence[str]) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world}"]
    environment = dict(os.environ)
    if bench.device == "cpu":
        environment["OMP_NUM_THREADS"] = str(bench.threads)
    command = [sys.executable, *launcher, "-m", "vicregl_fast.benchmarks.scaling_process", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as processes:
        try:
            said = processes.communicate()[1]
        finally:
            processes.terminate()  # torchrun ends its processes, if they still run
    if processes.returncode != 0:
        raise UserError(f"{world} processes of training failed: {_reason(said)}")


def _reason(said: str) -> str:
    """The first sentence of ours in what torchrun and the processes printed, else the last line of a traceback."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    sentences = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (sentences or _raised(lines) or lines[-1:] or ["they said nothing"])[0]


def _raised(lines: Sequence[str]) -> list[str]:
    """The last lines of the tracebacks, which name what was raised, without the rank that torchrun prints before."""
    found = [re.search(r"\b\w*(Error|Exception|Interrupt): .*", line) for line in lines]
    return [match[0] for match in found if match is not None]
