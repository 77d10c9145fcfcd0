"""Making a feature store, emptying one whose encoder is another now, removing what is left over. No torch here.

All is done by one process at a time, under the store's `.lock-card`, which every writer holds while it opens a store:
processes that begin together agree on one card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sertk.errors import StoreError
from sertk.features.card import EXTERNAL, FILE, IMPORT, VERB, StoreCard, as_json, check_same, read_card, refuse_older
from sertk.features.index import Contents, Index, dropped_value, index_value, read_dropped, read_index, read_shards
from sertk.features.repair import can_be_read
from sertk.files import write_json
from sertk.outputs import refuse_foreign
from sertk.provenance import RECORD, Provenance, read_record, write_record

MAKING_LOCK = ".lock-card"
_PART = r"(?:-\d+of\d+)?"
_FILES = rf"(?:index{_PART}\.json|dropped{_PART}\.json|report{_PART}\.jsonl|remarks{_PART}\.jsonl)"
_SHARDS = rf"shard{_PART}-\d{{5,}}\.safetensors"
_OF_STORE = re.compile(rf"{_FILES}|{_SHARDS}")
_MAKING = re.compile(rf"\.({re.escape(FILE)}|{re.escape(RECORD)})\.[\w-]+\.part")
_UNFINISHED = re.compile(rf"\.lock{_PART}|{re.escape(MAKING_LOCK)}|\.progress{_PART}\.json|\..*\.part")


def store_provenance(
    card: StoreCard, call: Mapping[str, Any], reads: Sequence[str] = (), *, changed: int = 0, new: int = 0
) -> Provenance:
    """What a store was made from. changed, new: utterances that are to be extracted; none once it is finished."""
    waiting = {"utterances changed": str(changed), "utterances new": str(new)}
    return Provenance(VERB, card.parts | waiting, call, reads)


def refuse_foreign_store(folder: Path, verb: str = VERB) -> None:
    """Raise OutputError for a folder with something in it that is no store of this verb's, StoreError for an old one.

    verb: `extract`, or the one that stores arrays of other programs.
    """
    refuse_older(folder)
    if can_be_read(read_card, folder) and (read_card(folder).encoder == EXTERNAL) == (verb == IMPORT):
        return
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    refuse_foreign(folder, verb, own=[name for name in names if _UNFINISHED.fullmatch(name)])


def is_foreign(folder: Path, card: StoreCard) -> bool:
    """Whether a store holds what another encoder made."""
    return (folder / FILE).exists() and read_card(folder).key != card.key


def is_lost(folder: Path) -> bool:
    """Whether nobody knows which encoder made what a store holds: its card is damaged, or not there."""
    if (folder / FILE).exists():
        return not can_be_read(read_card, folder)
    return any(folder.glob("index*.json"))


def make_store(folder: Path, card: StoreCard, made: Provenance | None = None) -> None:
    """Write card and record of a store where they are not there, or are others. The caller holds `.lock-card`.

    made: what the record says; without it the call that is recorded stays. Raises StoreError for features of another
    encoder, and for features without a card.
    """
    for path in folder.iterdir():
        if _MAKING.fullmatch(path.name):
            path.unlink(missing_ok=True)  # of a process that was killed
    if (folder / FILE).exists():
        there = read_card(folder)
        check_same(folder, there, card)
        card = replace(card, error=there.error)  # measured when the store was new
    elif any(folder.glob("index*.json")):
        raise StoreError(f"{folder} has features but no {FILE}, so their encoder is unknown: extract with --repair")
    record = read_record(folder)
    if made is None:
        made = store_provenance(card, record.made.call, record.made.reads) if record else store_provenance(card, {})
    if record is None or not record.intact or record.made != made:
        write_record(folder, made)
    if not (folder / FILE).exists() or as_json(there) != as_json(card):
        write_json(folder / FILE, as_json(card))


def empty(folder: Path) -> None:
    """Remove all that a store holds. Indices go first, for without one a shard is absent, and the card last."""
    paths = [path for path in folder.iterdir() if _OF_STORE.fullmatch(path.name)]
    for path in (*sorted(paths, key=lambda path: not path.name.startswith("index")), folder / FILE):
        path.unlink(missing_ok=True)


def sweep(folder: Path, suffixes: Sequence[str] | None) -> None:
    """Remove what a killed run left of some parts, None for all: temporary files, and shards that no index lists."""
    part = _PART if suffixes is None else "|".join(re.escape(suffix) for suffix in suffixes)
    shard = rf"shard(?:{part})-\d{{5,}}\.safetensors"
    file = rf"(?:index|dropped|report|remarks)(?:{part})\.jsonl?|{shard}"
    leftovers = re.compile(rf"\.(?:{file})\.[\w-]+\.part|\.progress(?:{part})\.json(?:\.[\w-]+\.part)?|{shard}")
    listed = {shard.file for shard in read_shards(folder)}
    for path in folder.iterdir():
        if leftovers.fullmatch(path.name) and path.name not in listed:
            path.unlink(missing_ok=True)


def remove_dropped(folder: Path, suffixes: Sequence[str] | None, contents: Contents) -> None:
    """Remove the shards of some parts, None for all, that hold no utterance any more."""
    living = {place.shard.file for place in contents.places.values()}
    for path in _of(folder, "index", suffixes):
        index = read_index(path)
        dead = [shard for shard in index.shards if shard.file not in living]
        if dead:
            write_json(path, index_value(Index([s for s in index.shards if s not in dead], index.next)))
            for shard in dead:
                (folder / shard.file).unlink(missing_ok=True)
    listed = {shard.file for shard in read_shards(folder)}
    for path in _of(folder, "dropped", suffixes):
        before = read_dropped(path)
        after = {shard: ids for shard, ids in before.items() if shard in listed}
        if not after:
            path.unlink(missing_ok=True)
        elif after != before:
            write_json(path, dropped_value(after))


def _of(folder: Path, name: str, suffixes: Sequence[str] | None) -> list[Path]:
    if suffixes is None:
        return sorted(path for path in folder.glob(f"{name}*.json") if _OF_STORE.fullmatch(path.name))
    return [folder / f"{name}{suffix}.json" for suffix in suffixes]
