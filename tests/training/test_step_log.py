"""Figures of a step come to the host together, and as they are."""

import torch

from vicregl_fast.training.step_log import numbers


def test_figures_keep_their_order_and_their_digits() -> None:
    exact = torch.tensor(1 / 3, dtype=torch.float64)
    figures = {"loss": torch.tensor(0.1), "rank": exact, "norm": torch.tensor(2.5), "nothing": torch.tensor(torch.nan)}
    made = numbers(figures)
    assert list(made) == ["loss", "rank", "norm", "nothing"]
    assert (made["loss"], made["rank"], made["norm"]) == (torch.tensor(0.1).item(), 1 / 3, 2.5)
    assert made["nothing"] != made["nothing"]
