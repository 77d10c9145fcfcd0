"""Writing feature stores shard by shard, so that a kill loses at most the shard at hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType

from torch import Tensor

from sertk.errors import StoreError
from sertk.features.access import disk_errors, writers_lock
from sertk.features.card import FILE, StoreCard, differences, read_card, refuse_older
from sertk.features.frames import as_stored
from sertk.features.index import (
    SOURCES,
    Contents,
    Failure,
    Index,
    Shard,
    dropped_value,
    index_value,
    part_suffix,
    read_contents,
    read_dropped,
    read_failures,
    read_index,
    read_report,
    suffixes,
)
from sertk.features.making import MAKING_LOCK, empty, is_foreign, is_lost, make_store, remove_dropped, sweep
from sertk.features.remarks import read_remarks, remarks_text
from sertk.features.repair import remove_damaged
from sertk.files import atomic_path, sha256_file, write_json, write_text
from sertk.locks import locked
from sertk.provenance import Provenance
from sertk.tensors import save_tensors

WAIT_SECONDS = 30.0
"""How long a process waits for another one that opens the store or tidies it: some seconds, but for a repair."""


class StoreWriter:
    """A context manager that adds utterances to a store, which it makes or goes on with.

    part: (number, count) when several processes fill one folder, each with files of its own. shard_bytes: size
    from which a shard is closed. repair: first remove what is damaged (`sertk.features.repair`). renew: empty a store
    whose card has another key, and make it again; without it StoreError is raised. made: what the store's record
    says, where that is more than the card. Raises StoreError for a disk that cannot take more, BusyError for a
    folder that another process is writing to.
    """

    def __init__(
        self,
        folder: Path,
        card: StoreCard,
        *,
        shard_bytes: int = 128 << 20,
        part: tuple[int, int] = (0, 1),
        repair: bool = False,
        renew: bool = False,
        made: Provenance | None = None,
    ) -> None:
        self.folder = folder
        self.card = card
        self.part = part
        self.repaired: list[str] = []
        self.renewed = ""
        self._suffix = part_suffix(part)
        self._suffixes = None if part[1] == 1 else [self._suffix]  # None: all, for nobody else is at work
        self._shard_bytes = shard_bytes
        self._repair = repair
        self._renew = renew
        self._made = made
        self._open = ExitStack()
        self._contents = Contents({}, {})
        self._pending: dict[str, Tensor] = {}
        self._pending_sources: dict[str, str] = {}
        self._pending_bytes = 0
        self._report_changed = False
        self._remarks: dict[str, str | None] = {}

    def __enter__(self) -> StoreWriter:
        with disk_errors(self.folder), ExitStack() as opening:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._opening():
                self._make()
                opening.enter_context(writers_lock(self.folder, self.part))
                self._read()
            self._open = opening.pop_all()
        return self

    def _opening(self) -> AbstractContextManager[int]:
        """The lock of whoever opens or tidies the store: what it reads then does not vanish while it reads."""
        return locked(self.folder / MAKING_LOCK, self.folder, wait_seconds=WAIT_SECONDS)

    def _make(self) -> None:
        """See to it that card and record are there, and are these."""
        refuse_older(self.folder)
        lost = self._repair and is_lost(self.folder)
        if lost or (self._renew and is_foreign(self.folder, self.card)):
            with locked(self.folder / ".lock", self.folder):  # nobody is at work with the other card
                if lost:
                    self.repaired = [FILE]
                else:
                    self.renewed = differences(read_card(self.folder), self.card)
                empty(self.folder)
        make_store(self.folder, self.card, self._made)

    def _read(self) -> None:
        """Read what the store holds, once what is damaged or was left by a killed run is gone."""
        if self._repair:
            mended = suffixes(self.folder) if self._suffixes is None else self._suffixes
            self.repaired += remove_damaged(self.folder, mended, self.card)
        sweep(self.folder, self._suffixes)
        self._index = read_index(self.folder / f"index{self._suffix}.json")
        self._dropped = read_dropped(self.folder / f"dropped{self._suffix}.json")
        self._contents = read_contents(self.folder, self.card)
        self.sources = {id: place.source for id, place in self._contents.places.items()}
        self._failures = read_report(self.folder / f"report{self._suffix}.jsonl")  # this part's own
        self._listed = {k: v for k, v in read_failures(self.folder).items() if k not in self.sources}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self.flush()
                if any(self.folder.glob("dropped*.json")):
                    with disk_errors(self.folder), self._opening():
                        remove_dropped(self.folder, self._suffixes, read_contents(self.folder, self.card))
            elif not issubclass(kind, StoreError):
                with suppress(StoreError):  # the error that came first is the one to show
                    self.flush()

    @property
    def done(self) -> set[str]:
        """The ids that the store has, this part's and the others' of when it was opened."""
        return set(self.sources)

    @property
    def failures(self) -> dict[str, Failure]:
        """What could not be encoded, by id, in any part."""
        return dict(self._listed)

    def replaces(self, utterance: str) -> bool:
        """Whether an utterance that the store has takes the place of one that was computed from other content."""
        return bool(self._contents.dropped.get(utterance, set()) - {self.sources.get(utterance)})

    def drop(self, utterances: Iterable[str]) -> None:
        """Take utterances out of the store, as far as it has them. Shards stay until nothing in them is wanted."""
        here = [utterance for utterance in utterances if utterance in self._contents.places]
        for utterance in here:
            place = self._contents.places.pop(utterance)
            self._contents.dropped.setdefault(utterance, set()).add(place.source)
            self._dropped.setdefault(place.shard.file, set()).add(utterance)
            del self.sources[utterance]
        if here:
            with disk_errors(self.folder):
                write_json(self.folder / f"dropped{self._suffix}.json", dropped_value(self._dropped))

    def add(self, utterance: str, frames: Tensor, source: str) -> None:
        """Take (T, dim) of one utterance. Raises StoreError for an id twice, a wrong shape, or NaN.

        source: the digest of what they were computed from (`sertk.features.sources`).
        """
        self.add_batch({utterance: frames}, {utterance: source})

    def add_batch(self, batch: Mapping[str, Tensor], sources: Mapping[str, str]) -> None:
        """Take several utterances and keep them in one shard: shards end where batches end."""
        for utterance, frames in batch.items():
            if utterance in self.sources:
                raise StoreError(f"{self.folder} has utterance {utterance} already: ids must be unique")
            for key, tensor in as_stored(utterance, frames, dim=self.card.dim, dtype=self.card.dtype).items():
                self._pending[key] = tensor
                self._pending_bytes += tensor.nbytes
            self._pending_sources[utterance] = self.sources[utterance] = sources[utterance]
            self._listed.pop(utterance, None)
            self._report_changed |= self._failures.pop(utterance, None) is not None
            self._remarks.setdefault(utterance, None)  # what was said of it earlier holds no more
        if self._pending_bytes >= self._shard_bytes:
            self.flush()

    def fail(self, utterance: str, audio: str, message: str, source: str) -> None:
        """List an utterance in the report instead."""
        self._failures[utterance] = self._listed[utterance] = Failure(utterance, audio, message, source)
        self._remarks[utterance] = None
        self._report_changed = True

    def remark(self, utterance: str, message: str) -> None:
        """Note in `remarks.jsonl` what was done to an utterance that is stored all the same, such as cutting it."""
        self._remarks[utterance] = message

    def flush(self) -> None:
        """Write remarks, then what is pending as a shard, then the index that lists it, then the report."""
        with disk_errors(self.folder):
            if self._remarks:
                path = self.folder / f"remarks{self._suffix}.jsonl"
                earlier = read_remarks(path)
                remarks = {k: v for k, v in (earlier | self._remarks).items() if v is not None}
                if remarks != earlier:
                    write_text(path, remarks_text(remarks))
                self._remarks = {}
            if self._pending:
                self._write_shard()
            if self._report_changed:
                lines = [json.dumps(vars(self._failures[key]), ensure_ascii=False) for key in sorted(self._failures)]
                write_text(self.folder / f"report{self._suffix}.jsonl", "".join(line + "\n" for line in lines))
                self._report_changed = False

    def _write_shard(self) -> None:
        path = self.folder / f"shard{self._suffix}-{self._index.next:05d}.safetensors"
        with atomic_path(path) as temporary:
            save_tensors(temporary, self._pending, {SOURCES: json.dumps(self._pending_sources, sort_keys=True)})
        shard = Shard(path.name, sha256_file(path), len(self._pending_sources), path.stat().st_size)
        index = Index([*self._index.shards, shard], self._index.next + 1)
        write_json(self.folder / f"index{self._suffix}.json", index_value(index))
        self._index = index
        self._pending, self._pending_sources, self._pending_bytes = {}, {}, 0
