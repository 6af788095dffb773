"""One training step: forward, loss, backward, update."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.training.precision import Precision


@dataclass(frozen=True)
class StepResult:
    """What one step did.

    Attributes:
        loss: the VICRegL loss, without the online classifier's.
        named: its terms, and the classifier's loss and accuracy where there are labels; scalars on the device.
        finite: whether loss and gradients were numbers.
        applied: whether the parameters were updated.
    """

    loss: float
    named: dict[str, Tensor]
    finite: bool
    applied: bool


class TrainingStep:
    """Applies batches to a network.

    Args:
        network: a ``VICRegLNetwork``, perhaps compiled or wrapped for several processes.
        criterion: the loss.
        optimizer: over the network's parameters.
        precision: of the forward pass.
        clip_norm: largest gradient norm, or None.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: VICRegLLoss,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        clip_norm: float | None = None,
    ):
        self.network, self.criterion, self.optimizer = network, criterion, optimizer
        self.precision, self.scaler, self.clip_norm = precision, precision.scaler(), clip_norm

    def __call__(self, batch: ViewBatch, learning_rate: float, details: bool = False) -> StepResult:
        """One step at this learning rate. Where loss or gradients are not finite, the parameters stay as they are.

        With ``details`` the result's ``named`` holds those of the loss, too (``LossTerms.details``).
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss, named, objective = self.losses(batch, details)
        self.scaler.scale(objective).backward()
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        value, gradients_finite = loss.item(), bool(torch.isfinite(norm))
        finite = bool(torch.isfinite(loss)) and gradients_finite
        if self.clip_norm is not None and finite:
            torch.nn.utils.clip_grads_with_norm_(self.network.parameters(), self.clip_norm, norm)
        if gradients_finite:  # the same on every rank, since gradients are averaged
            self.scaler.step(self.optimizer)
        self.scaler.update()
        return StepResult(value, {**named, "gradient_norm": norm}, finite, gradients_finite)

    def losses(self, batch: ViewBatch, details: bool = False) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The VICRegL loss, its named terms, and what is differentiated (the classifier's loss included)."""
        with self.precision.autocast():
            outputs = self.network(batch.views)
        terms = self.criterion(outputs.embeddings, outputs.maps, batch.matches, details)
        named, objective = terms.named | terms.details, terms.total
        if outputs.logits is not None and batch.labels is not None:
            logits = outputs.logits.float()
            classifier_loss = nn.functional.cross_entropy(logits, batch.labels)
            objective = objective + classifier_loss
            named["online_loss"] = classifier_loss.detach()
            named["online_accuracy"] = (logits.argmax(1) == batch.labels).float().mean()
        return terms.total.detach(), named, objective
