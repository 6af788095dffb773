"""Trains and judges the paper's ablations on drawn pictures, and tells what came out: see ``scripts/evidence.sh``.

The pictures show one to four objects, so that a pooled vector mixes them: what local features are for.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

from evidence_tables import SETTINGS, Figures, format_tables, plot_trade_off

from dataprep.command_line import SentenceParser, comma_list, count
from dataprep.errors import exit_on_user_error

PICTURES = ("--images", "2400", "--seed", "11")
RECIPE = (
    "--config", "configs/resnet18_96px.yaml", "--model.zero_init", "true", "--model.expander", "512",
    "--model.projector", "128", "--batch_size", "64", "--optim.base_lr", "0.004", "--optim.warmup_epochs", "1",
    "--epochs", "10",
)  # fmt: skip
RANDOM_BESIDE = "alpha_1"
"""The setting beside which an untrained network of the same architecture is judged."""


@dataclass(frozen=True)
class Study:
    """The folder of all runs.

    Attributes:
        out: holds the pictures, stores, runs, and a file of figures for each run.
        jobs: how many programs run at a time; with more than one, each has its share of the cores.
    """

    out: Path
    jobs: int = 1

    def draw(self) -> None:
        """Draws the pictures and converts them, unless that has been done."""
        images = self.out / "images"
        if not images.is_dir():
            self._run("dataprep", "demo", images, *PICTURES)
        if not (self.out / "train.beton").is_file():
            self._run("dataprep", "ffcv", images / "train", self.out / "train.beton")

    def judge_all(self, runs: list[tuple[str, int]]) -> Iterator[None]:
        """Trains and judges settings and seeds, and yields after each.

        After a failure no other begins, and the program ends when those at work have.
        """
        failed = Event()

        def judge(name: str, seed: int) -> None:
            try:
                if not failed.is_set():
                    self.judge(name, seed)
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for done in as_completed([pool.submit(judge, *each) for each in runs]):
                    yield done.result()
            finally:
                failed.set()

    def judge(self, name: str, seed: int) -> None:
        """Trains the network of a setting and judges it, and with that of ``RANDOM_BESIDE`` an untrained one."""
        files = [self.out / f"{name}_seed{seed}.{kind}.json" for kind in ("knn", "seg")]
        if all(file.is_file() for file in files):
            return
        folder = self.out / f"{name}_seed{seed}"
        self._run(
            "vicregl_fast.train", *RECIPE, *SETTINGS[name], "--seed", seed, "--run_dir", folder,
            "--data.path", self.out / "train.beton",
        )  # fmt: skip
        images = self.out / "images"
        common = ("--run", folder, "--seed", seed, *(["--random_init"] if name == RANDOM_BESIDE else []))
        self._run(
            "vicregl_fast.evaluate", "knn", *common, "--size", 96,
            "--train", images / "train", "--test", images / "val", "--json", files[0],
        )  # fmt: skip
        self._run(
            "vicregl_fast.evaluate", "linear-seg", *common, "--classes", 9,
            "--train_images", images / "train", "--train_masks", images / "train_masks",
            "--val_images", images / "val", "--val_masks", images / "val_masks", "--json", files[1],
        )  # fmt: skip

    def figures(self, name: str) -> Figures:
        """k-NN accuracies and mIoUs, in percent, of the seeds that have been judged; those of ``random``, too."""
        row, setting = ("random", RANDOM_BESIDE) if name == "random" else ("trained", name)
        found: list[tuple[float, float]] = []
        for file in sorted(self.out.glob(f"{setting}_seed*.seg.json")):
            knn = file.with_name(file.name.replace(".seg.", ".knn."))
            found.append((value_of(knn, f"knn.{row}.accuracy"), value_of(file, f"linear-seg.{row}.mIoU")))
        return Figures([each for each, _ in found], [each for _, each in found])

    def tell(self) -> str:
        """Writes what is known so far: the tables, which it returns, the plot, and the figures of every seed."""
        figures = {name: self.figures(name) for name in ("random", *SETTINGS)}
        tables = format_tables(figures)
        (self.out / "tables.md").write_text(tables + "\n")
        plot_trade_off(figures, self.out / "trade_off.png")
        known = {"pictures": PICTURES, "recipe": RECIPE, "settings": SETTINGS, "environments": self._environments()}
        known["figures"] = {name: asdict(each) for name, each in figures.items()}
        (self.out / "figures.json").write_text(json.dumps(known, indent=1) + "\n")
        return tables

    def _environments(self) -> list[dict[str, Any]]:
        """The different machines and versions that have judged."""
        found: list[dict[str, Any]] = []
        for file in sorted(self.out.glob("*_seed*.seg.json")):
            one = json.loads(file.read_text())["environment"]
            one.pop("command", None)
            if one not in found:
                found.append(one)
        return found

    def _run(self, module: str, *arguments: object) -> None:
        """Runs a module as a program, and ends this one with its exit code where it fails."""
        command = [sys.executable, "-m", module, *map(str, arguments)]
        print(f"== {' '.join(command[1:])}", flush=True)
        share = str(max(1, len(os.sched_getaffinity(0)) // self.jobs))
        limits = {"OMP_NUM_THREADS": share, "NUMBA_NUM_THREADS": share} if self.jobs > 1 else {}
        code = subprocess.run(command, check=False, env={**os.environ, **limits}).returncode
        if code:
            sys.exit(code)


def value_of(file: Path, name: str) -> float:
    """The figure of this name in a file that ``evaluate --json`` wrote."""
    return next(row["value"] for row in json.loads(file.read_text())["results"] if row["name"] == name)


def main() -> None:
    """Runs what is missing, and tells the figures after every run."""
    parser = SentenceParser(prog="scripts/evidence.sh", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the study")
    parser.add_argument("--seeds", type=count, default=3, help="trainings of each setting (3)")
    names = list(SETTINGS)
    parser.add_argument("--only", type=comma_list(names), default=names, help=f"of {','.join(names)} (all)")
    parser.add_argument("--jobs", type=count, default=1, help="trainings at a time, for a GPU with room (1)")
    with exit_on_user_error():
        options = parser.parse_args()
        study = Study(options.out, options.jobs)
        study.out.mkdir(parents=True, exist_ok=True)
        study.draw()
        runs = [(name, seed) for seed in range(options.seeds) for name in names if name in options.only]
        for _ in study.judge_all(runs):
            study.tell()
        print(study.tell())
        print(f"\nThe same in {study.out / 'tables.md'}, and a plot of the trade-off in {study.out / 'trade_off.png'}")


if __name__ == "__main__":
    main()
