"""Forward and backward pass of a batch: at once, or in chunks where its activations do not fit into memory."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vicregl_fast.models.network import NetworkOutputs
from vicregl_fast.models.passes import recomputes_activations
from vicregl_fast.training.buffers import NetworkBuffers
from vicregl_fast.training.generators import generator_states, set_generator_states
from vicregl_fast.training.precision import Precision


def chunks_of(samples: int, chunk: int) -> int:
    """How many chunks of at most ``chunk`` samples there are; they differ by one sample at most."""
    return -(-samples // chunk)


class WholePasses:
    """Passes a batch at once.

    Args:
        network: a ``VICRegLNetwork``, which may be wrapped in DistributedDataParallel.
        precision: the number format of the forward pass.
        buffers: of the network.
    """

    def __init__(self, network: nn.Module, precision: Precision, buffers: NetworkBuffers):
        self._network, self._precision, self._buffers = network, precision, buffers
        self._recomputes = recomputes_activations(network)

    def forward(self, views: Sequence[Tensor]) -> NetworkOutputs:
        """The outputs of the network for ``views``, v tensors [n, 3, S, S]."""
        with self._precision.autocast():
            return self._network(views)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of a scalar to the parameters, where it is a function of what ``forward`` returned."""
        with self._buffers.kept() if self._recomputes else nullcontext():
            loss.backward()


class _Chunk(NamedTuple):
    """A part of a batch, and the states that torch's generators had before its first pass."""

    views: list[Tensor]
    states: dict[str, Tensor]
    outputs: list[Tensor]


class ChunkedPasses(WholePasses):
    """Passes a batch in chunks, with the gradient of the whole (gradient caching: Gao, Zhang, Han, Callan 2021).

    The first pass keeps no activations, but the outputs, on which the loss is formed. With the loss's gradient at the
    outputs, each chunk passes a second time, with the same draws of drop path, and adds to the gradients. Statistics of
    BatchNorm are those of a chunk, and of the same chunks of all processes.

    Args:
        network: a ``VICRegLNetwork``, which may be wrapped in DistributedDataParallel without a static graph.
        precision: the number format of the forward pass.
        buffers: of the network.
        chunk: the most samples of this process in a chunk; chunks differ by one sample at most.
    """

    def __init__(self, network: nn.Module, precision: Precision, buffers: NetworkBuffers, chunk: int):
        super().__init__(network, precision, buffers)
        self._chunk = chunk
        self._chunks: list[_Chunk] = []

    def forward(self, views: Sequence[Tensor]) -> NetworkOutputs:
        count = chunks_of(len(views[0]), self._chunk)
        parts = [list(part) for part in zip(*(view.tensor_split(count) for view in views), strict=True)]
        learns = torch.is_grad_enabled()
        states, made = [], []
        with torch.no_grad():
            for part in parts:
                states.append(generator_states(views[0].device))
                made.append(super().forward(part))
        leaves = [[tensor.requires_grad_(learns) for tensor in _tensors(each)] for each in made]
        self._chunks = [_Chunk(*each) for each in zip(parts, states, leaves, strict=True)] if learns else []
        return _concatenated(made)

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # to the outputs
        chunks, self._chunks = self._chunks, []
        for number, chunk in enumerate(chunks, 1):
            with self._without_sum(number < len(chunks)), self._buffers.kept():
                set_generator_states(chunk.states, loss.device)
                again = _tensors(super().forward(chunk.views))
                pairs = [(new, old.grad) for new, old in zip(again, chunk.outputs, strict=True) if old.grad is not None]
                torch.autograd.backward([new for new, _ in pairs], [gradient for _, gradient in pairs])

    def _without_sum(self, more_to_come: bool) -> AbstractContextManager:
        """Lets processes add up their gradients once, after the last chunk."""
        if more_to_come and isinstance(self._network, DistributedDataParallel):
            return self._network.no_sync()
        return nullcontext()


def _tensors(outputs: NetworkOutputs) -> list[Tensor]:
    logits = () if outputs.logits is None else (outputs.logits,)
    return [*(outputs.embeddings or ()), *(outputs.maps or ()), *logits]


def _concatenated(chunks: list[NetworkOutputs]) -> NetworkOutputs:
    def joined(parts: Iterator[list[Tensor] | None]) -> list[Tensor] | None:
        given = [part for part in parts if part is not None]
        return [torch.cat(each) for each in zip(*given, strict=True)] if given else None

    logits = [each.logits for each in chunks if each.logits is not None]
    return NetworkOutputs(
        joined(each.embeddings for each in chunks),
        joined(each.maps for each in chunks),
        torch.cat(logits) if logits else None,
        torch.cat([each.pooled for each in chunks]),
    )
