"""Every random choice of a view, as arrays on the CPU: a pure function of (seed, epoch, sample, view).

Shape letters: b samples, a adjustments (``ADJUSTMENTS``), c chances (``CHANCES``).
"""

from dataclasses import dataclass, fields, replace
from itertools import permutations

import numpy as np

from vicregl_fast.augment.operations import (
    ADJUSTMENTS,
    CHANCES,
    ORDER_WORD,
    SIGMA_WORD,
    Adjustment,
    Word,
)
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.geometry.boxes import sample_boxes
from vicregl_fast.philox import sample_uniforms

CHANCE_NAMES = tuple(each.name for each in CHANCES)
ADJUSTMENT_NAMES = tuple(each.name for each in ADJUSTMENTS)
_ORDERS = np.array(list(permutations(range(len(ADJUSTMENTS)))), dtype=np.int8)


@dataclass(frozen=True)
class ViewParameters:
    """What is done to one view of b samples.

    Attributes:
        boxes: int32 [b, 4], (top, left, height, width) in pixels of the stored image.
        chosen: bool [b, c], which of the chances happen.
        order: int8 [b, a], numbers of the adjustments, first to last; used only where the jitter is chosen.
        factors: float32 [b, a], one for each adjustment, in the order of their table.
        sigma: float32 [b], of the blur, in pixels of the view; used only where the blur is chosen.
    """

    boxes: np.ndarray
    chosen: np.ndarray
    order: np.ndarray
    factors: np.ndarray
    sigma: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, part: slice) -> "ViewParameters":
        return ViewParameters(**{field.name: getattr(self, field.name)[part] for field in fields(self)})

    @classmethod
    def of_crops(cls, boxes: np.ndarray) -> "ViewParameters":
        """Returns the parameters of views that are these crops, int32 [b, 4], and no more."""
        count = len(boxes)
        return cls(
            boxes,
            np.zeros((count, len(CHANCES)), bool),
            np.tile(_ORDERS[0], (count, 1)),
            np.tile(np.array([each.neutral for each in ADJUSTMENTS], np.float32), (count, 1)),
            np.ones(count, np.float32),
        )

    def column(self, name: str) -> np.ndarray:
        """Returns whether the chance of this name happens, bool [b], or the adjustment's factors, float32 [b].

        The array shares its memory with the parameters, so that writing to it changes them.
        """
        if name in CHANCE_NAMES:
            return self.chosen[:, CHANCE_NAMES.index(name)]
        return self.factors[:, ADJUSTMENT_NAMES.index(name)]

    @property
    def flips(self) -> np.ndarray:
        """Which views are mirrored, bool [b]."""
        return self.column("flip")

    def only(self, *names: str) -> "ViewParameters":
        """Returns the same parameters, but with exactly the chances ``names`` happening, to every sample."""
        chosen = np.array([name in names for name in CHANCE_NAMES])
        return replace(self, chosen=np.tile(chosen, (len(self), 1)))


def draw_parameters(
    recipe: ViewRecipe,
    seed: int,
    epoch: int,
    view: int,
    indices: np.ndarray,
    heights: np.ndarray,
    widths: np.ndarray,
) -> ViewParameters:
    """Draws the parameters of one view of b samples.

    Args:
        recipe: ranges and probabilities.
        seed, epoch, view: key and counter, except the sample.
        indices: int [b], the samples' indices in the store.
        heights, widths: int [b], sizes of the stored images in pixels.
    """
    drawn: dict[int, np.ndarray] = {}

    def uniform(word: Word) -> np.ndarray:
        if word.draw not in drawn:
            drawn[word.draw] = sample_uniforms(seed, epoch, view, word.draw, indices)
        return drawn[word.draw][:, word.place]

    def factor(each: Adjustment) -> np.ndarray:
        strength = getattr(recipe, each.name)
        return _between(uniform(each.word), each.neutral - strength, each.neutral + strength)

    return ViewParameters(
        boxes=sample_boxes(recipe.crop, seed, epoch, view, indices, heights, widths),
        chosen=np.stack([uniform(each.word) < getattr(recipe, f"{each.name}_probability") for each in CHANCES], axis=1),
        order=_ORDERS[(uniform(ORDER_WORD) * len(_ORDERS)).astype(np.int64)],
        factors=np.stack([factor(each) for each in ADJUSTMENTS], axis=1),
        sigma=_between(uniform(SIGMA_WORD), *recipe.blur_sigma),
    )


def _between(uniforms: np.ndarray, low: float, high: float) -> np.ndarray:
    return (low + (high - low) * uniforms).astype(np.float32)
