"""Trains lightly's methods: the same backbone, initial weights, batch, epochs, optimiser and precision as our run."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from vicregl_fast.benchmarks.peers.lightly import ImageViews, batches, view_loader
from vicregl_fast.benchmarks.peers.names import QualityPeer
from vicregl_fast.benchmarks.quality.curve import Curve
from vicregl_fast.benchmarks.quality.lightly_methods import LightlyMethod, LightlyVICReg, LightlyVICRegL
from vicregl_fast.benchmarks.quality.run import QualityRun
from vicregl_fast.config import RunConfig
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.schedule import Schedule
from vicregl_fast.training.precision import choose_precision


def train_lightly(name: str, make: Callable[[RunConfig], Any], run: QualityRun) -> Curve:
    """Trains one of its methods to the end, by a plain loop on its DataLoader.

    Args:
        name: of the curve.
        make: makes the method's module.
        run: the images, and the settings that it has in common with our run.
    """
    config, recorder = run.config, run.recorder(name)
    torch.manual_seed(config.seed)  # as ours does: the backbone is drawn first in both
    method = make(config).to(run.device)
    if config.train.channels_last:
        method = method.to(memory_format=torch.channels_last)
    dataset = ImageViews(len(run.train), run.train.open, method.transform)
    loader = view_loader(dataset, run.workers, run.device, batch_size=config.batch_size, shuffle=True, drop_last=True)
    step = _Step(method, config, len(loader), run.device)
    recorder.start()
    for epoch in range(1, config.epochs + 1):
        for batch in batches(loader, run.device):
            step(batch)
        recorder.epoch_ended(epoch, epoch * len(loader) * config.batch_size, method.backbone)
    return recorder.curve()


class _Step:
    """One step of training on a batch, with the learning rate of our schedule."""

    def __init__(self, method: Any, config: RunConfig, epoch_steps: int, device: torch.device):
        self._method: LightlyMethod = method
        self._precision = choose_precision(config.train.precision, device)
        self._scaler = self._precision.scaler()
        self._optimizer = build_optimizer(config.optim, method)
        self._schedule = Schedule.of(config.optim, config.batch_size, config.epochs, epoch_steps)
        self._done = 0

    def __call__(self, batch: list[torch.Tensor]) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(self._done)
        self._optimizer.zero_grad(set_to_none=True)
        with self._precision.autocast():
            outputs = self._method.outputs(batch)
        self._scaler.scale(self._method.loss(outputs, batch)).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._done += 1


TRAIN: dict[QualityPeer, Callable[[QualityRun], Curve]] = {
    "lightly_vicregl": partial(train_lightly, "lightly_vicregl", LightlyVICRegL),
    "lightly_vicreg": partial(train_lightly, "lightly_vicreg", LightlyVICReg),
}
"""What trains each peer of ``bench quality``."""
