"""The accuracy of a backbone in training, against the time and the images that it took."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataprep.notes import note
from vicregl_fast.benchmarks.measurements import Measurement


@dataclass(frozen=True)
class Point:
    """What is noted at the end of an epoch.

    Attributes:
        epoch: epochs done.
        images: images seen, each counted once an epoch however many views it has.
        seconds: of training, without judging.
        accuracy: of k-NN, in percent.
    """

    epoch: int
    images: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Curve:
    """The points of one run.

    Attributes:
        name: who trained, such as ``ours``.
        preparation: seconds before the first step, such as those of a conversion; the points' seconds come after them.
        points: in the order of epochs, at least one.
    """

    name: str
    preparation: float
    points: tuple[Point, ...]

    @property
    def best(self) -> float:
        """The highest accuracy."""
        return max(point.accuracy for point in self.points)

    def seconds_to(self, accuracy: float) -> float | None:
        """The seconds after which this accuracy was first seen to be reached; None if it never was."""
        return next((point.seconds for point in self.points if point.accuracy >= accuracy), None)

    def rows(self) -> Iterator[Measurement]:
        """Every point, then the figures of the whole run."""
        for point in self.points:
            place = f"quality.{self.name}.epoch_{point.epoch}"
            yield Measurement.of(f"{place}.images", [point.images], "images")
            yield Measurement.of(f"{place}.seconds", [point.seconds], "s")
            yield Measurement.of(f"{place}.accuracy", [point.accuracy], "%")
        last = self.points[-1]
        yield Measurement.of(f"quality.{self.name}.preparation", [self.preparation], "s")
        yield Measurement.of(f"quality.{self.name}.seconds", [last.seconds], "s")
        yield Measurement.rate(f"quality.{self.name}.images_per_second", last.images, [last.seconds], "images/s")
        yield Measurement.of(f"quality.{self.name}.accuracy", [last.accuracy], "%")
        yield Measurement.of(f"quality.{self.name}.best_accuracy", [self.best], "%")


def rows_of_curves(curves: Sequence[Curve]) -> Iterator[Measurement]:
    """The rows of one method's curves, one for each seed, whose figures are the samples."""
    for rows in zip(*(curve.rows() for curve in curves), strict=True):
        yield Measurement.of(rows[0].name, [row.value for row in rows], rows[0].unit)


def rows_of_targets(
    methods: Sequence[Sequence[Curve]], targets: Sequence[float], untrained: float
) -> Iterator[Measurement]:
    """The seconds of each method to each accuracy that it reaches with every seed, and how many times ours is faster.

    What the untrained network reaches is no target, and neither is what was seen at the end alone: a note says which
    are left out.

    Args:
        methods: the curves of each, one for each seed; the first method is ours.
        targets: the accuracies in percent; with none of them, the highest that all curves reach.
        untrained: accuracy of the untrained network in percent, the highest of all seeds.
    """
    if not targets and min(len(curve.points) for curves in methods for curve in curves) < 2:
        note(
            "each network was judged at its end alone, so that there are no seconds to an accuracy: give more --points"
        )
        return
    for target in targets or [min(curve.best for curves in methods for curve in curves)]:
        if target <= untrained:
            note(f"{target:.4g}% is no target, since the untrained network reaches {untrained:.4g}%")
            continue
        yield from _rows_of_target(methods, target)


def _rows_of_target(methods: Sequence[Sequence[Curve]], target: float) -> Iterator[Measurement]:
    reached = {}
    for curves in methods:
        seconds = [found for curve in curves if (found := curve.seconds_to(target)) is not None]
        if len(seconds) == len(curves):
            reached[curves[0].name] = seconds
            yield Measurement.of(f"quality.{curves[0].name}.seconds_to_{target:.4g}_percent", seconds, "s")
    ours = methods[0][0].name
    for other in reached if ours in reached else ():
        if other != ours:
            name = f"quality.{ours}.speedup_over_{other}_to_{target:.4g}_percent"
            yield Measurement.speedup(name, reached[ours], reached[other])
