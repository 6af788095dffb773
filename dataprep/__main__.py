"""``python -m dataprep``: ``demo`` draws an image set, ``ffcv`` converts a folder of images to a store."""

import argparse
from pathlib import Path

from dataprep.command_line import SentenceParser
from dataprep.errors import exit_on_user_error
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from dataprep.stopping import clean_stop


def main(arguments: list[str] | None = None) -> None:
    with exit_on_user_error(), clean_stop():
        options = _parser().parse_args(arguments)
        options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(prog="python -m dataprep", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=SentenceParser)

    demo = commands.add_parser("demo", help="draw a labelled image set with masks")
    demo.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    demo.add_argument("--images", type=int, default=1200, help="pictures in all, one in six for validation (1200)")
    demo.add_argument("--seed", type=int, default=0, help="the pictures are a function of it (0)")
    demo.set_defaults(run=_demo)

    ffcv = commands.add_parser("ffcv", help="convert a folder of images to an FFCV store")
    ffcv.add_argument("source", type=Path, metavar="SOURCE", help="class folders, or any folder of images")
    ffcv.add_argument("out", type=Path, metavar="OUT.beton", help="store to write")
    ffcv.add_argument("--list", type=Path, metavar="FILE", help="only these images: one path in SOURCE a line")
    ffcv.add_argument("--max-side", type=int, default=500, help="reduce images to this many pixels (500)")
    ffcv.add_argument("--quality", type=int, default=90, help="JPEG quality of what is encoded anew (90)")
    ffcv.add_argument("--on-error", choices=("fail", "skip"), default="fail", help="at an unreadable image (fail)")
    ffcv.add_argument("--overwrite", action="store_true", help="replace an existing store, once the new one is whole")
    ffcv.set_defaults(run=_ffcv)

    for command in (demo, ffcv):
        command.add_argument("--workers", type=int, help="processes (all available cores)")
    return parser


def _demo(options: argparse.Namespace) -> None:
    from dataprep.demo import write_demo  # OpenCV, which the other commands do without

    write_demo(options.out, options.images, options.seed, options.workers)
    print(f"drew {options.images} pictures into {options.out}")


def _ffcv(options: argparse.Namespace) -> None:
    source = list_images(options.source, options.list)
    manifest = write_store(
        source,
        options.out,
        max_side=options.max_side,
        quality=options.quality,
        workers=options.workers,
        on_error=options.on_error,
        overwrite=options.overwrite,
    )
    kind = f"in {len(source.classes)} classes" if source.classes else "without labels"
    print(
        f"wrote {manifest.count} images {kind} to {options.out}: {manifest.originals} with their own bytes, "
        f"{manifest.count - manifest.originals} encoded anew, {len(manifest.skipped)} left out"
    )


if __name__ == "__main__":
    main()
