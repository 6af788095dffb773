"""Times cropping and distorting alone, on decoded images, with every backend that this machine has."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from vicregl_fast.augment.backends import Backend, make_view
from vicregl_fast.augment.cuda_backend.installed import why_unusable
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.operations import CHANCES
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe, ViewsConfig, view_recipes
from vicregl_fast.benchmarks.drawn_views import drawn_batch
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import in_a_row, time_side_by_side
from vicregl_fast.training.precision import choose_precision

WIDTH, HEIGHT = 500, 375  # size of the median ImageNet image in pixels


def bench_augmentation(
    device: torch.device, views: ViewsConfig, batch_size: int, threads: int, repeats: int
) -> Iterator[Measurement]:
    """Times the views of a batch of decoded images, with each backend in turn.

    ``augment.BACKEND`` is images a second, where all views of an image are made; ``augment.BACKEND_over_torch`` is its
    ratio to the reference. ``augment.BACKEND.crop`` is microseconds for one first view that is only cropped, and
    ``augment.BACKEND.crop_blur`` and so on for one that is cropped and then has this operation applied.

    Args:
        device: where the ``torch`` and ``cuda`` backends work.
        views: which views are made of every image.
        batch_size: number of images.
        threads: CPU threads of the ``numba`` backend.
        repeats: number of durations measured for each figure.
    """
    batch = photograph_sized(batch_size)
    recipes = view_recipes(views)
    drawn = [
        draw_parameters(recipe, 0, 0, view, batch.indices, batch.heights, batch.widths)
        for view, recipe in enumerate(recipes)
    ]
    dtype = choose_precision("auto", device).dtype
    placed = {name: batch if name == "numba" else batch.to(device) for name in backends_on(device)}

    def calls(of: Sequence[tuple[ViewRecipe, ViewParameters]]) -> dict[str, Callable[[], object]]:
        def call(name: Backend) -> Callable[[], object]:
            kind = dtype if name == "cuda" else torch.float32
            return lambda: [make_view(name, *each, placed[name], threads, kind) for each in of]

        return {name: call(name) for name in placed}

    whole = time_side_by_side(calls(list(zip(recipes, drawn, strict=True))), device, repeats, in_a_row(device))
    for name, seconds in whole.items():
        yield Measurement.rate(f"augment.{name}", batch_size, seconds, "images/s")
    for name, seconds in whole.items():
        if name != "torch":
            yield Measurement.speedup(f"augment.{name}_over_torch", seconds, whole["torch"])
    for operation in (None, *(chance.name for chance in CHANCES)):
        alone = drawn[0].only(*([] if operation is None else [operation]))
        for name, seconds in time_side_by_side(calls([(recipes[0], alone)]), device, repeats, in_a_row(device)).items():
            micro = [1e6 * duration / batch_size for duration in seconds]
            suffix = "" if operation is None else f"_{operation}"
            yield Measurement.of(f"augment.{name}.crop{suffix}", micro, "us/view")


def backends_on(device: torch.device) -> tuple[Backend, ...]:
    """The backends that can make views for ``device``; the first is the reference, ``torch``."""
    with_cuda: tuple[Backend, ...] = ("cuda",) if device.type == "cuda" and why_unusable() is None else ()
    return ("torch", "numba", *with_cuda)


def photograph_sized(batch_size: int) -> DecodedBatch:
    """A batch of drawn pictures, uint8 [375, 500, 3] each."""
    images = []
    for image in drawn_batch(batch_size).images():
        picture = Image.fromarray(image.numpy()).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        images.append(np.asarray(picture))
    return DecodedBatch.pack(images)
