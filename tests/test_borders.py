"""Imports go down: the table in CONTRIBUTING.md is the order of the rooms, and nothing goes in a circle."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dataprep", "vicregl_fast")
HEAVY = (
    "torch", "torchvision", "timm", "triton", "numba", "numpy", "matplotlib", "ffcv", "nvidia", "cv2", "PIL",
    "tensorboard",
)  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """The project's modules that a file names in an import, be it inside a function or for type checking only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] in PACKAGES:
                yield name if name in modules() else name.rpartition(".")[0]


@cache
def graph() -> dict[str, frozenset[str]]:
    return {name: frozenset(imported(path)) - {name} for name, path in modules().items()}


@cache
def rooms() -> dict[str, int]:
    """Each room's row in the table of CONTRIBUTING.md, by its dotted name."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("## Where things are")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    spans = [(row, span) for row, cell in enumerate(rows) for span in re.findall(r"`([^`]+)`", cell)]
    return {span.removesuffix(".py").strip("/").replace("/", "."): row for row, span in spans}


def room_of(module: str) -> str:
    found = [room for room in rooms() if module == room or module.startswith(f"{room}.")]
    assert found, f"{module} is in no row of the table in CONTRIBUTING.md"
    return max(found, key=len)


def test_the_table_names_what_is_there() -> None:
    assert len(rooms()) >= 15
    for room in rooms():
        assert room in modules(), f"the table names {room}, which is not there"
    for module in modules():
        if module != "vicregl_fast":
            room_of(module)


def test_no_import_climbs() -> None:
    climbing = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        for target in sorted(targets)
        if module != "vicregl_fast" and target != "vicregl_fast"
        if room_of(module) != room_of(target) and rooms()[room_of(target)] >= rooms()[room_of(module)]
    ]
    assert not climbing, "\n".join(climbing)


def circle_in(edges: dict[str, set[str]]) -> list[str]:
    """The circle, if there is one."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_modules_go_in_a_circle() -> None:
    assert circle_in({module: set(targets) for module, targets in graph().items()}) == []


def test_no_folders_go_in_a_circle() -> None:
    """Of folders in one folder; what lies in a folder itself may be used by the folders in it."""
    folders = {module.rpartition(".")[0] for module in modules()} - {""}
    parents = {folder.rpartition(".")[0] for folder in folders} - {""}
    for parent in parents:
        edges: dict[str, set[str]] = {}
        for module, targets in graph().items():
            own = child_of(parent, module, folders)
            others = {child_of(parent, target, folders) for target in targets}
            if own:
                edges.setdefault(own, set()).update(others - {None, own})  # type: ignore[arg-type]
        assert circle_in(edges) == [], parent


def child_of(parent: str, module: str, folders: set[str]) -> str | None:
    """The folder directly in ``parent`` that a module lies in."""
    if not module.startswith(f"{parent}."):
        return None
    child = f"{parent}.{module.removeprefix(f'{parent}.').split('.')[0]}"
    return child if child in folders else None


def test_training_takes_of_dataprep_what_the_contract_says() -> None:
    """What describes images and stores, and how a program speaks, writes and ends; converting has one place."""
    said = (ROOT / "CONTRIBUTING.md").read_text()
    line = said.split("From `dataprep`, `vicregl_fast` takes")[1].split("\n\n")[0]
    allowed = {f"dataprep.{name}" for name in re.findall(r"`(\w+)`", line.split("Two more")[0])}
    more = {
        "vicregl_fast.data.source": {"dataprep.ffcv_store"},
        "vicregl_fast.benchmarks.drawn_views": {"dataprep.demo"},
    }
    assert len(allowed) > 5 and all(name in modules() for name in allowed)
    for module, targets in graph().items():
        if module.startswith("vicregl_fast"):
            taken = {target for target in targets if target.startswith("dataprep")}
            assert taken <= allowed | more.get(module, set()), module


SETTINGS = [
    name for name in modules() if name.endswith(".config") or name.endswith(("augment.recipe", "commands", "options"))
]
ENTRIES = [
    "dataprep.__main__",
    *(f"vicregl_fast.{name}" for name in ("train", "evaluate", "export", "visualize", "bench", "launch")),
]


@pytest.mark.parametrize("module", [*SETTINGS, *ENTRIES])
def test_settings_and_entry_points_import_nothing_heavy(module: str) -> None:
    code = f"import sys; import {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
