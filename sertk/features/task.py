"""One encoder and its store at work: what is to be encoded, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sertk.data.recording import Recording
from sertk.features.card import StoreCard
from sertk.features.encode import BatchEncoder, Prepared
from sertk.features.index import Failure
from sertk.features.plan import bytes_needed, written_seconds
from sertk.features.sources import UNKNOWN, differing
from sertk.features.writer import StoreWriter

if TYPE_CHECKING:
    from sertk.contracts import Encoder


@dataclass(frozen=True)
class Target:
    """An encoder, and the store that takes its frames. call: how it can be made again, for the store's record."""

    folder: Path
    card: StoreCard
    encoder: Encoder
    call: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TargetReport:
    """What became of one store.

    written: now, of utterances that it had not. changed: now, in place of what was computed from other content.
    kept: there before. unchecked: of those, the ones whose recordings cannot be read now. failed: listed in its
    report. halvings: how often memory ran out and a batch was cut in two. repaired: damaged files that were made
    again. renewed: what differs from the encoder that had filled the store, which was emptied.
    """

    folder: Path
    written: int
    changed: int
    kept: int
    unchecked: int
    failed: tuple[Failure, ...]
    halvings: int
    repaired: tuple[str, ...] = ()
    renewed: str = ""


@dataclass
class Task:
    """One target at work. sources: the digest of each utterance's content now. wanted: ids to encode; again: of
    these, the ones that the store has. kept: how many it has that stay.
    """

    target: Target
    writer: StoreWriter
    encoder: BatchEncoder
    sources: Mapping[str, str]
    wanted: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)

    def choose(self, *, force: bool, retry: bool) -> None:
        """Find what is to be encoded: what the store has not, and what it has of other content."""
        there = self.writer.sources
        have = self.sources.keys() & there.keys()
        self.again = have if force else set(differing(there, self.sources))
        listed = {key: failure.source for key, failure in self.writer.failures.items()}
        settled = set() if force or retry else listed.keys() - differing(listed, self.sources)
        self.kept = have - self.again
        self.wanted = self.sources.keys() - self.kept - settled

    def bytes_needed(self, recordings: Sequence[Recording], seconds: Mapping[str, float]) -> int:
        """About how many bytes what is wanted takes."""
        text = self.target.card.modality == "text"
        wanted = [recording for recording in recordings if recording.id in self.wanted]
        return bytes_needed(self.target.card, (written_seconds(r) if text else seconds[r.id] for r in wanted))

    def encode(self, inputs: Prepared, audio: Mapping[str, str]) -> None:
        """Encode a batch and store it, or list why not. audio: path by id."""
        frames, failed = self.encoder(inputs)
        for key, message in {**inputs.failed, **failed}.items():
            self.writer.fail(key, audio[key], message, self.sources[key])
        self.writer.add_batch(frames, self.sources)
        for key in frames.keys() & inputs.remarks.keys():
            self.writer.remark(key, inputs.remarks[key])

    def report(self, recordings: Sequence[Recording]) -> TargetReport:
        """What became of the store."""
        new = (self.sources.keys() & self.writer.done) - self.kept
        changed = sum(self.writer.replaces(key) for key in new)
        failures = self.writer.failures
        return TargetReport(
            self.writer.folder,
            written=len(new) - changed,
            changed=changed,
            kept=len(self.kept),
            unchecked=sum(self.sources[key] == UNKNOWN != self.writer.sources[key] for key in self.kept),
            failed=tuple(failures[r.id] for r in recordings if r.id in failures),
            halvings=self.encoder.halvings,
            repaired=tuple(self.writer.repaired),
            renewed=self.writer.renewed,
        )
