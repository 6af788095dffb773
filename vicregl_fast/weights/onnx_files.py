"""ONNX: the backbone as a graph from ``images`` to ``pooled`` and ``map``, compared with torch by onnxruntime."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.models.backbone import Backbone, FeatureMaps, checked_maps

SIDES = ((64, 96), (96, 64), (224, 224), (160, 288))
"""Height and width in pixels of the images at which a graph for any size is compared; the first is exported."""

TOLERANCE = 1e-4
"""Largest difference from torch, in parts of the largest feature."""


def write_onnx(backbone: Backbone, path: Path, size: int | None) -> str:
    """Writes the graph, float32, for any number of images, and returns the Python lines that run it from ``FILE``.

    Args:
        backbone: in eval mode, on the CPU.
        path: the file to write.
        size: side in pixels of the only images that it takes; None for images of any height and width.

    Raises:
        UserError: a package of the extra ``export`` is missing, the backbone needs a size, torch cannot export it, or
            the graph does not compute what torch does.
    """
    _check_packages()
    if size is None and backbone.embeds_patches:
        raise UserError(f"a {backbone.name}'s ONNX graph takes images of one size: give --size PIXELS, such as 224")
    sides = SIDES if size is None else ((size, size),)
    images = torch.randn(2, 3, *sides[0])
    with torch.no_grad():
        checked_maps(backbone, images, needs_cells=False)
    free = {0: "batch", 2: "height", 3: "width"} if size is None else {0: "batch"}
    try:
        _export(backbone, path, images, free)
        differing = [side for side in sides if not _same_as_torch(backbone, path, torch.randn(1, 3, *side))]
    except OSError:  # the disk is full
        raise
    except Exception as error:  # the exporter and onnxruntime fail in many ways
        raise UserError(f"{backbone.name} cannot be exported to ONNX: {_cause(error)}{_fixed(size)}") from error
    if differing:
        raise UserError(
            f"{backbone.name} cannot be exported to ONNX: for images of {differing[0]} pixels the graph gives other "
            f"features than torch{_fixed(size)}"
        )
    return "\n".join(
        (
            'session = onnxruntime.InferenceSession(FILE, providers=["CPUExecutionProvider"])',
            'pooled, maps = session.run(["pooled", "map"], {"images": images})  # float32, normalised',
        )
    )


def _check_packages() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(f"--to onnx needs {', '.join(missing)}: pip install '.[export]'")


def _export(backbone: Backbone, path: Path, images: Tensor, free: dict[int, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            backbone,
            (images,),
            input_names=["images"],
            output_names=list(FeatureMaps._fields),
            dynamic_shapes=(free,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(path, external_data=False)


def _same_as_torch(backbone: Backbone, path: Path, images: Tensor) -> bool:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = session.run(list(FeatureMaps._fields), {"images": images.numpy()})
    with torch.no_grad():
        expected = backbone(images)
    return all(
        bool((ours - torch.from_numpy(theirs)).abs().max() <= TOLERANCE * ours.abs().max().clamp(min=1))
        for ours, theirs in zip(expected, given, strict=True)
    )


def _fixed(size: int | None) -> str:
    return "; --size PIXELS exports it for images of one size" if size is None else ""


def _cause(error: BaseException) -> str:
    """The sentence behind the exporter's own, which is long."""
    while error.__cause__ is not None:
        error = error.__cause__
    return shorten(f"{type(error).__name__}: {error}", 200)
