"""A lock on a run's folder, so that no two jobs write one run.

It is a file that names its holder, made in one step, which network file systems can do, too. The holder renews its
date; who has ended, or has been silent for long, holds it no longer.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from dataprep.atomic import unfinished, write_text
from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.process_identity import ProcessIdentity, this_process

RENEWED_EVERY = 60.0  # seconds
SILENT_AFTER = 600.0  # seconds without renewal, of a process that cannot be asked since it is on another machine
NAMELESS_AFTER = 5.0  # seconds in which a holder has written its name, unless it was killed in between


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        process: identity of the process, as text.
        host: name of its machine.
        since: when it took the lock, for people to read.
        job: its SLURM job; None outside of jobs.
        restarts: how often SLURM had restarted the job.
    """

    process: str
    host: str
    since: str
    job: str | None
    restarts: int

    @classmethod
    def this(cls) -> "Holder":
        """This process."""
        return cls(
            str(this_process()),
            socket.gethostname(),
            datetime.now().astimezone().isoformat(" ", "seconds"),
            os.environ.get("SLURM_JOB_ID") or None,
            int(restarts) if (restarts := os.environ.get("SLURM_RESTART_COUNT", "")).isdecimal() else 0,
        )

    @property
    def identity(self) -> ProcessIdentity:
        """Identity of the process."""
        return ProcessIdentity.parse(self.process)

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return f"process {self.identity.pid} on host {self.host} (since {self.since}{job})"

    def is_before(self, other: "Holder") -> bool:
        """Whether this was an earlier start of the same SLURM job, which SLURM ends before it starts the job again."""
        return self.job is not None and self.job == other.job and self.restarts < other.restarts


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds the lock ``file`` in a ``with`` block. Its folder is made, and removed again if nothing else lies in it.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    folder = file.parent
    was_there = folder.exists()
    ours = Holder.this()
    _take(file, ours)
    ended = Event()
    Thread(target=_renew, args=(file, ours, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            if _holder(file) == ours:
                file.unlink()
            if not was_there:
                folder.rmdir()


def check_lock(file: Path) -> None:
    """Checks that no other process has taken over the lock ``file``, as it may after this one was suspended for long.

    Raises:
        UserError: another process holds it.
    """
    holder = _holder(file)
    if holder is not None and holder.identity != this_process():
        raise UserError(
            f"{file.parent} has been taken over by {holder} while this process was silent, so that this one ends; "
            "what it has saved before is kept"
        )


def _take(file: Path, ours: Holder) -> None:
    with _cannot_write(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(file.parent):
            while not _create(file, ours):
                if not _is_free(file, ours):
                    continue
                write_text(file, json.dumps(asdict(ours)))
                time.sleep(0.5)  # another machine may do the same at this moment; the last one has it
                check_lock(file)
                return


def _create(file: Path, ours: Holder) -> bool:
    """Makes the lock; False if there is one."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        with open(descriptor, "w") as opened:
            opened.write(json.dumps(asdict(ours)))
    except BaseException:
        file.unlink()
        raise
    return True


def _is_free(file: Path, ours: Holder) -> bool:
    """Whether nobody holds the lock that is there any more; False, to be asked again, if that is not known yet.

    Raises:
        UserError: somebody holds it.
    """
    holder = _holder(file)
    if holder is None:
        time.sleep(0.1)
        return abs(_silence(file)) > NAMELESS_AFTER  # a date in the future is no sign of life
    runs = holder.identity.runs()
    if runs is False or (runs is None and holder.is_before(ours)):
        return True
    silent = _silence(file) if runs is None else 0.0
    if silent > SILENT_AFTER:
        note(f"{holder} has used {file.parent} and not been heard of for {silent / 60:.0f} minutes: it counts as gone")
        return True
    remedy = "wait for it, stop it, or choose another --run_dir"
    if runs is None:
        remedy += (
            f"; whether it still runs cannot be seen from here: it was heard of {silent:.0f} s ago, and counts as gone "
            f"after {SILENT_AFTER / 60:.0f} minutes, or once you remove {file}"
        )
    raise UserError(f"{file.parent} is in use by {holder}; {remedy}")


def _renew(file: Path, ours: Holder, ended: Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        with suppress(OSError):
            if _holder(file) == ours:
                os.utime(file)


def _holder(file: Path) -> Holder | None:
    """Who the lock names; None if there is no lock, or it names nobody (yet)."""
    try:
        record = json.loads(file.read_text())
        holder = Holder(**{each.name: record[each.name] for each in fields(Holder)})  # a later version may add more
        ProcessIdentity.parse(holder.process)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return holder


def _silence(file: Path) -> float:
    """Seconds since the lock was renewed, by the clock of its file system; 0 if it is gone."""
    with unfinished(file) as now:
        now.touch()
        time_now = now.stat().st_mtime
    try:
        return time_now - file.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Lets the processes of a machine judge a lock one after the other, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems know no flock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _cannot_write(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the run's folder {file.parent} cannot be written: {error.strerror or error}; "
            "free space or choose another --run_dir"
        ) from error
