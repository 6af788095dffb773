"""Seconds to an accuracy are those of the first point that reaches it, and the speed-up is of two such."""

import pytest

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.quality.curve import Curve, Point, rows_of_curves, rows_of_targets

OURS = Curve("ours", 0.5, (Point(1, 100, 2.0, 10.0), Point(2, 200, 4.0, 30.0), Point(3, 300, 6.0, 28.0)))
OTHER = Curve("other", 0.25, (Point(1, 100, 5.0, 20.0), Point(2, 200, 10.0, 25.0), Point(3, 300, 15.0, 26.0)))


def test_seconds_to_an_accuracy() -> None:
    assert OURS.best == 30.0
    assert [OURS.seconds_to(wanted) for wanted in (10.0, 10.1, 30.0, 30.1)] == [2.0, 4.0, 4.0, None]


def test_rows_of_a_curve() -> None:
    rows = {row.name: (row.value, row.unit) for row in OURS.rows()}
    assert rows["quality.ours.epoch_2.images"] == (200, "images")
    assert rows["quality.ours.epoch_2.seconds"] == (4.0, "s")
    assert rows["quality.ours.epoch_2.accuracy"] == (30.0, "%")
    assert rows["quality.ours.preparation"] == (0.5, "s") and rows["quality.ours.seconds"] == (6.0, "s")
    assert rows["quality.ours.images_per_second"] == (50.0, "images/s")
    assert rows["quality.ours.accuracy"] == (28.0, "%") and rows["quality.ours.best_accuracy"] == (30.0, "%")


def test_the_target_is_by_default_what_all_reach() -> None:
    rows = {row.name: row.value for row in rows_of_targets([[OURS], [OTHER]], [], 20.0)}
    assert rows == {
        "quality.ours.seconds_to_26_percent": 4.0,
        "quality.other.seconds_to_26_percent": 15.0,
        "quality.ours.speedup_over_other_to_26_percent": 15 / 4,
    }


def test_what_is_not_reached_has_no_row() -> None:
    rows = {row.name: row.value for row in rows_of_targets([[OURS], [OTHER]], [20.0, 29.5, 31.0], 19.9)}
    assert rows == {
        "quality.ours.seconds_to_20_percent": 4.0,
        "quality.other.seconds_to_20_percent": 5.0,
        "quality.ours.speedup_over_other_to_20_percent": pytest.approx(1.25),
        "quality.ours.seconds_to_29.5_percent": 4.0,
    }


SLOWER = Curve("ours", 1.5, (Point(1, 100, 3.0, 12.0), Point(2, 200, 8.0, 29.0), Point(3, 300, 9.0, 24.0)))


def test_seeds_are_the_samples_of_a_figure() -> None:
    rows = {row.name: row for row in rows_of_curves([OURS, SLOWER])}
    name = "quality.ours.epoch_2.accuracy"
    assert rows[name] == Measurement(name, 29.5, "%", 2, 29.0, 30.0)
    assert (rows["quality.ours.seconds"].min, rows["quality.ours.seconds"].max) == (6.0, 9.0)
    assert list(rows) == [row.name for row in OURS.rows()]


def test_seconds_to_an_accuracy_are_of_all_seeds() -> None:
    methods = [[OURS, SLOWER], [OTHER, OTHER]]
    rows = {row.name: row for row in rows_of_targets(methods, [20.0, 29.5], 5.0)}
    name = "quality.ours.speedup_over_other_to_20_percent"
    assert rows[name] == Measurement(name, (5 / 4 + 5 / 8) / 2, "x", 2, 5 / 8, 5 / 4)
    assert rows["quality.ours.seconds_to_20_percent"].n == 2
    assert not any("29.5" in name for name in rows)  # only one of the seeds reaches it
    assert "quality.ours.seconds_to_26_percent" in {row.name for row in rows_of_targets(methods, [], 5.0)}


def test_what_needs_no_training_is_no_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(rows_of_targets([[OURS], [OTHER]], [], 26.0)) == []
    assert "26% is no target, since the untrained network reaches 26%" in capsys.readouterr().err
    rows = [row.name for row in rows_of_targets([[OURS]], [20.0, 28.0], 20.5)]
    assert rows == ["quality.ours.seconds_to_28_percent"]
    assert "20% is no target" in capsys.readouterr().err


def test_a_curve_of_its_end_alone_has_no_default_target(capsys: pytest.CaptureFixture[str]) -> None:
    single = Curve("ours", 0.0, OURS.points[-1:])
    assert list(rows_of_targets([[single], [OTHER]], [], 5.0)) == []
    assert "give more --points" in capsys.readouterr().err
