"""Predictions of a folder, whose ids are paths, under the ids that a corpus has for the same recordings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from sertk.data.formats import AUDIO_SUFFIXES
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError


def under_ids(predictions: Predictions, ids: Iterable[str]) -> tuple[Predictions, str]:
    """The predictions under the ids of a corpus, and how they were joined, "" where they have these ids already.

    Where no predicted id is one of `ids`, a path is taken for the utterance whose id it ends with, endings such as
    `.wav` aside: `clips/s1/a.wav` for `a` or `s1/a`. Predictions that match none come back as they are. Raises
    DataError where a path ends with several ids or several paths end with one.
    """
    known = {*ids}
    if any(id in known for id in predictions.ids):
        return predictions, ""
    by_parts = {_parts(id): id for id in sorted(known, reverse=True)}
    longest = max(map(len, by_parts), default=0)
    path_of: dict[str, str] = {}
    for path in predictions.ids:
        parts = _parts(path)
        ends = [by_parts[end] for size in range(1, longest + 1) if (end := parts[-size:]) in by_parts]
        ends = [*dict.fromkeys(ends)]
        if len(ends) > 1:
            raise DataError(f"the predicted id {path!r} ends with the ids {ends[0]!r} and {ends[1]!r}: {_REMEDY}")
        for id in ends:
            if id in path_of:
                raise DataError(
                    f"the predicted ids {path_of[id]!r} and {path!r} both end with the id {id!r}: {_REMEDY}"
                )
            path_of[id] = path
    if not path_of:
        return predictions, ""
    id_of = {path: id for id, path in path_of.items()}
    renamed = tuple(id_of.get(path, path) for path in predictions.ids)
    first = next(path for path in predictions.ids if path in id_of)
    how = f"predicted ids are paths, joined by the ids that they end with ({first} is {id_of[first]})"
    return replace(predictions, ids=renamed), how


def nearly(unknown: Sequence[str], lacking: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of an unknown id and one that lacks, which differ in blanks, case or the composition of letters alone."""
    known = {_plain(id): id for id in lacking}
    return [(id, known[_plain(id)]) for id in unknown if _plain(id) in known]


_REMEDY = "give the ids in the file as the manifest has them"


def _parts(id: str) -> tuple[str, ...]:
    """The names along a path, of either system's slashes, without the ending of a recording."""
    names = [name for name in re.split(r"[/\\]+", id) if name not in ("", ".")]
    if names and PurePosixPath(names[-1]).suffix.lower() in AUDIO_SUFFIXES:
        names[-1] = PurePosixPath(names[-1]).stem
    return tuple(names)


def _plain(id: str) -> str:
    return unicodedata.normalize("NFC", id).strip().casefold()
