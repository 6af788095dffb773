"""Where a run's files lie; and whether a folder's run may be continued."""

from dataclasses import asdict, dataclass
from pathlib import Path

from dataprep.atomic import write_text
from dataprep.errors import UserError
from vicregl_fast.config import RunConfig, dump_config, load_config
from vicregl_fast.runs.checkpoints import Checkpoints

# What a resumed run may change. Device and compiling alter what is computed by rounding (and the number format, where
# that is auto); leaving out images, patience and checkpoints do where a run fails; the rest does not.
FREE = {
    "run_dir",
    "data.workers",
    "data.on_error",
    "data.val_path",
    "data.val_list",
    "train.device",
    "train.compile",
    "train.log_every",
    "train.checkpoint_every",
    "train.val_every",
    "train.patience",
}


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and what lies in it. No other file knows these names."""

    path: Path

    @classmethod
    def holding(cls, run: Path) -> "RunFolder":
        """Of what a user names as a run: its folder, or one of its checkpoint files."""
        return cls(run.parent.parent if run.is_file() else run)

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """What was logged, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def validation(self) -> Path:
        """The figures of the last validation, and the step after which it was made."""
        return self.path / "validation.json"

    @property
    def tensorboard(self) -> Path:
        """The metrics again, as TensorBoard reads them."""
        return self.path / "tensorboard"

    @property
    def stores(self) -> Path:
        """What folders of images were converted to."""
        return self.path / "stores"

    @property
    def checkpoints(self) -> Checkpoints:
        """The states that the run can be continued from."""
        return Checkpoints(self.path / "checkpoints")

    def read_config(self) -> RunConfig:
        """The configuration of the run that lies here.

        Raises:
            UserError: no run does, or its configuration is damaged.
        """
        if not self.config.is_file():
            raise UserError(f"{self.path} is not a run of vicregl_fast.train: there is no {self.config}")
        return load_config(self.config)

    def check(self, config: RunConfig) -> None:
        """Raises a UserError if the folder holds a run with settings that would train something else."""
        if not self.config.exists():
            return
        changed = _differences(load_config(self.config), config)
        if changed:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(changed)}); "
                "give the same ones to resume it, or choose another --run_dir"
            )

    def claim(self, config: RunConfig) -> None:
        """Saves the resolved configuration of a run that ``check`` has let pass.

        Raises:
            UserError: the folder cannot be written.
        """
        write_text(self.config, dump_config(config))


def _differences(old: RunConfig, new: RunConfig) -> list[str]:
    before, after = _flat(asdict(old)), _flat(asdict(new))
    return [
        f"{key} was {before[key]} and now is {after[key]}"
        for key in before
        if key not in FREE and before[key] != after[key]
    ]


def _flat(values: dict, prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
