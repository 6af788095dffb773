"""The validation pass: the loss on views of held-out images, and the online classifier on their centre crops."""

import json
from pathlib import Path

import torch

from dataprep.atomic import write_text
from vicregl_fast.data.engine import BatchLoader
from vicregl_fast.training.learner import Learner
from vicregl_fast.training.processes import Processes

VALIDATION_LOSS = "val_loss"


@torch.no_grad()
def validate(learner: Learner, loader: BatchLoader, processes: Processes) -> dict[str, float]:
    """Means over the loader's batches of all processes, in eval mode.

    Returns:
        ``val_loss``, and ``val_accuracy`` (a share in 0..1) where there are a classifier and labels.
    """
    network, step = learner.network, learner.step
    network.eval()
    loss_sum = correct = 0.0
    batches = images = 0
    with loader:
        for batch in loader:
            loss_sum += step.losses(batch).terms.total.item()
            batches += 1
            if network.classifier is not None and batch.labels is not None and batch.centre_crops is not None:
                with step.precision.autocast():
                    logits = network.classify(batch.centre_crops)
                correct += float((logits.argmax(1) == batch.labels).sum())
                images += len(batch.labels)
    network.train()
    gathered = processes.gather((loss_sum, batches, correct, images))
    loss_sum, batches, correct, images = (sum(column) for column in zip(*gathered, strict=True))
    values = {VALIDATION_LOSS: loss_sum / batches}
    if images:
        values["val_accuracy"] = correct / images
    return values


def record_validation(file: Path, step: int, values: dict[str, float]) -> None:
    """Notes that the run was validated after ``step`` steps, for a resumed run to know."""
    write_text(file, json.dumps({"step": step, **values}) + "\n")


def validated_step(file: Path) -> int:
    """After which step ``record_validation`` was last called; 0 where it never was, or what it wrote is damaged."""
    try:
        return int(json.loads(file.read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
