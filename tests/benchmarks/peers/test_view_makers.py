"""Peers that make views make those that were asked for, of every image, again in every pass."""

import numpy as np
import pytest
from torch import Tensor

from tests.benchmarks.peers.conftest import SOLARISED, VIEW, WHOLE, distance, smaller
from vicregl_fast.augment.normalisation import levels_of
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.benchmarks.peers.work import PeerWork


def check_views(made: list[list[Tensor]], work: PeerWork, solarised: int | None) -> None:
    """Each first view is the whole image, and the view of this number is it with bright levels inverted."""
    assert [len(views[0]) for views in made] == [3, 3]
    for views, jpegs in zip(made, work.jpegs, strict=True):
        for k, jpeg in enumerate(jpegs):
            plain = levels_of(views[0])[k]
            assert distance(plain, smaller(jpeg)) < 6
            if solarised is not None:
                sure = np.abs(plain.astype(int) - 128) > 2  # where rounding does not decide
                expected = np.where(plain >= 128, 255 - plain, plain)
                assert distance(levels_of(views[solarised])[k][sure], expected[sure]) < 1


def test_kornia(work: PeerWork) -> None:
    pytest.importorskip("kornia")
    from vicregl_fast.benchmarks.peers.kornia import batches, kornia_calls, view_transform
    from vicregl_fast.benchmarks.peers.threads import DecodingThreads
    from vicregl_fast.benchmarks.peers.torchvision_io import decode

    made = [view_transform(recipe) for recipe in work.recipes]
    check_views(list(batches(DecodingThreads(decode, 2), made, work)), work, solarised=1)
    assert kornia_calls(work)["views_without_matches"]() == 6


def test_dali(work: PeerWork) -> None:
    pytest.importorskip("nvidia.dali")
    from vicregl_fast.benchmarks.peers.dali_whole import batches, dali_whole_calls, whole_pipeline

    pipeline = whole_pipeline(work)
    for _ in range(2):
        check_views([[view.clone() for view in views] for views in batches(pipeline)], work, solarised=1)
    call = dali_whole_calls(work)["views_without_matches"]
    assert [call(), call()] == [6, 6]


@pytest.mark.parametrize("recipe", ["two", "multicrop"])
def test_dali_distorts_as_the_recipe_says(recipe: str, work: PeerWork) -> None:
    """Every operation of the published recipe is in the pipeline: some images of each view are changed."""
    pytest.importorskip("nvidia.dali")
    from dataclasses import replace

    from vicregl_fast.benchmarks.peers.dali_whole import batches, whole_pipeline

    recipes = view_recipes(ViewsConfig(recipe, large_size=VIEW, small_size=16))  # type: ignore[arg-type]
    (first, _) = ([view.clone() for view in views] for views in batches(whole_pipeline(replace(work, recipes=recipes))))
    assert [tuple(view.shape) for view in first] == [(3, 3, each.size, each.size) for each in recipes]
    assert all(np.isfinite(view.numpy()).all() and view.std() > 0.1 for view in first)
    for kind in ("flip", "jitter", "grey", "blur", "solarise"):
        pair = (WHOLE, replace(WHOLE, **{f"{kind}_probability": 1.0}))
        ((plain, changed), _) = (
            [levels_of(view.clone()) for view in views]
            for views in batches(whole_pipeline(replace(work, recipes=pair)))
        )
        assert all(distance(*each) > 1 for each in zip(plain, changed, strict=True)), kind
        assert kind != "grey" or np.ptp(changed.astype(int), axis=3).max() <= 2


def test_lightly(work: PeerWork) -> None:
    pytest.importorskip("lightly")
    from vicregl_fast.benchmarks.peers.lightly import batches, jpeg_loader, lightly_calls, vicregl_transform

    once = PeerWork(work.jpegs, (WHOLE, WHOLE), (4, 4), 1, work.device)
    made = list(batches(jpeg_loader(once), once.device))
    check_views(made, once, solarised=None)
    for _, _, *grids in made:
        assert [tuple(grid.shape) for grid in grids] == [(3, 4, 4, 2), (3, 4, 4, 2)]
        assert (grids[0] == grids[1]).all() and grids[0][0, 0, 0].tolist() == [8, 8]  # of 64 pixels, four cells
    assert lightly_calls(once)["views_with_grids_without_matches"]() == 6
    solarised = [vicregl_transform((SOLARISED, each), (2, 2)).transforms[0][1] for each in (SOLARISED, WHOLE)]
    assert [view.transform.transforms[3].prob for view in solarised] == [1.0, 0.5]


def test_lightly_has_the_settings_of_the_recipe(work: PeerWork) -> None:
    pytest.importorskip("lightly")
    from vicregl_fast.benchmarks.peers.lightly import vicregl_transform

    recipes = view_recipes(ViewsConfig("multicrop"))
    large, *_, small = vicregl_transform(recipes, (7, 7, 3, 3, 3, 3, 3, 3)).transforms
    for (crop, colours), size, scale, cells in ((large, 224, (0.4, 1.0), 7), (small, 96, (0.08, 0.4), 3)):
        assert (crop.crop_size, crop.crop_min_scale, crop.crop_max_scale, crop.grid_size) == (size, *scale, cells)
        assert colours.transform.transforms[2].prob == pytest.approx(0.55)  # blur: 1 and 0.1 by turns
        assert colours.transform.transforms[3].prob == pytest.approx(0.1)
        assert colours.transform.transforms[0].p == 0.8
