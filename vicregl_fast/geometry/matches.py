"""Which cells of two views meet."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Array = TypeVar("Array")
Other = TypeVar("Other")


class Matches(NamedTuple, Generic[Array]):
    """The matches that are kept of one direction, as NumPy arrays or as tensors.

    Attributes:
        queries: cells of the query view, counted row by row; int64 [b, g], ascending in each sample.
        neighbours: the cell of the neighbour view that each is matched with; int64 [b, g].
    """

    queries: Array
    neighbours: Array

    def map(self, function: Callable[[Array], Other]) -> "Matches[Other]":
        """The same with ``function`` applied to both arrays."""
        return Matches(function(self.queries), function(self.neighbours))
