"""Which images have which masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataprep.errors import UserError
from dataprep.sources import ImageSource


@dataclass(frozen=True)
class Pairs:
    """Images, each with its mask.

    Attributes:
        root: folder of the images.
        images: their paths relative to it.
        masks: paths of the masks, one for each image.
        named: where the masks are, for messages.
    """

    root: Path
    images: tuple[str, ...]
    masks: tuple[Path, ...]
    named: str

    def __post_init__(self) -> None:
        assert len(self.images) == len(self.masks) > 0

    def __len__(self) -> int:
        return len(self.images)

    def paths(self, index: int) -> tuple[Path, Path]:
        """The files of an image and its mask."""
        return self.root / self.images[index], self.masks[index]

    @property
    def source(self) -> ImageSource:
        """The images alone."""
        return ImageSource(self.root, self.images, None, None)


def check_files(paths: Sequence[Path], what: str) -> None:
    """Checks that all these files are there.

    Args:
        paths: of the files.
        what: what they are, for the message, such as "masks of training images".

    Raises:
        UserError: some are not.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(paths)} {what} are missing, the first being {missing[0]}: unpack all of it"
        )
