"""The clock of a curve counts training, and neither preparation nor judging."""

import time

import pytest
import torch

from vicregl_fast.benchmarks.quality.recorder import Recorder, judged_epochs
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import BackboneConfig


def test_only_training_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    modes: list[bool] = []

    def judge(backbone: Backbone) -> float:
        nonlocal now
        modes.append(backbone.training)
        now += 1000
        return 12.5

    backbone = build_backbone(BackboneConfig("test_resnet")).train()
    noted: list[int] = []
    recorder = Recorder("ours", judge, [2, 3], torch.device("cpu"), lambda curve: noted.append(len(curve.points)))
    now += 7
    recorder.start()
    for epoch in (1, 2, 3):
        now += 10 * epoch
        recorder.epoch_ended(epoch, 64 * epoch, backbone)
    curve = recorder.curve()
    assert curve.preparation == 7
    assert [(point.epoch, point.images, point.seconds, point.accuracy) for point in curve.points] == [
        (2, 128, 30.0, 12.5),
        (3, 192, 60.0, 12.5),
    ]
    assert modes == [False, False] and backbone.training and noted == [1, 2]


@pytest.mark.parametrize(
    ("epochs", "points", "expected"), [(10, 5, [2, 4, 6, 8, 10]), (3, 10, [1, 2, 3]), (7, 3, [2, 5, 7]), (5, 1, [5])]
)
def test_judged_epochs_are_spread_evenly(epochs: int, points: int, expected: list[int]) -> None:
    assert judged_epochs(epochs, points) == expected
