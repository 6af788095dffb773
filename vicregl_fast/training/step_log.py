"""What a run logs of its training steps, some of them."""

from collections.abc import Mapping

import torch
from torch import Tensor
from tqdm import tqdm

from vicregl_fast.training.arithmetic import Arithmetic
from vicregl_fast.training.learner import Learner
from vicregl_fast.training.log import MetricsLog
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.step import StepResult
from vicregl_fast.training.stopwatch import Clock
from vicregl_fast.training.throughput import Throughput
from vicregl_fast.training.trackers import Trackers


def values_of(figures: Mapping[str, Tensor]) -> dict[str, float]:
    """The values of scalars, which are brought to the host together, since every copy waits for the device."""
    values: dict[str, float] = dict.fromkeys(figures, 0.0)  # in this order
    for dtype in {value.dtype for value in figures.values()}:
        alike = {name: value for name, value in figures.items() if value.dtype == dtype}
        values.update(zip(alike, torch.stack(list(alike.values())).tolist(), strict=True))
    return values


class StepLog:
    """Writes a row for a step, and shows some of it beside the progress bar.

    How fast the device multiplies is measured at once, if there is a log.

    Args:
        log: where the rows go; None on all ranks but 0, and where no step is left.
        trackers: who gets the rows of that log, and of whom is asked at each row whether they still do.
        learner: what is trained.
        processes: the processes of the run.
    """

    def __init__(self, log: MetricsLog | None, trackers: Trackers, learner: Learner, processes: Processes):
        self._log, self._trackers, self._world = log, trackers, processes.world
        if log is not None:
            sizes = [recipe.size for recipe in learner.recipes]
            self._arithmetic = Arithmetic.measured(learner.network, sizes, learner.step.precision)

    def write(
        self,
        step: int,
        result: StepResult,
        clock: Clock,
        throughput: Throughput,
        progress: tqdm,
        more: Mapping[str, float],
    ) -> None:
        """Writes the row of the step that has just been taken, as every process must, or none.

        Args:
            step: its number, from 1.
            result: of the step.
            clock: which measured it.
            throughput: which counted it.
            progress: the bar that counts it.
            more: figures besides.
        """
        # Details on every process, since some are computed over the global batch.
        figures = values_of({"loss": result.loss, **result.figures, **result.details()})
        loss, rates = figures["loss"], throughput.rates()
        progress.set_postfix_str(
            f"loss {loss:.3f}, {rates['images_per_second']:.0f} images/s, "
            f"{rates['data_wait_share']:.0%} waiting for data"
        )
        if self._log is None:
            return
        row = {
            **figures,
            **rates,
            **self._arithmetic.used(rates["images_per_second"] / self._world),
            "seconds_data": throughput.last_wait,
            **clock.seconds(),
        }
        self._log.write(step, {**more, **row})
        self._trackers.check()
