"""Which training images are held out, and which learning rate is taken."""

import pytest

from dataprep.errors import UserError
from vicregl_fast.evaluation.held_out import HeldOut, best_rate, finite_rates


def test_a_tenth_is_held_out_by_the_seed_and_none_for_one_rate() -> None:
    held_out, learned = HeldOut(45, 2, "x").split(0)
    assert (
        len(held_out) == 4 and sorted([*held_out, *learned]) == list(range(45)) and (learned[1:] > learned[:-1]).all()
    )
    assert set(HeldOut(45, 2, "x").split(1)[0]) != set(held_out)
    nothing, all_of_them = HeldOut(45, 1, "x").split(0)
    assert len(nothing) == 0 and all_of_them.tolist() == list(range(45))
    with pytest.raises(UserError, match=r"masks has too few images to hold some out \(\d+\): give one --lr"):
        HeldOut(9, 2, "masks")
    HeldOut(9, 1, "masks")


def test_the_best_rate_is_taken_and_said(capsys: pytest.CaptureFixture) -> None:
    assert best_rate([10.0, 52.25, 52.25], [0.1, 1, 10], 7, "mIoU") == 1  # the first of those that are equal
    assert (
        "of 3 learning rates 1 is taken, the best on 7 training images held out (mIoU 52.2%)" in capsys.readouterr().err
    )


def test_rates_that_diverged_are_left_out_of_the_choice(capsys: pytest.CaptureFixture) -> None:
    assert finite_rates([True, False, True], [0.1, 1e30, 2]) == [0, 2]
    assert "training diverged at the learning rate 1e+30, which is left out of the choice" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"diverged at --lr 0\.1, 1e\+30, to non-finite values: lower --lr"):
        finite_rates([False, False], [0.1, 1e30])
