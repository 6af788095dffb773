"""What trackers have been told, read back from what they store without a network."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest
import yaml

from dataprep.errors import UserError
from tests.tiny_run import rows, tiny_options, tiny_trainer
from vicregl_fast.config import parse_config
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training import trackers
from vicregl_fast.training.tracker_process import follow
from vicregl_fast.training.trackers import Trackers, check_trackers


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the settings of whoever runs the tests, and with patience for a busy machine."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "MLFLOW_")):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setattr(trackers, "LAST_ROWS", 120.0)


READER = """
import json, struct, sys
from pathlib import Path
from google.protobuf.json_format import MessageToDict
from wandb.proto.wandb_internal_pb2 import Record

# LevelDB's log format: after a header blocks of 32 KiB, in them chunks with a header of 7 bytes.
data, at, record = Path(sys.argv[1]).read_bytes(), 7, b""
while at + 7 <= len(data):
    left = 32768 - at % 32768
    if left < 7:
        at += left
        continue
    _, length, kind = struct.unpack_from("<IHB", data, at)
    record += data[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (1, 4):  # a whole record, or the end of one
        print(json.dumps(MessageToDict(Record.FromString(record), preserving_proto_field_name=True)))
        record = b""
"""


def wandb_records(file: Path) -> list[dict]:
    """What W&B has stored, read by another program, since its import makes folders in /tmp."""
    done = subprocess.run([sys.executable, "-c", READER, file], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def named(items: list[dict]) -> dict[str, str]:
    """The values of W&B's items, as JSON."""
    return {item.get("key") or "/".join(item["nested_key"]): item["value_json"] for item in items}


def test_both_are_told_of_every_row_and_go_on_in_the_same_run(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.claim(parse_config(tiny_options(beton, folder.path)))
    folder.metrics.write_text("")
    for steps in ((1, 2), (3,)):
        with Trackers(("wandb", "mlflow"), folder), folder.metrics.open("a", buffering=1) as log:
            for step in steps:
                log.write(f'{{"step": {step}, "loss": {10 / step}, "health/global_std": 0.5}}\n')

    (stored,) = [path.parent for path in (folder.trackers / "mlruns").glob("*/*/metrics")]
    meta = yaml.safe_load((stored / "meta.yaml").read_text())
    assert (meta["run_id"], meta["run_name"]) == ((folder.trackers / "mlflow.id").read_text(), "run")
    assert meta["end_time"] is not None
    assert (stored / "params" / "model.backbone").read_text() == "resnet18"
    for name, values in (("loss", (10, 5, 10 / 3)), ("health/global_std", (0.5, 0.5, 0.5))):
        lines = [line.split() for line in (stored / "metrics" / name).read_text().splitlines()]
        assert [(int(line[2]), float(line[1])) for line in lines] == list(zip((1, 2, 3), values, strict=True))

    files = sorted((folder.trackers / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime)
    assert len(files) == 2
    records = [wandb_records(file) for file in files]
    ids = {record["run"]["run_id"] for each in records for record in each if "run" in record}
    assert ids == {(folder.trackers / "wandb.id").read_text()}
    logged = [named(record["history"]["item"]) for each in records for record in each if "history" in record]
    assert [(int(row["step"]), float(row["loss"])) for row in logged] == [(1, 10), (2, 5), (3, 10 / 3)]
    assert all(float(row["health/global_std"]) == 0.5 for row in logged)
    (run,) = [record["run"] for record in records[0] if "run" in record and "config" in record["run"]]
    assert json.loads(named(run["config"]["update"])["model"])["backbone"] == "resnet18"


def test_one_that_fails_is_one_note(beton: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """W&B without a login, while training goes on to its end."""
    run = tmp_path / "run"
    assert tiny_trainer(beton, run, epochs=1, train__trackers="wandb").run() == 0
    assert [row["step"] for row in rows(run)] == [1, 2, 3, 4]
    said = capsys.readouterr().err
    assert said.count("wandb takes no rows (No API key configured") == 1
    assert not (RunFolder(run).trackers / "wandb.id").exists()  # so that it gets all rows once it works


def test_one_that_hangs_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(trackers, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(trackers, "LAST_ROWS", 0.5)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    start = time.monotonic()
    with Trackers(("mlflow",), folder) as told:
        told.check()
    assert time.monotonic() - start < 20
    assert capsys.readouterr().err.count("mlflow has not taken the last rows") == 1


def test_the_next_start_goes_on_after_the_rows_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or at the end of a log that a resumed run has shortened."""
    monkeypatch.setattr(trackers, "_PROGRAM", "import sys; print(sys.argv[-1])")
    folder = RunFolder(tmp_path / "run")
    folder.trackers.mkdir(parents=True)
    folder.metrics.write_text('{"step": 1}\n')
    for taken, start in ((None, 0), ("5", 5), ("99", 12)):
        if taken is not None:
            (folder.trackers / "wandb.taken").write_text(taken)
        with Trackers(("wandb",), folder):
            pass
        assert (folder.trackers / "wandb.log").read_text() == f"{start}\n"


TRACKER = """
import sys
from vicregl_fast.training import tracker_process
class Slow:
    def __init__(self, *of): print("ready", flush=True)
    def log(self, row): print(row["step"], flush=True)
    def finish(self): pass
tracker_process.RUNS["wandb"], tracker_process.FORSAKEN_AFTER = Slow, 1.0
if sys.argv[4] == "hangs": Slow.finish = lambda self: tracker_process.time.sleep(600)
tracker_process.track("wandb", *sys.argv[1:4], "0")
"""


@pytest.mark.parametrize(("how", "code"), [("ends", 0), ("hangs", 1)])
def test_a_tracker_s_program_heeds_the_training_and_no_signals(tmp_path: Path, how: str, code: int) -> None:
    metrics, config = tmp_path / "metrics.jsonl", tmp_path / "config.yaml"
    metrics.write_text('{"step": 1}\n')
    config.write_text("a: 1\n")
    words = [sys.executable, "-c", TRACKER, str(tmp_path), str(metrics), str(config), how]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "ready\n" and program.stdout.readline() == "1\n"
        for number in (signal.SIGTERM, signal.SIGINT):
            program.send_signal(number)
        with metrics.open("a") as file:
            file.write('{"step": 2}\n')
        assert program.stdout.readline() == "2\n"  # it lives
        program.stdin.close()  # the training has ended, or was killed
        assert program.wait(30) == code


def test_rows_are_followed_as_they_are_written(tmp_path: Path) -> None:
    metrics, ended = tmp_path / "metrics.jsonl", Event()
    metrics.write_text('{"step": 1}\n{"step": 2}\n{"st')
    read = follow(metrics, len('{"step": 1}\n'), ended)
    assert next(read) == ({"step": 2}, len('{"step": 1}\n{"step": 2}\n'))
    with metrics.open("a") as file:
        file.write('ep": 3}\n{"step": 4}\n')
    ended.set()
    assert [row for row, _ in read] == [{"step": 3}, {"step": 4}]


def test_what_is_not_installed_or_not_known_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"names mlflow, which is not installed: pip install"):
        tiny_trainer(tmp_path, tmp_path / "run", train__trackers="mlflow")
    assert not (tmp_path / "run").exists()
    check_trackers(())
    for wrong in ("mlflow,comet", "wandb,wandb", "", "none,wandb"):
        with pytest.raises(UserError, match=r"train\.trackers is"):
            parse_config([f"--train.trackers={wrong}"])
    assert parse_config(["--train.trackers", "wandb,mlflow"]).train.tracker_names == ("wandb", "mlflow")
