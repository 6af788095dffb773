"""Command lines whose mistakes end as every other wrong input does: in one sentence."""

import argparse
from typing import NoReturn

from dataprep.errors import UserError


class SentenceParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises UserError instead of printing its usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help shows how it is used")
