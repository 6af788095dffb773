"""``python -m dataprep``: draws an image set, converts a folder of images to a store, checks or adopts a store."""

from collections.abc import Sequence

from dataprep.commands import parser
from dataprep.errors import exit_on_user_error
from dataprep.stopping import clean_stop


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that ``arguments`` (by default ``sys.argv[1:]``) ask for."""
    with exit_on_user_error(), clean_stop():
        options = parser().parse_args(arguments)
        options.run(options)


if __name__ == "__main__":
    main()
