"""Reads package lists for scripts/offline_bundle.sh, and prints one NAME==VERSION a line.

pins LIST            the packages of LIST whose versions are known
beyond BASE ALL      the packages of ALL that are not in BASE in any version

A list is the output of `pip freeze`, or a report of `pip install --report`.
"""

import json
import re
import sys
from pathlib import Path


def packages(path: Path) -> dict[str, str]:
    """Reads the versions of a list by normalised name; "" if it names a file or repository instead of a version.

    Local parts of versions ("+cu130"), which no package index knows, are cut off.
    """
    text = path.read_text()
    if text.lstrip().startswith("{"):
        found = [(entry["metadata"]["name"], entry["metadata"]["version"]) for entry in json.loads(text)["install"]]
    else:
        found = re.findall(r"^([A-Za-z0-9][\w.-]*)(?:==(\S+)| @ )", text, re.MULTILINE)
        found += [(name, "") for name in re.findall(r"^-e .*#egg=([\w.-]+)", text, re.MULTILINE)]
    return {re.sub(r"[-_.]+", "-", name).lower(): version.split("+")[0] for name, version in found}


def module(name: str) -> str:
    """The name under which packages are compared: "cv2" for OpenCV's four, since any of them provides that module."""
    return "cv2" if re.fullmatch("opencv(-contrib)?-python(-headless)?", name) else name


def main() -> None:
    """Prints the packages that the command line asks for."""
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
