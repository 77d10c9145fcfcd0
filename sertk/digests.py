"""Digests of files' content, remembered by stat signature, so that a corpus is read whole only once.

The memory is a cache and nothing more: a signature that differs in anything means that the file is read again, as in
git. It is kept in `$SERTK_CACHE` (else `$XDG_CACHE_HOME/sertk`, else `~/.cache/sertk`); where that folder cannot be
written, or the cache is damaged, files are read each time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

SETTLED_SECONDS = 2.0
"""A file that changed less than this before it was read may change again within one time stamp: not remembered."""

_THREADS = 4
_TABLE = """CREATE TABLE IF NOT EXISTS digests (
    device INTEGER, inode INTEGER, size INTEGER, modified INTEGER, changed INTEGER, digest TEXT,
    PRIMARY KEY (device, inode)
) WITHOUT ROWID"""

Signature = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, and the times of the last change of content and of inode, in ns."""


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, remembered. Raises OSError for one that cannot be read."""
    digest = file_digests([path])[path]
    if digest is None:
        return _read(path)  # raises what is wrong
    return digest


def file_digests(paths: Iterable[Path]) -> dict[Path, str | None]:
    """SHA-256 of many files' bytes, by path; None for a file that cannot be read."""
    signatures = {path: _signature(path) for path in dict.fromkeys(paths)}
    found: dict[Path, str | None] = dict.fromkeys(signatures)
    with _cache() as cache:
        unknown = [path for path, signature in signatures.items() if signature is not None]
        if cache is not None:
            known = {path: _remembered(cache, signature) for path, signature in signatures.items() if signature}
            found |= known
            unknown = [path for path in unknown if known[path] is None]
        if unknown:
            with ThreadPoolExecutor(_THREADS) as pool:  # hashing lets go of the interpreter's lock
                found |= dict(zip(unknown, pool.map(_read_if_possible, unknown), strict=True))
        if cache is not None:
            _remember(cache, [(signatures[path], found[path], path) for path in unknown])
    return found


def _signature(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


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
    try:
        path = cache_folder() / "digests.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=5.0)
        try:
            connection.execute(_TABLE)
        except sqlite3.DatabaseError:
            connection.close()
            raise
    except (OSError, RuntimeError, sqlite3.Error):
        yield None
        return
    with closing(connection):
        yield connection


def cache_folder() -> Path:
    """Where sertk keeps what it can make again at any time."""
    if os.environ.get("SERTK_CACHE"):
        return Path(os.environ["SERTK_CACHE"])
    above = os.environ.get("XDG_CACHE_HOME")
    return (Path(above) if above else Path.home() / ".cache") / "sertk"


def _remembered(cache: sqlite3.Connection, signature: Signature) -> str | None:
    with suppress(sqlite3.Error):
        rows = cache.execute(
            "SELECT size, modified, changed, digest FROM digests WHERE device = ? AND inode = ?", signature[:2]
        ).fetchall()
        if rows and rows[0][:3] == signature[2:]:
            return str(rows[0][3])
    return None


def _remember(cache: sqlite3.Connection, read: list[tuple[Signature | None, str | None, Path]]) -> None:
    """Keep the digests of files that had settled before they were read and did not change while they were."""
    latest = time.time_ns() - int(SETTLED_SECONDS * 1e9)
    rows = [
        (*signature, digest)
        for signature, digest, path in read
        if signature and digest and max(signature[3:]) < latest and _signature(path) == signature
    ]
    with suppress(sqlite3.Error), cache:
        cache.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)", rows)
