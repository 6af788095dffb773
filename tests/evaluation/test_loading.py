"""Reading in worker processes: in order, and whatever happens in them is an error within seconds."""

import os
import signal
from collections.abc import Callable

import pytest
import torch
from torch.utils.data import Dataset

from dataprep.errors import UserError
from tests.processes import running
from vicregl_fast.evaluation.loading import chunks, read_batches

pytestmark = pytest.mark.timeout(60)


class Items(Dataset):
    """What ``make`` gives for a key, with the id of the process that made it."""

    def __init__(self, make: Callable[[int], object] = float):
        self.make = make

    def __getitem__(self, key: int) -> tuple[object, int]:
        return self.make(key), os.getpid()


def broken(key: int) -> float:
    if key == 7:
        raise UserError("image seven does not decode")
    if key == 17:
        raise ZeroDivisionError("no such mean")
    if key == 27:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(key)


@pytest.mark.parametrize("workers", [0, 2, 9])
def test_batches_come_in_order(workers: int) -> None:
    batches = list(read_batches(Items(), chunks(range(20), 3), workers))
    assert torch.cat([values for values, _ in batches]).tolist() == list(range(20))
    processes = set(torch.cat([made_by for _, made_by in batches]).tolist())
    assert processes == {os.getpid()} if workers == 0 else os.getpid() not in processes
    assert list(read_batches(Items(), [], workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("first", "sentence"),
    [(0, "^image seven does not decode$"), (10, "^loading images failed with ZeroDivisionError: no such mean$")],
)
def test_an_error_is_one_sentence(first: int, sentence: str, workers: int) -> None:
    seen = []
    with pytest.raises(UserError, match=sentence):
        for values, _ in read_batches(Items(broken), chunks(range(first, 30), 3), workers):
            seen.extend(values.tolist())
    assert seen == list(range(first, first + 6))


def test_a_killed_process_is_no_hang() -> None:
    with pytest.raises(UserError, match=r"a loading process died: it was killed \(SIGKILL\)"):
        list(read_batches(Items(broken), chunks(range(18, 90), 3), 2))


def test_an_early_end_leaves_no_process() -> None:
    batches = read_batches(Items(), chunks(range(300), 3), 2)
    processes = {int(made_by[0]) for made_by in (next(batches)[1], next(batches)[1])}
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert not running(processes)
