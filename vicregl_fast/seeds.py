"""Which numbers may be the seed of a run."""

from dataprep.errors import UserError

SEED_BITS = 63
"""Bits of a seed: one less than Philox and torch's generators take, so that a seed plus a rank still fits."""


def check_seed(seed: int) -> None:
    """Refuses a seed that is out of range.

    Raises:
        UserError: ``seed`` is negative, or 2**SEED_BITS or more.
    """
    if not 0 <= seed < 2**SEED_BITS:
        raise UserError(f"the seed is {seed}, but must be 0 or more and below 2**{SEED_BITS}")
