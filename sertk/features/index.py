"""What a feature store holds, read from its small files and the headers of its shards. No torch here.

A folder holds `card.json` and, for each part that writes it, an index (`index.json`, or `index-2of8.json`), its
shards (`shard-00000.safetensors`, or `shard-2of8-00000.safetensors`), a report of what could not be encoded
(`report.jsonl`, or `report-2of8.jsonl`), and what it dropped from any shard because its content changed
(`dropped.json`, or `dropped-2of8.json`). Every file is written whole or not at all. A shard is written before
the index that lists it, so a shard that no index lists comes from a kill between the two and counts as absent. The
numbers of shards rise, so that what was dropped from one is never looked for in another.
In a shard, the tensor of an utterance has its id as its key; in int8 stores `id/scale` holds the frames' scales. Its
metadata have one entry, `sources`: the digests of what the utterances were computed from, by id.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.errors import StoreError
from sertk.features.card import StoreCard
from sertk.files import parse_json

SCALE = "/scale"
SOURCES = "sources"
AGAIN = "Extract again with --repair."
_STRICT = ConfigDict(extra="forbid", strict=True)
_OF_PART = re.compile(r"(?:index|dropped|report)(-\d+of\d+)?\.jsonl?")
_SHARD = re.compile(r"shard(?:-\d+of\d+)?-(\d{5,})\.safetensors")


@dataclass(frozen=True)
class Shard:
    """A line of an index: a shard's file name, the hash and size of the file, and how many utterances it holds."""

    __pydantic_config__ = _STRICT

    file: str
    sha256: str
    utterances: int
    bytes: int


@dataclass(frozen=True)
class Index:
    """The shards of one part, and the number that its next one gets."""

    shards: list[Shard]
    next: int


@dataclass(frozen=True)
class Failure:
    """A line of a report: an utterance that could not be encoded, its recording, why, and its source's digest."""

    __pydantic_config__ = _STRICT

    id: str
    audio: str
    message: str
    source: str


class Place(NamedTuple):
    """Where an utterance is, how many frames it has, and the digest of what they were computed from."""

    shard: Shard
    frames: int
    source: str


@dataclass(frozen=True)
class _IndexFile:
    __pydantic_config__ = _STRICT

    sertk_store: Literal[2]
    next: int
    shards: list[Shard]


@dataclass(frozen=True)
class _DroppedFile:
    __pydantic_config__ = _STRICT

    sertk_store: Literal[2]
    dropped: dict[str, list[str]]


_INDEX = TypeAdapter(_IndexFile)
_DROPPED = TypeAdapter(_DroppedFile)
_FAILURE = TypeAdapter(Failure)


def part_suffix(part: tuple[int, int]) -> str:
    """What the file names of a part carry: nothing for the whole, `-2of8` for (2, 8)."""
    number, count = part
    if not 0 <= number < count:
        raise StoreError(f"part {number} of {count}: parts are numbered from 0 to {count - 1}")
    return "" if count == 1 else f"-{number}of{count}"


def suffixes(folder: Path) -> list[str]:
    """The suffixes of all parts that have files in a store, that of the whole first."""
    found = (_OF_PART.fullmatch(path.name) for path in folder.iterdir())
    return sorted({"", *(match[1] or "" for match in found if match)})


def read_index(path: Path) -> Index:
    """One index; an empty one where there is no such file. Raises StoreError for a damaged one."""
    try:
        index = _INDEX.validate_json(path.read_bytes())
    except FileNotFoundError:
        return Index([], 0)
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} is damaged: {_reason(error)}. {AGAIN}") from None
    for shard in index.shards:
        found = _SHARD.fullmatch(shard.file)
        if found is None or int(found[1]) >= index.next:
            raise StoreError(f"{path} is damaged: {shard.file!r} is not the name of a shard in this folder. {AGAIN}")
    return Index(index.shards, index.next)


def index_value(index: Index) -> dict[str, Any]:
    """What an index file says, as JSON."""
    return {"sertk_store": 2, "next": index.next, "shards": [vars(shard) for shard in index.shards]}


def read_shards(folder: Path) -> list[Shard]:
    """The shards of all indexes of a store, by file name."""
    paths = [folder / "index.json", *sorted(folder.glob("index-*of*.json"))]
    return sorted((shard for path in paths for shard in read_index(path).shards), key=lambda shard: shard.file)


def read_dropped(path: Path) -> dict[str, set[str]]:
    """What one part dropped: ids by shard. Raises StoreError for a damaged file."""
    try:
        return {shard: set(ids) for shard, ids in _DROPPED.validate_json(path.read_bytes()).dropped.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} is damaged: {_reason(error)}. {AGAIN}") from None


def dropped_value(dropped: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """What a file of dropped utterances says, as JSON."""
    return {"sertk_store": 2, "dropped": {shard: sorted(ids) for shard, ids in sorted(dropped.items()) if ids}}


def all_dropped(folder: Path) -> dict[str, set[str]]:
    """What all parts dropped: ids by shard."""
    found: dict[str, set[str]] = {}
    for path in [folder / "dropped.json", *sorted(folder.glob("dropped-*of*.json"))]:
        for shard, ids in read_dropped(path).items():
            found.setdefault(shard, set()).update(ids)
    return found


def read_shard(folder: Path, shard: Shard, card: StoreCard) -> dict[str, Place]:
    """The utterances of one shard, from its header. Raises StoreError, naming the shard, for one that is damaged."""
    path = folder / shard.file
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            raise StoreError(f"{path} is damaged: it has {size} bytes, the index says {shard.bytes}. {AGAIN}")
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(min(length, size)))
        sources = parse_json(header.pop("__metadata__")[SOURCES])
        shapes = {key: entry["shape"] for key, entry in header.items()}
        if card.dtype == "int8":
            shapes = {key: shape for key, shape in shapes.items() if not key.endswith(SCALE)}
        places = {key: Place(shard, int(shape[0]), str(sources[key])) for key, shape in shapes.items()}
        widths = {int(shape[1]) for shape in shapes.values()}
    except FileNotFoundError:
        raise StoreError(f"{path} is missing, but the index lists it. {AGAIN}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error) as error:
        raise StoreError(f"{path} is damaged: its header cannot be read ({error}). {AGAIN}") from None
    if len(places) != shard.utterances or widths - {card.dim}:
        raise StoreError(
            f"{path} is damaged: {len(places)} utterances of width {sorted(widths)}, "
            f"the index says {shard.utterances} and the card {card.dim}. {AGAIN}"
        )
    return places


@dataclass(frozen=True)
class Contents:
    """What a store holds, by id, and of what was dropped the digests it had been computed from."""

    places: dict[str, Place]
    dropped: dict[str, set[str]]


def read_contents(folder: Path, card: StoreCard) -> Contents:
    """What a store holds. Raises StoreError for damage, and for an id in two shards."""
    found = Contents({}, {})
    shards = read_shards(folder)
    dropped = all_dropped(folder)  # read second: what another process drops meanwhile is missing, never there twice
    for shard in shards:
        gone = dropped.get(shard.file, set())
        for utterance, place in read_shard(folder, shard, card).items():
            if utterance in gone:
                found.dropped.setdefault(utterance, set()).add(place.source)
            elif utterance in found.places:
                other = found.places[utterance].shard.file
                raise StoreError(f"{folder}: utterance {utterance} is in {other} and in {shard.file}. {AGAIN}")
            else:
                found.places[utterance] = place
    return found


def read_report(path: Path) -> dict[str, Failure]:
    """One report, by id; nothing where there is no such file. Raises StoreError for a damaged one."""
    try:
        failures = [_FAILURE.validate_json(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError):
        raise StoreError(f"{path} is damaged: delete it and extract again, stored frames are kept") from None
    return {failure.id: failure for failure in failures}


def read_failures(folder: Path) -> dict[str, Failure]:
    """What could not be encoded, by id, over the reports of all parts. Raises StoreError for a damaged report."""
    paths = [folder / "report.jsonl", *sorted(folder.glob("report-*of*.jsonl"))]
    return {key: failure for path in paths for key, failure in read_report(path).items()}


def _reason(error: OSError | ValidationError) -> str:
    return error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
