"""Removing what is damaged from a feature store, so that extracting again fills the gaps. No torch here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from sertk.errors import StoreError
from sertk.features.card import StoreCard
from sertk.features.index import (
    Index,
    Shard,
    all_dropped,
    dropped_value,
    index_value,
    read_dropped,
    read_index,
    read_report,
    read_shard,
    read_shards,
)
from sertk.files import sha256_file, write_json


def remove_damaged(folder: Path, suffixes: Sequence[str], card: StoreCard) -> list[str]:
    """Remove the damaged files of some parts (their suffixes) of a store and give their names; what is whole stays.

    A shard is damaged when its hash, size or content is not what the index says. A damaged index takes its shards
    with it. An utterance that is in two shards (as one may be once it is forgotten from which of them it was dropped)
    leaves both. Whoever calls holds the store's lock, or that of the one part.
    """
    removed = [name for suffix in suffixes for name in _mend(folder, suffix, card)]
    doubled = _doubled(folder, card)
    if doubled:
        path = folder / f"dropped{suffixes[0]}.json"
        dropped = read_dropped(path)
        for file, ids in doubled.items():
            dropped.setdefault(file, set()).update(ids)
        write_json(path, dropped_value(dropped))
    return removed


def _mend(folder: Path, suffix: str, card: StoreCard) -> list[str]:
    removed = []
    index = folder / f"index{suffix}.json"
    report, dropped = folder / f"report{suffix}.jsonl", folder / f"dropped{suffix}.json"
    for path, read in ((report, read_report), (dropped, read_dropped)):
        if not can_be_read(read, path):
            path.unlink()
            removed.append(path.name)
    if not can_be_read(read_index, index):
        write_json(index, index_value(Index([], _next_number(folder, suffix, []))))  # its shards count as absent now
        return [*removed, index.name]
    shards = read_index(index).shards
    damaged = [shard for shard in shards if not _is_whole(folder, shard, card)]
    if damaged:
        whole = [shard for shard in shards if shard not in damaged]
        write_json(index, index_value(Index(whole, _next_number(folder, suffix, whole))))
        for shard in damaged:
            (folder / shard.file).unlink(missing_ok=True)
    return [*removed, *(shard.file for shard in damaged)]


def can_be_read(read: Callable[[Path], object], path: Path) -> bool:
    """Whether a reader takes a file or folder."""
    try:
        read(path)
    except StoreError:
        return False
    return True


def _is_whole(folder: Path, shard: Shard, card: StoreCard) -> bool:
    if not can_be_read(lambda path: read_shard(path, shard, card), folder):
        return False
    return sha256_file(folder / shard.file) == shard.sha256


def _next_number(folder: Path, suffix: str, shards: Sequence[Shard]) -> int:
    """The first number behind those of some shards, and of shards that something was dropped from."""
    name = re.compile(rf"shard{re.escape(suffix)}-(\d{{5,}})\.safetensors")
    files = [path for path in folder.glob("dropped*.json") if can_be_read(read_dropped, path)]
    known = [shard.file for shard in shards] + [shard for path in files for shard in read_dropped(path)]
    return max((int(found[1]) + 1 for shard in known if (found := name.fullmatch(shard))), default=0)


def _doubled(folder: Path, card: StoreCard) -> dict[str, set[str]]:
    """The utterances that are in two shards, by shard."""
    dropped = all_dropped(folder)
    homes: dict[str, list[str]] = {}
    for shard in read_shards(folder):
        for utterance in read_shard(folder, shard, card):
            if utterance not in dropped.get(shard.file, ()):
                homes.setdefault(utterance, []).append(shard.file)
    found: dict[str, set[str]] = {}
    for utterance, files in homes.items():
        for file in files if len(files) > 1 else []:
            found.setdefault(file, set()).add(utterance)
    return found
