"""What is to be encoded, in which batches, and the disk space that it takes. No torch here."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sertk.data.ids import id_fault
from sertk.data.recording import Recording
from sertk.errors import AudioError, DataError, StoreError
from sertk.features.card import StoreCard

WORDS_PER_SECOND = 2.5
"""Text counts as speech at this rate wherever batches are measured in seconds."""

BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "int8": 1}


def of_part(recordings: Sequence[Recording], part: tuple[int, int]) -> list[Recording]:
    """The recordings of one part: every n-th by sorted id, so that positions do not count.

    Raises DataError for an id that is there twice, and for one that would ruin a store.
    """
    for recording in recordings:
        if fault := id_fault(recording.id):
            raise DataError(f"{fault}: it cannot be stored under that id")
    twice = [utterance for utterance, count in Counter(r.id for r in recordings).items() if count > 1]
    if twice:
        raise DataError(f"{len(twice)} ids occur twice, the first is {twice[0]}: ids must be unique")
    number, count = part
    return sorted(recordings, key=lambda recording: recording.id)[number::count]


def spoken_seconds(recording: Recording) -> float:
    """Duration of a recording; 0 for one that cannot be read, which is reported when it is its turn."""
    try:
        seconds = recording.seconds
    except AudioError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def written_seconds(recording: Recording) -> float:
    """About how long it takes to say a recording's transcript; asks nothing of its audio."""
    return len((recording.utterance.text or "").split()) / WORDS_PER_SECOND


def batches(seconds: Mapping[str, float], *, frame_budget: float, max_batch: int) -> list[list[str]]:
    """Part ids into batches of about equal length, the longest first, so that memory runs out early if at all.

    seconds: duration by id. frame_budget: the most seconds of a batch, padding included; a longer recording is a
    batch of its own. The same ids always give the same batches.
    """
    found: list[list[str]] = []
    room = 0
    for utterance, length in sorted(seconds.items(), key=lambda item: (-item[1], item[0])):
        if room == 0:
            found.append([])
            room = max(1, int(min(max_batch, frame_budget / length)) if length > 0 else max_batch)
        found[-1].append(utterance)
        room -= 1
    return found


def bytes_needed(card: StoreCard, seconds: Iterable[float]) -> int:
    """About how many bytes of frames utterances of these durations take in a store.

    Where frames are no time steps, text is taken as two tokens a word and speech as one frame.
    """
    rate = card.frames_per_second
    if rate == 0 and card.modality == "text":
        rate = 2 * WORDS_PER_SECOND
    frames = sum(1 + math.ceil(length * rate) for length in seconds)
    return frames * (card.dim * BYTES[card.dtype] + (4 if card.dtype == "int8" else 0))


def check_space(needed: Mapping[Path, int]) -> None:
    """Raise StoreError, with both numbers, where folders need more than their disk has free."""
    by_disk: dict[int, tuple[list[Path], int, int]] = {}
    for folder, count in needed.items():
        there = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
        folders, total, _ = by_disk.get(there.stat().st_dev, ([], 0, 0))
        by_disk[there.stat().st_dev] = ([*folders, folder], total + count, shutil.disk_usage(there).free)
    for folders, total, free in by_disk.values():
        if total > free:
            names = ", ".join(str(folder) for folder in folders)
            raise StoreError(
                f"{names}: about {_size(total)} are needed, {_size(free)} are free on that disk. Make room, store "
                f"elsewhere, or choose a smaller dtype (float16 halves float32, int8 halves float16)."
            )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
