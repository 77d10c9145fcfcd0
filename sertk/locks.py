"""One writer at a time: locks of the operating system, of which a killed process leaves none."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sertk.compat import require_posix
from sertk.errors import BusyError
from sertk.files import tidy


@contextmanager
def locked(lock: Path, what: Path, *, shared: bool = False, wait_seconds: float = 0.0) -> Iterator[int]:
    """Hold a lock file and give its descriptor; processes that inherit it keep it held. what: what it guards.

    shared: with others that share it. wait_seconds: how long to wait for another process. A killed process leaves no
    lock (POSIX file locks). Raises BusyError, naming the process that has it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    latest = time.monotonic() + wait_seconds
    with open(lock, "a+", encoding="utf-8", errors="replace") as file:
        while True:
            try:
                _lock(file, what, shared=shared)
                break
            except BusyError:
                if time.monotonic() >= latest:
                    raise
                time.sleep(0.02)
        yield file.fileno()


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold a file or folder that is about to be written, by a lock beside it, `.NAME.lock`, gone when done.

    What a killed writer left beside it is put right first. Raises BusyError when another process has it.
    """
    lock = path.absolute().with_name(f".{path.absolute().name}.lock")
    with ExitStack() as held:
        while True:
            number = held.enter_context(locked(lock, path))
            with suppress(FileNotFoundError):
                if lock.stat().st_ino == os.fstat(number).st_ino:
                    break
            held.close()  # it was removed by its holder in between, and may be another's by now
        tidy(path.absolute(), alone=True)
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


def _lock(file: IO[str], what: Path, *, shared: bool) -> None:
    require_posix("File locks, which keep two processes from writing one result,")
    import fcntl  # not there on Windows, where everything that takes no lock works

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "just begun"
        raise BusyError(
            f"{what}: another process is at work on it ({holder}). Wait until it ends, or choose another folder."
        ) from None
    with suppress(OSError):  # a full disk is told of by what is written next
        os.ftruncate(file.fileno(), 0)
        holder = f"process {os.getpid()} on {platform.node()}, since {time.strftime('%H:%M:%S')}\n"
        os.write(file.fileno(), holder.encode())
