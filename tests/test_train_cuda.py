"""Runs on a GPU: stopped and started again they go on bit for bit, launched kernel by kernel or recorded."""

import importlib.util
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

if importlib.util.find_spec("ffcv") is None:  # which takes seconds to import
    pytest.skip("needs ffcv", allow_module_level=True)
pytest.importorskip("jsonargparse")

from tests.tiny_run import rows, tiny_options
from vicregl_fast.config import parse_config
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.recorded_step import RecordedTrainingStep
from vicregl_fast.training.trainer import Trainer

pytestmark = pytest.mark.gpu


def trained(store: Path, run: Path, device: torch.device, stop_after: int | None = None, **more: object) -> Trainer:
    """A run to its end, or until a signal after so many steps."""
    given = {"train__device": "cuda", "train__deterministic": "true", "train__precision": "auto", **more}
    trainer = Trainer(parse_config(tiny_options(store, run, **given)), Processes(0, 1, device))
    take_step = trainer._train_step

    def step(*arguments: Any) -> None:
        take_step(*arguments)
        if trainer.finished_steps == stop_after:
            trainer.stop.received = signal.SIGTERM

    trainer._train_step = step  # type: ignore[assignment, method-assign]
    assert trainer.run() == (0 if stop_after is None else 75)
    return trainer


TIMED = ("seconds_", "images_per_second", "data_wait_share", "tflops", "flop_utilisation")


def figures(run: Path) -> list[dict[str, object]]:
    """What the run has logged, but for times."""
    return [{key: value for key, value in row.items() if not key.startswith(TIMED)} for row in rows(run)]


@pytest.mark.parametrize("optim, backbone", [("lars", "resnet18"), ("adamw", "convnext_atto")])
def test_a_stopped_run_goes_on_bit_for_bit(
    cuda: torch.device, repeatable: None, beton: Path, tmp_path: Path, optim: str, backbone: str
) -> None:
    """With validation between the steps, and with drop path."""
    logged, networks = {}, {}
    for recorded in (False, True):
        settings: dict[str, Any] = {"train__cuda_graphs": recorded, "optim__name": optim, "model__backbone": backbone}
        settings |= {"data__val_path": beton, "views__large_size": 64}
        if backbone.startswith("convnext"):
            settings["model__drop_path"] = 0.2
        for name, stop in (("whole", None), ("resumed", 7)):
            run = tmp_path / f"{name}-{recorded}"
            if stop is not None:
                trained(beton, run, cuda, stop, **settings)
            done = trained(beton, run, cuda, **settings)
            assert isinstance(done.learner.step, RecordedTrainingStep) == recorded
            logged[name, recorded] = figures(run)
            networks[name, recorded] = done.learner.network.state_dict()
            assert len([row for row in logged[name, recorded] if "loss" in row]) == 12
    for recorded in (False, True):
        assert logged["resumed", recorded] == logged["whole", recorded]
        for key, value in networks["whole", recorded].items():
            assert torch.equal(networks["resumed", recorded][key], value), key
    # The recorder's learning rate is a float32 on the device.
    losses = [[row["loss"] for row in logged["whole", recorded] if "loss" in row] for recorded in (False, True)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3 if backbone == "resnet18" else 1e-2)
