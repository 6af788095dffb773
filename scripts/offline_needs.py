"""Reads package lists for scripts/offline_bundle.sh.

pins LIST            NAME==VERSION of everything in LIST: a `pip freeze`, or a report of `pip install --report`
beyond BASE ALL      what ALL has and BASE lacks, whatever the version
"""

import json
import re
import sys
from pathlib import Path


def packages(path: Path) -> dict[str, str]:
    """Versions by normalised names, "" where a freeze gives a file or repository instead of a version.

    Local versions ("+cu130"), which no index knows, are cut off.
    """
    text = path.read_text()
    if text.lstrip().startswith("{"):
        found = [(entry["metadata"]["name"], entry["metadata"]["version"]) for entry in json.loads(text)["install"]]
    else:
        found = re.findall(r"^([A-Za-z0-9][\w.-]*)(?:==(\S+)| @ )", text, re.MULTILINE)
        found += [(name, "") for name in re.findall(r"^-e .*#egg=([\w.-]+)", text, re.MULTILINE)]
    return {re.sub(r"[-_.]+", "-", name).lower(): version.split("+")[0] for name, version in found}


def module(name: str) -> str:
    """OpenCV's four packages all bring the module cv2, so that any of them will do."""
    return "cv2" if re.fullmatch("opencv(-contrib)?-python(-headless)?", name) else name


def main() -> None:
    """Prints one requirement a line."""
    match sys.argv[1:]:
        case ["pins", path]:
            wanted = packages(Path(path))
        case ["beyond", base, everything]:
            there = {module(name) for name in packages(Path(base))}
            wanted = {name: number for name, number in packages(Path(everything)).items() if module(name) not in there}
        case _:
            sys.exit(__doc__)
    print("".join(f"{name}=={version}\n" for name, version in sorted(wanted.items()) if version), end="")


if __name__ == "__main__":
    main()
