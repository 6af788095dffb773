"""Directions of matching: which view's cells look for neighbours in which other view."""

from dataclasses import dataclass

LARGE_VIEWS = 2
"""How many views of an image, its first ones, are large; any others are small (docs/method.md, Notation)."""


@dataclass(frozen=True)
class Direction:
    """Cells of view ``query`` look for their nearest neighbours in view ``neighbour``.

    Attributes:
        query, neighbour: numbers of the views, from 0.
        gamma: how many matches are kept for each sample, at most one for each cell of the query view; None keeps all.
        weight: of this direction's terms in the local criterion; those of one way of matching add up to 1.
    """

    query: int
    neighbour: int
    gamma: int | None
    weight: float
