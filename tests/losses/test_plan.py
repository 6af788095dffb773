"""Which comparisons the plan holds, and the switches between the presets."""

from typing import Literal

import pytest

from dataprep.errors import UserError
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.losses.config import LossConfig, Switches
from vicregl_fast.losses.plan import ViewPair, plan_directions


def test_two_views_of_the_paper_merge_into_one_direction_each_way() -> None:
    plan = plan_directions(LossConfig(), 2)
    assert plan.location == (Direction(0, 1, 20, 0.5), Direction(1, 0, 20, 0.5))
    assert plan.feature == plan.location
    assert plan.pairs == (ViewPair(0, 1, 1.0),)


def test_two_views_of_the_released_code_keep_both_gammas() -> None:
    plan = plan_directions(LossConfig(preset="official"), 2)
    expected = {(0, 1, 20): 0.25, (1, 0, 4): 0.25, (1, 0, 20): 0.25, (0, 1, 4): 0.25}
    assert {(d.query, d.neighbour, d.gamma): d.weight for d in plan.location} == expected
    assert plan.feature == (Direction(0, 1, None, 0.5), Direction(1, 0, None, 0.5))


@pytest.mark.parametrize("preset", ["paper", "official"])
def test_multi_crop_compares_large_with_all(preset: Literal["paper", "official"]) -> None:
    plan = plan_directions(LossConfig(preset=preset), 8)
    ends = {(a, b) for a in range(2) for b in range(8) if a != b} | {(b, a) for a in range(2) for b in range(2, 8)}
    assert {(d.query, d.neighbour) for d in plan.location} == ends
    assert {(d.query, d.neighbour) for d in plan.feature} == ends
    for direction in plan.location:
        if (direction.query < 2) != (direction.neighbour < 2):
            assert direction.gamma == (20 if direction.query < 2 else 4)
    assert len(plan.feature) == 26
    assert len(plan.location) == (26 if preset == "paper" else 28)
    assert len(plan.pairs) == 13
    for parts in (plan.location, plan.feature, plan.pairs):
        assert sum(part.weight for part in parts) == pytest.approx(1.0)


def test_criteria_of_weight_zero_are_absent() -> None:
    only_global, only_local = (plan_directions(LossConfig(alpha=alpha), 2) for alpha in (1.0, 0.0))
    assert (only_global.location, only_global.feature, len(only_global.pairs)) == ((), (), 1)
    assert (len(only_local.location), len(only_local.feature), only_local.pairs) == (2, 2, ())


def test_every_switch_can_be_set_alone() -> None:
    assert LossConfig().switches() == Switches("query", "gamma", True)
    assert LossConfig(preset="official").switches() == Switches("position", "all", False)
    assert LossConfig(gamma_by="position").switches() == Switches("position", "gamma", True)
    assert LossConfig(feature_keeps="all").switches() == Switches("query", "all", True)
    assert LossConfig(mirror_flips=False).switches() == Switches("query", "gamma", False)
    assert LossConfig(preset="official", mirror_flips=True).switches() == Switches("position", "all", True)


def test_one_view_is_refused() -> None:
    with pytest.raises(UserError, match="there is only 1: use a recipe with two or more"):
        plan_directions(LossConfig(), 1)
