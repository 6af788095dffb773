"""The CUDA backend on a GPU: every type and size against the reference, any crop, and without waiting."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.augment import cuda_cases
from vicregl_fast.augment import normalisation, reference
from vicregl_fast.augment.centre import centre_parameters
from vicregl_fast.augment.cuda_backend.apply import apply
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe, ViewsConfig, view_recipes
from vicregl_fast.benchmarks.drawn_views import drawn_batch

pytestmark = pytest.mark.gpu
LARGE_EVEN, LARGE_ODD, SMALL_EVEN, SMALL_ODD = view_recipes(ViewsConfig("multicrop", small_count=2))
LEVELS = 255 * torch.tensor(normalisation.STD)[:, None, None]


def drawn(recipe: ViewRecipe, batch: DecodedBatch) -> ViewParameters:
    return draw_parameters(recipe, 7, 1, 0, batch.indices, batch.heights, batch.widths)


def on(device: torch.device, batch: DecodedBatch) -> DecodedBatch:
    return replace(batch, packed=batch.packed.to(device))


def errors(made: torch.Tensor, recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch) -> torch.Tensor:
    """Levels between the views and the reference's on a CPU."""
    return (made.float().cpu() - reference.apply(recipe, parameters, batch.images())).abs() * LEVELS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("recipe", [LARGE_EVEN, LARGE_ODD, SMALL_EVEN, SMALL_ODD])
def test_views_are_the_references(cuda: torch.device, recipe: ViewRecipe, dtype: torch.dtype) -> None:
    batch = drawn_batch(40)
    parameters = drawn(recipe, batch)
    made = apply(recipe, parameters, on(cuda, batch), dtype)
    assert made.dtype == dtype and made.shape == (40, 3, recipe.size, recipe.size)
    assert made.is_contiguous(memory_format=torch.channels_last)
    error = errors(made, recipe, parameters, batch)
    assert error.mean() < 0.5
    # A level on either side of the solarising threshold is inverted by one and not by the other.
    assert (error > 4).float().mean() < 0.01


def test_every_operation_alone_is_the_references(cuda: torch.device) -> None:
    batch, parameters = cuda_cases.batch(), cuda_cases.parameters()
    error = errors(apply(cuda_cases.RECIPE, parameters, on(cuda, batch)), cuda_cases.RECIPE, parameters, batch)
    means = dict(zip(cuda_cases.NAMES, error.mean((1, 2, 3)).tolist(), strict=True))
    assert max(means.values()) < 1, means
    assert max(means[name] for name in ("reduced", "enlarged", "wide", "black", "flip")) < 0.1, means


def test_a_crop_of_thousands_of_pixels_is_resized(cuda: torch.device) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3100, 4600, 3), dtype=np.uint8))
    image[:1000, :1500] //= 2
    one, heights, widths = np.zeros(1, np.int64), np.array([3100]), np.array([4600])
    batch = DecodedBatch(one, heights, widths, one, image.flatten(), one)
    parameters = replace(centre_parameters(heights, widths), boxes=np.array([[50, 70, 3000, 4500]], np.int32))
    error = errors(apply(LARGE_EVEN, parameters, on(cuda, batch)), LARGE_EVEN, parameters, batch)
    assert error.max() <= 2.01 and error.mean() <= 0.1


def test_nothing_waits_for_the_device_and_any_stream_will_do(cuda: torch.device) -> None:
    batch = drawn_batch(16)
    parameters, placed = drawn(LARGE_ODD, batch), on(cuda, batch)
    expected = apply(LARGE_ODD, parameters, placed)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # compiled, and with memory of its own at hand
        apply(LARGE_ODD, parameters, placed)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.stream(stream):
            torch.cuda._sleep(200_000_000)
            made = apply(LARGE_ODD, parameters, placed)
            assert not stream.query(), "the views were waited for"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    stream.synchronize()
    assert torch.equal(made, expected), "the same bits every time"
