"""What a feature store holds, read from its small files and the headers of its shards. No torch here.

A folder holds `card.json` and, for each part that writes it, an index (`index.json`, or `index-2of8.json`), its
shards (`shard-00000.safetensors`, or `shard-2of8-00000.safetensors`) and a report of what could not be encoded
(`report.jsonl`, or `report-2of8.jsonl`). Every file is written whole or not at all. A shard is written before
the index that lists it, so a shard that no index lists comes from a kill between the two and counts as absent.
In a shard, the tensor of an utterance has its id as its key; in int8 stores `id/scale` holds the frames' scales.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.errors import StoreError
from sertk.features.card import StoreCard, check_same, read_card
from sertk.files import parse_json

SCALE = "/scale"
AGAIN = "Extract again with --repair."
_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Shard:
    """A line of an index: a shard's file name, the hash and size of the file, and how many utterances it holds."""

    __pydantic_config__ = _STRICT

    file: str
    sha256: str
    utterances: int
    bytes: int


@dataclass(frozen=True)
class Failure:
    """A line of a report: an utterance that could not be encoded, its recording, and why."""

    __pydantic_config__ = _STRICT

    id: str
    audio: str
    message: str


@dataclass(frozen=True)
class _Index:
    __pydantic_config__ = _STRICT

    sertk_store: Literal[1]
    shards: list[Shard]


_INDEX = TypeAdapter(_Index)
_FAILURE = TypeAdapter(Failure)


def part_suffix(part: tuple[int, int]) -> str:
    """What the file names of a part carry: nothing for the whole, `-2of8` for (2, 8)."""
    number, count = part
    if not 0 <= number < count:
        raise StoreError(f"part {number} of {count}: parts are numbered from 0 to {count - 1}")
    return "" if count == 1 else f"-{number}of{count}"


def read_index(path: Path) -> list[Shard]:
    """The shards of one index; none where there is no such file. Raises StoreError for a damaged one."""
    try:
        shards = _INDEX.validate_json(path.read_bytes()).shards
        for shard in shards:
            if Path(shard.file).name != shard.file or not shard.file.startswith("shard"):
                raise StoreError(f"{path} is damaged: {shard.file!r} is no name of a shard in this folder. {AGAIN}")
        return shards
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        reason = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error
        raise StoreError(f"{path} is damaged: {reason}. {AGAIN}") from None


def index_value(shards: Iterable[Shard]) -> dict[str, Any]:
    """What an index file says, as JSON."""
    return {"sertk_store": 1, "shards": [vars(shard) for shard in shards]}


def read_shards(folder: Path) -> list[Shard]:
    """The shards of all indexes of a store, by file name."""
    paths = [folder / "index.json", *sorted(folder.glob("index-*of*.json"))]
    return sorted((shard for path in paths for shard in read_index(path)), key=lambda shard: shard.file)


def shard_lengths(folder: Path, shard: Shard, card: StoreCard) -> dict[str, int]:
    """Frames by id in one shard, from its header. Raises StoreError, naming the shard, for one that is damaged."""
    path = folder / shard.file
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            raise StoreError(f"{path} is damaged: it has {size} bytes, the index says {shard.bytes}. {AGAIN}")
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(min(length, size)))
        shapes = {key: entry["shape"] for key, entry in header.items() if key != "__metadata__"}
        if card.dtype == "int8":
            shapes = {key: shape for key, shape in shapes.items() if not key.endswith(SCALE)}
        lengths = {key: int(shape[0]) for key, shape in shapes.items()}
        widths = {int(shape[1]) for shape in shapes.values()}
    except FileNotFoundError:
        raise StoreError(f"{path} is missing, but the index lists it. {AGAIN}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error) as error:
        raise StoreError(f"{path} is damaged: its header cannot be read ({error}). {AGAIN}") from None
    if len(lengths) != shard.utterances or widths - {card.dim}:
        raise StoreError(
            f"{path} is damaged: {len(lengths)} utterances of width {sorted(widths)}, "
            f"the index says {shard.utterances} and the card {card.dim}. {AGAIN}"
        )
    return lengths


def stored_lengths(folder: Path, card: StoreCard) -> dict[str, tuple[Shard, int]]:
    """The shard and the frames of every utterance. Raises StoreError for damage, or an id in two shards."""
    found: dict[str, tuple[Shard, int]] = {}
    for shard in read_shards(folder):
        for utterance, frames in shard_lengths(folder, shard, card).items():
            if utterance in found:
                other = found[utterance][0].file
                raise StoreError(f"{folder}: utterance {utterance} is in {other} and in {shard.file}. {AGAIN}")
            found[utterance] = (shard, frames)
    return found


def read_report(path: Path) -> dict[str, Failure]:
    """One report, by id; nothing where there is no such file. Raises StoreError for a damaged one."""
    try:
        failures = [_FAILURE.validate_json(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError):
        raise StoreError(f"{path} is damaged: delete it and extract again, what is stored is kept") from None
    return {failure.id: failure for failure in failures}


def read_failures(folder: Path) -> dict[str, Failure]:
    """What could not be encoded, by id, over the reports of all parts. Raises StoreError for a damaged report."""
    paths = [folder / "report.jsonl", *sorted(folder.glob("report-*of*.jsonl"))]
    return {key: failure for path in paths for key, failure in read_report(path).items()}


def is_complete(folder: Path, card: StoreCard, ids: Iterable[str]) -> bool:
    """Whether a store has every one of `ids`, or its report says why not. Imports no torch.

    Raises StoreError for a damaged store and for one of another encoder.
    """
    if not (folder / "card.json").exists():
        return False
    check_same(folder, read_card(folder), card)
    known = set(stored_lengths(folder, card)) | set(read_failures(folder))
    return all(utterance in known for utterance in ids)
