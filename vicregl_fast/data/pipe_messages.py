"""Sends objects through pipes. The memory of arrays and tensors goes as it is, without shared memory or descriptors."""

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Parts = Sequence[bytes | memoryview]


def encode(message: Any) -> Parts:
    """Makes of an object what ``send`` writes: a header with the pickled object, and the memory of its arrays.

    Raises:
        Exception: it cannot be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    _Pickler(body, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append).dump(message)
    memory = [buffer.raw() for buffer in buffers]
    return [pickle.dumps((body.getvalue(), [part.nbytes for part in memory])), *memory]


def send(pipe: io.FileIO, parts: Parts) -> None:
    """Writes a message.

    Raises:
        BrokenPipeError: the other end is closed.
    """
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[pipe.write(rest) :]


def receive(pipe: io.BufferedReader) -> Any:
    """Reads a message.

    Raises:
        EOFError: the other end is closed, perhaps in the middle of the message.
    """
    try:
        body, sizes = pickle.load(pipe)
    except pickle.UnpicklingError as error:  # the header is cut short
        raise EOFError from error
    memory = [np.empty(size, np.uint8) for size in sizes]
    for part in memory:
        if pipe.readinto(part.data) < len(part):
            raise EOFError
    return pickle.loads(body, buffers=memory)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        return _reduce(value) if type(value) is Tensor else NotImplemented


def _reduce(tensor: Tensor) -> tuple:
    """A flat array with the strides: NumPy would bring a permuted array's memory into another order."""
    dense = tensor if torch.ops.aten.is_non_overlapping_and_dense(tensor) else tensor.contiguous()
    flat = dense.as_strided((dense.numel(),), (1,))
    return _restore, (flat.numpy(), tuple(dense.shape), dense.stride())


def _restore(flat: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(flat).as_strided(shape, strides)
