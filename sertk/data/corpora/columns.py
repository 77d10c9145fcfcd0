"""Tables of anybody's corpus: which column says what, by its usual names or by the name that is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.data.corpora.tables import Row
from sertk.errors import DataError, did_you_mean
from sertk.escapes import escaped

USUAL = {
    "file": ("file", "path", "filename", "file_name", "filepath", "audio", "wav", "recording"),
    "emotion": ("emotion", "label", "class", "category"),
    "votes": ("votes", "ratings"),
    "speaker": ("speaker", "speaker_id", "spk", "spk_id", "actor"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "gender": ("gender", "sex"),
    "language": ("language", "lang"),
    "split": ("split", "subset", "partition"),
    "fold": ("fold",),
    "start": ("start", "start_time", "onset"),
    "end": ("end", "end_time", "offset"),
    **{name: (name,) for name in ("arousal", "valence", "dominance")},
}
"""By what a column says, the names that it usually has, in any case."""


def chosen_columns(path: Path, columns: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Which column says what. named: those that were given by name; empty for one that is to be found.

    Raises DataError for a name that the table does not have, and where several columns could be meant.
    """
    found: dict[str, str] = {}
    for what, usual in USUAL.items():
        if name := named.get(what, ""):
            found[what] = known_column(path, columns, name)
            continue
        fitting = [column for column in columns if column.lower() in usual and column not in named.values()]
        if len(fitting) > 1:
            how = f"name it with --{what}" if what in named else "rename one of them"
            raise DataError(f"{path}: {' and '.join(fitting)} could both be the {what}: {how}")
        if fitting:
            found[what] = fitting[0]
    return found


def known_column(path: Path, columns: Sequence[str], name: str) -> str:
    """A name that the table has. Raises DataError for another."""
    if name not in columns:
        listed = ", ".join(columns) or "none"
        raise DataError(f"{path}: has no column {name!r}. {did_you_mean(name, columns)}Columns: {listed}.")
    return name


def columns_found(
    columns: Sequence[str], rows: Sequence[Row], meaning: Mapping[str, str]
) -> list[tuple[str, str, int, str]]:
    """For each column what it is read as, how many rows have it, and the first value. meaning: by column."""
    found = []
    for column in columns:
        filled = [row.cells[column] for row in rows if row.cells[column]]
        first = escaped(filled[0] if filled else "")
        found.append(
            (column, meaning.get(column, "not used"), len(filled), first if len(first) <= 48 else f"{first[:45]}...")
        )
    return found
