"""Pairs of matched cells of two views."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Array = TypeVar("Array")
Other = TypeVar("Other")


class Matches(NamedTuple, Generic[Array]):
    """The kept matches of one direction, g for each of b samples, as NumPy arrays or as tensors.

    Attributes:
        queries: int64 [b, g], cells of the query view, numbered row by row; ascending in each sample.
        neighbours: int64 [b, g], the cell of the neighbour view that each query is matched with.
    """

    queries: Array
    neighbours: Array

    def map(self, function: Callable[[Array], Other]) -> "Matches[Other]":
        """Returns the matches with ``function`` applied to both arrays."""
        return Matches(function(self.queries), function(self.neighbours))
