"""Draws pictures: ``python -m vicregl_fast.visualize``, then ``curves``, ``matches`` or ``views`` and its options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataprep.command_line import SentenceParser, comma_list, count, output_file
from dataprep.errors import UserError, exit_on_user_error
from vicregl_fast.data.config import ENGINES
from vicregl_fast.seeds import check_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(options: argparse.Namespace) -> "Figure":
    """Draws the curves of a run's metrics."""
    from vicregl_fast.runs.metrics import read_curves
    from vicregl_fast.visualization.curves import draw_curves

    return draw_curves(read_curves(options.run), str(options.run))


def matches(options: argparse.Namespace) -> "Figure":
    """Draws the matches that a run's network selects on a few images."""
    from vicregl_fast.visualization.matches import draw_matches
    from vicregl_fast.visualization.network_matches import matches_of_run

    return draw_matches(matches_of_run(options.run, options.images, options.count, options.gamma, options.seed))


def views(options: argparse.Namespace) -> "Figure":
    """Draws the views that each engine makes of a few images."""
    from vicregl_fast.augment.recipe import ViewsConfig
    from vicregl_fast.visualization.engine_views import draw_engine_views

    config = ViewsConfig(options.views, large_size=options.size)
    return draw_engine_views(options.path, config, options.engines, options.count, options.seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws one picture, writes it as PNG, and prints its path.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    with exit_on_user_error():
        options = _parser().parse_args(arguments)
        check_seed(getattr(options, "seed", 0))
        out = options.out or _default_out(options)
        figure = options.picture(options)
        try:
            figure.savefig(out, dpi=110)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
        print(out)


def _default_out(options: argparse.Namespace) -> Path:
    if options.command == "views":
        return Path("views.png")
    from vicregl_fast.runs.folder import RunFolder

    return RunFolder.holding(options.run).path / f"{options.command}.png"


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(prog="python -m vicregl_fast.visualize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    curve = commands.add_parser("curves", help="a run's metrics")
    curve.set_defaults(picture=curves)
    curve.add_argument("run", type=Path, metavar="RUN", help="run folder")
    match = commands.add_parser("matches", help="the cells that the loss matches between two views")
    match.set_defaults(picture=matches)
    match.add_argument("--run", type=Path, required=True, help="run folder, or a checkpoint file in it")
    match.add_argument("--images", type=Path, required=True, help="folder of images, or a store")
    match.add_argument("--gamma", type=count, help="matches kept (default: the run's loss.gamma_large)")
    view = commands.add_parser("views", help="images and their views, from each engine side by side")
    view.set_defaults(picture=views)
    view.add_argument("--path", type=Path, required=True, help="store, or folder of images")
    view.add_argument("--engines", type=comma_list(ENGINES), default=list(ENGINES), help=f"({','.join(ENGINES)})")
    view.add_argument("--views", choices=["two", "multicrop"], default="two", help="views of an image (two)")
    view.add_argument("--size", type=count, default=224, help="pixels of a side of the large views (224)")
    for command in (match, view):
        command.add_argument("--count", type=count, default=4, help="images drawn (4)")
        command.add_argument("--seed", type=int, default=0, help="which images, and which crops of them (0)")
    for command, where in ((curve, "in the run folder"), (match, "in the run folder"), (view, "here")):
        command.add_argument("--out", type=output_file, help=f"the PNG (default: {where})")
    return parser


if __name__ == "__main__":
    main()
