"""Who speaks in which recordings: what a speaker's own statistics are taken over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from sertk.data.manifest import Manifest
from sertk.files import sha256_json

By: TypeAlias = Literal["speaker", "corpus"]
"""Whose recordings statistics are taken over: a corpus counts as one speaker."""
OTHERS: dict[By, str] = {"speaker": "speakers", "corpus": "corpora"}
"""The ends of the parts of a key that hold whose other recordings were read."""


class Speakers:
    """Who speaks in which recordings of a corpus. Those whose speaker nobody knows belong to none."""

    def __init__(self, speakers: Mapping[str, str | None]) -> None:
        self._of = {id: speaker for id, speaker in speakers.items() if speaker}
        ids: dict[str, list[str]] = defaultdict(list)
        for id, speaker in self._of.items():
            ids[speaker].append(id)
        self._ids = {speaker: sorted(found) for speaker, found in ids.items()}

    def of(self, id: str) -> str | None:
        """The speaker of an utterance."""
        return self._of.get(id)

    def ids(self, speaker: str) -> list[str]:
        """All utterances of a speaker, sorted."""
        return self._ids[speaker]

    def beside(self, ids: Iterable[str]) -> set[str]:
        """Some utterances and all others of their speakers."""
        given = set(ids)
        return given.union(*(self._ids[speaker] for speaker in {self._of[id] for id in given & self._of.keys()}))

    def digest(self, ids: Iterable[str]) -> str:
        """Changes with the recordings that the statistics of some utterances' speakers are taken over."""
        found = sorted({self._of[id] for id in ids if id in self._of})
        return sha256_json([[speaker, self._ids[speaker]] for speaker in found])


def speakers_of(manifest: Manifest, by: By = "speaker") -> Speakers:
    """Who speaks in all recordings of a corpus, of whatever split, labelled or not."""
    if by == "corpus":
        return Speakers({utterance.id: utterance.corpus or manifest.corpus for utterance in manifest})
    return Speakers({utterance.id: utterance.speaker for utterance in manifest})


def read_speakers(manifest: Path, by: By = "speaker") -> Speakers:
    """The same of a manifest's file, which is read once while it does not change. Raises DataError."""
    try:
        state = manifest.stat()
    except OSError:
        return speakers_of(Manifest.read(manifest), by)  # which says what is wrong
    return _read(manifest.absolute(), by, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(manifest: Path, by: By, changed: int, size: int) -> Speakers:
    return speakers_of(Manifest.read(manifest), by)
