"""What a run leaves and where; and whether a folder may be gone on with."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig, dump_config, load_config
from vicregl_fast.training.checkpoint import Checkpoints

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
    """A run's folder: config.yaml, metrics.jsonl, tensorboard/, checkpoints/, stores/."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def stores(self) -> Path:
        """Where folders of images are converted to."""
        return self.path / "stores"

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.path / "checkpoints")

    def claim(self, config: RunConfig) -> None:
        """Saves the resolved configuration, or checks that the one already there is the same.

        Raises:
            UserError: the folder holds a run of another configuration, or cannot be written.
        """
        if self.config.exists():
            changed = _differences(load_config(self.config), config)
            if changed:
                raise UserError(
                    f"{self.path} holds a run with other settings ({'; '.join(changed)}); "
                    "give the same ones to resume it, or choose another --run_dir"
                )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            partial = self.config.with_suffix(".partial")
            partial.write_text(dump_config(config))
            os.replace(partial, self.config)
        except OSError as error:
            raise UserError(f"cannot write to the run folder {self.path}: {error.strerror}") from error


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
