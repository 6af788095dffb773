"""Carries a run to its end, or to where it is asked to stop."""

import math
import signal
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.order import GlobalBatches, sequential_batches
from vicregl_fast.optim.build import peak_lr
from vicregl_fast.optim.schedule import learning_rate
from vicregl_fast.training.feeds import build_feeds, count_classes, open_stores
from vicregl_fast.training.learner import (
    CHECKPOINT_FORMAT,
    build_learner,
    generator_states,
    set_generator_states,
)
from vicregl_fast.training.log import MetricsLog
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.run_folder import RunFolder
from vicregl_fast.training.signals import REQUEUE_EXIT_CODE, StopRequest
from vicregl_fast.training.step import StepResult
from vicregl_fast.training.throughput import Throughput
from vicregl_fast.training.validation import validate


class Trainer:
    """One run. Construct it on every process, then call ``run``.

    Raises:
        UserError: from any part, when an option or a file is wrong; nothing already written is lost.
    """

    def __init__(self, config: RunConfig, processes: Processes):
        self.config, self.processes = config, processes
        self.folder = RunFolder(Path(config.run_dir))
        store, val_store = open_stores(config.data, self.folder.stores, processes)
        window = config.data.window if config.data.order == "blocks" else None
        self.order = GlobalBatches(len(store), config.batch_size, config.seed, processes.rank, processes.world, window)
        self.total_steps = config.epochs * self.order.steps
        self.warmup_steps = round(config.optim.warmup_epochs * self.order.steps)
        self._learning_rate(0)  # a warm-up longer than the run is said before anything is built
        self.learner = build_learner(config, count_classes(store), processes)
        self.feed: Feed
        self.feed, self.val_feed = build_feeds(config, store, val_store, self.learner, processes)
        if processes.leads:
            self.folder.claim(config)
        processes.wait()
        self.finished_steps = self.skipped_steps = self._failures_in_a_row = 0
        self._resume()

    def run(self) -> int:
        """Trains until the last epoch or a request to stop.

        Returns:
            The process's exit code: 0 at the end, 75 when SIGTERM or SIGUSR1 stopped it, 130 after Ctrl-C.
        """
        with ExitStack() as stack:
            self.stop = stack.enter_context(StopRequest())
            self.log: MetricsLog | None = None
            if self.processes.leads:
                self.log = stack.enter_context(
                    MetricsLog(self.folder.metrics, self.folder.tensorboard, self.finished_steps)
                )
            while self.finished_steps < self.total_steps:
                self._train_epoch(self.finished_steps // self.order.steps)
                self._save()
                if self.finished_steps % self.order.steps == 0:
                    self._validate(self.finished_steps // self.order.steps)
                if self._asked_to_stop() and self.finished_steps < self.total_steps:
                    return self._stop_code()
        return 0

    def _train_epoch(self, epoch: int) -> None:
        """Trains what is left of the epoch, or until asked to stop."""
        start = self.finished_steps - epoch * self.order.steps
        loader = self.feed.loader(self.order.epoch(epoch, start), epoch)
        throughput = Throughput(self.config.batch_size, loader)
        with loader, self._progress(epoch, start) as progress:
            for batch in loader:
                self._train_step(batch, throughput, progress)
                if self._asked_to_stop():
                    return
                if self.finished_steps % self.config.train.checkpoint_every == 0:
                    self._save()

    def _train_step(self, batch: ViewBatch, throughput: Throughput, progress: tqdm) -> None:
        rate = self._learning_rate(self.finished_steps)
        number = self.finished_steps + 1
        logged = number % self.config.train.log_every == 0 or number % self.order.steps == 0
        result = self.learner.step(batch, rate, details=logged)
        self._count_failures(result)
        self.finished_steps = number
        throughput.count()
        progress.update()
        if logged:
            rates = throughput.rates()
            progress.set_postfix_str(
                f"loss {result.loss:.3f}, {rates['images_per_second']:.0f} images/s, "
                f"{rates['data_wait_share']:.0%} waiting for data"
            )
            self._log_step(result, rate, rates)

    def _log_step(self, result: StepResult, rate: float, rates: dict[str, float]) -> None:
        if self.log is None:
            return
        row = {
            "epoch": self.finished_steps / self.order.steps,
            "loss": result.loss,
            **{name: value.item() for name, value in result.named.items()},
            "learning_rate": rate,
            "skipped_steps": self.skipped_steps,
            **rates,
        }
        self.log.write(self.finished_steps, {name: v for name, v in row.items() if math.isfinite(v)})

    def _count_failures(self, result: StepResult) -> None:
        if result.finite:
            self._failures_in_a_row = 0
            return
        self.skipped_steps += 1
        if self.learner.step.scaler.is_enabled() and math.isfinite(result.loss):
            return  # a gradient scaler finds its scale by such steps
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= self.config.train.patience:
            raise UserError(
                f"loss or gradients were not finite in {self._failures_in_a_row} steps in a row, the last of them "
                f"step {self.finished_steps}; earlier checkpoints are kept: lower --optim.base_lr, or set "
                "--train.clip_norm or --train.precision fp32, with another --run_dir"
            )

    def _learning_rate(self, step: int) -> float:
        peak = peak_lr(self.config.optim, self.config.batch_size)
        end = self.config.optim.end_factor * peak
        return learning_rate(step, self.total_steps, self.warmup_steps, peak, end)

    def _progress(self, epoch: int, start: int) -> tqdm:
        return tqdm(
            total=self.order.steps,
            initial=start,
            desc=f"epoch {epoch + 1}/{self.config.epochs}",
            unit="step",
            disable=not self.processes.leads,
        )

    def _validate(self, epochs_done: int) -> None:
        if self.val_feed is None:
            return
        if epochs_done % self.config.train.val_every and epochs_done != self.config.epochs:
            return
        batches = sequential_batches(
            len(self.val_feed.store), self.config.batch_size, self.processes.rank, self.processes.world
        )
        values = validate(self.learner, self.val_feed.loader(batches, epoch=0), self.processes)
        if self.log is not None:
            self.log.write(self.finished_steps, {"epoch": epochs_done, **values})
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            print(f"epoch {epochs_done}: {shown}", flush=True)

    def _asked_to_stop(self) -> bool:
        return self.processes.any(self.stop.received is not None)

    def _stop_code(self) -> int:
        if self.processes.leads:
            print(f"stopped after step {self.finished_steps}; the same command goes on from there", flush=True)
        return 130 if self.stop.received == signal.SIGINT else REQUEUE_EXIT_CODE

    def _save(self) -> None:
        generators = self.processes.gather(generator_states(self.processes.device))
        if self.processes.leads:
            state = {
                "format": CHECKPOINT_FORMAT,
                "step": self.finished_steps,
                "skipped_steps": self.skipped_steps,
                "generators": generators,
                **self.learner.state(),
            }
            self.folder.checkpoints.save(state, self.finished_steps)

    def _resume(self) -> None:
        state = self.folder.checkpoints.load_newest()
        if state is None:
            return
        self.learner.load_state(state)
        self.finished_steps, self.skipped_steps = state["step"], state["skipped_steps"]
        if len(state["generators"]) == self.processes.world:
            set_generator_states(state["generators"][self.processes.rank], self.processes.device)
        if self.processes.leads:
            how = "goes on" if self.finished_steps < self.total_steps else "is complete"
            print(f"the run in {self.folder.path} {how}: {self.finished_steps} of {self.total_steps} steps are done")
