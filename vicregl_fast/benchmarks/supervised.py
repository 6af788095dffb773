"""The supervised twin of a training step: the same backbone learns classes, from one view of each image.

What a step of VICRegL takes over two of these is the price of loss, matching and heads.
"""

import torch
from torch import Tensor, nn

from vicregl_fast.benchmarks.prepared_step import RATE, PreparedStep
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.passes import compile_backbone, recompute_activations
from vicregl_fast.optim.build import build_optimizer

CLASSES = 1000


class SupervisedStep:
    """Trains the backbone of a prepared step, newly drawn, with a linear classifier and cross-entropy.

    Number format, memory format, compilation, optimiser and batch are those of the prepared step; the images are its
    first view, and the labels are drawn.

    Args:
        prepared: the step of which this is the twin.
        device: where it computes.

    Attributes:
        network: the backbone with its classifier.
        images: [n, 3, S, S].
        labels: int64 [n], below ``CLASSES``.
    """

    def __init__(self, prepared: PreparedStep, device: torch.device):
        config, train = prepared.config, prepared.config.train
        torch.manual_seed(config.seed)
        self.network = _Classifier(build_backbone(config.model.backbone_config)).to(device)
        if train.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(config.optim, self.network)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE
        if train.checkpoint_activations:
            recompute_activations(self.network.backbone)
        if train.compile:
            compile_backbone(self.network.backbone)
        self._precision = prepared.learner.step.precision
        self._scaler = self._precision.scaler()
        self.images = prepared.batch.views[0]
        self.labels = torch.randint(CLASSES, (len(self.images),)).to(device)

    def __call__(self) -> Tensor:
        """Takes one step, and returns its loss, a scalar."""
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision.autocast():
            logits = self.network(self.images)
        loss = nn.functional.cross_entropy(logits.float(), self.labels)
        self._scaler.scale(loss).backward()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return loss.detach()


class _Classifier(nn.Module):
    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone: Backbone = backbone
        self.linear = nn.Linear(backbone.channels, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """The logits [n, CLASSES] of images [n, 3, S, S]."""
        return self.linear(self.backbone(images).pooled)
