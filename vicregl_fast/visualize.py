"""Pictures: ``vicregl_fast.visualize curves RUN``, ``matches --run RUN --images PATH``, ``views --path PATH``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dataprep.command_line import SentenceParser, comma_list
from dataprep.errors import UserError, exit_on_user_error
from vicregl_fast.data.engine import ENGINES
from vicregl_fast.evaluation.report import check_output
from vicregl_fast.seeds import check_seed
from vicregl_fast.visualization.curves import draw_curves, read_metrics


def curves(options: argparse.Namespace) -> Figure:
    """The run's metrics."""
    return draw_curves(read_metrics(options.run), str(options.run))


def matches(options: argparse.Namespace) -> Figure:
    """The matches that the run's network selects on a few images."""
    # here, so that the curves need not wait for the network's libraries
    from vicregl_fast.evaluation.stored_images import open_images
    from vicregl_fast.models.load import load_network
    from vicregl_fast.philox import permutation
    from vicregl_fast.visualization.matches import draw_matches
    from vicregl_fast.visualization.network_matches import select_matches

    for name in ("count", "gamma"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}, but must be 1 or more")
    check_seed(options.seed)
    network, config = load_network(options.run)
    images = open_images(options.images)
    chosen = permutation(options.seed, 0, len(images))[: options.count].tolist()
    pixels = [np.array(images.open(index)) for index in chosen]
    gamma = options.gamma or config.loss.gamma_large
    return draw_matches(select_matches(network, config, pixels, gamma, options.seed))


def views(options: argparse.Namespace) -> Figure:
    """Views of a few images, as each engine makes them."""
    from vicregl_fast.augment.recipe import ViewsConfig
    from vicregl_fast.visualization.engine_views import draw_engine_views

    if options.count < 1:
        raise UserError(f"--count is {options.count}, but must be 1 or more")
    check_seed(options.seed)
    config = ViewsConfig(options.views, large_size=options.size)
    return draw_engine_views(options.path, config, options.engines, options.count, options.seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws, writes the PNG, and says where it lies."""
    with exit_on_user_error():
        options = _parser().parse_args(arguments)
        out = options.out or _folder(options) / f"{options.command}.png"
        check_output(out)
        figure = options.picture(options)
        try:
            figure.savefig(out, dpi=110)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
        print(out)


def _folder(options: argparse.Namespace) -> Path:
    if options.command == "views":
        return Path()
    return options.run.parent.parent if options.run.is_file() else options.run


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(prog="python -m vicregl_fast.visualize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    curve = commands.add_parser("curves", help="a run's metrics")
    curve.set_defaults(picture=curves)
    curve.add_argument("run", type=Path, metavar="RUN", help="run folder")
    match = commands.add_parser("matches", help="the cells that the loss matches between two views")
    match.set_defaults(picture=matches)
    match.add_argument("--run", type=Path, required=True, help="run folder, or a checkpoint file in it")
    match.add_argument("--images", type=Path, required=True, help="folder of images, or a .beton store")
    match.add_argument("--count", type=int, default=4, help="images drawn (4)")
    match.add_argument("--gamma", type=int, help="matches kept (default: as in training)")
    match.add_argument("--seed", type=int, default=0, help="which images, and which crops (0)")
    view = commands.add_parser("views", help="images and their views, from each engine side by side")
    view.set_defaults(picture=views)
    view.add_argument("--path", type=Path, required=True, help="store, or folder of images")
    view.add_argument("--engines", type=comma_list(ENGINES), default=list(ENGINES), help=f"({','.join(ENGINES)})")
    view.add_argument("--views", choices=["two", "multicrop"], default="two", help="views of an image (two)")
    view.add_argument("--size", type=int, default=224, help="pixels of a side of the large views (224)")
    view.add_argument("--count", type=int, default=4, help="images drawn (4)")
    view.add_argument("--seed", type=int, default=0, help="which images, and which views (0)")
    for command in (curve, match, view):
        where = "here" if command is view else "in the run folder"
        command.add_argument("--out", type=Path, help=f"the PNG (default: {where})")
    return parser


if __name__ == "__main__":
    main()
