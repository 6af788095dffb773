"""Which figures a whole report has; what is not measured is named, so that nobody takes silence for a figure."""

import re
from collections.abc import Iterable, Iterator

from vicregl_fast.benchmarks.peers.names import LOADER_PEERS

PROMISED: dict[str, tuple[str, ...]] = {
    "bench loader": (
        "loader.bare.decode",
        *(f"loader.{engine}.{stage}" for engine in ("ffcv", "dali", "torchvision") for stage in ("decode", "views")),
        "loader.ffcv.decode_over_bare",
        "loader.ffcv.views_over_torchvision",
        "loader.dali.views_over_torchvision",
        "loader.ffcv.decode_over_torchvision_views",
        *(f"loader.peer.{peer}.*" for peer in LOADER_PEERS),
    ),
    "bench augment": ("augment.torch", "augment.numba", "augment.cuda"),
    "bench loss": (
        "loss.global",
        "loss.local",
        "loss.global_speedup",
        "loss.local_speedup",
        "loss.memory_ratio",
        "matching.pairs_per_second",
    ),
    "bench optimizer": (
        *(f"optimizer.{backend}" for backend in ("loop", "foreach", "triton", "apex")),
        "optimizer.speedup",
        "optimizer.bandwidth_share",
    ),
    "bench step": (
        "step.images_per_second",
        *(f"step.{part}_share" for part in ("forward", "loss", "backward", "optimizer")),
        "step.augmentation_share",
        "step.flop_utilisation",
        "step.supervised_images_per_second",
        "step.over_half_supervised",
    ),
    "bench train": (
        "train.images_per_second",
        "train.synthetic_images_per_second",
        "train.real_over_synthetic",
        "train.torchvision_images_per_second",
    ),
    "bench features": ("features.images_per_second", "features.over_forward"),
    "bench scaling": ("scaling.N.images_per_second", "scaling.N.efficiency"),
    "bench projection": tuple(
        f"projection.N_gpus.{overlap}.{figure}"
        for overlap in ("no_overlap", "full_overlap")
        for figure in ("images_per_second", "hours")
    ),
    "bench quality": (
        "quality.untrained.accuracy",
        "quality.ours.seconds",
        "quality.ours.accuracy",
        "quality.ours.seconds_to_*",
        "quality.ours.speedup_over_*",
    ),
}
"""The rows of each command. ``N`` stands for any number, and ``*`` for any end."""


def promised() -> Iterator[tuple[str, str]]:
    """Every command with each of its rows."""
    for command, names in PROMISED.items():
        for name in names:
            yield command, name


def fitting(promise: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that keep a promise."""
    pattern = re.escape(promise).replace("N", r"\d+").replace(r"\*", ".+")
    return [name for name in names if re.fullmatch(pattern, name)]
