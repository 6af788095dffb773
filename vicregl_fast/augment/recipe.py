"""How the views of an image are made: sizes, crop rules, strengths and probabilities of the distortions."""

from dataclasses import dataclass
from typing import Literal, get_args

from dataprep.errors import UserError
from vicregl_fast.augment.operations import ADJUSTMENTS, CHANCES
from vicregl_fast.geometry.crop_rule import CropRule
from vicregl_fast.geometry.directions import LARGE_VIEWS

RecipeName = Literal["two", "multicrop"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)
Backend = Literal["torch", "numba", "cuda"]
BackendChoice = Literal["auto", Backend]

OWN_LARGE_SCALE: dict[RecipeName, tuple[float, float]] = {"two": (0.08, 1.0), "multicrop": (0.4, 1.0)}
"""The range of ``large_scale`` that belongs to each recipe."""


@dataclass(frozen=True)
class ViewRecipe:
    """How one view is made.

    Attributes:
        size: side of the view in pixels.
        crop: ranges of the crop's area and ratio.
        blur_probability, solarise_probability, flip_probability, jitter_probability, grey_probability: how often an
            operation of ``operations.CHANCES`` is applied.
        brightness, contrast, saturation, hue: how far a factor of ``operations.ADJUSTMENTS`` may be from neutral.
        blur_sigma: least and largest standard deviation of the blur, in pixels of the view.
        solarise_threshold: levels (0 to 255) at or above it are inverted.

    Raises:
        UserError: a value is out of its range.
    """

    size: int
    crop: CropRule
    blur_probability: float
    solarise_probability: float
    flip_probability: float = 0.5
    jitter_probability: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grey_probability: float = 0.2
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarise_threshold: float = 128

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"a view's size is at least 1 pixel, not {self.size}")
        for chance in CHANCES:
            if not 0 <= (value := getattr(self, f"{chance.name}_probability")) <= 1:
                raise UserError(f"a view's {chance.name}_probability lies between 0 and 1, not at {value}")
        for each in ADJUSTMENTS:
            if not 0 <= (value := getattr(self, each.name)) <= each.most:
                raise UserError(f"a view's {each.name} lies between 0 and {each.most:g}, not at {value}")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise UserError(f"a view's blur_sigma is (low, high) with 0 < low <= high, not {self.blur_sigma}")


@dataclass(frozen=True)
class ViewsConfig:
    """Which views of every image are trained on.

    Attributes:
        recipe: `two` large views, or `multicrop`: two large and `small_count` small ones.
        large_size: side of the large views in pixels.
        small_size: side of the small views in pixels.
        large_scale: share of the image's area that a large view shows; if unset, (0.08, 1) for `two` and
            (0.4, 1) for `multicrop`.
        small_scale: share of the image's area that a small view shows.
        small_count: number of small views of `multicrop`.
        backend: what makes the views: `torch` (the readable reference), `numba` (on the CPU), `cuda` (Numba kernels on
            the GPU); `auto` takes numba for a CPU, and for a GPU cuda if numba-cuda can be used, else torch.

    Raises:
        UserError: a value is out of its range.
    """

    recipe: RecipeName = "two"
    large_size: int = 224
    small_size: int = 96
    large_scale: tuple[float, float] | None = None
    small_scale: tuple[float, float] = (0.08, 0.4)
    small_count: int = 6
    backend: BackendChoice = "auto"

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise UserError(f"the views' recipe is one of {', '.join(RECIPES)}, not {self.recipe!r}")
        if self.small_count < 0:
            raise UserError(f"the views' small_count is at least 0, not {self.small_count}")
        view_recipes(self)


def view_recipes(config: ViewsConfig) -> tuple[ViewRecipe, ...]:
    """Returns the recipe of every view, the large ones first."""
    large = CropRule(config.large_scale or OWN_LARGE_SCALE[config.recipe])
    views = _group(LARGE_VIEWS, config.large_size, large)
    if config.recipe == "multicrop":
        views += _group(config.small_count, config.small_size, CropRule(config.small_scale))
    return views


def _group(count: int, size: int, crop: CropRule) -> tuple[ViewRecipe, ...]:
    """``count`` recipes, numbered from 0: even views are always blurred, odd ones rarely, and some solarised."""
    even = ViewRecipe(size, crop, blur_probability=1.0, solarise_probability=0.0)
    odd = ViewRecipe(size, crop, blur_probability=0.1, solarise_probability=0.2)
    return tuple(odd if view % 2 else even for view in range(count))
