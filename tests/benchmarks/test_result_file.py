"""Figures are kept whatever stops a benchmark, and an earlier run's are lost only to a complete one."""

import io
import json
from pathlib import Path

import pytest

from dataprep.errors import UserError
from dataprep.own_outputs import partial_of
from vicregl_fast.bench import main
from vicregl_fast.benchmarks import parts, result_file
from vicregl_fast.benchmarks.measurements import Measurement, read_file
from vicregl_fast.benchmarks.result_file import ResultFile


def row(name: str, value: float = 1.0) -> Measurement:
    return Measurement.of(name, [value], "s")


def held(path: Path) -> tuple[object, dict[str, float]]:
    environment, rows = read_file(path)
    return environment.get("complete"), {one.name: one.value for one in rows}


def finished(path: Path, *names: str) -> None:
    with ResultFile(path, {}) as file:
        for name in names:
            file.add(row(name))
        file.finish()


def test_figures_grow_in_the_file_until_they_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    with ResultFile(path, {"device": "cpu"}) as file:
        assert held(path) == (False, {})
        file.add_interim([row("a"), row("b"), row("c")])
        file.add(row("a", 2.0))
        assert held(path) == (False, {"a": 2.0, "b": 1.0, "c": 1.0})
        file.add(row("c", 3.0))
        file.finish()
    assert held(path) == (True, {"a": 2.0, "c": 3.0}) and read_file(path)[0]["device"] == "cpu"


def test_an_earlier_complete_run_stays_until_a_later_one_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "step.json"
    finished(path, "a", "b", "c")
    with pytest.raises(KeyboardInterrupt), ResultFile(path, {}) as file:
        file.add(row("a", 5.0))
        raise KeyboardInterrupt
    assert held(path) == (True, {"a": 1.0, "b": 1.0, "c": 1.0})
    assert held(partial_of(path)) == (False, {"a": 5.0})
    assert f"{path} stays as it was; what was measured now is in {partial_of(path)}" in capsys.readouterr().err
    finished(path, "d")
    assert held(path) == (True, {"d": 1.0}) and list(tmp_path.iterdir()) == [path]


def test_an_incomplete_run_is_replaced_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    for name in ("a", "b"):
        with pytest.raises(UserError), ResultFile(path, {}) as file:
            file.add(row(name))
            raise UserError
        assert held(path) == (False, {name: 1.0}) and list(tmp_path.iterdir()) == [path]


def test_a_run_without_figures_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError), ResultFile(tmp_path / "step.json", {}):
        raise UserError
    assert not list(tmp_path.iterdir())


def test_a_full_disk_stops_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "step.json"
    with pytest.raises(UserError, match="no space"), ResultFile(path, {}) as file:
        file.add(row("a"))
        monkeypatch.setattr(
            result_file, "write_measurements", lambda *given: (_ for _ in ()).throw(UserError("no space"))
        )
        file.add(row("b"))
        file.add(row("c"))
        file.finish()
    assert held(path) == (False, {"a": 1.0})


def test_a_place_that_cannot_be_written_is_found_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        ResultFile(Path("/proc/steps.json"), {})


def test_an_output_that_is_no_file_is_written_to_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    finished(Path("/dev/stdout"), "a")
    assert [one["name"] for one in json.load(io.StringIO(capfd.readouterr().out))["results"]] == ["a"]


def test_what_stops_the_command_leaves_the_figures_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that measures in turns has told of the first one; of another one a row has come."""
    path = tmp_path / "copy.json"

    def benchmark(options):  # type: ignore[no-untyped-def]
        yield row("copy.device")
        options.interim([row("copy.pinned", 3.0)])
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "copy", benchmark)
    with pytest.raises(SystemExit) as stopped:
        main(["copy", "--device", "cpu", "--json", str(path)])
    assert stopped.value.code == 130 and held(path) == (False, {"copy.device": 1.0, "copy.pinned": 3.0})
