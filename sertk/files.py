"""Writing files whole or not at all, and telling them apart by content. One writer at a time: `sertk.locks`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SUMS = "SHA256SUMS"
_SURROGATE = re.compile("[\ud800-\udfff]")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it is flushed to disk and renamed, on failure removed.

    Raises OSError, which names `path`, where the disk refuses. A killed process leaves its temporary file, which the
    next writer of `path` on the same machine removes. A link is written through.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = _temporary(path, "part")
    with _naming(temporary, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy(path)
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def atomic_folder(folder: Path, *, flush: bool = True) -> Iterator[Path]:
    """Give an empty temporary folder beside `folder`; on success it takes its place, on failure it is removed.

    flush: whether to wait until its files are on the disk, as for what cannot simply be made again. Raises OSError,
    which names `folder`, where the disk refuses. What a killed process left is put right by the next writer of
    `folder` on the same machine. A link is written through.
    """
    folder = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    temporary, old = _temporary(folder, "part"), _temporary(folder, "old")
    with _naming(temporary, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        tidy(folder)
        remove(temporary)
        temporary.mkdir()
        try:
            yield temporary
            for path in temporary.rglob("*"):
                if flush and path.is_file():
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
            if folder.exists():
                folder.rename(old)
                temporary.rename(folder)
                shutil.rmtree(old)
            else:
                temporary.rename(folder)
        finally:
            remove(temporary)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let an error of the disk name the file that is added to."""
    with _naming(path, path):
        yield


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON that a person can read, whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if not text.isascii() and _SURROGATE.search(text):  # a path that is not UTF-8
        text = json.dumps(value, indent=2)
    write_text(path, text + "\n")


def parse_json(text: str | bytes) -> Any:
    """Read JSON from wherever. Raises JSONDecodeError for what is none, is nested too deeply or has huge numbers."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise json.JSONDecodeError(reason, "", 0) from None


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML from wherever. Raises ValueError for what is none, too deeply nested too."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deeply") from None


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a value written as JSON with sorted keys: equal for equal content."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write_sums(folder: Path) -> None:
    """Note the hashes of a folder's files in SHA256SUMS, as `sha256sum -c SHA256SUMS` reads it."""
    lines = [f"{sha256_file(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.is_file()]
    write_text(folder / SUMS, "".join(lines))


def damaged(folder: Path, *, but: str = "") -> list[str]:
    """The files of a folder that are missing or have another hash than SHA256SUMS lists; none where there is no list.

    but: one that is not looked at.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    listed = {name: right for right, _, name in (line.partition("  ") for line in lines) if name != but}
    if not listed or any(Path(name).name != name for name in listed):
        return [SUMS]
    return [n for n, right in listed.items() if not (folder / n).is_file() or sha256_file(folder / n) != right]


def _temporary(path: Path, ending: str) -> Path:
    """A name beside `path` that tells which process of which machine has it."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.{ending}")


def _machine() -> str:
    return re.sub(r"\W", "_", platform.node()) or "unnamed"


def tidy(path: Path, *, alone: bool = False) -> None:
    """Put right what killed writers of a file or folder left beside it: temporary names of `path`, and no other's.

    alone: whether nobody else writes `path` now, so that what processes of other machines left is theirs no more.
    """
    left = [name for name in _temporaries(path) if alone or _is_dead(name)]
    for old in left:
        if old.suffix == ".old" and not os.path.lexists(path):
            old.rename(path)  # killed between the two renames of `atomic_folder`
        else:
            remove(old)


def _temporaries(path: Path) -> list[Path]:
    """The temporary names of `path` that are there. Exact: those of `path` plus `.something` are another's."""
    wanted = re.compile(rf"\.{re.escape(path.name)}\.\w+-\d+\.(part|old)")
    return sorted(other for other in path.parent.iterdir() if wanted.fullmatch(other.name))


def _is_dead(temporary: Path) -> bool:
    """Whether the process that had a temporary name was one of this machine and is no more."""
    machine, _, number = temporary.stem.rpartition(".")[2].rpartition("-")
    if os.name != "posix" or machine != _machine() or int(number) == os.getpid():  # elsewhere signal 0 ends it
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def remove(path: Path) -> None:
    """Remove a file or folder, as far as that can be done."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _naming(temporary: Path, path: Path) -> Iterator[None]:
    """Let what the disk refuses name the file that was to be written: not a temporary one, and not none at all."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        named = str(path if error.filename is None else error.filename).replace(str(temporary), str(path))
        raise OSError(error.errno, error.strerror, named) from error
