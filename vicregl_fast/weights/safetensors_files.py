"""Files of safetensors, whose metadata say which backbone they hold (in timm's names)."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dataprep.errors import UserError, reason_of
from vicregl_fast.models.config import BackboneConfig


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], BackboneConfig | None]:
    """Reads tensors by their keys, and which backbone they are of; None if the file does not say it.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dict
    except FileNotFoundError:
        raise UserError(f"there is no file of weights at {path}") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is damaged, or no file that safetensors wrote: {reason_of(error)}") from error
    if "backbone" not in said:
        return tensors, None
    stride = said.get("output_stride", "32")
    if not stride.isdecimal():
        raise UserError(f"the metadata of {path} give the output_stride {stride!r}, which is no number of pixels")
    return tensors, BackboneConfig(said["backbone"], int(stride))


def write_safetensors(
    tensors: Mapping[str, Tensor], architecture: BackboneConfig, path: Path, more: Mapping[str, str]
) -> None:
    """Writes tensors with the metadata that ``read_safetensors`` reads, and ``more``, which only people read."""
    said = {"format": "pt", "backbone": architecture.name, "output_stride": str(architecture.output_stride)}
    path.write_bytes(save({key: value.contiguous() for key, value in tensors.items()}, {**more, **said}))
