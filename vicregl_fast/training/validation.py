"""The validation pass: the loss on views of other images, and how well centre crops are classified."""

import json
from pathlib import Path

import torch
from torch import Tensor

from dataprep.atomic import write_text
from vicregl_fast.data.engine import BatchLoader
from vicregl_fast.training.learner import Learner
from vicregl_fast.training.online_knn import FeatureBank
from vicregl_fast.training.processes import Processes

VALIDATION_LOSS = "val_loss"


@torch.no_grad()
def validate(
    learner: Learner, loader: BatchLoader, processes: Processes, bank: FeatureBank | None = None
) -> dict[str, float]:
    """Judges the network in eval mode on the batches of all processes; every process must call this.

    Args:
        learner: the network and its loss.
        loader: this process's batches, with centre crops.
        processes: the processes of the run.
        bank: features of training images, by which k-NN classifies; None for no k-NN.

    Returns:
        ``val_loss``, the mean over batches, and, if there are a classifier and labels, ``val_accuracy``, the share of
        images (0 to 1) that the classifier gets right; with it ``val_knn_accuracy``, the same of k-NN, once the bank is
        full. They are the same on every process.
    """
    network = learner.network
    network.eval()
    # Compiled graphs would be made for this alone, and one in a CUDA graph would overwrite the output that it gave for
    # another view, which a backward pass would prevent.
    with torch.compiler.set_stance("force_eager"):
        values = _judge(learner, loader, processes, bank)
    network.train()
    return values


def _judge(learner: Learner, loader: BatchLoader, processes: Processes, bank: FeatureBank | None) -> dict[str, float]:
    network, step = learner.network, learner.step
    neighbours = None if bank is None else bank.neighbours()
    loss_sum = correct = correct_knn = 0.0
    classified: list[tuple[Tensor, Tensor]] = []
    batches = images = 0
    with loader:
        for batch in loader:
            loss_sum += step.losses(batch).terms.total.item()
            batches += 1
            processes.watch.beat()
            if network.classifier is not None and batch.labels is not None and batch.centre_crops is not None:
                with step.precision.autocast():
                    pooled = network.backbone(batch.centre_crops).pooled
                    logits = network.classifier(pooled)
                correct += float((logits.argmax(1) == batch.labels).sum())
                images += len(batch.labels)
                if neighbours is not None:
                    classified.append((pooled, batch.labels))
    if neighbours is not None and classified:
        pooled, labels = (torch.cat(column) for column in zip(*classified, strict=True))
        correct_knn = float((neighbours.classify(pooled) == labels).sum())
    gathered = processes.gather((loss_sum, batches, correct, correct_knn, images))
    loss_sum, batches, correct, correct_knn, images = (sum(column) for column in zip(*gathered, strict=True))
    values = {VALIDATION_LOSS: loss_sum / batches}
    if images:
        values["val_accuracy"] = correct / images
        if neighbours is not None:
            values["val_knn_accuracy"] = correct_knn / images
    return values


def record_validation(file: Path, step: int, values: dict[str, float]) -> None:
    """Records in ``file`` that the run was validated after ``step`` steps, so that a resumed run knows it."""
    write_text(file, json.dumps({"step": step, **values}) + "\n")


def validated_step(file: Path, finished_steps: int) -> int:
    """Returns the step after which the last recorded validation was made.

    Args:
        file: what ``record_validation`` writes.
        finished_steps: number of steps that the run has done.

    Returns:
        The step. It is 0 if no validation is recorded, if the file is damaged, or if the validation is of a later step,
        which a run that had to go back to an older checkpoint will do again.
    """
    try:
        step = int(json.loads(file.read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return step if step <= finished_steps else 0
