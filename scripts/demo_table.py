"""Prints the demo's figures as one table: ``python scripts/demo_table.py DEMO_FOLDER``."""

import json
import statistics
import sys
from pathlib import Path

from vicregl_fast.runs.metrics import read_curves


def main(folder: Path) -> None:
    """Prints results of the evaluation, the training's speed, and where the pictures lie, from files in ``folder``."""
    figures = {}
    for name in ("knn", "linear_seg"):
        results = json.loads((folder / f"{name}.json").read_text())["results"]
        figures |= {row["name"]: row["value"] for row in results}
    print(f"{'':16}  {'k-NN accuracy %':>16}  {'segmentation mIoU %':>20}")
    for who in ("trained", "random", "majority_class"):
        accuracy, miou = figures[f"knn.{who}.accuracy"], figures[f"linear-seg.{who}.mIoU"]
        print(f"{who.replace('_', ' '):16}  {accuracy:16.1f}  {miou:20.1f}")

    curves = read_curves(folder / "run")
    speeds, waits = curves["images_per_second"].values, curves["data_wait_share"].values
    print(
        f"\ntraining: {statistics.median(speeds):.1f} images/s in the median of {len(speeds)} rows, "
        f"{statistics.median(waits):.1%} of the time waiting for data"
    )
    print(f"pictures: {folder / 'matches.png'} and {folder / 'curves.png'}; the run: {folder / 'run'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
