"""Curves: what is drawn of a run's metrics."""

from pathlib import Path

import numpy as np
import pytest

from dataprep.errors import UserError
from tests.runs.test_metrics import ROWS, write_run
from vicregl_fast.runs.metrics import read_curves
from vicregl_fast.visualization.curves import draw_curves, running_mean
from vicregl_fast.visualize import main


def test_panels_hold_their_metrics(tmp_path: Path) -> None:
    figure = draw_curves(read_curves(write_run(tmp_path, ROWS)), "a run")
    drawn = {axes.get_title(): [line.get_ydata().tolist() for line in axes.lines] for axes in figure.axes}
    assert drawn == {
        "loss": [[4.0, 3.0], [3.5]],
        "global terms": [[1.0, 0.5]],
        "local terms, matched by features": [[2.0, 1.5]],
        "online classifier's accuracy": [[0.25]],
        "novel": [[7.0, 8.0]],
    }


def test_single_directions_are_left_out_and_health_is_drawn(tmp_path: Path) -> None:
    details = {"location/0to1_kept20/invariance": 1.0, "health/global_std": 0.5, "health/local_std": 0.7}
    figure = draw_curves(read_curves(write_run(tmp_path, [{"step": 10, "loss": 4.0, **details}])), "a run")
    drawn = {axes.get_title(): [line.get_ydata().tolist() for line in axes.lines] for axes in figure.axes}
    assert drawn == {"loss": [[4.0]], "standard deviation of features": [[0.5], [0.7]]}


def test_a_long_curve_is_drawn_with_its_running_mean(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": float(step % 2)} for step in range(500)]
    (axes,) = draw_curves(read_curves(write_run(tmp_path, rows)), "a run").axes
    raw, smooth = (line.get_ydata() for line in axes.lines)
    assert np.ptp(raw) == 1
    assert np.abs(smooth[20:-20] - 0.5).max() < 0.05


def test_the_running_mean_is_shorter_at_the_ends() -> None:
    assert running_mean(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist() == [1.5, 3.0, 3.0, 3.0]


def test_a_run_without_metrics_ends_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["curves", str(tmp_path)])
    assert ended.value.code == 2
    assert "has no metrics.jsonl" in capsys.readouterr().err
    with pytest.raises(UserError, match="no metrics yet"):
        read_curves(write_run(tmp_path, []))


def test_the_picture_lies_in_the_run_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    main(["curves", str(write_run(tmp_path, ROWS))])
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().out.strip() == str(tmp_path / "curves.png")
