"""One training step: forward pass, loss, backward pass, update."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.losses.vicregl import LossTerms, VICRegLLoss
from vicregl_fast.training.buffers import NetworkBuffers
from vicregl_fast.training.passes import ChunkedPasses, WholePasses
from vicregl_fast.training.precision import Precision, tell_scaler
from vicregl_fast.training.stopwatch import UNWATCHED, Clock


@dataclass(frozen=True)
class BatchLosses:
    """The losses of one batch.

    Attributes:
        terms: the VICRegL loss, over the global batch, without the online classifier's.
        online: ``online_loss`` and ``online_accuracy`` of the classifier on this rank's samples, detached scalars;
            empty without a classifier or labels.
        objective: the sum of both losses, a scalar, of which the gradient is taken.
        pooled: features of the first view, detached [n, C].
    """

    terms: LossTerms
    online: dict[str, Tensor]
    objective: Tensor
    pooled: Tensor


@dataclass(frozen=True)
class StepResult:
    """The result of one step. Its tensors are on the device, and whoever reads one waits for the step.

    They are scalars, but for ``pooled``. Copies are to be made of what is needed after the next step.

    Attributes:
        loss: the VICRegL loss over the global batch, without the online classifier's.
        figures: the terms of the loss, the figures of the online classifier (``BatchLosses.online``), and
            ``gradient_norm`` before clipping.
        finite: whether loss and gradients were finite, bool; if not, nothing was updated.
        details: computes more figures of the batch (``LossTerms.details``); every rank must call it, or none.
        pooled: features of the first view of this rank's samples, detached [n, C].
        scale: of the gradient scaler after the step; None without one.
    """

    loss: Tensor
    figures: dict[str, Tensor]
    finite: Tensor
    details: Callable[[], dict[str, Tensor]]
    pooled: Tensor
    scale: Tensor | None = None


class TrainingStep:
    """Trains a network on one batch at a time, without waiting for the device.

    Args:
        network: a ``VICRegLNetwork``, which may be compiled and wrapped in DistributedDataParallel.
        criterion: the loss.
        optimizer: the optimiser of the network's parameters, which must heed ``grad_scale`` and ``found_inf`` as
            torch's fused ones do.
        precision: the number format of the forward pass.
        clip_norm: largest gradient norm; None for no clipping.
        classifier: the network's online classifier, or None. Its gradient is left out of the norm that is logged and
            clipped.
        chunk: the most samples that pass the network at once (``ChunkedPasses``); None for all of them.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: VICRegLLoss,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        clip_norm: float | None = None,
        classifier: nn.Module | None = None,
        chunk: int | None = None,
    ):
        self.network, self.criterion, self.optimizer = network, criterion, optimizer
        self.precision, self.scaler, self.clip_norm = precision, precision.scaler(), clip_norm
        self._buffers = NetworkBuffers(network)
        whole = network, precision, self._buffers
        self._passes = ChunkedPasses(*whole, chunk) if chunk else WholePasses(*whole)
        self._online = [] if classifier is None else list(classifier.parameters())
        online = {id(parameter) for parameter in self._online}
        self._learning = [p for p in network.parameters() if id(p) not in online]

    def __call__(self, batch: ViewBatch, learning_rate: float | Tensor, clock: Clock = UNWATCHED) -> StepResult:
        """Takes one step at this learning rate, and marks its parts: forward, loss, backward, optimizer.

        If loss or gradients are non-finite, parameters, buffers and the optimiser's state stay as they were.
        """
        clock.mark("forward")
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        self._buffers.remember()
        losses = self.losses(batch, clock)
        clock.mark("backward")
        self._passes.backward(self.scaler.scale(losses.objective))
        clock.mark("optimizer")
        scale = self._scale(losses.objective)
        norm = _gradient_norm(self._learning)  # the optimiser divides by the scale
        if scale is not None:
            norm = norm / scale
        loss = losses.terms.total.detach()
        # All ranks decide the same: the loss is that of the global batch, and gradients are averaged over ranks.
        total = loss + norm
        if self._online:
            total = total + _gradient_norm(self._online)
        finite = torch.isfinite(total)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._learning, self.clip_norm, norm)
        found_inf = 1 - finite.float()  # 1 keeps everything as it is
        self.optimizer.grad_scale, self.optimizer.found_inf = scale, found_inf  # type: ignore[attr-defined]
        self.optimizer.step()
        self._buffers.restore_where(~finite)
        if scale is not None:
            tell_scaler(self.scaler, self.optimizer, found_inf)
            self.scaler.update()
            scale = self._scale(losses.objective)
        figures = {**losses.terms.by_name, **losses.online, "gradient_norm": norm}
        return StepResult(loss, figures, finite, losses.terms.details, losses.pooled, scale)

    def _scale(self, like: Tensor) -> Tensor | None:
        return self.scaler.scale(torch.ones_like(like.detach())) if self.scaler.is_enabled() else None

    def losses(self, batch: ViewBatch, clock: Clock = UNWATCHED) -> BatchLosses:
        """Returns the VICRegL loss of a batch, with the online classifier's if there are a classifier and labels."""
        outputs = self._passes.forward(batch.views)
        clock.mark("loss")
        terms = self.criterion(outputs.embeddings, outputs.maps, batch.matches)
        if outputs.logits is None or batch.labels is None:
            return BatchLosses(terms, {}, terms.total, outputs.pooled)
        logits = outputs.logits.float()
        online_loss = nn.functional.cross_entropy(logits, batch.labels)
        online_accuracy = (logits.argmax(1) == batch.labels).float().mean()
        online = {"online_loss": online_loss.detach(), "online_accuracy": online_accuracy}
        return BatchLosses(terms, online, terms.total + online_loss, outputs.pooled)


def _gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
