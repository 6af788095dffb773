"""The smallest run that is whole: 3 epochs of 4 steps on 48 images, some seconds on a CPU."""

import json
from pathlib import Path

import torch

from vicregl_fast.config import parse_config
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.trainer import Trainer

TINY = {
    "views.large_size": 32,
    "model.backbone": "resnet18",
    "model.output_stride": 16,
    "model.expander": 32,
    "model.projector": 16,
    "loss.gamma_large": 2,
    "batch_size": 12,
    "epochs": 3,
    "optim.warmup_epochs": 1,
    "train.log_every": 1,
    "train.checkpoint_every": 3,
    "train.precision": "fp32",
    "data.workers": 1,
}
ALONE = Processes(0, 1, torch.device("cpu"))


def tiny_options(store: Path, run: Path, **more: object) -> list[str]:
    """The command line of such a run; ``more`` has keys with ``__`` for a dot."""
    named = {key.replace("__", "."): value for key, value in more.items()}
    options = {**TINY, "data.path": store, "run_dir": run, **named}
    return [f"--{key}={value}" for key, value in options.items()]


def tiny_trainer(store: Path, run: Path, **more: object) -> Trainer:
    """Such a run in this process."""
    return Trainer(parse_config(tiny_options(store, run, **more)), ALONE)


def rows(run: Path) -> list[dict]:
    """What it has logged."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
