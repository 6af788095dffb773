"""Which seeds there are."""

from dataprep.errors import UserError

SEED_BITS = 63
"""Philox's key has 64; torch's generators take a sign, too."""


def check_seed(seed: int) -> None:
    """Raises a UserError unless every generator takes ``seed``."""
    if not 0 <= seed < 2**SEED_BITS:
        raise UserError(f"the seed is {seed}, but must be 0 or more and below 2**{SEED_BITS}")
