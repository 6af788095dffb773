"""Draws pictures: ``python -m vicregl_fast.visualize``, then ``curves``, ``matches`` or ``views`` and its options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataprep.errors import UserError, exit_on_user_error
from vicregl_fast.seeds import check_seed
from vicregl_fast.visualization.options import visualize_parser

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


PICTURES = {"curves": curves, "matches": matches, "views": views}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws one picture, writes it as PNG, and prints its path.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    with exit_on_user_error():
        options = visualize_parser(__doc__).parse_args(arguments)
        check_seed(getattr(options, "seed", 0))
        out = options.out or _default_out(options)
        figure = PICTURES[options.command](options)
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


if __name__ == "__main__":
    main()
