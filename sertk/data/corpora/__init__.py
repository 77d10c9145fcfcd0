"""Readers of corpora: a folder as its makers hand it out in, a manifest and a report of what was found out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sertk.errors import DataError, did_you_mean

READERS: dict[str, str] = {
    "msp_podcast": "sertk.data.corpora.msp_podcast.read:read_msp_podcast",
    "crema_d": "sertk.data.corpora.crema_d:read_crema_d",
    "emodb": "sertk.data.corpora.emodb:read_emodb",
}
"""Corpus name to its reader; a string, so that only the reader that is asked for is imported."""


def find_reader(corpus: str) -> Any:
    """The reader of a corpus. Raises DataError for a name that none has."""
    if corpus not in READERS:
        raise DataError(f"there is no corpus {corpus!r}. {did_you_mean(corpus, READERS)}Known: {', '.join(READERS)}.")
    module, _, function = READERS[corpus].partition(":")
    return getattr(import_module(module), function)
