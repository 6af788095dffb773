"""The commands of ``python -m dataprep``: their options, and what each does with them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dataprep.command_line import SentenceParser
from dataprep.errors import ON_ERROR
from dataprep.formats import MAX_PIXELS

if TYPE_CHECKING:
    from dataprep.manifest import Manifest


def parser() -> argparse.ArgumentParser:
    """Builds the parser. What it parses has the chosen command as ``run``, a function that takes these options."""
    parser = SentenceParser(
        prog="python -m dataprep", description="Draws an image set, converts images to a store, checks or adopts one."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=SentenceParser)
    _add_demo(commands.add_parser("demo", help="draw a labelled image set with masks"))
    _add_ffcv(commands.add_parser("ffcv", help="convert a folder of images to an FFCV store"))
    _add_webdataset(commands.add_parser("webdataset", help="convert a folder of images to WebDataset shards for DALI"))
    _add_verify(commands.add_parser("verify", help="decode every image of a store, and compare some with their source"))
    _add_adopt(commands.add_parser("adopt", help="check a store that another program wrote, and write its manifest"))
    for command in commands.choices.values():
        command.add_argument("--workers", type=int, help="processes (all available cores)")
    return parser


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    demo.add_argument("--images", type=int, default=1200, help="pictures in all, one in six for validation (1200)")
    demo.add_argument("--seed", type=int, default=0, help="another seed draws other pictures (0)")
    demo.set_defaults(run=_demo)


def _add_ffcv(ffcv: argparse.ArgumentParser) -> None:
    ffcv.add_argument("source", type=Path, metavar="SOURCE", help="class folders, or any folder of images")
    ffcv.add_argument("out", type=Path, metavar="OUT.beton", help="store to write")
    ffcv.add_argument("--mode", default="jpg", help="jpg: JPEGs; raw: pixels; mixed: a share of pixels (jpg)")
    ffcv.add_argument("--raw_share", type=float, metavar="P", help="of mixed: the share of images kept as pixels")
    _add_conversion(ffcv)
    ffcv.set_defaults(run=_ffcv)


def _add_webdataset(webdataset: argparse.ArgumentParser) -> None:
    webdataset.add_argument("source", type=Path, metavar="SOURCE", help="class folders, or any folder of images")
    webdataset.add_argument("out", type=Path, metavar="OUT_DIR", help="folder to make, of shards and their indexes")
    webdataset.add_argument("--shard_mib", type=int, default=256, help="largest size of a shard in MiB (256)")
    _add_conversion(webdataset)
    webdataset.set_defaults(run=_webdataset)


def _add_verify(verify: argparse.ArgumentParser) -> None:
    verify.add_argument("store", type=Path, metavar="STORE", help="a .beton file, or a folder of shards")
    verify.add_argument("--source", type=Path, metavar="FOLDER", help="the images' folder (where the manifest says)")
    verify.add_argument("--sample", type=int, default=64, help="images to compare with their source (64)")
    verify.set_defaults(run=_verify)


def _add_adopt(adopt: argparse.ArgumentParser) -> None:
    adopt.add_argument("store", type=Path, metavar="STORE", help="a .beton file, or a folder of WebDataset shards")
    adopt.add_argument("--classes", type=Path, metavar="FILE", help="names of the classes, one a line, label 0 first")
    adopt.add_argument("--image_field", metavar="NAME", help="the images' field, or ending in shards (found out)")
    adopt.add_argument("--label_field", metavar="NAME", help="the labels', likewise; none for no labels (found out)")
    adopt.add_argument("--on_error", choices=ON_ERROR, default="fail", help="what to do at unusable images (fail)")
    adopt.set_defaults(run=_adopt)


def _add_conversion(command: argparse.ArgumentParser) -> None:
    command.add_argument("--list", type=Path, metavar="FILE", help="only these images, one a line, by path or name")
    command.add_argument(
        "--labels",
        default="auto",
        metavar="auto|folders|none|FILE",
        help="auto: class folders; folders: the first folder of each path; FILE: a path and a label a line (auto)",
    )
    command.add_argument("--max_side", type=int, default=500, help="reduce images to this longer side in pixels (500)")
    command.add_argument("--quality", type=int, default=90, help="JPEG quality of what is encoded anew (90)")
    command.add_argument(
        "--range",
        default="auto",
        help="the values that become 0 to 255 in images of more than 8 bits: auto looks for the number of bits in the "
        "source, full is all 16, LOW,HIGH goes for floats and signed numbers, too (--range=-1,1) (auto)",
    )
    command.add_argument(
        "--max_pixels", type=int, default=MAX_PIXELS, help=f"the largest image to decode, in pixels ({MAX_PIXELS})"
    )
    command.add_argument("--on_error", choices=ON_ERROR, default="fail", help="what to do at unreadable images (fail)")
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing store, once the new one is there"
    )


def _demo(options: argparse.Namespace) -> None:
    from dataprep.demo import write_demo  # imports OpenCV, which the other commands do without

    write_demo(options.out, options.images, options.seed, options.workers)
    print(f"drew {options.images} pictures into {options.out}")


def _ffcv(options: argparse.Namespace) -> None:
    from dataprep.ffcv_store import write_store

    _convert(options, write_store, mode=options.mode, raw_share=options.raw_share)


def _webdataset(options: argparse.Namespace) -> None:
    from dataprep.webdataset_store import write_shards

    _convert(options, write_shards, shard_mib=options.shard_mib)


def _verify(options: argparse.Namespace) -> None:
    from dataprep.verify import verify_store

    compared = verify_store(options.store, options.source, options.sample, options.workers)
    source = f"{compared} are what their source gives" if compared else "none was compared with its source"
    print(f"{options.store} is whole: every image decodes, and {source}")


def _adopt(options: argparse.Namespace) -> None:
    from dataprep.adopt import adopt_store

    manifest = adopt_store(
        options.store,
        classes_file=options.classes,
        image_field=options.image_field,
        label_field=options.label_field,
        workers=options.workers,
        on_error=options.on_error,
    )
    labels = "without labels"
    if manifest.label_counts is not None:
        field = f" (field {manifest.label_field})" if manifest.kind == "ffcv" else ""
        labels = f"with labels from 0 to {len(manifest.label_counts) - 1}{field}"
    print(f"adopted {manifest.count} images {labels} in {options.store}; {len(manifest.skipped)} left out")


def _convert(options: argparse.Namespace, write: "Callable[..., Manifest]", **own: object) -> None:
    from dataprep.sources import list_images

    source = list_images(options.source, options.list, options.labels)
    manifest = write(
        source,
        options.out,
        max_side=options.max_side,
        quality=options.quality,
        range=options.range,
        max_pixels=options.max_pixels,
        workers=options.workers,
        on_error=options.on_error,
        overwrite=options.overwrite,
        **own,
    )
    kind = f"in {len(manifest.classes)} classes" if manifest.classes else "without labels"
    anew = manifest.count - manifest.originals - manifest.raw
    pixels = f"{manifest.raw} as pixels, " if manifest.raw else ""
    others = f", {source.passed_over.total()} other files passed over" if source.passed_over else ""
    print(
        f"wrote {manifest.count} images {kind} to {options.out}: {manifest.originals} with their own bytes, "
        f"{anew} encoded anew, {pixels}{len(manifest.skipped)} left out{others}"
    )
