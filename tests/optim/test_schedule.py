"""The learning rate at every stage of a run."""

import math

import pytest

from dataprep.errors import UserError
from vicregl_fast.optim.schedule import learning_rate


def test_warm_up_is_linear_from_zero() -> None:
    assert [learning_rate(step, 100, 4, 0.8, 0.1) for step in range(5)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_then_half_a_cosine_to_the_end_value() -> None:
    rates = [learning_rate(step, 13, 4, 0.8, 0.1) for step in range(4, 13)]
    expected = [0.1 + 0.7 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(9)]
    assert rates == pytest.approx(expected)
    assert rates[4] == pytest.approx(0.45)
    assert learning_rate(20, 13, 4, 0.8, 0.1) == pytest.approx(0.1)


def test_no_warm_up_starts_at_the_peak() -> None:
    assert learning_rate(0, 10, 0, 0.8, 0.1) == 0.8
    assert learning_rate(0, 1, 0, 0.8, 0.1) == 0.8


def test_a_warm_up_as_long_as_the_run_only_rises() -> None:
    assert [learning_rate(step, 4, 4, 0.8, 0.1) for step in range(4)] == pytest.approx([0, 0.2, 0.4, 0.6])


def test_a_warm_up_longer_than_the_run_is_refused() -> None:
    with pytest.raises(UserError, match=r"warm-up of 11 steps is longer than the run of 10: lower --optim\.warmup"):
        learning_rate(0, 10, 11, 0.8, 0.1)
