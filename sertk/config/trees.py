"""Two configuration files, or two folders of them, compared: presets that should differ in stated places only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.config.extends import extended
from sertk.config.files import differences, load_any
from sertk.errors import ConfigError, Fault


@dataclass(frozen=True)
class Difference:
    """One place with the same two values in some files of both folders. None: not there. No files: of two files."""

    files: tuple[str, ...]
    place: str
    first: str | None
    second: str | None


def all_differences(first: Path, second: Path, sets: Sequence[str] = ()) -> list[Difference]:
    """Tell where two files, or two folders of files, differ with all defaults filled in.

    sets: changes of values of two files. Raises ConfigError for faulty files.
    """
    if first.is_dir() and second.is_dir():
        return tree_differences(first, second)
    return [Difference((), *row) for row in differences(load_any(first, sets), load_any(second, sets))]


def tree_differences(first: Path, second: Path) -> list[Difference]:
    """Tell where the files of two folders differ once resolved, those of one path in each beside each other.

    Files that others extend are compared through these. Folders that only one of the two has are left alone: they may
    be other presets. Raises ConfigError for faulty files, and where the folders have no file in common.
    """
    one, other = _files(first, beside=second), _files(second, beside=first)
    if not one & other:
        raise ConfigError(str(second), [Fault("(folder)", f"has no configuration file in common with {first}")])
    found: dict[tuple[str, str | None, str | None], list[str]] = {}
    for name in sorted(one | other):
        if name in one and name in other:
            rows = differences(load_any(first / name), load_any(second / name))
        else:
            rows = [("(file)", "there" if name in one else None, "there" if name in other else None)]
        for row in rows:
            found.setdefault(row, []).append(name)
    return [Difference(tuple(files), *row) for row, files in found.items()]


def _files(folder: Path, *, beside: Path) -> set[str]:
    """Paths relative to the folder, without those that other files extend."""
    shared = [path for path in folder.iterdir() if path.is_dir() and (beside / path.name).is_dir()]
    paths = sorted(folder.glob("*.toml")) + [path for inner in shared for path in sorted(inner.rglob("*.toml"))]
    below = extended(paths)
    return {path.relative_to(folder).as_posix() for path in paths if path.resolve() not in below}
