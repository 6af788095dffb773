"""A DALI pipeline over a store, whose failures name the samples that caused them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from nvidia.dali.pipeline import Pipeline
from torch import Tensor

from vicregl_fast.data.dali_engine.pipelines import JPEGS, decoding_pipeline
from vicregl_fast.data.engine import Undecodable
from vicregl_fast.data.jpegs import JpegStore


class StorePipeline:
    """Runs a pipeline on samples of a store; a failure leaves DALI's pipeline unusable, so that a new one follows.

    Args:
        store: whose JPEGs become the input ``jpegs``.
        device: what decodes.
        build: makes the pipeline.
    """

    def __init__(self, store: JpegStore, device: torch.device, build: Callable[[], Pipeline]):
        self._store, self._device, self._build = store, device, build
        self._pipeline = build()

    def run(self, indices: np.ndarray, **inputs: np.ndarray) -> list[list[Tensor]]:
        """Every output of the pipeline for the samples int64 [b], an image each, valid until the next run.

        Args:
            indices: the samples.
            inputs: further inputs of the pipeline, of b rows each.

        Raises:
            Undecodable: images that do not decode.
        """
        try:
            return _tensors(self._pipeline.run(**{JPEGS: [self._store.jpeg(k) for k in indices]}, **inputs))
        except RuntimeError as error:
            self._pipeline = self._build()
            broken = [index for index in indices.tolist() if not self._decodes(index)]
            if not broken:
                raise
            raise Undecodable(self._store.path, broken) from error

    def _decodes(self, index: int) -> bool:
        """Tries one image alone: of some failures only does DALI say which image it was."""
        try:
            decoding_pipeline(1, 1, self._device).run(**{JPEGS: [self._store.jpeg(index)]})
        except RuntimeError:
            return False
        return True


def _tensors(outputs: Sequence[Any]) -> list[list[Tensor]]:
    """Views into DALI's lists, as tensors."""
    return [[torch.from_dlpack(images[k]) for k in range(len(images))] for images in outputs]
