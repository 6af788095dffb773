"""Writes a backbone in a format of another library, and a model card beside it."""

from pathlib import Path

from dataprep.atomic import put_in_place, unfinished, write_text
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.weights.loading import trained_backbone
from vicregl_fast.weights.model_card import model_card
from vicregl_fast.weights.onnx_files import write_onnx
from vicregl_fast.weights.options import card_of
from vicregl_fast.weights.safetensors_files import write_safetensors
from vicregl_fast.weights.source import Weights
from vicregl_fast.weights.timm_models import timm_tensors
from vicregl_fast.weights.torch_files import write_torch_file
from vicregl_fast.weights.torchvision_models import torchvision_tensors

TORCHVISION_CLASSES = 1000
"""Size of the classifier that torchvision's models have unless told otherwise."""


def export(weights: Weights, out: Path, to: str, classes: int | None = None, size: int | None = None) -> str:
    """Writes the backbone of these weights, and its model card; what was there is replaced once both are whole.

    Args:
        weights: what is exported; heads are left out.
        out: the file to write.
        to: a name in ``options.FORMATS``.
        classes: size of a classifier of zeros; None for what the library expects, or none.
        size: of ONNX, side of the only images that it takes; None for any.

    Returns:
        The Python lines that load the file.

    Raises:
        UserError: the weights do not fit their backbone, the library has no such model, or the file cannot be written.
    """
    backbone = trained_backbone(weights)
    with unfinished(out) as partial:
        usage = _write(backbone, weights, partial, to, classes, size).replace("FILE", repr(out.name))
        write_text(card_of(out), model_card(weights, backbone, out.name, usage))
        put_in_place(partial, out)
    return usage


def _write(backbone: Backbone, weights: Weights, path: Path, to: str, classes: int | None, size: int | None) -> str:
    if to == "onnx":
        return write_onnx(backbone, path, size)
    if to == "torchvision":
        tensors, lines = torchvision_tensors(backbone, weights.architecture, classes or TORCHVISION_CLASSES)
        write_torch_file(tensors, path)
        return "\n".join(lines)
    tensors, line = timm_tensors(backbone, weights.architecture, classes or 0)
    if to == "safetensors":
        step = {} if weights.step is None else {"step": str(weights.step)}
        write_safetensors(tensors, weights.architecture, path, {"source": weights.path.name, **step})
    else:
        write_torch_file(tensors, path)
    return line
