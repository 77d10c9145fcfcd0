"""Readers of corpora whose file names say everything: one for any such corpus, and those that are described here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest
from sertk.errors import DataError
from sertk.revisions import revision
from sertk_corpora.by_names import read_by_names
from sertk_corpora.names_file import SHIPPED, read_names_file, shipped

Reader = Callable[..., tuple[Manifest, CorpusReport]]

OPTIONS = """
Parameters
----------
fold
    The fold of which the speakers are `test`; those of the next fold are `held_out`, all others `train`. With two
    folds nothing is held out.
allow_partial
    Accept an incomplete copy of the corpus.
audio
    Look at the recordings.

Raises
------
DataError
    For a folder without recordings of such names, and for a wrong number of recordings or speakers.
"""


@revision(1)
def read_filenames(
    folder: Path, /, *, pattern: Path | None = None, fold: int = 1, allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """Any corpus whose file names say who speaks with which emotion, by a description in TOML.

    The description has a regular expression of the names and tables of their codes. The shipped ones, such as that of
    RAVDESS, are readers of their own. Recordings with other names, and those that are there twice, are listed.

    Parameters
    ----------
    pattern
        The description, a TOML file.
    fold
        The fold of which the speakers are `test`; those of the next fold are `held_out`, all others `train`.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a faulty description, a folder without recordings of such names, and a wrong number of them.
    """
    if pattern is None:
        raise DataError(
            f"{folder}: name the description of its file names with --pattern, or the corpus: {', '.join(shipped())}"
        )
    names = read_names_file(pattern)
    return read_by_names(pattern.stem, names, folder, fold=fold, allow_partial=allow_partial, audio=audio)


def described(function: Callable[[], None]) -> Reader:
    """Make the reader of a shipped description; its docstring gets the options and the card."""
    names = read_names_file(SHIPPED / f"{function.__name__}.toml")

    def read(
        folder: Path, /, *, fold: int = 1, allow_partial: bool = False, audio: bool = True
    ) -> tuple[Manifest, CorpusReport]:
        return read_by_names(function.__name__, names, folder, fold=fold, allow_partial=allow_partial, audio=audio)

    first = inspect.getdoc(function) or names.title
    for name, value in {"__name__": function.__name__, "__qualname__": function.__qualname__, "revision": 1}.items():
        setattr(read, name, value)
    read.__doc__ = f"{first}\n\n{names.card.text()}\n{OPTIONS}"
    made: Any = read
    return made  # type: ignore[no-any-return]


@described
def ravdess() -> None:
    """RAVDESS: two sentences in eight emotions by 24 actors, in English."""


@described
def tess() -> None:
    """TESS: 200 words in seven emotions by two women, in English."""


@described
def savee() -> None:
    """SAVEE: 480 utterances in seven emotions by four men, in English."""


@described
def emovo() -> None:
    """EMOVO: 14 sentences in seven emotions by six actors, in Italian."""


@described
def shemo() -> None:
    """ShEMO: 3,000 utterances of radio plays in six emotions by 87 speakers, in Persian."""


@described
def crema_d_acted() -> None:
    """CREMA-D from its recordings alone, as Kaggle has it: acted emotions, without the listeners' votes."""
