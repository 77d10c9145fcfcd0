"""Arrays that another program made, by utterance id: a folder, a file, or a dictionary. No torch here."""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sertk.digests import file_digest, file_digests
from sertk.errors import DataError
from sertk.escapes import escaped
from sertk.features.sources import LENGTH
from sertk.files import sha256_json

TYPES = ("float16", "float32", "float64")
KINDS = "a folder of .npy files, or a file *.npz, *.safetensors or *.csv"
_DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, BadZipFile, zlib.error, SafetensorError, csv.Error),
    *(TokenError, SyntaxError, OverflowError, MemoryError),  # of the header of an .npy file
)


@dataclass(frozen=True)
class Arrays:
    """Arrays by utterance id, each read when it is asked for. name: of the source, for people. digest: of all."""

    name: str
    ids: Sequence[str]
    digest: str
    _read: Callable[[str], NDArray[Any]]

    def frames(self, id: str) -> NDArray[Any]:
        """(D,) or (T, D) of an utterance. Raises DataError for what is neither, is no float, or is not finite."""
        with _refusing(f"{self.name}: utterance {escaped(id)}"):
            array = np.asarray(self._read(id))
        where = f"{self.name}: utterance {escaped(id)}"
        if array.dtype.name not in TYPES:
            raise DataError(f"{where}: numbers of type {array.dtype}, needed is one of {', '.join(TYPES)}")
        if array.ndim not in (1, 2) or 0 in array.shape:
            raise DataError(f"{where}: an array of shape {array.shape}, needed is (D,), or (T, D) for T frames")
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise DataError(f"{where}: {bad} of {array.size} numbers are NaN or infinite: mend it, or leave it out")
        return array


def open_arrays(source: str | Path | Mapping[str, NDArray[Any]]) -> Arrays:
    """Find which arrays there are. Raises DataError for what is none of `KINDS`, is damaged, or has an id twice."""
    if isinstance(source, Mapping):
        return _given(source)
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    openers = {".npz": _of_npz, ".safetensors": _of_safetensors, ".csv": _of_csv}
    if path.suffix.lower() not in openers:
        raise DataError(f"{path} is no source of features: needed is {KINDS}")
    with _refusing(str(path)):
        content = file_digest(path)
        ids, read = openers[path.suffix.lower()](path)
    twice = [id for id, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(f"{path}: {len(twice)} ids occur twice, the first is {escaped(twice[0])}: ids must be unique")
    return Arrays(str(path), ids, content, read)


def array_digest(array: NDArray[Any]) -> str:
    """A digest of an array's type, shape and numbers."""
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}\n".encode())
    found.update(array.tobytes())
    return found.hexdigest()[:LENGTH]


def _given(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    values = {str(id): np.asarray(array) for id, array in arrays.items()}
    content = {id: array_digest(array) for id, array in values.items()}
    return Arrays("the arrays", list(values), sha256_json(content), values.__getitem__)


def _of_folder(folder: Path) -> Arrays:
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.npy"))}
    if not paths:
        raise DataError(f"{folder} has no .npy files: needed is {KINDS}")
    found = file_digests(paths.values())
    content = sha256_json({id: found[path] for id, path in paths.items()})
    return Arrays(str(folder), list(paths), content, lambda id: np.load(paths[id], allow_pickle=False))


def _of_npz(path: Path) -> tuple[list[str], Callable[[str], NDArray[Any]]]:
    archive = np.load(path, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it is one array, where one for each utterance is needed")
    return list(archive.files), archive.__getitem__


def _of_safetensors(path: Path) -> tuple[list[str], Callable[[str], NDArray[Any]]]:
    file = safe_open(path, framework="np")
    return [str(key) for key in file.keys()], file.get_tensor  # type: ignore[no-untyped-call]  # noqa: SIM118


def _of_csv(path: Path) -> tuple[list[str], Callable[[str], NDArray[Any]]]:
    ids: list[str] = []
    rows: list[NDArray[Any]] = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if header.count("id") != 1 or len(header) < 2:
            shown = ", ".join(header[:4]) or "nothing"
            raise ValueError(
                f"its first line names the columns, one of them `id`, the others numbers; it has {shown}"
            )
        place = header.index("id")
        for row in lines:
            if not row:
                continue
            if len(row) != len(header):
                raise ValueError(f"line {lines.line_num}: {len(row)} values, the first line names {len(header)}")
            ids.append(row[place])
            numbers = [
                _number(value, f"line {lines.line_num}: utterance {row[place]}, column {name}")
                for column, (name, value) in enumerate(zip(header, row, strict=True))
                if column != place
            ]
            rows.append(np.array(numbers))
    return ids, dict(zip(ids, rows, strict=True)).__getitem__


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: {text!r} is no number") from None


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise DataError(f"{where}: cannot be read: {escaped(str(error))}") from None
