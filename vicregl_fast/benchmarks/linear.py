"""Times linear classification with several learning rates beside the same with one."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_side_by_side
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.classification.config import LinearConfig
from vicregl_fast.evaluation.classification.linear import LinearJudge
from vicregl_fast.models.backbone import build_backbone
from vicregl_fast.models.config import BackboneConfig

SEED = 0


def bench_linear(
    backbone: BackboneConfig,
    train: ChosenImages,
    test: ChosenImages,
    config: LinearConfig,
    device: torch.device,
    repeats: int,
) -> Iterator[Measurement]:
    """Times whole judgements as ``evaluate linear`` makes them, from decoding to the accuracy.

    ``linear.all_rates`` trains all learning rates at once and chooses one of them; ``linear.one_rate`` trains the first
    alone, on the images that the other holds out, too. ``linear.over_one_rate`` is the ratio of their times.

    Args:
        backbone: of which architecture; its weights are drawn.
        train, test: images with labels.
        config: has at least two learning rates.
        repeats: number of durations measured for each figure.

    Raises:
        UserError: ``LinearJudge`` refuses the images, an image does not decode, or the backbone accepts none of this
            size.
    """
    network = build_backbone(backbone).eval()
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as judged
    rates = {"all_rates": config.lr, "one_rate": config.lr[:1]}
    judges = {name: LinearJudge(train, test, replace(config, lr=some), device) for name, some in rates.items()}
    calls = {name: partial(judge.judge, network, SEED) for name, judge in judges.items()}
    seconds = time_side_by_side(calls, device, repeats)
    for name, durations in seconds.items():
        yield Measurement.of(f"linear.{name}", durations, "s")
    yield Measurement.speedup("linear.over_one_rate", seconds["one_rate"], seconds["all_rates"])
