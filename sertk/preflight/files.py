"""Configuration files checked together: bases through the files that extend them, each file with all its faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.config.extends import extenders
from sertk.config.files import base_faults, load_any
from sertk.config.schema import Section
from sertk.data.manifest import Manifest
from sertk.errors import ConfigError
from sertk.inputs import read_valid
from sertk.preflight.find import load_sound, split_faults
from sertk.registry import checkers


@dataclass(frozen=True)
class CheckedFile:
    """A file that was checked.

    Attributes
    ----------
    section
        What it says, with its base and all defaults; None for a base, a manifest and a file with faults.
    extended_by
        The number of files that extend it, where it was checked as a base.
    error
        All its faults; None for a file without one.
    """

    path: Path
    section: Section | None = None
    extended_by: int = 0
    error: ConfigError | None = None


def check_files(
    files: Sequence[Path],
    *,
    manifest: Path | None = None,
    splits: Sequence[str] = (),
    sets: Sequence[str] = (),
    bases: bool = True,
) -> Iterator[CheckedFile]:
    """Check configuration files, each with its components built and tried without data.

    Parameters
    ----------
    files
        Experiment, combination, encoder or ablation files (TOML).
    manifest
        Check also that it has the splits, attributes and classes that the files name. It comes first.
    splits
        Splits that the manifest must have.
    sets
        Changes of values, such as `stage.balanced.epochs=5`.
    bases
        Check a file that others extend as their base; otherwise as a file of its own.

    Raises
    ------
    SertkError
        DataError for a manifest that cannot be used.
    """
    corpus = None if manifest is None else read_valid(manifest)
    if manifest is not None and corpus is not None:
        lacking = split_faults(corpus, splits)
        yield CheckedFile(manifest, error=ConfigError(str(manifest), lacking) if lacking else None)
    for path in files:
        try:
            extending = extenders(path, files) if bases else []
            if not extending:
                yield CheckedFile(path, _load(path, sets, corpus))
                continue
            faults = base_faults(path, extending[0])
            yield CheckedFile(
                path, extended_by=len(extending), error=ConfigError(str(path), faults) if faults else None
            )
        except ConfigError as error:
            yield CheckedFile(path, error=error)


def _load(path: Path, sets: Sequence[str], corpus: Manifest | None) -> Section:
    """A sound file: one of a plugin's kinds, or of sertk's. Raises ConfigError with all faults."""
    for name in checkers.names():
        section: Section | None = checkers.get(name)(path, corpus)
        if section is not None:
            return section
    return load_sound(load_any, path, sets, corpus=corpus)
