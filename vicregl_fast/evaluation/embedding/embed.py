"""Computes the features of many images, batch by batch, and writes them.

Shape letters: n images, b of them in a batch, c channels, h×w cells of a map.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataprep.atomic import put_folder_in_place, unfinished
from dataprep.errors import UserError
from dataprep.progress import progress_bar
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.classification.crop_feed import CropFeeds
from vicregl_fast.evaluation.embedding.config import EmbedConfig
from vicregl_fast.evaluation.embedding.files import (
    FEATURES,
    MAPS,
    PATHS,
    SETTINGS,
    check_space,
    reserved_array,
    write_paths,
)
from vicregl_fast.models.backbone import Backbone, checked_maps, feature_grid

DTYPES: dict[str, np.dtype] = {FEATURES: np.dtype(np.float32), MAPS: np.dtype(np.float16)}
LARGEST_HALF = torch.finfo(torch.float16).max


def embed(
    backbone: Backbone, chosen: ChosenImages, out: Path, config: EmbedConfig, maps: bool, record: Mapping[str, Any]
) -> list[Path]:
    """Writes pooled features of centre crops, and what each row is of, into a folder that is there only once whole.

    Args:
        backbone: in eval mode, on the device that computes.
        chosen: the images.
        out: the folder; if it is there, it is replaced.
        config: how features are computed.
        maps: whether feature maps are written, too.
        record: what ``files.SETTINGS`` is to say, as JSON takes it.

    Returns:
        The files: ``files.FEATURES``, ``files.MAPS`` if asked for, ``files.PATHS`` and ``files.SETTINGS``.

    Raises:
        UserError: an image does not decode, the backbone takes none of this size, the disk has too little space, or
            values of a map are beyond float16.
    """
    shapes: dict[str, tuple[int, ...]] = {FEATURES: (len(chosen), backbone.channels)}
    if maps:
        grid = feature_grid(backbone, config.size)
        shapes[MAPS] = (len(chosen), backbone.channels, grid, grid)
    check_space(out, sum(math.prod(shape) * DTYPES[name].itemsize for name, shape in shapes.items()))
    with unfinished(out.absolute()) as folder:
        folder.mkdir()
        write_paths(folder / PATHS, chosen)
        (folder / SETTINGS).write_text(json.dumps(record, indent=2) + "\n")
        arrays = {name: reserved_array(folder / name, DTYPES[name], shape) for name, shape in shapes.items()}
        _fill(arrays, backbone, chosen, config)
        put_folder_in_place(folder, out.absolute())
    return [out / name for name in (*shapes, PATHS, SETTINGS)]


@torch.no_grad()  # not inference_mode, in which engines could not use their buffers again
def _fill(arrays: dict[str, np.memmap], backbone: Backbone, chosen: ChosenImages, config: EmbedConfig) -> None:
    device = next(backbone.parameters()).device
    maps, filled = arrays.get(MAPS), 0
    crops = CropFeeds(config.size, config.batch_size, config.workers, device).centre(chosen.opened)
    with progress_bar(desc="features", total=len(chosen), unit="image", leave=False) as bar:
        for indices, images in crops.batches(chosen.indices):
            rows = slice(filled, filled := filled + len(images))
            assert np.array_equal(indices, chosen.indices[rows])
            made = checked_maps(backbone, images, needs_cells=maps is not None)
            arrays[FEATURES][rows] = made.pooled.float().cpu().numpy()
            if maps is not None:
                maps[rows] = _halves(made.map)
            bar.update(len(images))
    for array in arrays.values():
        array.flush()


def _halves(maps: Tensor) -> np.ndarray:
    if not maps.abs().max() <= LARGEST_HALF:
        raise UserError("values of the feature map are beyond float16's 65504, or non-finite: leave --maps out")
    return maps.half().cpu().numpy()
