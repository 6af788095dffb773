"""The measured parts that a projection stands on, which must all be of one recipe and one kind of machine."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.benchmarks.measurements import Measurement, read_file
from vicregl_fast.benchmarks.projection import Parts
from vicregl_fast.benchmarks.step_variants import LAUNCHED
from vicregl_fast.config import RunConfig

LOADING_COST = "train.loader_cpu_ms_per_image"
"""The row that says what loading an image takes of a core."""

COMPARED = ("views", "model", "loss")
"""Sections of a recipe that must be those of the measured one: what a step takes depends on them."""


def read_parts(files: Sequence[Path], config: RunConfig, parameters: int) -> tuple[Parts, int | None]:
    """Reads what ``bench step --json`` and, if there is one, ``bench train --json`` wrote.

    Args:
        files: of both, in any order.
        config: the recipe that is projected.
        parameters: of its network.

    Returns:
        The parts, and the cores of the machine whose loading was measured; None if it was not.

    Raises:
        UserError: two files hold the same figure, or the files are of different devices or of another recipe.
    """
    rows: dict[str, Measurement] = {}
    devices: dict[str, Path] = {}
    cores = None
    for file in files:
        environment, measured = read_file(file)
        found = {row.name: row for row in measured}
        if twice := [name for name in found if name in rows and name.startswith(("step.", "train."))]:
            raise UserError(f"{file} and another file both have the row {twice[0]}: give one of them")
        rows |= found
        if "device" in environment:
            devices.setdefault(environment["device"], file)
        _check_recipe(file, environment, config)
        if LOADING_COST in found:
            cores = environment.get("cores")
    if len(devices) > 1:
        said = ", ".join(f"{device} ({file})" for device, file in devices.items())
        raise UserError(f"the files were measured on different devices: {said}; give files of one")
    if "cpu" in devices:
        note("the parts were measured on a CPU: GPUs as fast as it are projected")
    return measured_parts(rows, parameters), cores


def _check_recipe(file: Path, environment: Mapping[str, Any], config: RunConfig) -> None:
    recipe = environment.get("recipe")
    if recipe is None:
        note(f"{file} does not say of which recipe it is: only the number of parameters is compared")
        return
    ours = asdict(config)
    for section in COMPARED:
        theirs = recipe.get(section, {})
        for key, value in ours[section].items():
            plain = list(value) if isinstance(value, tuple) else value
            if key in theirs and theirs[key] != plain:
                raise UserError(
                    f"{file} was measured with {section}.{key} {theirs[key]}, and the recipe has {plain}: give the "
                    "--config and options that were measured"
                )


def measured_parts(rows: Mapping[str, Measurement], parameters: int) -> Parts:
    """Takes the parts out of the rows of ``bench step`` and, if they are there, ``bench train``.

    Args:
        rows: by name.
        parameters: of the recipe's network.

    Raises:
        UserError: the rows of ``bench step`` are missing, or are of another network.
    """
    rate = LAUNCHED if LAUNCHED in rows else "step.images_per_second"  # the other one in older files
    wanted = (rate, "step.backward_share", "step.parameters")
    if missing := [name for name in wanted if name not in rows]:
        raise UserError(f"the files have no row {missing[0]}: give what bench step --json wrote")
    if (found := rows["step.parameters"].value) != parameters:
        raise UserError(
            f"the measured network has {found:.0f} parameters and the recipe's {parameters}: give the --config that "
            "bench step was given"
        )
    loading = rows["train.real_over_synthetic"].value if "train.real_over_synthetic" in rows else 1.0
    cost = rows[LOADING_COST].value if LOADING_COST in rows else 0.0
    known = cost if cost > 0 else None  # a difference, of which no cost may be left
    return Parts(rows[rate].value, rows[wanted[1]].value, min(1.0, loading), known)
