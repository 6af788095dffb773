"""The learning rate: linear warm-up, then half a cosine, per step."""

import math

from dataprep.errors import UserError


def learning_rate(step: int, total_steps: int, warmup_steps: int, peak: float, end: float) -> float:
    """The rate for ``step`` (0 is the first) of a run of ``total_steps``.

    It rises from 0 to ``peak`` at step ``warmup_steps`` and falls to ``end`` at the last step, total_steps
    - 1; steps beyond keep ``end``. A warm-up as long as the run only rises.

    Raises:
        UserError: if the warm-up is longer than the run.
    """
    if warmup_steps > total_steps:
        raise UserError(
            f"the warm-up of {warmup_steps} steps is longer than the run of {total_steps}: "
            "lower --optim.warmup_epochs or raise --epochs"
        )
    if step < warmup_steps:
        return peak * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps))
    return end + (peak - end) * (1.0 + math.cos(math.pi * progress)) / 2.0
