"""From recordings to feature stores: several encoders in one pass over the audio, resumable at any time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sertk.data.recording import Recording
from sertk.errors import DataError, StoreError
from sertk.features.card import StoreCard, store_card
from sertk.features.encode import BatchEncoder, Precision, Prepared
from sertk.features.index import Failure
from sertk.features.plan import batches, bytes_needed, check_space, of_part, spoken_seconds, written_seconds
from sertk.features.prefetch import prefetch
from sertk.features.writer import StoreWriter

if TYPE_CHECKING:
    from sertk.contracts import Encoder

__all__ = ["ExtractReport", "Progress", "Target", "TargetReport", "extract", "store_card"]


@dataclass(frozen=True)
class Target:
    """An encoder, and the store that takes its frames."""

    folder: Path
    card: StoreCard
    encoder: Encoder


@dataclass(frozen=True)
class Progress:
    """How far an extraction is. done, total: recordings. seconds, total_seconds: of audio. elapsed: seconds."""

    done: int
    total: int
    failed: int
    seconds: float
    total_seconds: float
    elapsed: float

    @property
    def hours_an_hour(self) -> float:
        """Hours of audio encoded in an hour."""
        return self.seconds / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Time left at this rate, by audio duration."""
        return (self.total_seconds - self.seconds) * self.elapsed / self.seconds if self.seconds > 0 else float("inf")


@dataclass(frozen=True)
class TargetReport:
    """What became of one store. written: now. kept: there before. failed: listed in its report.

    halvings: how often memory ran out and a batch was cut in two. repaired: damaged files that were made again.
    """

    folder: Path
    written: int
    kept: int
    failed: tuple[Failure, ...]
    halvings: int
    repaired: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did. seconds: of audio read. elapsed: seconds. up_to_date: nothing was to be done."""

    targets: tuple[TargetReport, ...]
    seconds: float
    elapsed: float
    up_to_date: bool


def extract(
    targets: Sequence[Target],
    recordings: Sequence[Recording],
    *,
    device: torch.device,
    precision: Precision = "float32",
    frame_budget: float = 120.0,
    max_batch: int = 64,
    part: tuple[int, int] = (0, 1),
    shard_bytes: int = 128 << 20,
    force: bool = False,
    repair: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractReport:
    """Encode recordings into stores, going on with what they have; each recording is read and resampled once.

    frame_budget: seconds of audio in a batch, padding included. max_batch: recordings in a batch. precision: of
    autocast. part: (number, count) to fill one store from many processes. force: try again what a store's report
    lists. repair: look for damage by checksum first, and encode again what it took. progress: called behind each
    batch, and may raise to stop: what is encoded is kept.

    A recording that cannot be used, or whose frames are not finite, is listed in `report.jsonl` of the store and
    left out; what an encoder remarks on one, such as a transcript that it cut, is listed in `remarks.jsonl`.
    Where memory runs out the batch is halved. Batches depend on the recordings alone, not on what is
    done, so going on gives what an undisturbed run gives. Raises StoreError (another encoder's store, another
    process, damage, no space, which is computed beforehand), DataError for an id twice or where nothing could be
    used at all, and StoreError for output of another shape than the card's.
    """
    began = time.monotonic()
    if len({target.folder.absolute() for target in targets}) != len(targets):
        raise StoreError("each encoder needs a folder of its own, two have the same")
    mine = of_part(recordings, part)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(StoreWriter(t.folder, t.card, shard_bytes=shard_bytes, part=part, repair=repair))
            for t in targets
        ]
        wanted = [
            {r.id for r in mine} - writer.done - (set() if force else set(writer.failures)) for writer in writers
        ]
        kept = [len(writer.done & {r.id for r in mine}) for writer in writers]
        encoders = [BatchEncoder(t.encoder, t.card, device, precision) for t in targets]
        read = 0.0
        if any(wanted):
            measure = written_seconds if all(t.card.modality == "text" for t in targets) else spoken_seconds
            seconds = {r.id: measure(r) for r in mine}
            check_space(
                {
                    target.folder: bytes_needed(
                        target.card, (_length(target, r, seconds) for r in mine if r.id in ids)
                    )
                    for target, ids in zip(targets, wanted, strict=True)
                }
            )
            jobs = _jobs(mine, wanted, batches(seconds, frame_budget=frame_budget, max_batch=max_batch))
            lacking = set().union(*wanted)
            total, total_seconds = len(lacking), sum(seconds[key] for key in lacking)
            done = 0
            with closing(prefetch(jobs, lambda job: _prepare(targets, job))) as prefetched:
                for prepared in prefetched:
                    for writer, encoder, inputs in zip(writers, encoders, prepared.inputs, strict=True):
                        frames, failed = encoder(inputs)
                        for key in inputs.remarks.keys() & frames.keys():
                            writer.remark(key, inputs.remarks[key])
                        for key, message in {**inputs.failed, **failed}.items():
                            writer.fail(key, prepared.audio[key], message)
                        writer.add_batch(frames)
                    done += len(prepared.audio)
                    read += sum(seconds[key] for key in prepared.audio)
                    if progress is not None:
                        failures = len(set().union(*(writer.failures for writer in writers)))
                        elapsed = time.monotonic() - began
                        progress(Progress(done, total, failures, read, total_seconds, elapsed))
        reports = tuple(
            _report(writer, encoder, mine, before)
            for writer, encoder, before in zip(writers, encoders, kept, strict=True)
        )
    for report in reports:
        if mine and report.written + report.kept == 0:
            first = report.failed[0]
            raise DataError(
                f"{report.folder}: not one of {len(mine)} recordings could be used. The first: {first.id}: "
                f"{first.message}. All are listed in the report there; mend them and extract again with force."
            )
    return ExtractReport(reports, read, time.monotonic() - began, up_to_date=not any(wanted))


@dataclass(frozen=True)
class _Job:
    """The recordings of one batch that some target lacks, and which target lacks which."""

    recordings: list[Recording]
    wanted: list[set[str]]


@dataclass(frozen=True)
class _Batch:
    """A batch on the CPU. audio: path by id. inputs: one a target."""

    audio: dict[str, str]
    inputs: list[Prepared]


def _jobs(mine: Sequence[Recording], wanted: Sequence[set[str]], plan: Sequence[Sequence[str]]) -> Iterator[_Job]:
    by_id = {recording.id: recording for recording in mine}
    for ids in plan:
        lacking = [ids_wanted & set(ids) for ids_wanted in wanted]
        if any(lacking):
            yield _Job([by_id[key] for key in ids if any(key in some for some in lacking)], lacking)


def _prepare(targets: Sequence[Target], job: _Job) -> _Batch:
    """Read, resample and prepare a batch for every target; the samples are let go with the copies."""
    recordings = [recording.copy() for recording in job.recordings]
    batch = _Batch({r.id: r.utterance.audio for r in recordings}, [Prepared() for _ in targets])
    for recording in recordings:
        for target, ids, prepared in zip(targets, job.wanted, batch.inputs, strict=True):
            if recording.id in ids:
                prepared.add(target.encoder, recording)
    return batch


def _length(target: Target, recording: Recording, seconds: dict[str, float]) -> float:
    return written_seconds(recording) if target.card.modality == "text" else seconds[recording.id]


def _report(writer: StoreWriter, encoder: BatchEncoder, mine: Sequence[Recording], kept: int) -> TargetReport:
    failures, done = writer.failures, writer.done
    failed = tuple(failures[r.id] for r in mine if r.id in failures)
    written = sum(r.id in done for r in mine) - kept
    return TargetReport(writer.folder, written, kept, failed, encoder.halvings, tuple(writer.repaired))
