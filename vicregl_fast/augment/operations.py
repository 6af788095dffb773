"""The operations that follow a view's crop: their names, their greatest strengths, and the words that draw them.

There is one table for each kind. The tables decide the columns of ``ViewParameters``, the orders of the jitter, the
checks of a ``ViewRecipe``, the records of the CUDA kernels, and the rows of ``bench augment``.
"""

from typing import NamedTuple

from vicregl_fast.draws import FACTORS_DRAW, FINISH_DRAW, FLIP_DRAW, JITTER_DRAW


class Word(NamedTuple):
    """One of the four random words of a draw of the sample's counter.

    Attributes:
        draw: number of the draw, from ``draws.py``.
        place: which of its words, 0 to 3.
    """

    draw: int
    place: int


class Adjustment(NamedTuple):
    """A colour operation of the jitter. Its factor is uniform in ``neutral`` ± strength.

    Attributes:
        name: of the operation, and of the field of ``ViewRecipe`` that holds the strength.
        neutral: the factor that changes nothing.
        most: the greatest strength that a recipe may ask for.
        word: the random word from which the factor is drawn.
    """

    name: str
    neutral: float
    most: float
    word: Word


class Chance(NamedTuple):
    """An operation that is applied to some views only, at random.

    Attributes:
        name: of the operation; the field ``{name}_probability`` of ``ViewRecipe`` holds its probability.
        word: the random word that decides.
    """

    name: str
    word: Word


ADJUSTMENTS = (
    Adjustment("brightness", neutral=1.0, most=1.0, word=Word(FACTORS_DRAW, 0)),
    Adjustment("contrast", neutral=1.0, most=1.0, word=Word(FACTORS_DRAW, 1)),
    Adjustment("saturation", neutral=1.0, most=1.0, word=Word(FACTORS_DRAW, 2)),
    Adjustment("hue", neutral=0.0, most=0.5, word=Word(FACTORS_DRAW, 3)),  # in turns of the colour wheel
)
"""The colour jitter applies all of them, in an order that is drawn for each sample."""
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(len(ADJUSTMENTS))
ORDER_WORD = Word(JITTER_DRAW, 1)
"""The random word that decides the order of the adjustments."""

CHANCES = (
    Chance("flip", Word(FLIP_DRAW, 0)),
    Chance("jitter", Word(JITTER_DRAW, 0)),
    Chance("grey", Word(FINISH_DRAW, 0)),
    Chance("blur", Word(FINISH_DRAW, 1)),
    Chance("solarise", Word(FINISH_DRAW, 3)),
)
"""In the order in which they are applied after the crop."""
FLIP, JITTER, GREY, BLUR, SOLARISE = range(len(CHANCES))
SIGMA_WORD = Word(FINISH_DRAW, 2)
"""The random word from which the blur's sigma is drawn."""

GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey level (ITU-R 601-2)."""
