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
        finite: whether loss and gradients were numbers; if not, nothing was updated.
    """

    loss: float
    named: dict[str, Tensor]
    finite: bool


class TrainingStep:
    """Applies batches to a network.

    Args:
        network: a ``VICRegLNetwork``, perhaps compiled or wrapped for several processes.
        criterion: the loss.
        optimizer: over the network's parameters.
        precision: of the forward pass.
        clip_norm: largest gradient norm, or None.
        classifier: the network's online classifier: its gradient has no part in the norm that is logged and clipped.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: VICRegLLoss,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        clip_norm: float | None = None,
        classifier: nn.Module | None = None,
    ):
        self.network, self.criterion, self.optimizer = network, criterion, optimizer
        self.precision, self.scaler, self.clip_norm = precision, precision.scaler(), clip_norm
        self._online = [] if classifier is None else list(classifier.parameters())
        online = {id(parameter) for parameter in self._online}
        self._learning = [p for p in network.parameters() if id(p) not in online]
        buffers = list(network.buffers())
        # One list a dtype, for one kernel each.
        self._buffers = [[b for b in buffers if b.dtype == dtype] for dtype in {b.dtype for b in buffers}]
        self._buffers_before = [[buffer.clone() for buffer in group] for group in self._buffers]

    def __call__(self, batch: ViewBatch, learning_rate: float, details: bool = False) -> StepResult:
        """One step at this learning rate. Where it is not finite, parameters and buffers stay as they are.

        With ``details`` the result's ``named`` holds those of the loss, too (``LossTerms.details``).
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        _copy(self._buffers, self._buffers_before)
        loss, named, objective = self.losses(batch, details)
        self.scaler.scale(objective).backward()
        self.scaler.unscale_(self.optimizer)
        norm = _gradient_norm(self._learning)
        value = loss.item()
        # The same on every rank: the loss is the whole batch's, and gradients are averaged.
        finite = bool(torch.isfinite(loss + norm + _gradient_norm(self._online).to(norm)))
        if finite:
            if self.clip_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(self._learning, self.clip_norm, norm)
            self.scaler.step(self.optimizer)
        else:  # a running average never gets rid of what is no number
            _copy(self._buffers_before, self._buffers)
        self.scaler.update()
        return StepResult(value, {**named, "gradient_norm": norm}, finite)

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


def _gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def _copy(source: list[list[Tensor]], target: list[list[Tensor]]) -> None:
    for from_group, to_group in zip(source, target, strict=True):
        torch._foreach_copy_(to_group, from_group)
