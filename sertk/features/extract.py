"""From recordings to feature stores: several encoders in one pass over the audio, resumable at any time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import torch

from sertk.data.recording import Recording
from sertk.errors import DataError, StoreError
from sertk.features.card import store_card
from sertk.features.choice import choose
from sertk.features.encode import BatchEncoder, Prepared
from sertk.features.plan import batches, check_space, of_part, spoken_seconds, written_seconds
from sertk.features.prefetch import prefetch
from sertk.features.progress import Progress
from sertk.features.task import Target, TargetReport, Task, content_now
from sertk.features.writer import StoreWriter

__all__ = ["ExtractReport", "Progress", "Target", "TargetReport", "extract", "store_card"]


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
    frame_budget: float = 120.0,
    max_batch: int = 64,
    part: tuple[int, int] = (0, 1),
    shard_bytes: int = 128 << 20,
    force: bool = False,
    retry: bool = False,
    repair: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractReport:
    """Encode recordings into stores, going on with what they have; each recording is read and resampled once.

    frame_budget: seconds of audio in a batch, padding included. max_batch: recordings in a batch. part: (number,
    count) to fill one store from many processes. force: encode everything again. retry: try again what a store's
    report lists. repair: look for damage by checksum first, and encode again what it took. progress: called behind
    each batch, and may raise to stop: what is encoded is kept.

    An utterance whose content differs from what its frames were computed from is encoded again in place. A store that
    another encoder filled, or other options did, is emptied first. A recording that cannot be used, or whose frames
    are not finite, is listed in `report.jsonl` of the store and left out; what an encoder remarks, such as a
    transcript that it cut, is listed in `remarks.jsonl`. Where memory runs out the batch is halved. Batches depend on
    the recordings alone, not on what is done, so going on gives what an undisturbed run gives.

    Raises StoreError (another process, damage, no space, which is computed beforehand), DataError for an id twice or
    where nothing could be used at all, and StoreError for output of another shape than the card's.
    """
    began = time.monotonic()
    if len({target.folder.absolute() for target in targets}) != len(targets):
        raise StoreError("each encoder needs a folder of its own, two have the same")
    mine = of_part(recordings, part)
    content = content_now(targets, mine)
    with ExitStack() as stack:
        tasks = []
        for target, now in zip(targets, content, strict=True):
            writer = stack.enter_context(
                StoreWriter(
                    target.folder,
                    target.card,
                    shard_bytes=shard_bytes,
                    part=part,
                    repair=repair,
                    renew=True,
                    made=target.made,
                )
            )
            encoder = BatchEncoder(target.encoder, target.card, device, target.card.precision)
            there, listed = dict(writer.sources), {key: f.source for key, f in writer.failures.items()}
            choice = choose(now, there, listed, force=force, retry=retry)
            tasks.append(Task(target, writer, encoder, now, there, choice))
        read = 0.0
        idle = not any(task.wanted for task in tasks)
        if not idle:
            measure = written_seconds if all(t.card.modality == "text" for t in targets) else spoken_seconds
            seconds = {r.id: measure(r) for r in mine}
            check_space({task.target.folder: task.bytes_needed(mine, seconds) for task in tasks})
            for task in tasks:
                task.writer.drop(task.choice.again)
            jobs = _jobs(mine, tasks, batches(seconds, frame_budget=frame_budget, max_batch=max_batch))
            lacking = set().union(*(task.wanted for task in tasks))
            total, total_seconds = len(lacking), sum(seconds[key] for key in lacking)
            done = 0
            with closing(prefetch(jobs, lambda job: _prepare(targets, job))) as prefetched:
                for prepared in prefetched:
                    for task, inputs in zip(tasks, prepared.inputs, strict=True):
                        task.encode(inputs, prepared.audio)
                    done += len(prepared.audio)
                    read += sum(seconds[key] for key in prepared.audio)
                    if progress is not None:
                        failures = len(set().union(*(task.writer.failures for task in tasks)))
                        elapsed = time.monotonic() - began
                        progress(Progress(done, total, failures, read, total_seconds, elapsed))
        reports = tuple(task.report(mine) for task in tasks)
    for report in reports:
        if mine and report.written + report.changed + report.kept == 0:
            first = report.failed[0]
            raise DataError(
                f"{report.folder}: none of {len(mine)} recordings could be used. The first: {first.id}: "
                f"{first.message}. All are listed in the report there; fix them and extract again."
            )
    return ExtractReport(reports, read, time.monotonic() - began, up_to_date=idle)


@dataclass(frozen=True)
class _Job:
    """The recordings of one batch that some target lacks, and which target lacks which."""

    recordings: list[Recording]
    wanted: list[frozenset[str]]


@dataclass(frozen=True)
class _Batch:
    """A batch on the CPU. audio: path by id. inputs: one a target."""

    audio: dict[str, str]
    inputs: list[Prepared]


def _jobs(mine: Sequence[Recording], tasks: Sequence[Task], plan: Sequence[Sequence[str]]) -> Iterator[_Job]:
    by_id = {recording.id: recording for recording in mine}
    for ids in plan:
        lacking = [task.wanted & set(ids) for task in tasks]
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
