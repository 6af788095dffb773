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
from vicregl_fast.training import learner
from vicregl_fast.training.first_checks import _check_graphs, check_settings
from vicregl_fast.training.learner import build_learner
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.recorded_step import WARM_UP_STEPS, RecordedTrainingStep, records_whole_steps
from vicregl_fast.training.step import StepResult, TrainingStep
from vicregl_fast.training.stopwatch import Stopwatch


class Replays:
    """A recorder of the CPU: a replay does the work again, on what it read and into what it gave the first time."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def warm_up(self, work: Callable[[], StepResult]) -> StepResult:
        self.calls.append("warm up")
        return work()

    def capture(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
        self.calls.append("capture")
        # What capturing gives has no values yet; the first replay fills it.
        result = StepResult(torch.empty(()), {}, torch.empty((), dtype=torch.bool), lambda: {}, torch.empty(0))

        def replay() -> None:
            self.calls.append("replay")
            for name, made in _values(work()).items():
                _values(result)[name].resize_(made.shape).copy_(made.detach())

        return result, replay


class Silent(Replays):
    """Keeps nothing of what it records, as a graph keeps no Python objects."""

    def capture(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
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
    for number in range(WARM_UP_STEPS + 4):
        rate = 2.0**-7 * (1 + number)  # which float32 holds, as the recorder's rate does
        given = changed(batch(plain), number)
        if number == WARM_UP_STEPS + 2:
            given.views[0][0] = float("nan")
        ours, theirs = recorded(given, rate), plain(given, rate)
        torch.testing.assert_close(_values(ours), _values(theirs), equal_nan=True)
        assert recorded.optimizer.param_groups[0]["lr"] == rate
    assert recorder.calls == ["warm up"] * WARM_UP_STEPS + ["capture"] + ["replay"] * 4
    for a, b in zip(plain.network.state_dict().values(), recorded.network.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert (
        "capturable" not in recorded.optimizer.param_groups[0] or not recorded.optimizer.param_groups[0]["capturable"]
    )


def test_torch_s_optimisers_are_told_that_they_are_captured() -> None:
    class Told(Silent):
        def capture(self, work: Callable[[], StepResult]) -> tuple[StepResult, Callable[[], None]]:
            told.extend(group["capturable"] for group in step.optimizer.param_groups)
            return super().capture(work)

    told: list[bool] = []
    step = build(Told(), "adamw")
    for _ in range(WARM_UP_STEPS + 1):
        step(batch(step), 0.1)
    assert told == [True, True]
    assert [group["capturable"] for group in step.optimizer.param_groups] == [False, False]


def test_given_batches_stay_as_they_are() -> None:
    step = build(Replays(), "lars")
    given = [changed(batch(step), number) for number in range(WARM_UP_STEPS + 3)]
    kept = copy.deepcopy(given)
    for each in given:
        step(each, 0.1)
    for each, before in zip(given, kept, strict=True):
        torch.testing.assert_close((each.views, each.labels), (before.views, before.labels))
        torch.testing.assert_close(list(each.matches.values()), list(before.matches.values()))


ONCE = ["warm up"] * WARM_UP_STEPS + ["capture", "replay"]


def test_after_a_state_was_loaded_a_step_is_captured_anew() -> None:
    step = build(recorder := Replays(), "adamw")
    for _ in range(2):
        for _ in range(WARM_UP_STEPS + 1):
            step(batch(step), 0.1)
        step.optimizer.load_state_dict(copy.deepcopy(step.optimizer.state_dict()))
    assert recorder.calls == 2 * ONCE


OTHER_FORMS: dict[str, Callable[[ViewBatch], ViewBatch]] = {
    "no labels": lambda given: replace(given, labels=None),
    "samples": lambda given: replace(
        given,
        views=tuple(view[:3] for view in given.views),
        labels=given.labels[:3],  # type: ignore[index]
        matches={direction: kept.map(lambda cells: cells[:3]) for direction, kept in given.matches.items()},
    ),
    "layout": lambda given: replace(
        given, views=tuple(view.contiguous(memory_format=torch.channels_last) for view in given.views)
    ),
    "dtype": lambda given: replace(given, labels=given.labels.int()),  # type: ignore[union-attr]
    "matches": lambda given: replace(
        given, matches={direction: kept.map(lambda cells: cells[:, :1]) for direction, kept in given.matches.items()}
    ),
}


@pytest.mark.parametrize("other", OTHER_FORMS)
def test_batches_of_another_form_are_captured_anew(other: str) -> None:
    step = build(recorder := Silent(), "lars")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", lambda *given: None)  # whatever is trained
        for given in (batch(step), OTHER_FORMS[other](batch(step))):
            for _ in range(WARM_UP_STEPS + 1):
                step(given, 0.1)
    assert recorder.calls == 2 * ONCE[:-2]


def test_the_clock_of_a_replay_sees_one_part() -> None:
    step = build(Replays(), "lars")
    for number in range(WARM_UP_STEPS + 2):
        clock = Stopwatch(torch.device("cpu"))
        step(batch(step), 0.1, clock)
        clock.stop()
        parts = {"forward", "loss", "backward", "optimizer"} if number < WARM_UP_STEPS else {"recorded"}
        assert set(clock.seconds()) == {f"seconds_{part}" for part in parts}


def test_a_recording_goes_with_its_step() -> None:
    """It holds the memory of all activations, which the next variant of a benchmark needs."""
    step = build(Silent(), "lars")
    for _ in range(WARM_UP_STEPS + 1):
        step(batch(step), 0.1)
    gone = weakref.ref(step)
    gc.disable()
    try:
        del step
        assert gone() is None
    finally:
        gc.enable()


TINY = "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=4"
GPU = torch.device("cuda", 0)


def test_whole_steps_are_recorded_on_one_gpu() -> None:
    wanted = parse_config([*TINY.split(), "--train.cuda_graphs=true"])
    assert records_whole_steps(wanted.train, Processes(0, 1, GPU))
    assert not records_whole_steps(wanted.train, Processes(0, 2, GPU))
    assert not records_whole_steps(wanted.train, ALONE)
    assert not records_whole_steps(parse_config(TINY.split()).train, Processes(0, 1, GPU))
    assert type(build_learner(wanted, 0, ALONE).step) is TrainingStep


@pytest.mark.parametrize("world", [1, 2])
def test_only_several_processes_record_the_backbone_alone(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []
    monkeypatch.setattr(learner, "compile_backbone", lambda backbone, cuda_graphs: compiled.append(cuda_graphs))
    monkeypatch.setattr(learner, "DistributedDataParallel", lambda network, **options: network)
    train = parse_config([*TINY.split(), "--train.cuda_graphs=true", "--train.compile=true"]).train
    train = replace(train, sync_batchnorm=False)
    learner._wrap(build(None, "lars").network, train, Processes(0, world, torch.device("cpu")))  # type: ignore[arg-type]
    assert compiled == [world > 1]


def test_without_a_gpu_a_note_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    check_settings(parse_config([*TINY.split(), "--train.cuda_graphs=true"]), ALONE)
    assert "train.cuda_graphs does nothing here" in capsys.readouterr().err


def test_several_processes_need_compiled_code() -> None:
    config = parse_config([*TINY.split(), "--train.cuda_graphs=true"])
    with pytest.raises(UserError, match="records the backbone only, for which it needs"):
        _check_graphs(config, Processes(0, 2, GPU))
