"""From which view to which cells are matched."""

from dataclasses import dataclass

LARGE_VIEWS = 2
"""The first two views of an image are the large ones; the others, if there are any, are small (paper, section 3.3)."""


@dataclass(frozen=True)
class Direction:
    """Cells of view ``query`` look for their nearest neighbours in view ``neighbour``.

    Attributes:
        query, neighbour: numbers of the views, from 0.
        gamma: matches kept for each sample, at most the query view's cells; None keeps every cell.
        weight: this direction's share in the local criterion.
    """

    query: int
    neighbour: int
    gamma: int | None
    weight: float
