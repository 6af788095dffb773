"""The command on a GPU: stopped and started again, it goes on bit for bit."""

import importlib.util
import signal
from pathlib import Path

import pytest
import torch

if importlib.util.find_spec("ffcv") is None:  # which takes seconds to import
    pytest.skip("needs ffcv", allow_module_level=True)
pytest.importorskip("jsonargparse")

from tests.test_train import losses, newest, stop_midway, train

pytestmark = pytest.mark.gpu
MORE = ("--train.device", "cuda", "--train.deterministic", "true", "--train.precision", "auto", "--epochs", "40")
STEPS = 160


def test_a_stopped_run_goes_on_bit_for_bit(cuda: torch.device, beton: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    done = train(beton, whole, *MORE)
    assert done.returncode == 0, done.stderr
    assert stop_midway(beton, stopped, signal.SIGTERM, *MORE) == 75
    assert newest(stopped)["step"] < STEPS
    again = train(beton, stopped, *MORE)
    assert again.returncode == 0, again.stderr
    assert losses(stopped) == losses(whole)
    ours, theirs = newest(stopped)["network"], newest(whole)["network"]
    assert all(torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in theirs)
