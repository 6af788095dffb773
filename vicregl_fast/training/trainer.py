"""Carries a run to its end, or to where it is asked to stop."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.fingerprint import store_fingerprint
from vicregl_fast.data.order import GlobalBatches, validation_batches
from vicregl_fast.models.backbone import check_backbone
from vicregl_fast.optim.build import peak_lr
from vicregl_fast.optim.schedule import learning_rate
from vicregl_fast.training.checkpoint import load_checkpoint
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.feeds import build_feeds, count_classes, open_stores
from vicregl_fast.training.learner import build_learner, generator_states, set_generator_states
from vicregl_fast.training.log import MetricsLog
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.run_folder import RunFolder
from vicregl_fast.training.signals import StopRequest, exit_code
from vicregl_fast.training.step import StepResult
from vicregl_fast.training.throughput import Throughput
from vicregl_fast.training.validation import validate

CHECKPOINT_FORMAT = 2


class Trainer:
    """One run. Construct it on every process, then call ``run``.

    Raises:
        UserError: from any part, when an option or a file is wrong; nothing already written is lost.
    """

    def __init__(self, config: RunConfig, processes: Processes):
        self.config, self.processes = config, processes
        self.folder = RunFolder(Path(config.run_dir))
        check_backbone(config.model.backbone)  # here, so that no folder is converted in vain
        store, val_store = open_stores(config.data, self.folder.stores, processes)
        window = config.data.window if config.data.order == "blocks" else None
        self.order = GlobalBatches(len(store), config.batch_size, config.seed, processes.rank, processes.world, window)
        self.total_steps = config.epochs * self.order.steps
        self.warmup_steps = round(config.optim.warmup_epochs * self.order.steps)
        self._learning_rate(0)  # a warm-up longer than the run is said before anything is built
        self.learner = build_learner(config, count_classes(store), processes)
        self.feed: Feed
        self.feed, self.val_feed = build_feeds(config, store, val_store, self.learner, processes)
        processes.first(lambda: self.folder.claim(config))
        self.finished_steps = self._saved_step = 0
        self._save_is_due = False
        self._gone_back_to: set[int] = set()
        self.failures = Failures(config.train.patience)
        self._fingerprint = store_fingerprint(store)
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
            if self._lacks_validation():
                self._validate(self.finished_steps // self.order.steps)
            while self.finished_steps < self.total_steps:
                self._train_epoch(self.finished_steps // self.order.steps)
                self._save()
                if self._asked_to_stop() and self.finished_steps < self.total_steps:
                    return self._stop_code()  # a validation that is due is made up for
                if self.finished_steps % self.order.steps == 0:
                    self._validate(self.finished_steps // self.order.steps)
        if not self.failures.proven and self.processes.leads:
            print("note: loss or gradients of the last step were not finite: look at the curves before you use the run")
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
                if self._save_is_due or self.finished_steps % self.config.train.checkpoint_every == 0:
                    self._save()

    def _train_step(self, batch: ViewBatch, throughput: Throughput, progress: tqdm) -> None:
        rate = self._learning_rate(self.finished_steps)
        number = self.finished_steps + 1
        logged = number % self.config.train.log_every == 0 or number % self.order.steps == 0
        result = self.learner.step(batch, rate, details=logged)
        self.finished_steps = number
        if self.failures.count(result, self.learner.step.scaler):
            self._go_back()
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
            "skipped_steps": self.failures.skipped,
            **rates,
        }
        self.log.write(self.finished_steps, row)

    def _go_back(self) -> None:
        """Takes the weights of the last good checkpoint, and goes on from there with the images that come next."""
        state = self._newest_checkpoint()
        if state is None:
            again = f", after going back {len(self._gone_back_to)} times" if self._gone_back_to else ""
            raise UserError(
                f"loss or gradients were not finite in {self.failures.in_a_row} steps in a row, the last of them "
                f"step {self.finished_steps}{again}; checkpoints are kept: lower --optim.base_lr, or set "
                "--train.clip_norm or --train.precision fp32, with another --run_dir"
            )
        self.learner.load_state(state)
        self._gone_back_to.add(state["step"])
        if self.processes.leads:
            tqdm.write(
                f"{self.failures.in_a_row} steps in a row were not finite: step {self.finished_steps + 1} "
                f"goes on with the weights of step {state['step']}"
            )
        self.failures.in_a_row = 0

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
        batches = validation_batches(
            len(self.val_feed.store), self.config.batch_size, self.processes.rank, self.processes.world
        )
        values = validate(self.learner, self.val_feed.loader(batches, epoch=0), self.processes)
        if self.log is not None:
            self.log.write(self.finished_steps, {"epoch": epochs_done, **values})
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            print(f"epoch {epochs_done}: {shown}", flush=True)

    def _lacks_validation(self) -> bool:
        """Whether the run stands at the end of an epoch whose validation is missing, since it died or had no images."""
        at_end = self.finished_steps > 0 and self.finished_steps % self.order.steps == 0
        missing = self.log is not None and self.log.validated_step < self.finished_steps
        return at_end and self.processes.any(missing)

    def _asked_to_stop(self) -> bool:
        return self.processes.any(self.stop.received is not None)

    def _stop_code(self) -> int:
        if self.processes.leads:
            print(f"stopped; the same command goes on after step {self._saved_step}", flush=True)
        return exit_code(self.stop.received)

    def _save(self) -> None:
        if self._saved_step == self.finished_steps:
            return
        self._save_is_due = not self.failures.proven and self.finished_steps < self.total_steps
        if self._save_is_due:  # once a step has shown that these weights give numbers
            return
        generators = self.processes.gather(generator_states(self.processes.device))
        self._saved_step = self.finished_steps
        if self.processes.leads:
            state = {
                "format": CHECKPOINT_FORMAT,
                "step": self.finished_steps,
                "skipped_steps": self.failures.skipped,
                "store": self._fingerprint,
                "generators": generators,
                **self.learner.state(),
            }
            self.folder.checkpoints.save(state, self.finished_steps)

    def _newest_checkpoint(self) -> dict[str, Any] | None:
        """The newest that can be read and was not gone back to; rank 0 chooses, since the others may see it later."""
        checkpoints = self.folder.checkpoints
        state = checkpoints.load_newest(self._gone_back_to) if self.processes.leads else None
        step = self.processes.gather(None if state is None else state["step"])[0]
        return state if step is None or self.processes.leads else load_checkpoint(checkpoints.path(step))

    def _resume(self) -> None:
        state = self._newest_checkpoint()
        if state is None:
            return
        if state.get("format") != CHECKPOINT_FORMAT:
            raise UserError(
                f"the run in {self.folder.path} has checkpoints of format {state.get('format')}, and this version "
                f"resumes format {CHECKPOINT_FORMAT}: take the version that wrote them, or choose another --run_dir"
            )
        if state["store"] != self._fingerprint:
            raise UserError(
                f"the images of {self.config.data.path} are not those that the run in {self.folder.path} has learned "
                "from: their number, order, sizes or classes changed; take the old ones to resume it, or choose "
                "another --run_dir"
            )
        self.learner.load_state(state)
        self.finished_steps = self._saved_step = state["step"]
        self.failures.skipped = state["skipped_steps"]
        if len(state["generators"]) == self.processes.world:
            set_generator_states(state["generators"][self.processes.rank], self.processes.device)
        if self.processes.leads:
            how = "goes on" if self.finished_steps < self.total_steps else "is complete"
            print(f"the run in {self.folder.path} {how}: {self.finished_steps} of {self.total_steps} steps are done")
