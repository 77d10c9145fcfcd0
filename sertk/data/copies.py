"""Changed copies of recordings, such as those of `sertk data augment`: with the original they are one recording.

A model's training ids hold copies with their origins: neither the original nor another copy of it counts as new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sertk.data.manifest import Manifest, Utterance


def with_origins(utterances: Iterable[Utterance], ids: Collection[str]) -> frozenset[str]:
    """Ids of some of the utterances, and of those that are copies also what they are copies of."""
    wanted = frozenset(ids)
    return wanted | {u.origin for u in utterances if u.id in wanted}


def seen_in(utterances: Iterable[Utterance], trained_on: Collection[str]) -> list[str]:
    """The ids of utterances that a model knows, or of which it knows the original or another copy.

    trained_on: as `with_origins` gives it.
    """
    return [u.id for u in utterances if u.id in trained_on or u.origin in trained_on]


def shared_recordings(manifest: Manifest, first: str, second: str) -> list[str]:
    """The recordings that are in both splits, as they are or as copies; a fair split has none."""
    recordings = [{u.origin for u in manifest.split(split)} for split in (first, second)]
    return sorted(recordings[0] & recordings[1])
