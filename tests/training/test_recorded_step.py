"""Steps are recorded after the first ones, and read then what batch and learning rate hold; seen without a GPU."""

import copy
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dataprep.errors import UserError
from tests.tiny_run import ALONE
from tests.training.test_step import batch
from vicregl_fast.config import parse_config
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.training.learner import _is_recorded, build_learner
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.recorded_step import FIRST_STEPS, RecordedTrainingStep
from vicregl_fast.training.step import StepResult, TrainingStep
from vicregl_fast.training.stopwatch import Stopwatch


class Replays:
    """A recorder of the CPU: a replay does the work again, on what it read and into what it gave the first time."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def beside(self, work: Callable[[], StepResult]) -> StepResult:
        self.calls.append("beside")
        return work()

    def record(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
        self.calls.append("record")
        given: list[StepResult] = []

        def replay() -> None:
            self.calls.append("replay")
            made = work()
            if not given:
                given.append(made)
            for name, held in _values(given[0]).items():
                held.data.copy_(_values(made)[name])

        # What recording gives has no values yet; here it is what the first replay fills.
        result = StepResult(torch.empty(()), {}, torch.empty((), dtype=torch.bool), lambda: {}, torch.empty(4, 512))
        given.append(result)
        return result, replay


class Silent(Replays):
    """Keeps nothing of what it records, as a graph keeps no Python objects."""

    def record(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
        return work(), lambda: None


def _values(result: StepResult) -> dict[str, Tensor]:
    return {"loss": result.loss, "finite": result.finite, "pooled": result.pooled}


def build(recorder: Replays | None, optim: str) -> TrainingStep:
    torch.manual_seed(0)
    network = VICRegLNetwork(ModelConfig("resnet18", expander=16, projector=8), True, True, classes=3)
    optimizer = build_optimizer(OptimConfig(name=optim), network)  # type: ignore[arg-type]
    parts = network, VICRegLLoss(LossConfig(gamma_large=2), 2), optimizer, Precision("fp32", "cpu"), 1.0, None
    return TrainingStep(*parts) if recorder is None else RecordedTrainingStep(recorder, *parts)


def changed(given: ViewBatch, number: int) -> ViewBatch:
    """Other images, labels and matches of the same form."""
    assert given.labels is not None
    matches = {direction: kept.map(lambda cells: (cells + number) % 4) for direction, kept in given.matches.items()}
    views = tuple(view.roll(number, 0) * (1 + number) for view in given.views)
    return replace(given, views=views, labels=given.labels.roll(number), matches=matches)


@pytest.mark.parametrize("optim", ["lars", "adamw"])
def test_recorded_steps_are_as_launched_ones(optim: str) -> None:
    recorder = Replays()
    plain, recorded = build(None, optim), build(recorder, optim)
    for number in range(FIRST_STEPS + 4):
        rate = 2.0**-7 * (1 + number)  # which float32 holds, as the recorder's rate does
        given = changed(batch(plain), number)
        if number == FIRST_STEPS + 2:
            given.views[0][0] = float("nan")
        ours, theirs = recorded(given, rate), plain(given, rate)
        torch.testing.assert_close(_values(ours), _values(theirs), equal_nan=True)
        assert recorded.optimizer.param_groups[0]["lr"] == rate
    assert recorder.calls == ["beside"] * FIRST_STEPS + ["record"] + ["replay"] * 4
    for a, b in zip(plain.network.state_dict().values(), recorded.network.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert (
        "capturable" not in recorded.optimizer.param_groups[0] or not recorded.optimizer.param_groups[0]["capturable"]
    )


def test_what_lies_elsewhere_is_recorded_anew() -> None:
    recorder = Replays()
    step = build(recorder, "adamw")
    given = batch(step)
    once = ["beside"] * FIRST_STEPS + ["record", "replay"]
    for _ in range(FIRST_STEPS + 1):
        step(given, 0.1)
    assert recorder.calls == once
    step.optimizer.load_state_dict(copy.deepcopy(step.optimizer.state_dict()))
    for _ in range(FIRST_STEPS + 1):
        step(given, 0.1)
    assert recorder.calls == 2 * once
    for _ in range(FIRST_STEPS + 1):
        step(replace(given, labels=None), 0.1)
    assert recorder.calls == 3 * once


def test_the_clock_of_a_replay_sees_one_part() -> None:
    step = build(Replays(), "lars")
    for number in range(FIRST_STEPS + 2):
        clock = Stopwatch(torch.device("cpu"))
        step(batch(step), 0.1, clock)
        clock.stop()
        parts = {"forward", "loss", "backward", "optimizer"} if number < FIRST_STEPS else {"recorded"}
        assert set(clock.seconds()) == {f"seconds_{part}" for part in parts}


def test_a_recording_goes_with_its_step() -> None:
    """It holds the memory of all activations, which the next variant of a benchmark needs."""
    step = build(Silent(), "lars")
    for _ in range(FIRST_STEPS + 1):
        step(batch(step), 0.1)
    gone = weakref.ref(step)
    gc.disable()
    try:
        del step
        assert gone() is None
    finally:
        gc.enable()


TINY = "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=4"


def test_without_a_gpu_a_note_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    config = parse_config([*TINY.split(), "--train.cuda_graphs=true"])
    assert type(build_learner(config, 0, ALONE).step) is TrainingStep
    assert "train.cuda_graphs does nothing here" in capsys.readouterr().err


def test_several_processes_need_compiled_code() -> None:
    config = parse_config([*TINY.split(), "--train.cuda_graphs=true"])
    with pytest.raises(UserError, match=r"with several processes train.cuda_graphs records the backbone only"):
        _is_recorded(config.train, Processes(0, 2, torch.device("cuda", 0)))
