"""Removing what is damaged from a feature store, so that extracting again fills the gaps. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sertk.errors import StoreError
from sertk.features.card import FILE, StoreCard, read_card
from sertk.features.index import Shard, index_value, read_index, read_report, shard_lengths
from sertk.files import sha256_file, write_json


def remove_damaged(folder: Path, suffix: str) -> list[str]:
    """Remove the damaged files of one part (its suffix) of a store and give their names; what is whole stays.

    A shard is damaged when its hash, size or content is not what the index says. A damaged index takes its shards
    with it, a damaged card all there is, for then nobody knows which encoder made it. Whoever calls holds the store's
    lock.
    """
    indices, reports = list(folder.glob("index*.json")), list(folder.glob("report*.jsonl"))
    if (indices or (folder / FILE).exists()) and not _can_be_read(read_card, folder):
        for path in [*indices, *reports, folder / FILE]:
            path.unlink(missing_ok=True)
        return [FILE]
    removed = []
    report, index = folder / f"report{suffix}.jsonl", folder / f"index{suffix}.json"
    if not _can_be_read(read_report, report):
        report.unlink()
        removed.append(report.name)
    if not _can_be_read(read_index, index):
        index.unlink()  # a shard that no index lists counts as absent
        return [*removed, index.name]
    shards = read_index(index)
    card = read_card(folder) if shards else None
    damaged = [shard for shard in shards if card and not _is_whole(folder, shard, card)]
    if damaged:
        write_json(index, index_value(shard for shard in shards if shard not in damaged))
        for shard in damaged:
            (folder / shard.file).unlink(missing_ok=True)
    return [*removed, *(shard.file for shard in damaged)]


def _is_whole(folder: Path, shard: Shard, card: StoreCard) -> bool:
    if not _can_be_read(lambda path: shard_lengths(path, shard, card), folder):
        return False
    return sha256_file(folder / shard.file) == shard.sha256


def _can_be_read(read: Callable[[Path], object], path: Path) -> bool:
    try:
        read(path)
    except StoreError:
        return False
    return True
