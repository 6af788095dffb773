"""Worker processes: order, errors, deaths, signals, limits of the system; nothing here may wait for ever."""

import faulthandler
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from dataprep.stopping import SIGNALS
from tests.processes import has_ended, have_ended, processes_of, running, wait_until
from vicregl_fast.data.worker_pool import WorkerPool

pytestmark = pytest.mark.timeout(120)
HALF_A_DAY = 43_200


def pool_of(function: object, workers: int = 2) -> WorkerPool:
    return WorkerPool(function, workers, "--data.workers")  # type: ignore[arg-type]


def late_square(worker: int, value: int) -> int:
    """The earlier ones take longer, so that results come out of order."""
    time.sleep(0.02 if value < 8 else 0.0)
    return value * value


def own_id(worker: int, value: int) -> int:
    return os.getpid()


def fails_at_five(worker: int, value: int) -> int:
    if value == 5:
        raise UserError("image five is broken")
    return value


def kill_itself(worker: int, number: int) -> None:
    faulthandler.disable()  # pytest's would report a crash that is meant
    os.kill(os.getpid(), number)


def endless(worker: int, value: int) -> None:
    time.sleep(HALF_A_DAY)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order_and_processes_stay(workers: int) -> None:
    with closing(pool_of(late_square, workers)) as pool:
        assert list(pool.map(range(50))) == [value**2 for value in range(50)]
        assert list(pool.map([])) == []
    with closing(pool_of(own_id, workers)) as pool:
        first, second = (set(pool.map(range(50))) for _ in range(2))
        assert first | second == ({os.getpid()} if workers == 0 else first) and len(first) <= max(1, workers)


def tensors(worker: int, scale: int) -> dict[str, object]:
    """A permuted image, as ``pil_to_tensor`` makes it, one larger than any pipe, and what has no pixels."""
    pixels = torch.arange(24, dtype=torch.uint8).reshape(2, 4, 3).permute(2, 0, 1) * scale
    return {"permuted": pixels, "large": torch.full((3, 400, 500), scale), "empty": torch.empty(0, 3), "none": None}


def test_tensors_arrive_as_they_were() -> None:
    with closing(pool_of(tensors)) as pool:
        for scale, arrived in enumerate(pool.map(range(6))):
            for name, tensor in tensors(0, scale).items():
                assert (tensor is None) == (arrived[name] is None)
                if isinstance(tensor, torch.Tensor):
                    assert torch.equal(arrived[name], tensor) and arrived[name].dtype == tensor.dtype
                    assert arrived[name].stride() == tensor.stride()
                    arrived[name].add_(1)  # they are the receiver's own


def test_results_that_are_held_hold_no_files() -> None:
    with closing(pool_of(tensors)) as pool:
        pool.start()
        before = len(os.listdir("/proc/self/fd"))
        assert len(list(pool.map(range(20)))) == 20 and len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_after_the_results_before_it(workers: int) -> None:
    pool, seen = pool_of(fails_at_five, workers), []
    with pytest.raises(UserError, match=r"^image five is broken$"), closing(pool):
        for value in pool.map(range(9)):
            seen.append(value)
    assert seen == list(range(5))
    with closing(pool):
        assert list(pool.map(range(4))) == list(range(4))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KeyError("mode"), "loading images failed with KeyError: 'mode'"),
        (RuntimeError("first line\nsecond line"), "loading images failed with RuntimeError: first line"),
        (OSError(24, "Too many open files"), r"loading images failed with OSError: \[Errno 24\] Too many open files"),
        (MemoryError(), "there is not enough memory to load images: load with fewer workers, or in smaller batches"),
    ],
)
def test_any_exception_is_one_sentence(error: Exception, sentence: str, workers: int) -> None:
    def fails(worker: int, value: int) -> None:
        raise error

    with pytest.raises(UserError, match=f"^{sentence}$"), closing(pool_of(fails, workers)) as pool:
        list(pool.map(range(3)))


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, r"was killed \(SIGKILL\), as the system does where memory runs out: fewer workers need less"),
        (signal.SIGBUS, "was ended by SIGBUS"),
        (signal.SIGSEGV, "was ended by SIGSEGV"),
    ],
)
def test_a_death_is_reported_at_once_as_what_it_was(number: int, reason: str) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=f"a loading process died: it {reason}"), closing(pool_of(kill_itself)) as pool:
        list(pool.map([0, 0, 0, number, *[0] * 100]))
    assert time.monotonic() - start < 10


def test_an_exit_is_reported_too() -> None:
    def leaves(worker: int, value: int) -> None:
        os._exit(3)

    with pytest.raises(UserError, match="it ended with exit code 3"), closing(pool_of(leaves)) as pool:
        list(pool.map(range(3)))


def dies_in_the_middle(worker: int, value: int) -> np.ndarray:
    """Far more than a pipe holds, so that the process is killed while it sends."""
    if value == 1:
        subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {os.getpid()}"])
    return np.zeros(1 << 28, np.uint8) if value == 1 else np.zeros(1)


def test_a_death_in_the_middle_of_a_message_is_no_hang() -> None:
    with pytest.raises(UserError, match="was killed"), closing(pool_of(dies_in_the_middle)) as pool:
        for _ in pool.map(range(100)):
            time.sleep(1)  # the message waits, half sent


def test_an_idle_process_that_dies_is_reported() -> None:
    with closing(pool_of(own_id, 1)) as pool:
        (process,) = set(pool.map(range(3)))
        os.kill(process, signal.SIGKILL)
        with pytest.raises(UserError, match="was killed"):
            list(pool.map(range(3)))


def test_signals_to_stop_are_the_program_s_affair() -> None:
    def survives(worker: int, value: int) -> int:
        for each in SIGNALS:
            os.kill(os.getpid(), each)
        return value

    with closing(pool_of(survives)) as pool:
        assert list(pool.map(range(4))) == list(range(4))


def test_closing_ends_processes_at_work() -> None:
    with closing(pool_of(endless)) as pool:
        pool.start()
        processes = processes_of(pool)
        assert len(processes) == 2 and not any(map(has_ended, processes))
    assert have_ended(processes)


PROGRAM = """
import contextlib, os, signal, sys, threading, time
from dataprep.errors import UserError
from tests.data.test_worker_pool import endless, own_id, pool_of
pools = [pool_of(endless), pool_of(own_id), pool_of(endless)]
for pool in pools:
    pool.start()
pools[0].close()
pools[0].start()  # its processes are now younger than the others'
assert len(list(pools[1].map(range(9)))) == 9
def wait_for_ever():
    with contextlib.suppress(UserError):
        list(pools[0].map(range(2)))
threading.Thread(target=wait_for_ever, daemon=True).start()
time.sleep(0.3)
print(*[worker.process for pool in pools for worker in pool._workers], flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit()"])
def test_processes_end_with_their_program_even_at_work(end: str) -> None:
    """None of them may hold the pipes of the others open."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, timeout=110)
    processes = [int(word) for word in done.stdout.split()]
    assert len(processes) == 6 and done.stderr == ""
    assert wait_until(lambda: not running(processes), 5)


def test_too_few_open_files_are_said_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 300))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with pytest.raises(UserError, match=r"needs up to [67]\d\d open files, .* allows 300: .*ulimit -n [67]"):
        pool_of(own_id, 300).start()


def test_a_system_without_room_for_processes_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch, closing(pool_of(own_id)) as pool:
        patch.setattr(os, "fork", no_room)
        with pytest.raises(UserError, match=r"2 loading processes cannot be started \(Resource temp"):
            pool.start()


LARGE = """
import os, resource
os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize <= 1 << 20 or exit("not small")
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from tests.data.test_worker_pool import pool_of, tensors
print(len(list(pool_of(tensors).map(range(60)))))
"""


def test_a_container_s_little_shared_memory_and_few_open_files_are_enough() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    mounted = 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, sys.executable, LARGE], capture_output=True, text=True, timeout=110
    )
    assert (done.returncode, done.stdout) == (0, "60\n"), done.stderr
