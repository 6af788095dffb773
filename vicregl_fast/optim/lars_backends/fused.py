"""LARS in two Triton kernels over all tensors: 28 bytes a parameter are read and written."""

from collections import defaultdict
from functools import lru_cache

import torch
import triton.language as tl
from torch import Tensor

from vicregl_fast.optim.lars_backends.foreach import step_by_foreach
from vicregl_fast.optim.lars_backends.kernels import BLOCK, CHUNK, OPTIONS, sum_squares, update
from vicregl_fast.optim.lars_backends.loop import TRUST
from vicregl_fast.optim.lars_backends.tensors import Coefficients, StepTensors, to_device

GRADIENTS = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
Place = tuple[int, int, int, bool]
"""Of one tensor: address of p, address of m, number of elements, whether it has decay and a trust ratio."""


class TritonStep:
    """Takes a step without waiting for the device; once tables are built, it can be captured in a CUDA graph.

    Parameters other than float32 go to ``step_by_foreach``.
    """

    def __init__(self) -> None:
        self._table = lru_cache(maxsize=16)(Table)

    def __call__(self, tensors: StepTensors, coefficients: Coefficients) -> None:
        device = tensors.parameters[0].device
        if tensors.parameters[0].dtype != torch.float32:
            return step_by_foreach(tensors, coefficients)
        gradients = [each if each.dtype in GRADIENTS else each.float() for each in tensors.gradients]
        with torch.cuda.device_of(tensors.parameters[0]):
            for (dtype, aligned), (places, addresses) in _alike(tensors, gradients).items():
                _launch(self._table(device, tuple(places)), addresses, dtype, aligned, coefficients)


class Table:
    """The tables that the kernels read (``kernels.py``), for parameters and buffers at given addresses.

    Args:
        device: where they lie.
        places: one for each tensor; those with decay stand first.
    """

    def __init__(self, device: torch.device, places: tuple[Place, ...]) -> None:
        tensors: list[tuple[int, int, int, int]] = []
        chunks: list[tuple[int, int, int]] = []
        for number, (parameter, buffer, size, decayed) in enumerate(places):
            count = -(-size // CHUNK)
            tensors.append((parameter, buffer, len(chunks), count if decayed else 0))
            chunks += [(number, each, min(CHUNK, size - each * CHUNK)) for each in range(count)]
        self.tensors, self.chunks = (to_device(torch.tensor(rows), device) for rows in (tensors, chunks))
        self.summed = sum(row[3] for row in tensors)
        self.sums = torch.empty((max(1, self.summed), 2), device=device)
        self._staging: Tensor | None = self._host_array()
        self._captured: list[Tensor] = []
        self._addresses: list[int] | None = None
        self._gradients = self.sums  # until the first call of ``gradients``

    def gradients(self, addresses: list[int]) -> Tensor:
        """The table of the gradients' addresses, copied to the device anew if they have changed."""
        if addresses != self._addresses:
            staging = self._host_array() if self._staging is None else self._staging
            staging.copy_(torch.tensor(addresses))
            self._gradients = staging.to(self.chunks.device, non_blocking=True)
            self._addresses, self._staging = addresses, None
            if self.tensors.is_cuda and torch.cuda.is_current_stream_capturing():
                self._captured.append(staging)  # each replay of the graph copies from it
                self._addresses = None  # of what a replay does, nothing is known here
            else:
                self._staging = self._host_array()  # ready for a capture, which may not allocate it
        return self._gradients

    def _host_array(self) -> Tensor:
        return torch.empty(len(self.tensors), dtype=torch.int64, pin_memory=self.tensors.is_cuda)


def _alike(
    tensors: StepTensors, gradients: list[Tensor]
) -> dict[tuple[torch.dtype, bool], tuple[list[Place], list[int]]]:
    """Places of tensors and addresses of gradients, by the gradients' dtype and whether all are 16-byte aligned."""
    alike: dict[tuple[torch.dtype, bool], tuple[list[Place], list[int]]] = defaultdict(lambda: ([], []))
    decayed = tensors.decayed
    for number, (p, g, m) in enumerate(zip(tensors.parameters, gradients, tensors.buffers, strict=True)):
        parameter, gradient, buffer = p.data_ptr(), g.data_ptr(), m.data_ptr()
        places, addresses = alike[g.dtype, (parameter | gradient | buffer) % 16 == 0]
        places.append((parameter, buffer, p.numel(), number < decayed))
        addresses.append(gradient)
    return alike


def _launch(table: Table, addresses: list[int], dtype: torch.dtype, aligned: bool, numbers: Coefficients) -> None:
    lr, on_device = (0.0, numbers.lr) if isinstance(numbers.lr, Tensor) else (numbers.lr, None)
    tables = (table.tensors, table.gradients(addresses), table.chunks, table.sums)
    options = {"GRADIENT": GRADIENTS[dtype], "ALIGNED": aligned, "CHUNK": CHUNK, "BLOCK": BLOCK, **OPTIONS}
    if table.summed:
        sum_squares[(table.summed,)](*tables, numbers.weight_decay, numbers.grad_scale, **options)
    update[(len(table.chunks),)](
        *tables, lr, on_device, numbers.weight_decay, numbers.momentum, TRUST, numbers.grad_scale, numbers.found_inf,
        **options,
    )  # fmt: skip
