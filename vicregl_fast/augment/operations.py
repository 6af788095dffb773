"""The operations that follow a view's crop: what they are called, how strong they may be, and what draws them.

One table for each kind. From them come the columns of ``ViewParameters``, the orders of the jitter, the checks of a
``ViewRecipe``, the records of the CUDA kernels, and the rows of ``bench augment``.
"""

from typing import NamedTuple

from vicregl_fast.draws import FACTORS_DRAW, FINISH_DRAW, FLIP_DRAW, JITTER_DRAW


class Word(NamedTuple):
    """One of the four random words of a draw of the sample's counter."""

    draw: int
    place: int


class Adjustment(NamedTuple):
    """A colour operation of the jitter. Its factor is uniform in ``neutral`` ± the recipe's field of this name.

    Attributes:
        name: also of the recipe's field.
        neutral: the factor that changes nothing.
        most: the largest strength that a recipe may ask for.
        word: from which the factor is drawn.
    """

    name: str
    neutral: float
    most: float
    word: Word


class Chance(NamedTuple):
    """An operation that happens to some views: with probability ``{name}_probability`` of the recipe."""

    name: str
    word: Word


ADJUSTMENTS = (
    Adjustment("brightness", neutral=1.0, most=1.0, word=Word(FACTORS_DRAW, 0)),
    Adjustment("contrast", neutral=1.0, most=1.0, word=Word(FACTORS_DRAW, 1)),
    Adjustment("saturation", neutral=1.0, most=1.0, word=Word(FACTORS_DRAW, 2)),
    Adjustment("hue", neutral=0.0, most=0.5, word=Word(FACTORS_DRAW, 3)),  # in turns
)
"""The jitter does all of them, in an order that is drawn for each sample."""
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(len(ADJUSTMENTS))
ORDER_WORD = Word(JITTER_DRAW, 1)

CHANCES = (
    Chance("flip", Word(FLIP_DRAW, 0)),
    Chance("jitter", Word(JITTER_DRAW, 0)),
    Chance("grey", Word(FINISH_DRAW, 0)),
    Chance("blur", Word(FINISH_DRAW, 1)),
    Chance("solarise", Word(FINISH_DRAW, 3)),
)
"""In the order in which they follow the crop."""
FLIP, JITTER, GREY, BLUR, SOLARISE = range(len(CHANCES))
SIGMA_WORD = Word(FINISH_DRAW, 2)
