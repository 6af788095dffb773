"""One process of ``bench scaling``, which torchrun starts: takes training steps on drawn pictures and measures them."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from dataprep.errors import exit_on_user_error
from vicregl_fast.benchmarks.memory import PeakMemory
from vicregl_fast.benchmarks.prepared_step import RATE, drawn_view_batch, settle
from vicregl_fast.benchmarks.scaling_bytes import bytes_of_gradients, sent_around_a_ring
from vicregl_fast.benchmarks.timing import time_calls
from vicregl_fast.choices import DEVICE_CHOICES
from vicregl_fast.config import RunConfig, load_config
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.losses.collectives import Traffic, count_traffic
from vicregl_fast.training.learner import Learner, build_learner
from vicregl_fast.training.precision import choose_kernels
from vicregl_fast.training.processes import Processes, join_processes
from vicregl_fast.training.stopwatch import Clock


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and on rank 0 writes what ``measure`` returns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="a whole configuration, with the global batch")
    parser.add_argument("--device", choices=DEVICE_CHOICES, required=True)
    parser.add_argument("--steps", type=int, required=True, help="in a row, of which the mean is one duration")
    parser.add_argument("--repeats", type=int, required=True, help="durations")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    with exit_on_user_error():
        config = load_config(options.config)
        choose_kernels(deterministic=False)
        processes = join_processes(options.device)
        measured = measure(config, processes, options.steps, options.repeats)
        if processes.leads:
            options.out.write_text(json.dumps(measured))
        processes.leave()


def measure(config: RunConfig, processes: Processes, steps: int, repeats: int) -> dict[str, object]:
    """Measures durations of a step, in ``seconds``, this process's peak memory, and what one step sends, in bytes.

    The first steps, until one has finite gradients, and three more are not timed. Every process must call this.

    Args:
        config: the recipe; each process takes its share of the batch.
        processes: this process and its group.
        steps: steps in a row, of which the mean is one duration.
        repeats: number of durations.

    Raises:
        UserError: no step has finite gradients.
    """
    with PeakMemory(processes.device) as peaks:
        learner = build_learner(config, 0, processes)
        share = config.batch_size // processes.world
        batch = drawn_view_batch(config, learner, processes.device, share, seed=processes.rank)
        settle(lambda: learner.step(batch, RATE), learner.step.precision.name)
        seconds = time_calls(lambda: learner.step(batch, RATE), processes.device, repeats, calls=steps)
    return {
        "seconds": seconds,
        "peak_memory": peaks.device,
        "peak_host_memory": peaks.host,
        "gradient_bytes": round(
            sent_around_a_ring(bytes_of_gradients(learner.network, config.train.allreduce), processes.world)
        ),
        "loss_bytes": loss_bytes(learner, batch),
    }


def loss_bytes(learner: Learner, batch: ViewBatch) -> int:
    """Bytes that the loss moves through this process's link in one step, which it takes and counts."""
    with count_traffic() as traffic:
        clock = _LossTraffic(traffic)
        learner.step(batch, RATE, clock)
    return clock.moved


class _LossTraffic(Clock):
    """Reads what was moved while the loss was formed; on a CPU, BatchNorm moves through the same collectives."""

    def __init__(self, traffic: Traffic):
        self._traffic, self._before, self.moved = traffic, 0, 0

    def mark(self, part: str) -> None:
        if part == "loss":
            self._before = self._traffic.moved
        elif part == "backward":
            self.moved = self._traffic.moved - self._before


if __name__ == "__main__":
    main()
