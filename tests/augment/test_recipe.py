"""The views of both recipes, and refused ones."""

import pytest

from vicregl_fast.augment.recipe import ViewRecipe, ViewsConfig, view_recipes
from vicregl_fast.geometry.crop_rule import CropRule


def summary(views):
    return [(view.size, view.crop.scale, view.blur_probability, view.solarise_probability) for view in views]


def test_two_views():
    assert summary(view_recipes(ViewsConfig())) == [
        (224, (0.08, 1.0), 1.0, 0.0),
        (224, (0.08, 1.0), 0.1, 0.2),
    ]


def test_multicrop_starts_each_size_group_with_an_even_view():
    views = view_recipes(ViewsConfig(recipe="multicrop", small_count=3))
    assert summary(views) == [
        (224, (0.4, 1.0), 1.0, 0.0),
        (224, (0.4, 1.0), 0.1, 0.2),
        (96, (0.08, 0.4), 1.0, 0.0),
        (96, (0.08, 0.4), 0.1, 0.2),
        (96, (0.08, 0.4), 1.0, 0.0),
    ]
    assert len(view_recipes(ViewsConfig(recipe="multicrop"))) == 8


def test_a_given_scale_wins():
    views = view_recipes(ViewsConfig(recipe="multicrop", large_size=128, large_scale=(0.15, 1.0)))
    assert {(view.size, view.crop.scale) for view in views[:2]} == {(128, (0.15, 1.0))}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"recipe": "three"}, "one of two, multicrop"),
        ({"large_size": 0}, "at least 1 pixel"),
        ({"recipe": "multicrop", "small_count": -1}, "small_count is at least 0"),
        ({"recipe": "multicrop", "small_scale": (0.4, 0.08)}, "low <= high"),
    ],
)
def test_wrong_views_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ViewsConfig(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"flip_probability": 1.5}, "flip_probability lies between 0 and 1"),
        ({"contrast": -0.1}, "contrast lies between 0 and 1"),
        ({"hue": 0.6}, "hue lies between 0 and 0.5"),
        ({"blur_sigma": (0.0, 1.0)}, "blur_sigma"),
    ],
)
def test_a_wrong_recipe_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ViewRecipe(96, CropRule((0.5, 1.0)), blur_probability=0.5, solarise_probability=0.5, **options)
