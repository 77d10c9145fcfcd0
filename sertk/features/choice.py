"""Which utterances of a store are to be encoded. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sertk.features.card import FILE, StoreCard, read_card
from sertk.features.index import read_contents, read_failures
from sertk.features.sources import differing


@dataclass(frozen=True)
class Choice:
    """Ids by what is to be done with them.

    wanted: to encode. again: of these, the ones that the store has. kept: that the store has, and keeps. gone: that
    the store has, and nobody asks for now.
    """

    wanted: frozenset[str]
    again: frozenset[str]
    kept: frozenset[str]
    gone: frozenset[str]


def choose(
    now: Mapping[str, str],
    there: Mapping[str, str],
    listed: Mapping[str, str],
    *,
    force: bool = False,
    retry: bool = False,
) -> Choice:
    """Choose by digests of content: what the store has not, and what it has of other content.

    now: of the utterances that are asked for. there: of those that the store has. listed: of those that its report
    lists; they are tried again when their content is another. force: encode everything again. retry: try again what
    is listed.
    """
    have = frozenset(now.keys() & there.keys())
    again = have if force else frozenset(differing(there, now))
    settled = frozenset() if force or retry else frozenset(listed.keys() - differing(listed, now))
    kept = have - again
    return Choice(frozenset(now.keys() - kept - settled), again, kept, frozenset(there.keys() - now.keys()))


def choose_of(store: Path, card: StoreCard, now: Mapping[str, str]) -> Choice:
    """What extracting into a folder would do. All is wanted where it has no store, or one of another encoder.

    Raises StoreError for a damaged store.
    """
    if not (store / FILE).exists() or read_card(store).key != card.key:
        return choose(now, {}, {})
    there = {id: place.source for id, place in read_contents(store, card).places.items()}
    listed = {id: failure.source for id, failure in read_failures(store).items() if id not in there}
    return choose(now, there, listed)
