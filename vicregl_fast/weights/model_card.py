"""The model card of an exported backbone: what it is, how to load it, what it was trained on, and its figures."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from vicregl_fast.augment.normalisation import MEAN, STD
from vicregl_fast.augment.recipe import view_recipes
from vicregl_fast.config import RunConfig, dump_config
from vicregl_fast.data.order import steps_an_epoch
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.runs.images import LearnedImages
from vicregl_fast.runs.metrics import read_rows
from vicregl_fast.weights.source import Weights

PACKAGES = ("vicregl_fast", "torch", "torchvision", "timm")


def model_card(weights: Weights, backbone: Backbone, file: str, usage: str) -> str:
    """Writes the card, in Markdown.

    Args:
        weights: what was exported, from a run or a file.
        backbone: as it was exported.
        file: name of the exported file.
        usage: the Python lines that load it.
    """
    millions = sum(p.numel() for p in backbone.parameters()) / 1e6
    config = None if weights.run is None else weights.run.read_config()
    parts = [
        f"# {file}",
        f"A {backbone.name} of {millions:.1f} million parameters. It gives a feature map of {backbone.channels} "
        f"channels at an output stride of {backbone.stride()}, and the mean of its cells.",
        f"```python\n{usage}\n```",
        "## Input",
        f"RGB from 0 to 1, minus mean {_triple(MEAN)}, divided by std {_triple(STD)}.{_sizes(config)}",
        "## Training",
    ]
    if weights.run is None or config is None:
        parts.append(f"Not known: the weights are from the file {weights.path.name}.")
    else:
        parts += [_training(weights.run, config, weights.step), *_figures(weights.run, weights.step)]
    parts.append("## Versions of the export")
    parts.append(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    if config is not None:
        parts += ["## Recipe", f"```yaml\n{dump_config(config).strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _sizes(config: RunConfig | None) -> str:
    if config is None:
        return ""
    sizes = dict.fromkeys(recipe.size for recipe in view_recipes(config.views))  # each once, the large one first
    return f" Trained on views of {' and '.join(map(str, sizes))} pixels a side."


def _training(run: RunFolder, config: RunConfig, step: int | None) -> str:
    images = LearnedImages.read(run.images)
    known = ""
    if images is not None:
        classes = "" if images.classes is None else f", whose {len(images.classes)} classes it did not learn from"
        known = f" ({images.count} images{classes})"
    done = "" if step is None else f"after {step} steps{_epoch(images, config, step)} "
    return (
        f"VICRegL (Bardes, Ponce, LeCun, NeurIPS 2022), without labels, α = {config.loss.alpha:g}: {done}of a run of "
        f"{config.epochs} epochs in batches of {config.batch_size}, by {config.optim.name}, on "
        f"{config.data.path}{known}."
    )


def _epoch(images: LearnedImages | None, config: RunConfig, step: int) -> str:
    if images is None or images.count < config.batch_size:
        return ""
    return f" (at epoch {step / steps_an_epoch(images.count, config.batch_size):.3g})"


def _figures(run: RunFolder, step: int | None) -> list[str]:
    rows = [f"| {where} | {name} | {value:.4g} |" for where, name, value in _all_figures(run, step)]
    return ["## Figures", "\n".join(["| from | figure | value |", "| --- | --- | --- |", *rows])] if rows else []


def _all_figures(run: RunFolder, step: int | None) -> Iterator[tuple[str, str, float]]:
    """Where a figure is from, its name, and its value: of the last logged step, of validation, of evaluations."""
    logged = read_rows(run.metrics) if run.metrics.is_file() else []
    steps = [row for row in logged if "loss" in row and (step is None or row["step"] <= step)]
    for name, value in (steps[-1] if steps else {}).items():
        if name in ("loss", "online_accuracy") or name.startswith("health/"):
            yield f"{run.metrics.name}, step {steps[-1]['step']}", name, value
    for file in sorted(run.path.glob("*.json")):
        yield from ((file.name, name, value) for name, value in _figures_in(file, file == run.validation, step))


def _figures_in(file: Path, is_validation: bool, step: int | None) -> list[tuple[str, float]]:
    try:
        content = json.loads(file.read_text())
        if is_validation:
            return [(name, value) for name, value in content.items() if name != "step" and content["step"] == step]
        return [(f"{row['name']} ({row['unit']})", float(row["value"])) for row in content.get("results", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # another file


def _triple(values: tuple[float, float, float]) -> str:
    return ", ".join(map(str, values))
