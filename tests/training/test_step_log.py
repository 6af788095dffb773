"""Figures of a step come to the host together, and as they are."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vicregl_fast.training.step_log import values_of


def test_figures_keep_their_order_and_their_digits() -> None:
    exact = torch.tensor(1 / 3, dtype=torch.float64)
    figures = {"loss": torch.tensor(0.1), "rank": exact, "norm": torch.tensor(2.5), "nothing": torch.tensor(torch.nan)}
    made = values_of(figures)
    assert list(made) == ["loss", "rank", "norm", "nothing"]
    assert (made["loss"], made["rank"], made["norm"]) == (torch.tensor(0.1).item(), 1 / 3, 2.5)
    assert made["nothing"] != made["nothing"]


class NoneAlone(TorchDispatchMode):
    """Raises where one value is read by itself, which is a copy and a wait of its own."""

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if operation is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("one value is read by itself")
        return operation(*arguments, **(options or {}))


def test_no_figure_is_read_by_itself() -> None:
    figures = {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}
    with NoneAlone():
        assert values_of(figures) == {"a": 1.0, "b": 2.0}
        with pytest.raises(AssertionError, match="by itself"):
            figures["a"].item()
