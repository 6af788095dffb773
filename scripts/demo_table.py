"""Prints the demo's figures as one table: ``python scripts/demo_table.py DEMO_FOLDER``."""

import json
import statistics
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Reads what the demo's steps left in ``folder``."""
    knn = json.loads((folder / "knn.json").read_text())
    segmentation = json.loads((folder / "linear_seg.json").read_text())
    print(knn, segmentation)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
