"""The benchmark of linear classification makes whole judgements, with all learning rates and with one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from vicregl_fast.bench import main
from vicregl_fast.benchmarks import linear
from vicregl_fast.benchmarks.measurements import read_measurements
from vicregl_fast.evaluation.classification import linear as judged

OPTIONS = "--backbone test_resnet --size 32 --epochs 3 --workers 1 --device cpu"


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, ...]]:
    """The learning rates of all heads that are trained."""
    made: list[tuple[float, ...]] = []
    built = judged.LinearHeads

    def noted(channels: int, classes: int, rates: tuple[float, ...], *rest: Any) -> judged.LinearHeads:
        made.append(rates)
        return built(channels, classes, rates, *rest)

    monkeypatch.setattr(judged, "LinearHeads", noted)
    return made


def test_the_ratio_is_of_all_rates_over_one(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heads: list[tuple[float, ...]]
) -> None:
    def called_once(
        calls: Mapping[str, Callable[[], Any]], device: torch.device, repeats: int
    ) -> dict[str, list[float]]:
        for name in ("all_rates", "one_rate"):
            calls[name]()
        return {"all_rates": [6.0, 9.0, 5.0], "one_rate": [5.0, 6.0, 5.0]}

    monkeypatch.setattr(linear, "time_side_by_side", called_once)
    monkeypatch.setattr(judged, "choose_device", lambda: pytest.fail("--device says which"))
    stores = ["--train", str(beton), "--test", str(beton), "--json", str(tmp_path / "l.json")]
    main(["linear", *stores, *OPTIONS.split(), "--lr", "0.1,1,3"])
    assert heads == [(0.1, 1.0, 3.0), (0.1,)]
    rows = {row.name: row for row in read_measurements(tmp_path / "l.json")}
    assert (rows["linear.all_rates"].value, rows["linear.one_rate"].value) == (6, 5)
    over = rows["linear.over_one_rate"]
    assert (over.value, over.min, over.max, over.n, over.unit) == (1.2, 1, 1.5, 3, "x")


@pytest.mark.parametrize("rates", [[], ["--lr", "0.1"]])
def test_one_rate_is_refused(beton: Path, capsys: pytest.CaptureFixture[str], rates: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["linear", "--train", str(beton), "--test", str(beton), *OPTIONS.split(), *rates])
    assert "give --lr several learning rates" in capsys.readouterr().err
