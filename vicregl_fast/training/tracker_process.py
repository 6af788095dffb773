"""The program of one tracker: passes the rows of metrics.jsonl on as they come, until the training ends.

It imports little beside the tracker's library.
"""

import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import yaml

from dataprep.atomic import write_text
from dataprep.stopping import SIGNALS
from vicregl_fast.config import flat

POLL_SECONDS = 0.5
FORSAKEN_AFTER = 300.0  # seconds after the end of the training; a training that has ended well waits less
PROJECT = "vicregl_fast"


class TrackedRun(Protocol):
    """The run as a tracker has it."""

    def log(self, row: dict[str, float]) -> None:
        """Adds a row of metrics.jsonl, which has the number of its step under ``step``."""

    def finish(self) -> None:
        """Waits until the tracker has all rows."""


class WandbRun:
    """A run of Weights & Biases, which takes its settings from ``wandb login`` and the variables ``WANDB_*``.

    Steps are a metric of their own, since W&B's count refuses those that a resumed run does again.

    Args:
        folder: where the id of the run is kept, and what W&B writes.
        name: of the run.
        config: its configuration.
    """

    def __init__(self, folder: Path, name: str, config: dict[str, Any]):
        import wandb

        file = folder / "wandb.id"
        run_id = file.read_text() if file.exists() else secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name,
            id=run_id,
            resume="allow",
            dir=folder,
            config=config,
            allow_val_change=True,
            settings=wandb.Settings(console="off"),
        )
        self._run.define_metric("*", step_metric="step")
        write_text(file, run_id)

    def log(self, row: dict[str, float]) -> None:
        """Adds a row of metrics.jsonl."""
        self._run.log(row)

    def finish(self) -> None:
        """Waits until W&B has all rows."""
        self._run.finish()


class MlflowRun:
    """A run of MLflow, on the server that ``MLFLOW_TRACKING_URI`` names, or in files in ``folder``.

    Args:
        folder: where the id of the run is kept, and the files.
        name: of the run.
        config: its configuration.
    """

    def __init__(self, folder: Path, name: str, config: dict[str, Any]):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI", (folder / "mlruns").absolute().as_uri())
        self._client = MlflowClient(uri)
        file = folder / "mlflow.id"
        if file.exists():
            self._id = file.read_text()
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(self._experiment(), run_name=name).info.run_id
            for key, value in flat(config).items():
                self._client.log_param(self._id, key, value)
            write_text(file, self._id)

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        return self._client.create_experiment(name) if found is None else found.experiment_id

    def log(self, row: dict[str, float]) -> None:
        """Adds a row of metrics.jsonl."""
        from mlflow.entities import Metric

        step, now = int(row["step"]), int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in row.items() if name != "step"]
        self._client.log_batch(self._id, metrics=metrics)

    def finish(self) -> None:
        """Tells MLflow that the run has ended."""
        self._client.set_terminated(self._id)


RUNS: dict[str, type[WandbRun] | type[MlflowRun]] = {"wandb": WandbRun, "mlflow": MlflowRun}


def track(name: str, folder: str, metrics: str, config: str, start: str) -> None:
    """Tells the tracker of this name; ends the program with 1 if that fails, with the reason as its last line.

    Args:
        name: a key of ``RUNS``.
        folder: of what trackers keep in the run's folder.
        metrics: the run's metrics.jsonl.
        config: its configuration, a YAML file.
        start: the byte of ``metrics`` at which the rows begin that the tracker gets.
    """
    for each in SIGNALS:  # may go to all processes of a job; the training ends this one
        signal.signal(each, signal.SIG_IGN)
    ended = threading.Event()
    threading.Thread(target=_await_end, args=(ended,), daemon=True).start()
    try:
        settings = yaml.safe_load(Path(config).read_text())
        run: TrackedRun = RUNS[name](Path(folder), Path(metrics).absolute().parent.name, settings)
        for row, place in follow(Path(metrics), int(start), ended):
            run.log(row)
            (Path(folder) / f"{name}.taken").write_text(str(place))
        run.finish()
    except BaseException as error:  # these libraries raise many kinds, and one that wants a login may exit
        print(f"\n{' '.join(str(error).split()) or type(error).__name__}", flush=True)
        os._exit(1)  # what a library would do on exit may wait for a network


def _await_end(ended: threading.Event) -> None:
    sys.stdin.readline()  # the training says that it ends, or was killed
    ended.set()
    time.sleep(FORSAKEN_AFTER)  # in which the last rows go out
    os._exit(1)


def follow(metrics: Path, start: int, ended: threading.Event) -> Iterator[tuple[dict[str, float], int]]:
    """Yields the rows of ``metrics`` from the byte ``start`` on, each with the byte at which the next one begins.

    Waits for more until ``ended`` is set.
    """
    with metrics.open() as file:
        file.seek(start)
        while True:
            last = ended.is_set()  # asked before reading, so that no row is missed
            place = file.tell()
            line = file.readline()
            if line.endswith("\n"):
                yield json.loads(line), file.tell()
            elif last:
                return
            else:
                file.seek(place)
                ended.wait(POLL_SECONDS)
