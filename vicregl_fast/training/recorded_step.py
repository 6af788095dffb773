"""Training steps that are captured once in a CUDA graph, and from then on cost the host one launch each.

Source: PyTorch's notes on CUDA semantics, CUDA graphs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakMethod

import torch
from torch import Tensor, nn

from dataprep.errors import UserError, reason_of
from vicregl_fast.config import TrainingConfig
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.devices import capture_stream, synchronize
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.step import StepResult, TrainingStep
from vicregl_fast.training.stopwatch import UNWATCHED, Clock

WARM_UP_STEPS = 3
"""Steps launched kernel by kernel before one is captured: in them constants, the optimiser's state, cuDNN's choices and
compiled code come to be."""

REPLAYED = "recorded"
"""The one part that a replayed step has for a clock."""


def records_whole_steps(config: TrainingConfig, processes: Processes) -> bool:
    """Whether the steps of a run are recorded: on one GPU, if it is wanted."""
    return config.cuda_graphs and processes.device.type == "cuda" and processes.world == 1


class Recorder(Protocol):
    """Captures the work that a function gives a device."""

    def warm_up(self, work: Callable[[], StepResult]) -> StepResult:
        """Calls ``work`` where it would be captured, and returns what it gives."""

    def capture(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
        """Returns what ``work`` gives, whose tensors have values after the first replay, and what replays it.

        After an error the process should end: torch then leaves memory reserved, and generators unusable.

        Raises:
            UserError: it does what cannot be captured, such as waiting for the device.
        """


class RecordedTrainingStep(TrainingStep):
    """A ``TrainingStep`` whose first steps are launched kernel by kernel, and the others as replays of one.

    A replay does what the recorded step did, with the values that batch and learning rate have now, and gives the
    tensors that the recorded step gave: what a step gives is overwritten by the next one. After batches of another
    form, and after the optimiser's state was loaded, and so lies elsewhere, a step is recorded anew. The memory of a
    recorded step stays reserved between steps.

    Args:
        recorder: captures steps, on the device of the network.
        network: a ``VICRegLNetwork``, which may be compiled, but not wrapped in DistributedDataParallel.
        criterion, optimizer, precision, clip_norm, classifier: as of ``TrainingStep``.
    """

    def __init__(
        self,
        recorder: Recorder,
        network: nn.Module,
        criterion: VICRegLLoss,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        clip_norm: float | None = None,
        classifier: nn.Module | None = None,
    ):
        super().__init__(network, criterion, optimizer, precision, clip_norm, classifier)
        self._recorder = recorder
        self._rate = torch.zeros((), device=next(self.network.parameters()).device)
        self._form: object = None
        self._taken = 0
        self._recorded: _Recorded | None = None
        own = WeakMethod(self._forget)  # a cycle of references would hold the memory of the graph

        def forget(optimizer: torch.optim.Optimizer) -> None:
            if (method := own()) is not None:
                method()

        optimizer.register_load_state_dict_post_hook(forget)

    def __call__(self, batch: ViewBatch, learning_rate: float | Tensor, clock: Clock = UNWATCHED) -> StepResult:
        """Takes one step, as a ``TrainingStep`` does; of a replay the clock sees one part, ``recorded``.

        Raises:
            UserError: the step cannot be recorded.
        """
        form = _form(batch)
        if form != self._form:
            self._forget()
            self._form = form
        self._rate.fill_(learning_rate)
        if self._taken < WARM_UP_STEPS:
            self._taken += 1
            take = super().__call__
            result = self._recorder.warm_up(lambda: take(batch, self._rate, clock))
        else:
            if self._recorded is None:
                self._recorded = self._record(batch)
            result = self._recorded(batch, clock)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate  # a number, as checkpoints hold it
        return result

    def _record(self, batch: ViewBatch) -> "_Recorded":
        inputs = replace(
            batch,
            views=tuple(view.clone() for view in batch.views),
            labels=None if batch.labels is None else batch.labels.clone(),
            matches={direction: kept.map(torch.clone) for direction, kept in batch.matches.items()},
        )
        take = super().__call__
        with _capturable(self.optimizer):
            result, replay = self._recorder.capture(lambda: take(inputs, self._rate, UNWATCHED))
        return _Recorded(inputs, result, replay)

    def _forget(self) -> None:
        if self._recorded is not None:
            synchronize(self._rate.device)  # it may be at work
        self._recorded, self._taken = None, 0


@dataclass(frozen=True)
class _Recorded:
    """One recorded step: the batch that it reads, what it gives, and what replays it.

    It reads constants, too, that the loss keeps for as long as a process is at work on a few shapes (``lru_cache``).
    """

    inputs: ViewBatch
    result: StepResult
    replay: Callable[[], None]

    def __call__(self, batch: ViewBatch, clock: Clock) -> StepResult:
        clock.mark(REPLAYED)
        for held, new in zip(_tensors(self.inputs), _tensors(batch), strict=True):
            held.copy_(new, non_blocking=True)
        self.replay()
        return self.result


class CudaGraphs:
    """A ``Recorder`` of a GPU."""

    def __init__(self, device: torch.device):
        self._device, self._stream = device, capture_stream(device)

    def warm_up(self, work: Callable[[], StepResult]) -> StepResult:
        """Calls ``work`` in the stream that would capture it, where libraries then keep their workspaces."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = work()
        current.wait_stream(self._stream)
        return result

    def capture(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
        """As ``Recorder`` says; threads that load images may go on meanwhile."""
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                result = work()
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # where torch fails to end the capture, it stays in that stream
            cause = error.__context__ or error  # what came first
            if isinstance(cause, torch.OutOfMemoryError):
                raise cause from None
            raise UserError(
                f"a training step cannot be recorded as a CUDA graph ({reason_of(cause)}): leave train.cuda_graphs at "
                "false"
            ) from error
        return result, graph.replay


def _tensors(batch: ViewBatch) -> list[Tensor]:
    """What a step reads of a batch."""
    matches = [tensor for kept in batch.matches.values() for tensor in kept]
    return [*batch.views, *matches, *([] if batch.labels is None else [batch.labels])]


def _form(batch: ViewBatch) -> object:
    forms = [(tensor.shape, tensor.stride(), tensor.dtype) for tensor in _tensors(batch)]
    return forms, batch.labels is None, list(batch.matches)


@contextmanager
def _capturable(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Tells torch's own optimisers that they are recorded; their fused kernels are the same ones."""
    groups = [group for group in optimizer.param_groups if "capturable" in group]
    before = [group["capturable"] for group in groups]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group, was in zip(groups, before, strict=True):
            group["capturable"] = was
