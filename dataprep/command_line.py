"""Command lines whose mistakes end as every other wrong input does: in one sentence."""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from dataprep.errors import UserError


class SentenceParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises UserError instead of printing its usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help shows how it is used")


def comma_list(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """An argument's type: some of the choices, with commas between them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; choose from {','.join(choices)}")
        return names

    return parse
