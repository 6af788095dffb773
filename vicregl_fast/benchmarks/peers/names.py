"""The peers that ``bench`` can measure, and what is said on a command line to choose them."""

import argparse
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from dataprep.command_line import comma_list

LoaderPeer = Literal["lightly", "spdl", "torchcodec", "torchvision_io", "dali_whole", "kornia"]
LOADER_PEERS: tuple[LoaderPeer, ...] = get_args(LoaderPeer)

QualityPeer = Literal["lightly_vicregl", "lightly_vicreg"]
QUALITY_PEERS: tuple[QualityPeer, ...] = get_args(QualityPeer)

ALL = "all"


def add_peers(parser: argparse.ArgumentParser, peers: Sequence[str]) -> None:
    """Adds ``--peers all|NAME,...``."""
    known = ",".join(peers)
    parser.add_argument(
        "--peers",
        type=_all_or_some(peers),
        default=[],
        metavar=f"{ALL}|NAME,...",
        help=f"other libraries beside, where they are installed: {known} (none)",
    )


def _all_or_some(peers: Sequence[str]) -> Callable[[str], list[str]]:
    some = comma_list(peers)
    return lambda text: list(peers) if text == ALL else some(text)
