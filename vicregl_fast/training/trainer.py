"""The training loop: carries a run to its end, or until it is asked to stop."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.progress import progress_bar
from vicregl_fast.config import RunConfig
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine_table import OpenedStore
from vicregl_fast.data.fingerprint import store_fingerprint
from vicregl_fast.data.order import validation_batches
from vicregl_fast.optim.schedule import Schedule
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.checkpointing import Checkpointing, newest_state
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.feeds import build_feeds, check_buffers, open_stores, sources
from vicregl_fast.training.first_checks import (
    check_fingerprint,
    check_images,
    check_settings,
    check_weights,
    global_batches,
    learned_images,
    note_new_defaults,
)
from vicregl_fast.training.generators import generator_states, set_generator_states
from vicregl_fast.training.learner import build_learner
from vicregl_fast.training.log import MetricsLog
from vicregl_fast.training.online_knn import feature_bank
from vicregl_fast.training.outcomes import StepOutcomes
from vicregl_fast.training.processes import Processes, Vote
from vicregl_fast.training.profile import StepProfile
from vicregl_fast.training.run_state import RunState
from vicregl_fast.training.signals import StopRequest, exit_code
from vicregl_fast.training.skipped_steps import forget_later_steps
from vicregl_fast.training.step_log import StepLog
from vicregl_fast.training.stopwatch import UNWATCHED, Stopwatch
from vicregl_fast.training.throughput import Throughput
from vicregl_fast.training.trackers import Trackers
from vicregl_fast.training.validation import record_validation, validate, validated_step


class Trainer:
    """One run. Construct it on every process, then call ``run``.

    If the run's folder holds a checkpoint, the run continues from it.

    Args:
        config: the configuration of the run.
        processes: this process and its group.

    Attributes:
        finished_steps: number of steps done since the run was first started.
        after_epoch: called with the number of epochs done when another has ended, before its checkpoint is written.
        goes_on_later: whether the run's folder stays when the program ends, so that a stop can be followed by a resume.

    Raises:
        UserError: an option or a file is wrong; what the run has already written is kept.
    """

    def __init__(self, config: RunConfig, processes: Processes):
        self.config, self.processes = config, processes
        self.folder = RunFolder(Path(config.run_dir))
        processes.agree(lambda: check_settings(config, processes))
        processes.first(lambda: self.folder.check(config))
        resumed = newest_state(self.folder, processes)
        if resumed is None:
            processes.first(lambda: check_weights(config))
        note_new_defaults(config, self.folder, processes)
        found = processes.agree(lambda: sources(config.data, self.folder.stores))
        known = check_images(config, found, self.folder, processes, None if resumed is None else resumed.store)
        self.learner = build_learner(config, known.classes, processes, starts=resumed is None)
        train, val = open_stores(config.data, found, processes)
        self.order = processes.agree(lambda: global_batches(config, len(train.store), processes))
        self.schedule = Schedule.of(config.optim, config.batch_size, config.epochs, self.order.steps)
        self.total_steps = self.schedule.total_steps
        if not known.converted:
            processes.first(lambda: check_buffers(config, train, val, processes))
        self.feed, self.val_feed = build_feeds(config, train, val, self.learner, processes)
        self._fingerprint = store_fingerprint(train.store)
        if resumed is not None:
            processes.agree(lambda: check_fingerprint(resumed.store, self._fingerprint, config, self.folder))
        processes.first(lambda: self._claim(train))
        self.failures = Failures(config.train.patience)
        self.outcomes = StepOutcomes(self.failures, processes, self.folder.skipped_steps)
        options = config.train
        kept = options.keep_every and options.keep_every * self.order.steps
        self.checkpointing = Checkpointing(self.folder, processes, options.checkpoint_every, self.total_steps, kept)
        self.bank = feature_bank(train, val, self.learner.network, self.order.steps * config.batch_size, processes)
        self.profile = StepProfile(options.profile if processes.leads else 0, self.folder.profile, processes)
        self.stop = StopRequest()
        self._stop_vote = Vote(processes)
        self.log: MetricsLog | None = None  # open on rank 0 while the run lasts
        self.after_epoch: Callable[[int], None] = lambda epochs: None
        self.goes_on_later = True
        self.finished_steps = 0
        if resumed is not None:
            self._resume(resumed)
        self._validated_step = validated_step(self.folder.validation, self.finished_steps)

    def run(self) -> int:
        """Trains until the end of the last epoch, or until a signal asks the run to stop.

        Returns:
            The exit code for this process: 0 at the end, 75 if SIGTERM or SIGUSR1 stopped the run, 130 after Ctrl-C.

        Raises:
            UserError: a file is wrong, or too many steps in a row were non-finite.
        """
        with ExitStack() as stack:
            stack.enter_context(self.stop)
            self.processes.watch.begin(self._goes_on)
            validates_first = self._lacks_validation()  # the run was stopped or killed before it
            if self.processes.leads:
                if self._validated_step == 0:  # a record that lies there is of a step that will be done again
                    self.folder.validation.unlink(missing_ok=True)
                self.log = stack.enter_context(
                    MetricsLog(self.folder.metrics, self.folder.tensorboard, self.finished_steps, validates_first)
                )
                forget_later_steps(self.folder.skipped_steps, self.finished_steps)
            names = self.config.train.tracker_names if self.processes.leads else ()
            trackers = stack.enter_context(Trackers(names, self.folder))
            log = self.log if self.finished_steps < self.total_steps else None
            self.step_log = StepLog(log, trackers, self.learner, self.processes)
            stack.enter_context(self.profile)
            if validates_first:
                self._validate()
            while self.finished_steps < self.total_steps:
                self._train_epoch(self.finished_steps // self.order.steps)
                if self.finished_steps % self.order.steps == 0:
                    self.after_epoch(self.finished_steps // self.order.steps)
                self.checkpointing.make_due()
                self._save_if_due()
                if self._asked_to_stop() and self.finished_steps < self.total_steps:
                    return self._stop_code()  # a validation that is due is made by the resumed run
                if self._lacks_validation():
                    self._validate()
        self._stop_vote.close()
        if not self.checkpointing.proven:
            note("loss or gradients of the last step were not finite: look at the curves before you use the run")
        return 0

    def _train_epoch(self, epoch: int) -> None:
        """Trains to the end of the epoch (counted from 0), or until the run is asked to stop."""
        start = self.finished_steps - epoch * self.order.steps
        loader = self.feed.loader(self.order.epoch(epoch, start), epoch)
        if self.processes.world == 1:  # several could not agree on it: the others may be in a step
            loader.gives_up = lambda: self.stop.received is not None
        throughput = Throughput(self.config.batch_size, loader)
        with loader, self._progress(epoch, start) as progress:
            for batch in loader:
                self._train_step(batch, throughput, progress)
                if self._asked_to_stop():
                    return
                self._save_if_due()

    def _train_step(self, batch: ViewBatch, throughput: Throughput, progress: tqdm) -> None:
        rate = self.schedule.rate(self.finished_steps)
        at_end = (self.finished_steps + 1) % self.order.steps == 0
        logged = at_end or (self.finished_steps + 1) % self.config.train.log_every == 0
        clock = Stopwatch(self.processes.device) if logged or self.profile.active else UNWATCHED
        result = self.learner.step(batch, rate, clock)
        clock.stop()
        self.finished_steps += 1
        if self.bank is not None and batch.labels is not None:
            self.bank.add(result.pooled, batch.labels)
        self.outcomes.expect(self.finished_steps, batch.indices, result)
        self.checkpointing.after_step(self.finished_steps)
        throughput.count()
        progress.update()
        self._settle(but=0 if logged else 1)  # while the device is at work on that one
        if logged:
            more = {
                "epoch": self.finished_steps / self.order.steps,
                "learning_rate": rate,
                "skipped_steps": self.failures.skipped,
            }
            self.step_log.write(self.finished_steps, result, clock, throughput, progress, more)
        self.profile.after_step(self.finished_steps, logged)

    def _settle(self, but: int = 0) -> None:
        """Learns what became of the steps taken, all or all ``but`` the newest; goes back if too many failed.

        Every process must call this, at the same steps.
        """
        too_many = self.outcomes.settle(but)
        self.checkpointing.proven = self.outcomes.last_finite
        if too_many:
            self.processes.agree(self._go_back)

    def _go_back(self) -> None:
        """Takes the state of network, optimiser and scaler from a checkpoint; training goes on with the next images.

        Raises:
            UserError: no checkpoint is left to go back to.
        """
        times = len(self.checkpointing.gone_back_to)
        state = self.checkpointing.to_go_back_to()
        if state is None:
            again = f", after going back {times} times" if times else ""
            raise UserError(
                f"loss or gradients were not finite in {self.failures.in_a_row} steps in a row, the last of them "
                f"step {self.finished_steps}{again}; checkpoints are kept: lower --optim.base_lr, or set "
                "--train.clip_norm or --train.precision fp32, with another --run_dir"
            )
        self.learner.load_state(state.learner)
        note(
            f"{self.failures.in_a_row} steps in a row were not finite: step {self.finished_steps + 1} "
            f"goes on with the weights of step {state.step}"
        )
        self.failures.forgive()

    def _progress(self, epoch: int, start: int) -> tqdm:
        return progress_bar(
            total=self.order.steps,
            initial=start,
            desc=f"epoch {epoch + 1}/{self.config.epochs}",
            unit="step",
            disable=not self.processes.leads,
        )

    def _lacks_validation(self) -> bool:
        """Whether the last step done ended an epoch that is to be validated, and its validation is not recorded.

        Every process must call this.
        """
        epochs_done, steps_after = divmod(self.finished_steps, self.order.steps)
        if self.val_feed is None or epochs_done == 0 or steps_after > 0:
            return False
        due = epochs_done % self.config.train.val_every == 0 or epochs_done == self.config.epochs
        return due and self.processes.any(self._validated_step < self.finished_steps)

    def _validate(self) -> None:
        """Makes and records the validation of the epoch that has just ended."""
        assert self.val_feed is not None
        batches = validation_batches(
            len(self.val_feed.store), self.config.batch_size, self.processes.rank, self.processes.world
        )
        values = validate(self.learner, self.val_feed.loader(batches, epoch=0), self.processes, self.bank)
        self._validated_step = self.finished_steps
        if self.log is not None:
            epochs_done = self.finished_steps // self.order.steps
            self.log.write(self.finished_steps, {"epoch": epochs_done, **values})
            record_validation(self.folder.validation, self.finished_steps, values)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            print(f"epoch {epochs_done}: {shown}", flush=True)

    def _asked_to_stop(self) -> bool:
        self.processes.watch.beat()
        return self._stop_vote.any_before(self.stop.received is not None)

    def _stop_code(self) -> int:
        self._stop_vote.close()
        if self.processes.leads:
            print(f"stopped; {self._goes_on()}" if self.goes_on_later else "stopped", flush=True)
        return exit_code(self.stop.received)

    def _save_if_due(self) -> None:
        if self.checkpointing.is_due:
            self._settle()
        self.checkpointing.save_if_due(self.finished_steps, self._state)

    def _goes_on(self) -> str:
        return f"the same command goes on after step {self.checkpointing.saved_step}"

    def _state(self) -> RunState:
        return RunState(
            self.finished_steps,
            self.failures.skipped,
            self._fingerprint,
            self.processes.gather_on_first(generator_states(self.processes.device)),
            self.learner.state(),
            None if self.bank is None else self.processes.gather_on_first(self.bank.state()),
        )

    def _claim(self, train: OpenedStore) -> None:
        self.folder.claim(self.config)
        learned_images(train).write(self.folder.images)

    def _resume(self, state: RunState) -> None:
        self.learner.load_state(state.learner)
        self.finished_steps = self.checkpointing.saved_step = state.step
        self.failures.skipped = state.skipped_steps
        if len(state.generators) == self.processes.world:  # otherwise they stay as newly seeded
            set_generator_states(state.generators[self.processes.rank], self.processes.device)
        if self.bank is not None and state.banks is not None and len(state.banks) == self.processes.world:
            self.bank.load_state(state.banks[self.processes.rank])  # otherwise it fills anew
        if self.processes.leads:
            how = "goes on" if self.finished_steps < self.total_steps else "is complete"
            print(f"the run in {self.folder.path} {how}: {self.finished_steps} of {self.total_steps} steps are done")
