"""Trains and judges the paper's ablations on drawn pictures, and tells what came out: see ``scripts/evidence.sh``.

The pictures show one to four objects, so that a pooled vector mixes them: what local features are for.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evidence_tables import SETTINGS, Figures, format_tables, plot_trade_off

from dataprep.command_line import SentenceParser, comma_list, count
from dataprep.errors import exit_on_user_error

PICTURES = ("--images", "2400", "--seed", "11")
RECIPE = (
    "--config", "configs/resnet18_96px.yaml", "--model.zero_init", "true", "--model.expander", "512",
    "--model.projector", "128", "--batch_size", "64", "--optim.base_lr", "0.004", "--optim.warmup_epochs", "1",
    "--epochs", "10",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """The folder of all runs.

    Attributes:
        out: holds the pictures, stores, runs, and a file of figures for each run.
    """

    out: Path

    def draw(self) -> None:
        """Draws the pictures and converts them, unless that has been done."""
        images = self.out / "images"
        if not images.is_dir():
            run("dataprep", "demo", images, *PICTURES)
        if not (self.out / "train.beton").is_file():
            run("dataprep", "ffcv", images / "train", self.out / "train.beton")

    def judge(self, name: str, seed: int) -> None:
        """Trains the network of a setting and judges it; ``random`` is not trained."""
        files = [self.out / f"{name}_seed{seed}.{kind}.json" for kind in ("knn", "seg")]
        if all(file.is_file() for file in files):
            return
        trained = "alpha_1" if name == "random" else name  # whose architecture it is
        folder = self.out / f"{trained}_seed{seed}"
        run(
            "vicregl_fast.train", *RECIPE, *SETTINGS[trained], "--seed", seed, "--run_dir", folder,
            "--data.path", self.out / "train.beton",
        )  # fmt: skip
        images = self.out / "images"
        common = ("--run", folder, "--seed", seed, *(["--random_init"] if name == "random" else []))
        run(
            "vicregl_fast.evaluate", "knn", *common, "--size", 96,
            "--train", images / "train", "--test", images / "val", "--json", files[0],
        )  # fmt: skip
        run(
            "vicregl_fast.evaluate", "linear-seg", *common, "--classes", 9,
            "--train_images", images / "train", "--train_masks", images / "train_masks",
            "--val_images", images / "val", "--val_masks", images / "val_masks", "--json", files[1],
        )  # fmt: skip

    def figures(self, name: str) -> Figures:
        """k-NN accuracies and mIoUs, in percent, of the seeds that have been judged."""
        row = "random" if name == "random" else "trained"
        found: list[tuple[float, float]] = []
        for file in sorted(self.out.glob(f"{name}_seed*.seg.json")):
            knn = file.with_name(file.name.replace(".seg.", ".knn."))
            found.append((value_of(knn, f"knn.{row}.accuracy"), value_of(file, f"linear-seg.{row}.mIoU")))
        return Figures([each for each, _ in found], [each for _, each in found])


def value_of(file: Path, name: str) -> float:
    """The figure of this name in a file that ``evaluate --json`` wrote."""
    return next(row["value"] for row in json.loads(file.read_text())["results"] if row["name"] == name)


def run(module: str, *arguments: object) -> None:
    """Runs a module as a program, and ends this one with its exit code where it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print(f"== {' '.join(command[1:])}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)


def wanted(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """The runs, one seed after the other."""
    for seed in range(options.seeds):
        for name in ("random", *SETTINGS):
            if name in options.only:
                yield name, seed


def main() -> None:
    """Runs what is missing, and tells the figures after every run."""
    parser = SentenceParser(prog="scripts/evidence.sh", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the study")
    parser.add_argument("--seeds", type=count, default=3, help="trainings of each setting (3)")
    names = ["random", *SETTINGS]
    parser.add_argument("--only", type=comma_list(names), default=names, help=f"of {','.join(names)} (all)")
    with exit_on_user_error():
        options = parser.parse_args()
        study = Study(options.out)
        study.out.mkdir(parents=True, exist_ok=True)
        study.draw()
        for name, seed in wanted(options):
            study.judge(name, seed)
            figures = {each: study.figures(each) for each in names}
            (study.out / "tables.md").write_text(format_tables(figures) + "\n")
            plot_trade_off(figures, study.out / "trade_off.png")
        print(format_tables({each: study.figures(each) for each in names}))
        print(f"\nThe same in {study.out / 'tables.md'}, and a plot of the trade-off in {study.out / 'trade_off.png'}")


if __name__ == "__main__":
    main()
