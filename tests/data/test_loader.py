"""A consumer that waits for batches in vain may give up."""

import threading
from collections.abc import Generator

import numpy as np
import pytest
import torch

from vicregl_fast.data import loader
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.loader import ThreadLoader


@pytest.mark.timeout(20)
def test_a_consumer_may_give_up_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "PATIENT_FOR", 0.3)
    never = threading.Event()

    def made() -> Generator[ViewBatch, None, None]:
        yield ViewBatch(np.arange(2), (), None, {})
        never.wait()

    waiting = ThreadLoader(made(), torch.device("cpu"))
    asked: list[bool] = []
    waiting.gives_up = lambda: len(asked) == 2 or asked.append(False)  # type: ignore[func-returns-value,return-value]
    with waiting:
        assert len(list(waiting)) == 1
    assert asked == [False, False] and not waiting.whole
    never.set()
