"""What a run has recorded of the images that it learns from, by which other images are refused before the work."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dataprep.atomic import write_text
from dataprep.errors import UserError


@dataclass(frozen=True)
class LearnedImages:
    """What is known of the training images before they are converted, and what reads them.

    Attributes:
        engine: name of the engine, of which each decodes a little differently.
        count: number of images.
        classes: their names; None without classes.
    """

    engine: str
    count: int
    classes: tuple[str, ...] | None

    @classmethod
    def read(cls, file: Path) -> "LearnedImages | None":
        """Reads what ``write`` wrote; None where there is nothing that can be read, as in runs of earlier versions."""
        try:
            values = json.loads(file.read_text())
            classes = values["classes"]
            return cls(values["engine"], int(values["count"]), None if classes is None else tuple(classes))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Writes the record as JSON."""
        write_text(file, json.dumps(asdict(self)) + "\n")

    def check(self, now: "LearnedImages", path: str, run: Path, may_lose: bool) -> None:
        """Checks that a run that has recorded this may go on with the images at ``path``, of which ``now`` is known.

        Args:
            now: of the images at ``path``.
            path: as the user names them.
            run: folder of the run.
            may_lose: whether some of ``now`` may still be left out, since they do not decode.

        Raises:
            UserError: they are others, or another engine reads them.
        """
        if self.engine != now.engine:
            raise UserError(
                f"the run in {run} has learned from images that the {self.engine} engine decoded, and {path} is read "
                f"by the {now.engine} engine: give its images in the old form, or choose another --run_dir"
            )
        fewer = may_lose and self.count < now.count
        if self.classes != now.classes or (self.count != now.count and not fewer):
            raise other_images(path, run)


def other_images(path: str, run: Path) -> UserError:
    """The error to raise where a run would resume with images that it has not learned from."""
    return UserError(
        f"the images of {path} are not those that the run in {run} has learned from: their number, order, sizes or "
        "classes changed; take the old ones to resume it, or choose another --run_dir"
    )
