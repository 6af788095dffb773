"""The benchmark of features times what the judgements do, beside the forward pass alone."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vicregl_fast.bench import main
from vicregl_fast.benchmarks import features
from vicregl_fast.benchmarks.measurements import read_measurements
from vicregl_fast.models.backbone import Backbone


def test_rates_are_those_of_the_forward_pass_and_of_loading(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 20 ms an image in the forward pass, features come at 50 images/s at most."""
    batches: list[int] = []

    def slow(backbone: Backbone, images: Tensor) -> Tensor:
        time.sleep(0.02 * len(images))
        batches.append(len(images))
        return torch.zeros(len(images), backbone.channels)

    monkeypatch.setattr(features, "pooled_of", slow)
    monkeypatch.setattr("vicregl_fast.evaluation.classification.features.pooled_of", slow)
    options = "--backbone test_resnet --size 32 --batch 8 --repeats 3 --workers 1 --device cpu"
    main(["features", "--path", str(beton), *options.split(), "--json", str(tmp_path / "f.json")])
    rows = {row.name: row for row in read_measurements(tmp_path / "f.json")}
    assert list(rows) == [
        "features.images_per_second", "features.forward", "features.crops", "features.over_forward",
    ]  # fmt: skip
    assert 25 < rows["features.forward"].value <= 50 and rows["features.images_per_second"].max <= 50
    ratio = rows["features.images_per_second"].value / rows["features.forward"].value
    assert rows["features.over_forward"].value == pytest.approx(ratio)
    assert rows["features.crops"].value > rows["features.forward"].value
    assert sum(batches) == 2 * (3 + 1) * 32 and set(batches) == {8}  # 4 batches, in 4 turns, both ways


def test_a_list_chooses_and_the_last_batch_may_be_smaller(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real: Callable[..., Any] = features.pooled_features

    def counted(backbone: Backbone, crops: Any, chosen: Any, device: torch.device) -> Tensor:
        seen.extend(chosen.tolist())
        return real(backbone, crops, chosen, device)

    monkeypatch.setattr(features, "pooled_features", counted)
    names = (beton.parent / f"{beton.name}.names.jsonl").read_text().splitlines()
    (tmp_path / "list").write_text("\n".join(names[number].strip('"') for number in (4, 2, 9)))
    options = "--backbone test_resnet --size 32 --batch 2 --repeats 1 --device cpu"
    main(["features", "--path", str(beton), "--list", str(tmp_path / "list"), *options.split()])
    assert seen == [4, 2, 9, 4, 2, 9]
