"""The whole recipe inside a DALI pipeline: from the bytes of JPEGs to normalised views, on a GPU or on the CPU."""

from collections.abc import Iterator

import numpy as np
import torch
from nvidia.dali import fn
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import Pipeline, pipeline_def
from nvidia.dali.types import Constant, DALIDataType, DALIImageType, DALIInterpType
from torch import Tensor

from vicregl_fast.augment.normalisation import MEAN, STD
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.benchmarks.peers.work import Call, PeerWork

TURN = 360
"""DALI gives hue in degrees."""


def dali_whole_calls(work: PeerWork) -> dict[str, Call]:
    """``views_without_matches``: the views, but not which of their cells match."""
    pipeline = whole_pipeline(work)
    pipeline.build()
    return {"views_without_matches": lambda: sum(len(views[0]) for views in batches(pipeline))}


def batches(pipeline: Pipeline) -> Iterator[list[Tensor]]:
    """The views of each batch, float32 [b, 3, S, S] each, on the pipeline's device, which the next batch overwrites."""
    while True:
        try:
            made = pipeline.run()
        except StopIteration:
            pipeline.reset()  # it works ahead again from the next run on
            return
        yield [torch.from_dlpack(views.as_tensor()) for views in made]


def whole_pipeline(work: PeerWork) -> Pipeline:
    """Builds the pipeline, which goes through all batches once between two resets."""
    on_gpu = work.device.type == "cuda"
    jpegs = [[np.frombuffer(jpeg, np.uint8) for jpeg in batch] for batch in work.jpegs]

    @pipeline_def(enable_conditionals=True)
    def pipeline() -> tuple[DataNode, ...]:
        stored = fn.external_source(jpegs, cycle="raise", dtype=DALIDataType.UINT8, ndim=1)
        images = fn.decoders.image(stored, device="mixed" if on_gpu else "cpu", output_type=DALIImageType.RGB)
        return tuple([_view(images, recipe) for recipe in work.recipes])

    device_id = work.device.index or 0 if on_gpu else None
    return pipeline(batch_size=work.batch_size, num_threads=work.workers, device_id=device_id, seed=0)


def _view(images: DataNode, recipe: ViewRecipe) -> DataNode:
    """One view. The adjustments of the jitter come in DALI's own order; what is not drawn for an image is not done."""
    view = fn.random_resized_crop(
        images,
        size=(recipe.size, recipe.size),
        random_area=recipe.crop.scale,
        random_aspect_ratio=recipe.crop.ratio,
        interp_type=DALIInterpType.INTERP_CUBIC,
    )
    if _happens(recipe.jitter_probability):
        view = fn.color_twist(
            view,
            brightness=_around(1, recipe.brightness),
            contrast=_around(1, recipe.contrast),
            saturation=_around(1, recipe.saturation),
            hue=_around(0, recipe.hue * TURN),
        )
    if _happens(recipe.grey_probability):
        view = fn.color_twist(view, saturation=0.0)
    if _happens(recipe.blur_probability):
        view = fn.gaussian_blur(view, sigma=fn.random.uniform(range=recipe.blur_sigma))
    if _happens(recipe.solarise_probability):
        bright = view >= Constant(int(recipe.solarise_threshold), DALIDataType.UINT8)
        view = view ^ (bright * Constant(255, DALIDataType.UINT8))  # 255 - level where it is bright
    return fn.crop_mirror_normalize(
        view,
        mirror=fn.random.coin_flip(probability=recipe.flip_probability),
        mean=[255 * each for each in MEAN],
        std=[255 * each for each in STD],
        dtype=DALIDataType.FLOAT,
        output_layout="CHW",
    )


def _happens(probability: float) -> DataNode:
    return fn.random.coin_flip(probability=probability, dtype=DALIDataType.BOOL)


def _around(neutral: float, strength: float) -> DataNode:
    return fn.random.uniform(range=(neutral - strength, neutral + strength))
