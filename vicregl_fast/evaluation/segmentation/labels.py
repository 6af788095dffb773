"""What the values of mask pixels mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataprep.errors import UserError
from dataprep.text_files import read_lines

USUAL_IGNORE_INDEX = 255
IGNORED = -1
"""The label, once a mask is read, of pixels that count neither in training nor in the score."""
_OTHERS, _IGNORE = "others", "ignore"


@dataclass(frozen=True)
class Labels:
    """What the values of mask pixels mean. A value that has no meaning is refused.

    Attributes:
        classes: number of classes; without a table, the values 0 to ``classes`` - 1 name them.
        ignore_index: value of pixels that are ignored, which no class has; None for none.
        foreground: value of pixels that are of class 1 as well, which no other class has; None for none.
        zero_ignored: the value 0 is ignored, and the values 1 to ``classes`` name the classes 0 to ``classes`` - 1.
        table: the class, or ``IGNORED``, of each value, in place of the values above; None for none.
        others_ignored: whether values without a meaning are ignored, too.
        names: of the classes; empty where they have none.

    Raises:
        UserError: fewer than two classes, or a value has two meanings.
    """

    classes: int
    ignore_index: int | None = USUAL_IGNORE_INDEX
    foreground: int | None = None
    zero_ignored: bool = False
    table: Mapping[int, int] | None = None
    others_ignored: bool = False
    names: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UserError(f"segmentation into {self.classes} classes is no task: --classes must be 2 or more")
        if self.foreground is not None and (self.zero_ignored or self.table is not None):
            raise UserError("--foreground goes neither with --zero_ignored nor with --label_map: leave one out")
        if self.zero_ignored and self.table is not None:
            raise UserError("--zero_ignored does not go with --label_map: give the map a line `0 ignore` in its place")
        assert not self.names or len(self.names) == self.classes
        self._check_foreground()
        self._check_ignored()

    def meanings(self) -> dict[int, int]:
        """The class, or ``IGNORED``, of each value that has a meaning."""
        meanings = self._classes()
        if self.foreground is not None:
            meanings[self.foreground] = 1
        if self.ignore_index is not None:
            meanings[self.ignore_index] = IGNORED
        return meanings

    def _classes(self) -> dict[int, int]:
        """The meanings without those of ``foreground`` and ``ignore_index``."""
        if self.table is not None:
            return dict(self.table)
        if self.zero_ignored:
            return {0: IGNORED} | {value + 1: value for value in range(self.classes)}
        return {value: value for value in range(self.classes)}

    def _check_foreground(self) -> None:
        if self.foreground is not None and self._classes().get(self.foreground, 1) != 1:
            raise UserError(
                f"--foreground {self.foreground} is class {self.foreground} of --classes {self.classes}, and cannot be "
                "class 1 as well: lower --classes, or give a --label_map"
            )

    def _check_ignored(self) -> None:
        if self.ignore_index is None:
            return
        if self.ignore_index == self.foreground:
            raise UserError(
                f"the value {self.foreground} cannot be both the foreground and ignored: "
                "leave --ignore_index out, or give none"
            )
        number = self._classes().get(self.ignore_index, IGNORED)
        if number != IGNORED:
            cure = (
                f"give a --label_map with the line `{self.ignore_index} {_IGNORE}`"
                if self.table is None
                else "change its line in the --label_map"
            )
            raise UserError(
                f"the value {self.ignore_index} cannot be both class {number} and ignored: give another "
                f"--ignore_index or none, or {cure}"
            )

    @property
    def only_ignored(self) -> int | None:
        """The value that is ignored, if it is the only one; else None."""
        return None if self.zero_ignored or self.table is not None else self.ignore_index

    def name(self, number: int) -> str:
        """The name of a class; where it has none, its number."""
        return self.names[number] if self.names else str(number)

    def __str__(self) -> str:
        """Which values have a meaning, for messages."""
        if self.table is not None:
            return f"the label map has {len(self.table)} other values"
        first = int(self.zero_ignored)
        ignored = ["0"] * self.zero_ignored + [str(self.ignore_index)] * (self.ignore_index is not None)
        said = f"{' and '.join(ignored) or 'none'} {'are' if len(ignored) > 1 else 'is'} ignored"
        return f"classes are {first} to {self.classes - 1 + first} and {said}"


def ignore_index_of(given: str | None, labels: Labels) -> int | None:
    """Reads ``--ignore_index``: a number or ``none``; if it is not given, 255 unless that has a meaning already.

    Args:
        given: what the option says.
        labels: the meanings of other values.

    Raises:
        UserError: it is something else.
    """
    if given is None:
        return None if USUAL_IGNORE_INDEX in labels.meanings() else USUAL_IGNORE_INDEX
    if given == "none":
        return None
    if not given.isdecimal():
        raise UserError(f"--ignore_index {given} is no value of a pixel: give a number from 0, or none")
    return int(given)


def read_label_map(path: Path) -> tuple[dict[int, int], bool]:
    """Reads a label map: lines ``VALUE CLASS`` or ``VALUE ignore``, and perhaps ``others ignore``.

    Between the two may stand a space, a comma or a colon. Empty lines and lines that begin with # are passed over.

    Returns:
        The class, or ``IGNORED``, of each value, and whether the other values are ignored.

    Raises:
        UserError: the file cannot be read, a line is something else, or a value stands there twice.
    """
    try:
        lines = read_lines(path)
        "".join(lines).encode()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"the label map {path} cannot be read: {reason}") from error
    table: dict[int, int] = {}
    others_ignored = False
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        value, meaning = _entry(line, f"line {number} of the label map {path}")
        if value is None:
            others_ignored = True
        elif value in table:
            raise UserError(f"line {number} of the label map {path} gives {value} a second meaning: leave one")
        else:
            table[value] = meaning
    if max(table.values(), default=IGNORED) == IGNORED:
        raise UserError(f"the label map {path} names no class: write lines such as `7 0`, a value and its class")
    return table, others_ignored


def _entry(line: str, place: str) -> tuple[int | None, int]:
    """The value and the meaning of a line; None as the value stands for all others."""
    words = line.replace(",", " ").replace(":", " ").split()
    if words == [_OTHERS, _IGNORE]:
        return None, IGNORED
    if len(words) == 2 and words[0].isdecimal() and (words[1].isdecimal() or words[1] == _IGNORE):
        return int(words[0]), IGNORED if words[1] == _IGNORE else int(words[1])
    raise UserError(
        f"{place} is {line.strip()!r}: write a value and its class, a value and `{_IGNORE}`, or `{_OTHERS} {_IGNORE}`"
    )
