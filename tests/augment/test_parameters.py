"""Parameters of views are pure functions of the sample, with the recipe's probabilities and ranges."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from vicregl_fast.augment.operations import ADJUSTMENTS, CHANCES
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.geometry.boxes import sample_boxes

EVEN, ODD = view_recipes(ViewsConfig())
DRAWS = 20_000


def draw(recipe=ODD, seed=0, epoch=0, view=0, indices=None, heights=None, widths=None) -> ViewParameters:
    indices = np.arange(DRAWS) if indices is None else indices
    heights = np.full(len(indices), 300) if heights is None else heights
    widths = np.full(len(indices), 400) if widths is None else widths
    return draw_parameters(recipe, seed, epoch, view, indices, heights, widths)


def assert_same(first: ViewParameters, second: ViewParameters) -> None:
    for field in fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name), field.name)


def test_a_sample_has_the_same_parameters_in_any_batch():
    rng = np.random.default_rng(0)
    heights, widths = rng.integers(50, 600, (2, 100))
    whole = draw(indices=np.arange(100), heights=heights, widths=widths)
    for i in (0, 57, 99):
        alone = draw(indices=np.array([i]), heights=heights[[i]], widths=widths[[i]])
        assert_same(alone, whole[i : i + 1])
    order = rng.permutation(100)
    shuffled = draw(indices=order, heights=heights[order], widths=widths[order])
    for field in fields(whole):
        np.testing.assert_array_equal(getattr(shuffled, field.name), getattr(whole, field.name)[order])


@pytest.mark.parametrize("other", [{"seed": 1}, {"seed": 2**40}, {"epoch": 1}, {"view": 1}])
def test_seed_epoch_and_view_change_everything(other):
    first, second = draw(), draw(**other)
    for name in (*(each.name for each in ADJUSTMENTS), "sigma"):
        one, two = (each.sigma if name == "sigma" else each.column(name) for each in (first, second))
        assert (one == two).mean() < 0.001
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.03
    assert abs((first.flips == second.flips).mean() - 0.5) < 0.02


def test_boxes_are_the_crop_rules():
    boxes = sample_boxes(ODD.crop, 3, 1, 1, np.arange(50), np.full(50, 300), np.full(50, 400))
    np.testing.assert_array_equal(draw(seed=3, epoch=1, view=1, indices=np.arange(50)).boxes, boxes)


def test_probabilities_are_the_recipes():
    parameters = draw()
    expected = {"flip": 0.5, "jitter": 0.8, "grey": 0.2, "blur": 0.1, "solarise": 0.2}
    for name, probability in expected.items():
        flags = parameters.column(name)
        assert flags.dtype == bool
        assert abs(flags.mean() - probability) < 4 * np.sqrt(0.25 / DRAWS), name
    even = draw(EVEN)
    assert even.column("blur").all() and not even.column("solarise").any()


def test_ranges_are_the_recipes():
    parameters = draw(replace(ODD, hue=0.3))
    ranges = {
        "brightness": (0.6, 1.4),
        "contrast": (0.6, 1.4),
        "saturation": (0.8, 1.2),
        "hue": (-0.3, 0.3),
        "sigma": (0.1, 2.0),
    }
    for name, (low, high) in ranges.items():
        values = parameters.sigma if name == "sigma" else parameters.column(name)
        assert values.dtype == np.float32
        deciles = np.quantile(values.astype(float), np.linspace(0, 1, 11))
        np.testing.assert_allclose(deciles, np.linspace(low, high, 11), rtol=0, atol=0.02 * (high - low))
        assert values.min() >= np.float32(low) and values.max() <= np.float32(high)


def test_orders_are_uniform_over_all_permutations():
    order = draw().order
    assert order.dtype == np.int8
    count = len(ADJUSTMENTS)
    assert (np.sort(order, axis=1) == np.arange(count)).all()
    _, counts = np.unique(order, axis=0, return_counts=True)
    assert len(counts) == math.factorial(count)
    expected = DRAWS / len(counts)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = len(counts) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom), "some 0.1% level"


def test_choices_are_independent():
    parameters = draw()
    chances = [each for each in CHANCES if 0 < getattr(ODD, f"{each.name}_probability") < 1]
    columns = [parameters.column(each.name).astype(float) for each in (*chances, *ADJUSTMENTS)]
    columns += [
        parameters.sigma.astype(float),
        parameters.boxes[:, 2].astype(float),
        parameters.order[:, 0].astype(float),
    ]
    correlations = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlations).max() < 0.035
