"""The backbones that an evaluation compares: trained ones, and the same architectures untrained."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import torch

from vicregl_fast.devices import choose_device
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.weights.loading import drawn_backbone, trained_backbone
from vicregl_fast.weights.source import Weights


@dataclass(frozen=True)
class Candidate:
    """A backbone to be judged.

    Attributes:
        name: its name in the table of results.
        build: builds it in eval mode, on the device where it is judged; given a seed, which draws an untrained one.
        trained: whether it was trained; if not, its BatchNorm statistics are re-estimated before it is judged.
        architecture: timm's name of it, by which published figures are found; empty for none.
        origin: which file its weights are from, for the report.
    """

    name: str
    build: Callable[[int], Backbone]
    trained: bool = True
    architecture: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)


def candidates_of(
    runs: Iterable[Weights], random_init: bool, output_stride: Callable[[str], int | None] = lambda _: None
) -> Iterator[Candidate]:
    """Yields the trained backbones, and after them, if that is asked for, an untrained one of each architecture.

    A single one is called ``trained`` and ``random``; of several, each has the name of its file or folder, and the
    untrained ones those of their architectures, with the settings in which these differ.

    Args:
        runs: weights of the trained ones, which say what they are.
        random_init: whether to yield the same architectures with drawn weights, too.
        output_stride: for timm's name of a backbone, pixels per cell of its feature map, if other than in training.
    """
    runs = list(runs)
    names = distinct_names([str(weights.path) for weights in runs]) if len(runs) > 1 else ["trained"]
    for name, weights in zip(names, runs, strict=True):
        stride = output_stride(weights.architecture.name)
        yield Candidate(name, partial(_trained, weights, stride), True, weights.architecture.name, weights.origin)
    # Drop path does nothing in eval mode.
    known = [replace(weights.architecture, drop_path=None) for weights in runs] if random_init else []
    judged = dict.fromkeys(
        replace(each, output_stride=output_stride(each.name) or each.output_stride) for each in known
    )
    for name, architecture in untrained_names(list(judged), names).items():
        yield Candidate(name, partial(_drawn, architecture), False, architecture.name)


def untrained_names(architectures: Sequence[BackboneConfig], taken: Collection[str]) -> dict[str, BackboneConfig]:
    """Names for untrained backbones that differ from each other and from those in ``taken``."""
    settings = [each.name for each in fields(BackboneConfig)]
    differing = [each for each in settings if len({getattr(one, each) for one in architectures}) > 1]
    named = {}
    for one in architectures:
        words = [getattr(one, each) if each == "name" else f"{each} {getattr(one, each)}" for each in differing]
        name = " ".join(["random", *map(str, words)])
        named[f"{name} (untrained)" if name in taken else name] = one
    return named


def distinct_names(paths: list[str]) -> list[str]:
    """The shortest ends of these paths that differ from each other; the same paths keep their number apart.

    ``["runs/a", "runs/b"]`` become a and b; ``["x/run", "y/run"]`` x/run and y/run.
    """
    parts = [path.rstrip("/").split("/") for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, 1)]


def placed_backbone(weights: Weights, output_stride: int | None) -> Backbone:
    """Builds a trained backbone in eval mode, on the device where it is judged.

    Args:
        weights: of it.
        output_stride: pixels per cell of its feature map, if other than in training.

    Raises:
        UserError: ``trained_backbone`` raises it.
    """
    return _placed(trained_backbone(weights, output_stride))


def _trained(weights: Weights, output_stride: int | None, seed: int) -> Backbone:
    return placed_backbone(weights, output_stride)


def _drawn(architecture: BackboneConfig, seed: int) -> Backbone:
    return _placed(drawn_backbone(architecture, seed))


def _placed(backbone: Backbone) -> Backbone:
    return backbone.to(choose_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
