"""Every random choice of a view, drawn as arrays on the CPU: pure in (seed, epoch, sample, view)."""

from dataclasses import dataclass, fields
from itertools import permutations

import numpy as np

from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.geometry.boxes import sample_boxes
from vicregl_fast.philox import FACTORS_DRAW, FINISH_DRAW, FLIP_DRAW, JITTER_DRAW, sample_uniforms

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
_ORDERS = np.array(list(permutations((BRIGHTNESS, CONTRAST, SATURATION, HUE))), dtype=np.int8)


@dataclass(frozen=True)
class ViewParameters:
    """What is done to one view of b samples.

    `order[i]` lists sample i's colour operations, first to last; they are done only where `jitter`. `sigma`,
    in pixels of the view, counts only where `blur`.
    """

    boxes: np.ndarray  # int32[b, 4]: top, left, height, width in pixels of the stored image
    flips: np.ndarray  # bool[b]
    jitter: np.ndarray  # bool[b]
    order: np.ndarray  # int8[b, 4]
    brightness: np.ndarray  # float32[b], as contrast and saturation: 1 changes nothing
    contrast: np.ndarray
    saturation: np.ndarray
    hue: np.ndarray  # float32[b], turns: 0 changes nothing
    grey: np.ndarray  # bool[b]
    blur: np.ndarray  # bool[b]
    sigma: np.ndarray  # float32[b]
    solarise: np.ndarray  # bool[b]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, part: slice) -> "ViewParameters":
        return ViewParameters(**{field.name: getattr(self, field.name)[part] for field in fields(self)})


def draw_parameters(
    recipe: ViewRecipe,
    seed: int,
    epoch: int,
    view: int,
    indices: np.ndarray,
    heights: np.ndarray,
    widths: np.ndarray,
) -> ViewParameters:
    """Draws one view of the samples `indices` (int[b]), of these stored heights and widths in pixels."""
    flip, _, _, _ = sample_uniforms(seed, epoch, view, FLIP_DRAW, indices).T
    factors_b4 = sample_uniforms(seed, epoch, view, FACTORS_DRAW, indices)
    jitter, order, _, _ = sample_uniforms(seed, epoch, view, JITTER_DRAW, indices).T
    grey, blur, sigma, solarise = sample_uniforms(seed, epoch, view, FINISH_DRAW, indices).T
    return ViewParameters(
        boxes=sample_boxes(recipe.crop, seed, epoch, view, indices, heights, widths),
        flips=flip < recipe.flip_probability,
        jitter=jitter < recipe.jitter_probability,
        order=_ORDERS[(order * len(_ORDERS)).astype(np.int64)],
        brightness=_between(factors_b4[:, BRIGHTNESS], 1 - recipe.brightness, 1 + recipe.brightness),
        contrast=_between(factors_b4[:, CONTRAST], 1 - recipe.contrast, 1 + recipe.contrast),
        saturation=_between(factors_b4[:, SATURATION], 1 - recipe.saturation, 1 + recipe.saturation),
        hue=_between(factors_b4[:, HUE], -recipe.hue, recipe.hue),
        grey=grey < recipe.grey_probability,
        blur=blur < recipe.blur_probability,
        sigma=_between(sigma, *recipe.blur_sigma),
        solarise=solarise < recipe.solarise_probability,
    )


def _between(uniforms: np.ndarray, low: float, high: float) -> np.ndarray:
    return (low + (high - low) * uniforms).astype(np.float32)
