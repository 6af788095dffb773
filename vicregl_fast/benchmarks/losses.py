"""Measures the loss alone, beside its direct formulation, on random inputs of the sizes that training has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.benchmarks.direct_loss import direct_global, direct_local
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.memory import peak_bytes
from vicregl_fast.benchmarks.timing import in_a_row, time_side_by_side
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.geometry.matching import match_cells
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss

CRITERIA = {
    "global": LossConfig(alpha=1.0),
    "local": LossConfig(alpha=0.0),
    "local_official": LossConfig(alpha=0.0, preset="official"),
    "local_all_cells": LossConfig(alpha=0.0, gamma_large=1 << 16, gamma_small=1 << 16),
}


@dataclass(frozen=True)
class LossSizes:
    """How large the inputs of the loss are.

    Attributes:
        batch_size: number of samples.
        grids: cells along a side of each view's map.
        expander: width of the global embeddings.
        projector: width of the local embeddings.
    """

    batch_size: int
    grids: tuple[int, ...]
    expander: int
    projector: int


def bench_loss(device: torch.device, sizes: LossSizes, repeats: int) -> Iterator[Measurement]:
    """Measures forward and backward of each of ``CRITERIA``, in turns with its direct formulation.

    Yields seconds, their ratios and, where it can be measured, peak memory in MiB. ``loss.local_over_official`` is the
    time of the ``official`` preset's local criterion in its direct formulation, over that of our default local
    criterion. For ``loss.memory_ratio`` each criterion's peak is divided by that of its direct formulation; it is the
    largest of these quotients. Each time is the median of ``repeats`` durations.
    """
    ratios: list[float] = []
    medians: dict[str, float] = {}
    for name, config in CRITERIA.items():
        inputs = LossInputs(sizes, config, device)
        calls = {"": inputs.ours, "direct.": inputs.direct}
        seconds = time_side_by_side(calls, device, repeats, in_a_row(device))
        rows = [Measurement.of(f"loss.{prefix}{name}", seconds[prefix], "s") for prefix in calls]
        medians |= {row.name: row.value for row in rows}
        yield from rows
        yield Measurement.speedup(f"loss.{name}_speedup", seconds[""], seconds["direct."])
        peaks = []
        for call in calls.values():
            inputs.forget_gradients()
            peaks.append(peak_bytes(call, device))
        known = [peak for peak in peaks if peak]  # a peak is 0 where the process already held enough memory
        if len(known) == len(calls):
            for prefix, peak in zip(calls, known, strict=True):
                yield Measurement.of(f"loss.{prefix}{name}.peak", [peak / 2**20], "MiB")
            ratios.append(known[0] / known[1])
    published, default = medians["loss.direct.local_official"], medians["loss.local"]
    yield Measurement.ratio("loss.local_over_official", published, default)
    if ratios:
        yield Measurement.ratio("loss.memory_ratio", max(ratios), 1.0)


class LossInputs:
    """Random embeddings, maps and crops, and the loss on them in both formulations.

    In ``config`` either the global criterion or the local one is on.
    """

    def __init__(self, sizes: LossSizes, config: LossConfig, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(device).requires_grad_()

        n = sizes.batch_size
        self.config = config
        self.criterion = VICRegLLoss(config, len(sizes.grids))
        self.embeddings = [drawn(n, sizes.expander) for _ in sizes.grids] if config.alpha > 0 else []
        self.maps = [drawn(n, grid**2, sizes.projector) for grid in sizes.grids] if config.alpha < 1 else []
        boxes = [drawn_boxes(n, view) for view in range(len(sizes.grids))]
        self.location: dict[Direction, Matches[Tensor]] = {}
        for direction in self.criterion.plan.location:
            a, b = direction.query, direction.neighbour
            kept = direction.gamma or sizes.grids[a] ** 2
            matches = match_cells(*boxes[a], sizes.grids[a], *boxes[b], sizes.grids[b], kept)
            self.location[direction] = matches.map(lambda cells: torch.from_numpy(cells).to(device))

    def ours(self) -> Tensor:
        """Forms the loss as training does; leaves its gradients in the inputs, and returns its value."""
        return self._backward(lambda: self.criterion(self.embeddings, self.maps, self.location).total)

    def direct(self) -> Tensor:
        """Forms the loss by ``direct_loss``; leaves its gradients in the inputs, and returns its value."""
        if self.embeddings:
            return self._backward(lambda: direct_global(self.embeddings))
        return self._backward(lambda: direct_local(self.maps, self.location, self.config))

    def forget_gradients(self) -> None:
        """Frees the gradients that the last call left."""
        for tensor in (*self.embeddings, *self.maps):
            tensor.grad = None

    def _backward(self, loss: Callable[[], Tensor]) -> Tensor:
        self.forget_gradients()
        value = loss()
        value.backward()
        return value.detach()


def drawn_boxes(count: int, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Random crops of images of 500 x 500 pixels; ``view`` is the seed.

    Returns:
        Boxes (top, left, height, width) in pixels, int64 [count, 4], and whether each is flipped, bool [count].
    """
    random = np.random.default_rng(view)
    sides = random.integers(100, 400, (count, 2))
    return np.concatenate([random.integers(0, 500 - sides), sides], axis=1), random.random(count) < 0.5
