"""Notes the curve of a run while it trains. The clock stands still while the network is judged."""

import time
from collections.abc import Callable, Collection

import torch

from vicregl_fast.benchmarks.quality.curve import Curve, Point
from vicregl_fast.devices import synchronize
from vicregl_fast.models.backbone import Backbone

Judge = Callable[[Backbone], float]
"""The accuracy in percent of a backbone in eval mode."""


class Recorder:
    """A curve in the making. Make it before anything that the run needs: what comes before ``start`` is preparation.

    Args:
        name: of the curve.
        judge: gives the accuracy.
        epochs: those after which the network is judged.
        device: where it trains.
        noted: is given the curve so far after each point.
    """

    def __init__(
        self, name: str, judge: Judge, epochs: Collection[int], device: torch.device, noted: Callable[[Curve], None]
    ):
        self._name, self._judge, self._epochs, self._device, self._noted = name, judge, epochs, device, noted
        self._points: list[Point] = []
        self._made = time.perf_counter()
        self._preparation = self._seconds = 0.0

    def start(self) -> None:
        """Says that the first step comes next."""
        synchronize(self._device)
        self._begun = time.perf_counter()
        self._preparation = self._begun - self._made

    def epoch_ended(self, epoch: int, images: int, backbone: Backbone) -> None:
        """Judges the backbone, if the epoch is one of those.

        Args:
            epoch: epochs done.
            images: images seen since ``start``.
            backbone: keeps its mode.
        """
        if epoch not in self._epochs:
            return
        synchronize(self._device)
        self._seconds += time.perf_counter() - self._begun
        was_training = backbone.training
        backbone.eval()
        with torch.compiler.set_stance("force_eager"):  # else compiled graphs would be made for this alone
            accuracy = self._judge(backbone)
        backbone.train(was_training)
        self._points.append(Point(epoch, images, self._seconds, accuracy))
        self._noted(self.curve())
        synchronize(self._device)
        self._begun = time.perf_counter()

    def curve(self) -> Curve:
        """What was noted."""
        return Curve(self._name, self._preparation, tuple(self._points))


def judged_epochs(epochs: int, points: int) -> list[int]:
    """At most so many epochs of a run, evenly spread, the last among them."""
    wanted = min(points, epochs)
    return [round(epochs * (place + 1) / wanted) for place in range(wanted)]
