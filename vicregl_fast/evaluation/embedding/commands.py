"""The command ``evaluate embed``."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from vicregl_fast.evaluation.command import Command, add_output_stride, add_weights
from vicregl_fast.evaluation.embedding.config import EmbedConfig
from vicregl_fast.seeds import check_seed


def _add_arguments(parser: ArgumentParser) -> None:
    add_weights(parser, several=False)
    add_output_stride(parser)
    parser.add_argument("--images", type=Path, required=True, help="folder of images, or a store")
    parser.add_argument("--list", type=Path, help="which of its images, one a line")
    parser.add_argument(
        "--labels", default="auto", metavar="auto|folders|none|FILE", help="where the folder's labels come from (auto)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--maps", action="store_true", help="also the feature maps, 2·C·h·w bytes an image")
    parser.add_argument("--overwrite", action="store_true", help="replace what this command has written to OUT before")


def _embed(options: Namespace, config: EmbedConfig) -> None:
    from vicregl_fast.devices import choose_device
    from vicregl_fast.environment import describe_environment
    from vicregl_fast.evaluation.candidates import placed_backbone
    from vicregl_fast.evaluation.chosen_images import open_chosen
    from vicregl_fast.evaluation.embedding.embed import embed
    from vicregl_fast.evaluation.embedding.files import check_out
    from vicregl_fast.evaluation.embedding.picture import choose_plane, write_picture
    from vicregl_fast.evaluation.report import plain
    from vicregl_fast.weights.source import read_weights

    check_seed(config.seed)
    plane = choose_plane(config.picture)
    check_out(options.out, options.overwrite)
    backbone = placed_backbone(read_weights(options.run, options.backbone), options.output_stride)
    chosen = open_chosen(options.images, options.list, options.labels)
    settings = {name: plain(value) for name, value in vars(options).items() if name != "arguments"}
    environment = describe_environment(choose_device(), "vicregl_fast.evaluate", options.arguments)
    record = {"settings": settings, "backbone": backbone.name, "environment": environment}
    written = embed(backbone, chosen, options.out, config, options.maps, record)
    if plane is not None:
        written.append(write_picture(options.out, chosen, plane, config.seed))
    print(*written, sep="\n")


COMMANDS = {
    "embed": Command("features of images as files, and a picture of them", EmbedConfig, _add_arguments, _embed),
}
