"""Files of ``torch.save``: read without executing what they may hold, and written as a plain dict of tensors."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.runs.checkpoints import check_sums, write_state

_WRAPPERS = ("network", "model", "state_dict", "teacher", "student")
"""Under which of these names a checkpoint keeps its network: this package, the released VICRegL and others' habit."""
_COPIES = ("model_ema", "state_dict_ema", "teacher", "student")
"""Under which names another state of the network lies beside it."""
_BEGINNINGS = (b"PK\x03\x04", b"\x80")
"""Of files of ``torch.save``: an archive, or a pickle in torch's first versions."""
_BLOCKED = re.compile(r"GLOBAL (\S+) (?:was not an allowed global|whose module)")


def _exclude_bias_and_norm(*_: object) -> None:
    """Stands for the function that the released checkpoints name in their optimiser's groups; nothing calls it."""


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a network, by their keys in the file; of a checkpoint, all but the network is left out.

    Raises:
        UserError: the file is missing or damaged, holds code, or holds something else than tensors with names.
    """
    allowed: list[Any] = [(_exclude_bias_and_norm, "optimizers.exclude_bias_and_norm")]
    check_sums(path)
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"there is no file of weights at {path}") from None
    except pickle.UnpicklingError as error:
        blocked = _BLOCKED.search(str(error))
        if blocked is None:
            raise _unreadable(path, error) from error
        raise UserError(
            f"{path} names code ({blocked[1]}), and none is executed: where you trust the file, load it yourself and "
            "save its dict of tensors alone"
        ) from error
    except Exception as error:  # for a damaged file torch raises half a dozen types
        raise _unreadable(path, error) from error
    return _network_in(content, path)


def _unreadable(path: Path, error: Exception) -> UserError:
    with path.open("rb") as file:
        begins_as_one = file.read(4).startswith(_BEGINNINGS)
    if begins_as_one:
        return UserError(f"the weights {path} cannot be read ({type(error).__name__}): the file is damaged")
    return UserError(
        f"{path} is no file of weights that torch or safetensors wrote (those of safetensors end in .safetensors): "
        "give a run's folder, a checkpoint, or a file of weights"
    )


def write_torch_file(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes a dict of tensors, as ``load_state_dict`` takes it."""
    with path.open("wb") as file:
        write_state(dict(tensors), file)


def _network_in(content: object, path: Path) -> dict[str, Tensor]:
    for name in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            beside = [other for other in _COPIES if other != name and isinstance(content.get(other), dict)]
            if beside:
                note(f"of {path} {name} is taken; beside it lies {', '.join(beside)}", once=True)
            content = content[name]
    if not isinstance(content, dict) or not content or not all(_named_tensor(*each) for each in content.items()):
        kinds = ", ".join(map(str, list(content)[:4])) if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path} holds no dict of tensors ({kinds}), be it as it is or under {', '.join(_WRAPPERS)}")
    return content


def _named_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)
