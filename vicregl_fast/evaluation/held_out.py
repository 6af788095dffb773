"""Chooses among learning rates on images held out of the training images; the test images have no say."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.draws import HOLDING_OUT_EPOCH
from vicregl_fast.philox import permutation

HELD_OUT = 0.1
"""Share of the training images on which a learning rate is chosen."""


class HeldOut:
    """Which training images are held out: none where there is nothing to choose.

    Args:
        images: number of training images.
        rates: number of learning rates.
        named: what the images are called in messages.

    Raises:
        UserError: there are too few images to hold some out.
    """

    def __init__(self, images: int, rates: int, named: str | Path):
        self._images, self._count = images, int(images * HELD_OUT) if rates > 1 else 0
        if rates > 1 and self._count == 0:
            raise UserError(f"{named} has too few images to hold some out ({images}): give one --lr")

    def split(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The images held out, in drawn order, and those learned from, sorted: int64 each."""
        order = permutation(seed, HOLDING_OUT_EPOCH, self._images)
        return order[: self._count], np.sort(order[self._count :])


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no value in these tensors is infinite or NaN."""
    return all(bool(torch.isfinite(each).all()) for each in tensors)


def finite_rates(finite: Sequence[bool], rates: Sequence[float]) -> list[int]:
    """The numbers of the rates at which all that was trained stayed finite; a note names the others.

    Args:
        finite: for each rate, whether it did.
        rates: learning rates.

    Raises:
        UserError: there is none.
    """
    diverged = ", ".join(f"{rate:g}" for rate, each in zip(rates, finite, strict=True) if not each)
    if not any(finite):
        raise UserError(f"training diverged at --lr {diverged}, to non-finite values: lower --lr")
    if diverged:
        note(f"training diverged at the learning rate {diverged}, which is left out of the choice")
    return [number for number, each in enumerate(finite) if each]


def best_rate(scores: Sequence[float], rates: Sequence[float], images: int, measure: str) -> int:
    """The number of the rate with the best score, in percent, on the ``images`` held out; a note says which it is."""
    chosen = max(range(len(scores)), key=scores.__getitem__)
    note(
        f"of {len(scores)} learning rates {rates[chosen]:g} is taken, the best on {images} training images held out "
        f"({measure} {scores[chosen]:.1f}%)"
    )
    return chosen
