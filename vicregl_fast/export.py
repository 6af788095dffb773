"""Writes a run's backbone for other libraries: ``python -m vicregl_fast.export RUN OUT --to FORMAT``."""

from collections.abc import Sequence

from dataprep.errors import exit_on_user_error
from vicregl_fast.weights.options import card_of, check_options, export_parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports, and prints the paths of the file and of its model card, and the Python lines that load it.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    with exit_on_user_error():
        options = export_parser(__doc__).parse_args(arguments)
        check_options(options)

        from vicregl_fast.weights.exporting import export
        from vicregl_fast.weights.source import read_weights

        weights = read_weights(options.run, options.backbone, options.output_stride)
        usage = export(weights, options.out, options.to, options.classes, options.size)
        print(f"{options.out}\n{card_of(options.out)}\n\n{usage}")


if __name__ == "__main__":
    main()
