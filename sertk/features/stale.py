"""Whether a store's frames were computed from what its utterances are now."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.errors import StoreError
from sertk.features.sources import differing, joined_digests, source_digests
from sertk.features.store import FeatureStore


def stale(store: FeatureStore, utterances: Iterable[Utterance]) -> list[str]:
    """The ids of those utterances whose frames were computed from other content than they have now.

    utterances: as `Manifest.located` gives them. What the store has not is no matter, nor is a recording that cannot
    be read now, nor features that are gone from which posteriors were computed.
    """
    here = [utterance for utterance in utterances if utterance.id in store]
    if "stores" in store.card.reads:
        return _stale_posteriors(store, here)
    if not store.card.reads:
        return []
    return differing(store.sources, source_digests(store.card.reads, [Recording(utterance) for utterance in here]))


def _stale_posteriors(store: FeatureStore, utterances: list[Utterance]) -> list[str]:
    try:
        read = [FeatureStore.open(Path(folder)) for folder in store.card.stores]
    except StoreError:
        return []
    ids = [utterance.id for utterance in utterances]
    found = set(differing(store.sources, joined_digests([(each.card.key, each.sources) for each in read], ids)))
    found = found.union(*(stale(each, utterances) for each in read))
    return [id for id in ids if id in found]


def refuse_stale(store: FeatureStore, utterances: Iterable[Utterance]) -> None:
    """Raise StoreError where a store was computed from other content than the utterances have now.

    utterances: as `Manifest.located` gives them.
    """
    here = [utterance for utterance in utterances if utterance.id in store]
    found = stale(store, here)
    if found:
        other = _OTHER.get(tuple(store.card.reads), "words or recordings")
        raise StoreError(
            f"{store.folder}: {len(found)} of {len(here)} utterances were extracted from other {other} than there "
            f"are now, the first is {found[0]}: run `sertk extract` again"
        )


_OTHER: dict[tuple[str, ...], str] = {("audio",): "recordings", ("text",): "words", ("stores",): "features"}
