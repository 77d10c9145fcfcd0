"""One encoder and its store at work: what is to be encoded, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sertk.data.recording import Recording
from sertk.features.card import StoreCard
from sertk.features.choice import Choice
from sertk.features.encode import BatchEncoder, Prepared
from sertk.features.index import Failure
from sertk.features.plan import bytes_needed, written_seconds
from sertk.features.sources import UNKNOWN, source_digests
from sertk.features.writer import StoreWriter
from sertk.provenance import Provenance

if TYPE_CHECKING:
    from sertk.contracts import Encoder


@dataclass(frozen=True)
class Target:
    """An encoder, and the store that takes its frames. made: what the store's record says, if more than the card."""

    folder: Path
    card: StoreCard
    encoder: Encoder
    made: Provenance | None = None


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


@dataclass(frozen=True)
class Task:
    """One target at work. now: the digest of each utterance's content. there: of what the store had before."""

    target: Target
    writer: StoreWriter
    encoder: BatchEncoder
    now: Mapping[str, str]
    there: Mapping[str, str]
    choice: Choice

    @property
    def wanted(self) -> frozenset[str]:
        """The ids to encode."""
        return self.choice.wanted

    def bytes_needed(self, recordings: Sequence[Recording], seconds: Mapping[str, float]) -> int:
        """About how many bytes what is wanted takes."""
        text = self.target.card.modality == "text"
        wanted = [recording for recording in recordings if recording.id in self.wanted]
        return bytes_needed(self.target.card, (written_seconds(r) if text else seconds[r.id] for r in wanted))

    def encode(self, inputs: Prepared, audio: Mapping[str, str]) -> None:
        """Encode a batch and store it, or list why not. audio: path by id."""
        frames, failed = self.encoder(inputs)
        for key, message in {**inputs.failed, **failed}.items():
            self.writer.fail(key, audio[key], message, self.now[key])
        self.writer.add_batch(frames, self.now)
        for key in frames.keys() & inputs.remarks.keys():
            self.writer.remark(key, inputs.remarks[key])

    def report(self, recordings: Sequence[Recording]) -> TargetReport:
        """What became of the store."""
        kept = self.choice.kept
        new = (self.now.keys() & self.writer.done) - kept
        changed = sum(self._is_changed(key) for key in new)
        failures = self.writer.failures
        return TargetReport(
            self.writer.folder,
            written=len(new) - changed,
            changed=changed,
            kept=len(kept),
            unchecked=sum(self.now[key] == UNKNOWN != self.there[key] for key in kept),
            failed=tuple(failures[r.id] for r in recordings if r.id in failures),
            halvings=self.encoder.halvings,
            repaired=tuple(self.writer.repaired),
            renewed=self.writer.renewed,
        )

    def _is_changed(self, key: str) -> bool:
        """Whether what is stored now took the place of other content: in this run, or in one that was interrupted."""
        if key in self.there:
            return self.there[key] != self.now[key]
        return self.writer.replaces(key)


def content_now(targets: Sequence[Target], recordings: Sequence[Recording]) -> list[Mapping[str, str]]:
    """The digest of each utterance's content, for each target: from the encoder itself where it reads stores."""
    known: dict[tuple[str, ...], Mapping[str, str]] = {}
    found: list[Mapping[str, str]] = []
    for target in targets:
        reads = tuple(target.card.reads)
        if "stores" in reads:
            found.append(target.encoder.source_digests([recording.id for recording in recordings]))  # type: ignore[attr-defined]
            continue
        if reads not in known:
            known[reads] = source_digests(target.card.reads, recordings)
        found.append(known[reads])
    return found
