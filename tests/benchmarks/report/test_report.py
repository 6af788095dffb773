"""The report shows every figure with its origin, says what is missing, and draws what the figures are."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import BarContainer
from PIL import Image

from tests.benchmarks.report.conftest import CPU, GPU, write
from vicregl_fast.bench import main
from vicregl_fast.benchmarks.report.loader_plot import draw_engines, engines_of
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile, read_folder
from vicregl_fast.benchmarks.report.page import format_page
from vicregl_fast.benchmarks.report.promised_rows import fitting, promised
from vicregl_fast.benchmarks.report.scaling_plot import curve, draw_scaling
from vicregl_fast.benchmarks.report.step_plot import draw_steps


def lines_of(page: str, start: str) -> list[list[str]]:
    """The cells of the table rows that begin so."""
    rows = [line for line in page.splitlines() if line.startswith(start)]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_has_every_figure_and_names_what_is_missing(made_up: Path) -> None:
    page = format_page(read_folder(made_up), {"Scaling": "scaling.png"})
    (engine,) = lines_of(page, "| bench loader | `loader.ffcv.decode` ")
    assert engine == ["bench loader", "`loader.ffcv.decode`", "1,078", "images/s", "970.2", "1,240", "3", "loader"]
    steps = lines_of(page, "| bench step | `step.images_per_second` ")
    assert [row[-1] for row in steps] == ["compiled", "steps"]
    (peer,) = lines_of(page, "| bench loader | `loader.peer.spdl.decode` ")
    assert peer[2] == "700"
    missing = {row[1] for row in lines_of(page, "| bench") if row[2] == "not measured"}
    assert {
        "`train.images_per_second`",
        "`loss.global`",
        "`loader.peer.torchcodec.*`",
        "`step.flop_utilisation`",
    } < missing
    assert not missing & {"`scaling.N.efficiency`", "`loader.dali.views`"}
    assert len(lines_of(page, "| `scaling.8.efficiency`")) == 1
    assert "![Scaling](scaling.png)" in page


def test_each_file_says_where_its_figures_come_from(made_up: Path) -> None:
    page = format_page(read_folder(made_up), {})
    loader = page.split("## loader\n")[1].split("\n## ")[0]
    assert "- command: `python -m vicregl_fast.bench loader --path x`" in loader
    assert "- processor: Some CPU, 2 cores, 1 threads of torch" in loader and "- device: cpu\n" in loader
    assert "torch 2.15.0" in loader and "done before, and not measured: the first turn" in loader
    steps = page.split("## steps\n")[1].split("\n## ")[0]
    assert "- device: Some GPU, 79.1 GiB, CUDA 13.2" in steps and "3 calls" in steps
    projection = page.split("## projection (a projection, not a measurement)\n")[1]
    assert "computed from: command: `python -m vicregl_fast.bench step`" in projection


def test_what_was_stopped_or_projected_says_so(tmp_path: Path) -> None:
    write(tmp_path / "copy.json", {**CPU, "complete": False}, {"augment.torch": ([3.0], "images/s")})
    write(tmp_path / "p.json", {"left_out": "latency"}, {"projection.8_gpus.no_overlap.hours": ([9.0], "h")})
    page = format_page(read_folder(tmp_path), {})
    (row,) = lines_of(page, "| bench augment | `augment.torch` ")
    assert row[-1] == "copy (stopped)" and "## copy (stopped before its end)\n" in page
    (row,) = lines_of(page, "| bench projection (projected, not measured) | `projection.8_gpus.no_overlap.hours` ")
    assert row[2] == "9" and "- left out: latency" in page


def test_a_file_without_figures_is_no_projection() -> None:
    assert not MeasuredFile("x", {}, {}).is_projection


def test_promises_are_kept_by_rows_of_their_name() -> None:
    names = [
        "scaling.2.efficiency",
        "scaling.16.efficiency",
        "scaling.2.fixed_global.efficiency",
        "loader.peer.spdl.views",
    ]
    assert fitting("scaling.N.efficiency", names) == names[:2]
    assert fitting("loader.peer.spdl.*", names) == names[3:]
    assert fitting("loader.peer", names) == []
    assert len(list(promised())) == len(set(promised())) > 40


def test_bars_are_as_long_as_the_figures(made_up: Path) -> None:
    files = {file.name: file for file in read_folder(made_up)}
    assert list(engines_of(files["loader"])) == [
        "bare", "ffcv", "dali", "torchvision", "spdl (peer)", "spdl (peer, resize 224)",
        "lightly (peer, with grids without matches)", "kornia (peer, without matches)",
    ]  # fmt: skip
    figure = draw_engines(files["loader"])
    assert figure is not None and draw_engines(files["steps"]) is None
    widths = {
        bar.get_width() for group in figure.axes[0].containers if isinstance(group, BarContainer) for bar in group
    }
    assert {1188, 1078, 459, 920, 399, 310, 120, 700, 650, 77, 55} <= widths
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:2] == ["bare", "ffcv"]


def test_parts_of_a_step_are_stacked_to_its_time(made_up: Path) -> None:
    figure = draw_steps(read_folder(made_up))
    assert figure is not None
    bars = [bar for group in figure.axes[0].containers for bar in group]
    ends = {round(bar.get_x() + bar.get_width(), 6) for bar in bars}
    assert {330.0, 231.0} <= ends and len(bars) == 8
    assert "61%" in {text.get_text() for text in figure.axes[0].texts}


def test_curves_of_scaling_stand_beside_the_ideal(made_up: Path) -> None:
    files = read_folder(made_up)
    (scaled,) = [file for file in files if curve(file, "", "efficiency")]
    assert list(curve(scaled, "fixed_global.", "images_per_second")) == [1, 2, 4, 8]
    figure = draw_scaling(files)
    assert figure is not None
    rates = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(rates["ideal"], [1500, 3000, 6000, 12000])
    assert figure.axes[1].get_ylim()[0] == 0


def test_processes_of_a_cpu_are_named_where_their_figures_stand(tmp_path: Path) -> None:
    named = {**CPU, "backend": "gloo", "processes": "CPU processes (gloo)", "threads_per_process": 3}
    write(tmp_path / "scaling.json", named, {"scaling.1.images_per_second": ([9.0], "images/s")})
    files = read_folder(tmp_path)
    assert "- processes: CPU processes (gloo) of 3 threads\n" in format_page(files, {})
    figure = draw_scaling(files)
    assert figure is not None
    label = figure.axes[0].get_legend_handles_labels()[1][-1]
    assert "CPU processes (gloo) of 3 threads; Some CPU" in label


def test_the_command_writes_page_and_pictures(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page"
    main(["report", str(made_up), "--out", str(out)])
    said = capsys.readouterr()
    assert said.out.strip() == str(out / "report.md") and "notes.json does not hold measurements" in said.err
    names = {"report.md", "loader_engines.png", "steps.png", "scaling.png"}
    assert {path.name for path in out.iterdir()} == names
    page = (out / "report.md").read_text()
    for name in names - {"report.md"}:
        assert f"]({name})" in page and np.asarray(Image.open(out / name)).std() > 5
    main(["report", str(out.parent / "measured")])
    assert (made_up / "report.md").read_text() == page


def test_one_file_is_enough_and_none_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path)])
    assert "has no .json file that vicregl_fast.bench has written" in capsys.readouterr().err
    write(tmp_path / "copy.json", GPU, {"copy.device": ([1.0], "GB/s")})
    main(["report", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"copy.json", "report.md"}
