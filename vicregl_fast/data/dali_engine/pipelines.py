"""DALI's pipelines: JPEG bytes in, pixels out; on a GPU where there is one, else on the CPU."""

from collections.abc import Sequence
from typing import Any

import torch
from nvidia.dali import fn
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import Pipeline
from nvidia.dali.types import DALIDataType, DALIImageType, DALIInterpType

JPEGS = "jpegs"


def decoding_pipeline(batch_size: int, workers: int, device: torch.device) -> Pipeline:
    """A pipeline with the input ``jpegs`` (uint8 [bytes] each) that gives whole images, uint8 [H, W, 3] each."""
    pipeline = _pipeline(batch_size, workers, device)
    with pipeline:
        pipeline.set_outputs(_decoded(device))
    return pipeline


def viewing_pipeline(sizes: Sequence[int], batch_size: int, workers: int, device: torch.device) -> Pipeline:
    """A pipeline that gives a view of each of these sizes, uint8 [S, S, 3] each.

    Its inputs are ``jpegs`` and, for view v, ``boxes_v``: int32 [4] each, as everywhere (top, left, height, width).
    """
    pipeline = _pipeline(batch_size, workers, device)
    with pipeline:
        images = _decoded(device)
        pipeline.set_outputs(*(_view(images, boxes_name(view), size) for view, size in enumerate(sizes)))
    return pipeline


def boxes_name(view: int) -> str:
    """Of the input that carries a view's boxes."""
    return f"boxes_{view}"


def _pipeline(batch_size: int, workers: int, device: torch.device) -> Pipeline:
    return Pipeline(
        batch_size=batch_size,
        num_threads=workers,
        device_id=device.index or 0 if device.type == "cuda" else None,
        prefetch_queue_depth=1,  # a call asks for one batch and waits for it: the loader's thread works ahead
    )


def _decoded(device: torch.device) -> DataNode:
    return fn.decoders.image(
        _input(JPEGS, dtype=DALIDataType.UINT8),
        device="mixed" if device.type == "cuda" else "cpu",
        output_type=DALIImageType.RGB,
        adjust_orientation=False,  # stored images are upright, and stores give the sizes of the pixels as they lie
        use_fast_idct=True,  # with these two, what libjpeg-turbo decodes is the ffcv engine's to the bit
        jpeg_fancy_upsampling=True,
    )


def _view(images: DataNode, boxes: str, size: int) -> Any:
    """Cuts first: with ``fn.resize``'s own region the filter would read beyond the box."""
    box = _input(boxes, dtype=DALIDataType.INT32)
    cut = fn.slice(images, start=box[:2], shape=box[2:], axes=(0, 1))
    return fn.resize(
        cut, size=(size, size), interp_type=DALIInterpType.INTERP_CUBIC, antialias=True, dtype=DALIDataType.UINT8
    )


def _input(name: str, dtype: DALIDataType) -> DataNode:
    return fn.external_source(name=name, ndim=1, dtype=dtype, device="cpu", no_copy=True)
