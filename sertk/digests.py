"""Digests of files' content, remembered by stat signature, so that a corpus is read whole only once.

The memory is a cache and nothing more: a signature that differs in anything means that the file is read again, as in
git. It is kept in `$SERTK_CACHE` (else `$XDG_CACHE_HOME/sertk`, else `~/.cache/sertk`); where that folder cannot be
written, files are read each time. A damaged cache is made anew.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

SETTLED_SECONDS = 2.0
"""A file that changed less than this before it was read may change again within one time stamp: not remembered."""

_THREADS = 4
_AT_ONCE = 512
"""So many files are read before what was read is remembered: an interrupted call has not read them in vain."""
_TABLE = """CREATE TABLE IF NOT EXISTS files (
    file TEXT PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, digest TEXT
) WITHOUT ROWID"""

Signature = tuple[str, int, int, int]
"""Device and inode, size in bytes, and the times of the last change of content and of inode, in ns."""


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, remembered. Raises OSError for one that cannot be read."""
    digest = file_digests([path])[path]
    if digest is not None:
        return digest
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    try:
        return _read(path)  # which says what is wrong
    except ValueError:  # a null byte in the name
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None


def file_digests(paths: Iterable[Path], *, progress: Callable[[int], object] | None = None) -> dict[Path, str | None]:
    """SHA-256 of many files' bytes, by path; None for what cannot be read or is not a regular file.

    progress: called with the number of files that were read, not remembered, since.
    """
    signatures = {path: _signature(path) for path in dict.fromkeys(paths)}
    found: dict[Path, str | None] = dict.fromkeys(signatures)
    with _cache() as cache:
        unknown = []
        for path, signature in signatures.items():
            if signature is not None:
                found[path] = None if cache is None else _remembered(cache, signature)
                unknown += [path] if found[path] is None else []
        for first in range(0, len(unknown), _AT_ONCE):
            begun = time.time_ns()
            some = unknown[first : first + _AT_ONCE]
            found |= _read_all(some)
            if cache is not None:
                same = [path for path in some if _signature(path) == signatures[path]]
                _remember(cache, [(signatures[path], found[path]) for path in same], begun)
            if progress is not None:
                progress(len(some))
    return found


def remembered(path: Path, what: str, make: Callable[[Path], str]) -> str:
    """What `make` gives for the content of a file, remembered by the name `what`, as digests are by none."""
    signature = _signature(path)
    key = None if signature is None else (f"{signature[0]} {what}", *signature[1:])
    with _cache() as cache:
        known = None if cache is None or key is None else _remembered(cache, key)
    if known is not None:
        return known
    begun = time.time_ns()
    made = make(path)
    if key is not None and _signature(path) == signature:
        with _cache() as cache:
            if cache is not None:
                _remember(cache, [(key, made)], begun)
    return made


def _read_all(paths: Sequence[Path]) -> dict[Path, str | None]:
    if len(paths) == 1:
        return {paths[0]: _read_if_possible(paths[0])}
    with ThreadPoolExecutor(_THREADS) as pool:  # hashing lets go of the interpreter's lock
        return dict(zip(paths, pool.map(_read_if_possible, paths), strict=True))


def _signature(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
    if not S_ISREG(stat.st_mode):  # a pipe would keep its reader waiting for ever
        return None
    return f"{stat.st_dev}:{stat.st_ino}", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_if_possible(path: Path) -> str | None:
    try:
        return _read(path)
    except (OSError, ValueError):
        return None


@contextmanager
def _cache() -> Iterator[sqlite3.Connection | None]:
    """The cache, or None where there can be none."""
    connection = None
    with suppress(OSError, RuntimeError, sqlite3.Error):
        path = cache_folder() / "digests.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = _open(path)
        except sqlite3.OperationalError:  # locked, or nothing may be written there
            raise
        except sqlite3.DatabaseError:  # damaged
            path.unlink()
            connection = _open(path)
    if connection is None:
        yield None
        return
    with closing(connection):
        yield connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        connection.execute(_TABLE)
        connection.execute("SELECT file, size, modified, changed, digest FROM files LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def cache_folder() -> Path:
    """Where sertk keeps what it can make again at any time."""
    if os.environ.get("SERTK_CACHE"):
        return Path(os.environ["SERTK_CACHE"])
    above = os.environ.get("XDG_CACHE_HOME")
    return (Path(above) if above else Path.home() / ".cache") / "sertk"


def _remembered(cache: sqlite3.Connection, signature: Signature) -> str | None:
    with suppress(sqlite3.Error):
        rows = cache.execute(
            "SELECT size, modified, changed, digest FROM files WHERE file = ?", signature[:1]
        ).fetchall()
        if rows and rows[0][:3] == signature[1:]:
            return str(rows[0][3])
    return None


def _remember(cache: sqlite3.Connection, read: list[tuple[Signature | None, str | None]], begun: int) -> None:
    """Keep the digests of files that had settled before they were read; those that changed meanwhile are left out.

    begun: before the reading, in ns.
    """
    latest = begun - int(SETTLED_SECONDS * 1e9)
    rows = [
        (*signature, digest) for signature, digest in read if signature and digest and max(signature[2:]) < latest
    ]
    with suppress(sqlite3.Error), cache:
        cache.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)
