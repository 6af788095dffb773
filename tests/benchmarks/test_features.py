"""The benchmark of features runs what the judgements do, beside the forward pass alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vicregl_fast.bench import main
from vicregl_fast.benchmarks import features
from vicregl_fast.benchmarks.measurements import read_measurements
from vicregl_fast.evaluation.classification import features as judged
from vicregl_fast.models.backbone import Backbone

OPTIONS = "--backbone test_resnet --size 32 --device cpu"


def test_rates_are_of_all_images(beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """48 images, at most 4 batches of 8 of them, in times that are made up."""
    seconds = {"images_per_second": [2.0, 4.0, 3.2], "forward": [3.0, 2.0, 1.6], "crops": [0.5]}
    monkeypatch.setattr(
        features, "time_side_by_side", lambda calls, device, repeats: {name: seconds[name] for name in calls}
    )
    options = f"{OPTIONS} --batch 8 --batches 4 --workers 1 --repeats 3"
    main(["features", "--path", str(beton), *options.split(), "--json", str(tmp_path / "f.json")])
    rows = {row.name: row for row in read_measurements(tmp_path / "f.json")}
    whole = rows["features.images_per_second"]
    assert (whole.value, whole.min, whole.max, whole.n) == (10, 8, 16, 3)
    assert rows["features.forward"].value == 16 and rows["features.crops"].value == 64
    over = rows["features.over_forward"]
    assert (over.value, over.min, over.max, over.n) == (0.5, 0.5, 1.5, 3)
    assert rows["features.peak_host_memory"].value >= 0


def test_both_ways_compute_as_many_images(beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a list, in its order; the last batch is smaller."""
    passed: list[Tensor] = []
    computed = judged.pooled_of

    def noted(backbone: Backbone, images: Tensor) -> Tensor:
        assert not backbone.training and images.is_contiguous(memory_format=torch.channels_last)
        passed.append(images.clone())
        return computed(backbone, images)

    def called_once(
        calls: Mapping[str, Callable[[], Any]], device: torch.device, repeats: int
    ) -> dict[str, list[float]]:
        for name in ("images_per_second", "forward", "crops"):
            calls[name]()
            taken[name] = [len(images) for images in passed]
            images[name] = torch.cat(passed) if passed else torch.empty(0)
            passed.clear()
        return {name: [1.0] for name in calls}

    taken: dict[str, list[int]] = {}
    images: dict[str, Tensor] = {}
    monkeypatch.setattr(features, "pooled_of", noted)
    monkeypatch.setattr(judged, "pooled_of", noted)
    monkeypatch.setattr(features, "time_side_by_side", called_once)
    names = (beton.parent / f"{beton.name}.names.jsonl").read_text().splitlines()
    (tmp_path / "list").write_text("\n".join(names[number].strip('"') for number in (4, 2, 9)))
    main(["features", "--path", str(beton), "--list", str(tmp_path / "list"), *OPTIONS.split(), "--batch", "2"])
    assert taken == {"images_per_second": [2, 1], "forward": [2, 1], "crops": []}
    first, second, third = images["images_per_second"]
    assert len(np.unique([first.mean(), second.mean(), third.mean()])) == 3
    torch.testing.assert_close(images["forward"], torch.stack([first, second, first]))
