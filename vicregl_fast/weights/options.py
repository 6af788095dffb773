"""The command line of ``export``."""

import argparse
from pathlib import Path

from dataprep.command_line import SentenceParser, count, new_file
from dataprep.errors import UserError
from vicregl_fast.models.config import STRIDES

FORMATS = {"timm": ".pth", "torchvision": ".pth", "safetensors": ".safetensors", "onnx": ".onnx"}
"""The ending of a file of each format."""


def export_parser(description: str | None) -> SentenceParser:
    """The parser of the command line."""
    parser = SentenceParser(prog="python -m vicregl_fast.export", description=description)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder, checkpoint, or file of weights")
    parser.add_argument("out", type=new_file, metavar="OUT", help="file to write; its model card gets .md behind")
    parser.add_argument("--to", choices=FORMATS, required=True, help="what loads it")
    parser.add_argument("--backbone", metavar="NAME", help="timm model, where RUN is a file that does not say it")
    parser.add_argument(
        "--output_stride", type=int, choices=STRIDES, help="pixels per cell, where RUN does not say it (32)"
    )
    parser.add_argument(
        "--classes", type=count, help="a classifier of this size, all zero (torchvision 1000; else none)"
    )
    parser.add_argument("--size", type=count, help="onnx: images of this side only, for backbones that need it")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    return parser


def check_options(options: argparse.Namespace) -> None:
    """Checks what can be told before any work.

    Raises:
        UserError: OUT has another format's ending or is there, or an option goes with another format.
    """
    ending = FORMATS[options.to]
    if options.out.suffix != ending:
        raise UserError(f"OUT is {options.out}, but must end in {ending} with --to {options.to}")
    if options.classes is not None and options.to == "onnx":
        raise UserError("--classes goes with timm, torchvision and safetensors: the ONNX graph gives features")
    if options.size is not None and options.to != "onnx":
        raise UserError("--size goes with --to onnx")
    if not options.overwrite:
        for path in (options.out, card_of(options.out)):
            if path.exists():
                raise UserError(f"{path} is already there; give --overwrite to replace it, or another OUT")


def card_of(out: Path) -> Path:
    """The model card beside an exported file."""
    return out.with_name(f"{out.name}.md")
