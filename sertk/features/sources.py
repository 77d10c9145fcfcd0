"""What an utterance's frames are computed from, as one digest an utterance. No torch here.

The digest is of the text for an encoder that reads text; of the recording's bytes, start and duration for one that
reads sound; of both for one that reads both; and for posteriors of a model that reads feature stores, of the digests
that the utterance has there. A store keeps them, so that an utterance whose content changes is extracted again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sertk.digests import file_digests

if TYPE_CHECKING:
    from sertk.data.recording import Recording

Read = Literal["audio", "text", "stores"]

UNKNOWN = ""
"""The digest of what could not be read."""

LENGTH = 32
"""Hexadecimal digits of a digest."""


def default_reads(modality: str) -> tuple[Read, ...]:
    """What an encoder reads that does not say so."""
    by_modality: dict[str, tuple[Read, ...]] = {"speech": ("audio",), "text": ("text",)}
    return by_modality.get(modality, ("audio", "text"))


def source_digests(reads: Iterable[Read], recordings: Sequence[Recording]) -> dict[str, str]:
    """The digest of each utterance's content now, by id; UNKNOWN where its recording is read and cannot be."""
    read = set(reads)
    paths = {r.id: Path(r.utterance.audio) for r in recordings if "audio" in read and not r.given}
    files = file_digests(paths.values())
    found = {}
    for recording in recordings:
        u = recording.utterance
        content: dict[str, Any] = {}
        if "text" in read:
            content["text"] = u.text
        if "audio" in read:
            audio = files[paths[recording.id]] if recording.id in paths else _samples_digest(recording)
            content |= {"audio": audio, "start": float(u.start), "duration": u.duration and float(u.duration)}
        unknown = "audio" in read and content["audio"] is None
        found[recording.id] = UNKNOWN if unknown else digest(content)
    return found


def joined_digests(stores: Iterable[tuple[str, Mapping[str, str]]], ids: Iterable[str]) -> dict[str, str]:
    """The digest of what each utterance has in feature stores, by id.

    stores: the key of each store's card, and its digests by id.
    """
    read = [*stores]
    return {id: digest(sorted([key, sources.get(id, UNKNOWN)] for key, sources in read)) for id in ids}


def differing(stored: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The ids whose content now is not what is stored was computed from; what cannot be read now does not count."""
    return [id for id, source in now.items() if source != UNKNOWN and stored.get(id, source) != source]


def digest(content: Any) -> str:
    """A digest of a JSON value."""
    text = json.dumps(content, sort_keys=True)  # ASCII, so that a lone surrogate is no error
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def _samples_digest(recording: Recording) -> str:
    found = hashlib.sha256()
    for rate, samples in sorted(recording.given.items()):
        found.update(f"{rate} {samples.dtype} {samples.shape}\n".encode() + samples.tobytes())
    return found.hexdigest()
