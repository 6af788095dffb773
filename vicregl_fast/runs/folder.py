"""The files in a run's folder, and whether the run that lies there may be continued with given settings."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from dataprep.atomic import remove_leftovers, write_text
from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.config import RunConfig, dump_config, flat, load_config
from vicregl_fast.runs.checkpoints import Checkpoints
from vicregl_fast.runs.lock import check_lock, locked

# The settings that a resumed run may change. optim.lars, train.device, train.compile and train.chunk change results by
# rounding; another device and another chunk also by what drop path draws, a chunk by the statistics of BatchNorm, a
# device by the number format if precision is auto. data.on_error, train.patience, train.log_every and those of
# checkpoints matter only if images do not decode or steps are non-finite. The same images may lie elsewhere (data.path,
# data.list): a run does not resume with others. The others do not affect training.
FREE = {
    "run_dir",
    "data.path",
    "data.list",
    "data.workers",
    "data.on_error",
    "data.val_path",
    "data.val_list",
    "data.val_labels",
    "optim.lars",
    "train.device",
    "train.compile",
    "train.cuda_graphs",
    "train.checkpoint_activations",
    "train.chunk",
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_every",
    "train.val_every",
    "train.trackers",
    "train.profile",
    "train.patience",
}


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and the files in it, whose names are known only here.

    Attributes:
        path: the folder, which need not exist yet.
    """

    path: Path

    @classmethod
    def holding(cls, run: Path) -> "RunFolder":
        """Returns the folder of a run that a user names by its folder or by one of its checkpoint files."""
        return cls(run.absolute().parents[1] if run.is_file() else run)

    @property
    def config(self) -> Path:
        """File of the resolved configuration."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """File of the logged metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def skipped_steps(self) -> Path:
        """File of the steps that changed nothing, with their images, one JSON object a line."""
        return self.path / "skipped_steps.jsonl"

    @property
    def images(self) -> Path:
        """File of what is known of the training images (``LearnedImages``)."""
        return self.path / "images.json"

    @property
    def validation(self) -> Path:
        """File of the last validation: its figures, and the step after which it was made."""
        return self.path / "validation.json"

    @property
    def tensorboard(self) -> Path:
        """Folder of the same metrics for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def trackers(self) -> Path:
        """Folder of what trackers keep: the ids under which they know the run, their messages, and their own files."""
        return self.path / "trackers"

    @property
    def profile(self) -> Path:
        """Folder of profiles of training steps."""
        return self.path / "profile"

    @property
    def stores(self) -> Path:
        """Folder of the stores that were converted from folders of images."""
        return self.path / "stores"

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints from which the run can be continued."""
        return Checkpoints(self.path / "checkpoints")

    @property
    def lock(self) -> Path:
        """File that names the process which writes the run, while it does."""
        return self.path / "lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from writing the run in a ``with`` block, and removes what killed ones have left.

        Raises:
            UserError: another process writes the run, or the folder cannot be written.
        """
        self._remove_leftovers(elsewhere=False)  # first, since they may be what the disk is full of
        with locked(self.lock):
            self._remove_leftovers(elsewhere=True)
            yield

    def check_held(self) -> None:
        """Checks that no other process has taken over the run; one that does not hold the folder passes, too.

        Raises:
            UserError: another process writes the run.
        """
        check_lock(self.lock)

    def _remove_leftovers(self, elsewhere: bool) -> None:
        for folder in (self.path, self.checkpoints.folder, self.stores):
            remove_leftovers(folder, elsewhere=elsewhere)

    def read_config(self) -> RunConfig:
        """Reads the configuration of the run in this folder.

        Raises:
            UserError: there is no run in this folder, or its configuration is damaged.
        """
        if not self.config.is_file():
            raise UserError(f"{self.path} is not a run of vicregl_fast.train: there is no {self.config}")
        return load_config(self.config)

    def lacks_setting(self, name: str) -> bool:
        """Whether a run lies here that was begun before there was the setting ``name``, such as ``train.patience``."""
        if not self.config.exists():
            return False
        section, _, key = name.partition(".")
        saved = yaml.safe_load(self.config.read_text()) or {}
        return key not in (saved.get(section) or {})

    def check(self, config: RunConfig) -> None:
        """Checks that a run with these settings may start here, or continue the run that lies here.

        Raises:
            UserError: the folder holds a run whose settings differ in others than those in ``FREE``.
        """
        if not self.config.exists():
            return
        before = load_config(self.config)
        changed = [f"{key} was {old} and now is {new}" for key, old, new in differences(before, config, but=FREE)]
        if changed:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(changed)}); "
                "give the same ones to resume it, or choose another --run_dir"
            )
        if before.data.path != config.data.path:
            note(
                f"data.path was {before.data.path} and now is {config.data.path}: the run goes on with the same images"
            )

    def claim(self, config: RunConfig) -> None:
        """Saves the resolved configuration, which ``check`` must have accepted.

        Raises:
            UserError: the folder cannot be written.
        """
        write_text(self.config, dump_config(config))


def differences(one: RunConfig, other: RunConfig, but: Collection[str]) -> list[tuple[str, object, object]]:
    """The settings in which two configurations differ, each with both values, leaving aside those named in ``but``."""
    ones, others = flat(asdict(one)), flat(asdict(other))
    return [(key, ones[key], others[key]) for key in ones if key not in but and ones[key] != others[key]]
