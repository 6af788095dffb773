"""Every row of the table of operations is known to every backend, does something, and is drawn by words of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from tests.augment import cuda_cases
from vicregl_fast.augment.backends import make_view
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.normalisation import LEVEL_SCALES, levels_of
from vicregl_fast.augment.operations import ADJUSTMENTS, CHANCES, ORDER_WORD, SIGMA_WORD, Adjustment
from vicregl_fast.augment.parameters import ADJUSTMENT_NAMES, CHANCE_NAMES, ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.torchvision_engine import transforms
from vicregl_fast.draws import CROP_TRIES
from vicregl_fast.geometry.crop_rule import CropRule

RECIPE = ViewRecipe(40, CropRule((0.3, 1.0)), blur_probability=0.5, solarise_probability=0.5)


def extreme(each: Adjustment) -> float:
    return each.neutral - 0.9 * each.most


def only_adjusted(parameters: ViewParameters, name: str) -> ViewParameters:
    """The jitter with all factors neutral but this one's."""
    factors = [extreme(each) if each.name == name else each.neutral for each in ADJUSTMENTS]
    return replace(parameters.only("jitter"), factors=np.tile(np.array(factors, np.float32), (len(parameters), 1)))


@pytest.mark.parametrize("name", [*CHANCE_NAMES, *ADJUSTMENT_NAMES])
def test_every_backend_does_it_and_the_same(images: list[Image.Image], name: str) -> None:
    batch = DecodedBatch.pack([np.asarray(image) for image in images])
    drawn = draw_parameters(RECIPE, 5, 2, 0, batch.indices, batch.heights, batch.widths)
    parameters = drawn.only(name) if name in CHANCE_NAMES else only_adjusted(drawn, name)
    torch_view, numba_view = (make_view(backend, RECIPE, parameters, batch, 1) for backend in ("torch", "numba"))
    plain = make_view("torch", RECIPE, drawn.only(), batch, 1)
    level = torch.from_numpy(LEVEL_SCALES)[:, None, None]
    assert ((torch_view - plain).abs() / level).mean() > 1, "the operation does something"
    assert ((torch_view - numba_view).abs() / level).mean() < 0.05
    for k, image in enumerate(images):
        by_pil = transforms.make_view(functional.pil_to_tensor(image), RECIPE, parameters, k)
        apart = np.abs(by_pil.astype(int) - levels_of(torch_view[k : k + 1])[0]).mean()
        assert apart < 6, "PIL's hue in bytes, and its approximate blur"


def test_neutral_factors_change_nothing(images: list[Image.Image]) -> None:
    batch = DecodedBatch.pack([np.asarray(image) for image in images])
    drawn = draw_parameters(RECIPE, 5, 2, 0, batch.indices, batch.heights, batch.widths)
    plain = ViewParameters.of_crops(drawn.boxes)
    assert not plain.chosen.any()
    neutral = only_adjusted(drawn, "none")
    assert (neutral.factors == plain.factors).all()
    for backend in ("torch", "numba"):
        before, after = (make_view(backend, RECIPE, each, batch, 1) for each in (plain, neutral))
        torch.testing.assert_close(before, after, rtol=0, atol=1e-3)


def test_no_two_choices_share_a_word() -> None:
    words = [*(each.word for each in (*ADJUSTMENTS, *CHANCES)), ORDER_WORD, SIGMA_WORD]
    assert len(set(words)) == len(words) == len(ADJUSTMENTS) + len(CHANCES) + 2
    assert all(word.draw >= CROP_TRIES and 0 <= word.place < 4 for word in words)


def test_the_cuda_kernels_are_tried_with_each_alone() -> None:
    """By ``test_cuda_backend.py``, which has its cases from there."""
    tried = {name for case in cuda_cases.ALONE.values() for name in case}
    assert tried >= {*CHANCE_NAMES, *ADJUSTMENT_NAMES}


def test_a_column_is_known_by_its_name() -> None:
    parameters = ViewParameters.of_crops(np.array([[0, 0, 4, 4]] * 2, np.int32))
    parameters.column("grey")[1] = True
    parameters.column("hue")[0] = 0.25
    assert parameters.chosen.tolist() == [[False] * len(CHANCES), [each.name == "grey" for each in CHANCES]]
    neutral = [each.neutral for each in ADJUSTMENTS]
    changed = [0.25 if each.name == "hue" else each.neutral for each in ADJUSTMENTS]
    assert parameters.factors.tolist() == [changed, neutral]
