"""The learning rate at every stage of a run."""

import math

import pytest

from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.optim.schedule import Schedule


def rates(total: int, warmup: int, steps: range) -> list[float]:
    schedule = Schedule(total, warmup, peak=0.8, end=0.1)
    return [schedule.rate(step) for step in steps]


def test_warm_up_is_linear_from_zero() -> None:
    assert rates(100, 4, range(5)) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_then_half_a_cosine_to_the_end_value() -> None:
    falling = rates(13, 4, range(4, 13))
    expected = [0.1 + 0.7 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(9)]
    assert falling == pytest.approx(expected)
    assert falling[4] == pytest.approx(0.45)
    assert rates(13, 4, range(20, 21)) == pytest.approx([0.1])


@pytest.mark.parametrize("total", [1, 10])
def test_no_warm_up_starts_at_the_peak(total: int) -> None:
    assert rates(total, 0, range(1)) == [0.8]


def test_a_warm_up_as_long_as_the_run_only_rises() -> None:
    assert rates(4, 4, range(4)) == pytest.approx([0, 0.2, 0.4, 0.6])


def test_a_run_s_schedule_scales_with_its_batch_and_epochs() -> None:
    schedule = Schedule.of(OptimConfig(base_lr=0.2, end_factor=0.5, warmup_epochs=1.5), 2048, epochs=4, epoch_steps=7)
    assert (schedule.total_steps, schedule.warmup_steps) == (28, 10)
    assert (schedule.peak, schedule.end) == pytest.approx((1.6, 0.8))
    small = Schedule.of(OptimConfig(base_lr=5e-4, warmup_epochs=0), 576, epochs=1, epoch_steps=1)
    assert small.peak == pytest.approx(1.125e-3)
