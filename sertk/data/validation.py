"""Find every fault of a manifest, or mend what can be mended without guessing."""

from __future__ import annotations

import math
from dataclasses import replace

from sertk.data.formats import of_windows
from sertk.data.labels import OTHER
from sertk.data.manifest import Manifest, Utterance, unfit_name
from sertk.errors import DataError, Fault, LabelError, did_you_mean


def validate(manifest: Manifest, *, audio: bool = False) -> list[Fault]:
    """Find all faults, each with its utterance id.

    Looks for ids that are in it twice, ids and names that would break other files, labels outside the set, counts
    below zero, attributes out of range, times below zero and, with `audio`, recordings that do not exist.
    """
    faults: list[Fault] = []
    seen: set[str] = set()
    for utterance in manifest:
        if utterance.id in seen:
            faults.append(Fault(utterance.id, "this id occurs twice in the manifest: ids must be unique"))
        seen.add(utterance.id)
        faults += [Fault(utterance.id, message) for message in _faults(manifest, utterance, audio=audio)]
        faults += [Fault(utterance.id, message) for message in _attribute_faults(manifest, utterance).values()]
    return faults


def fix(manifest: Manifest, *, audio: bool = False) -> tuple[Manifest, list[Fault]]:
    """Drop what cannot be used (a repeated id, an utterance with a fault); give the rest and what was dropped.

    An attribute out of its range is removed from its utterance, which stays. Raises DataError where nothing is left.
    """
    kept: list[Utterance] = []
    dropped: list[Fault] = []
    seen: set[str] = set()
    for utterance in manifest:
        if utterance.id in seen:
            dropped.append(Fault(utterance.id, "this id occurs twice in the manifest; the first is kept"))
            continue
        faults = _faults(manifest, utterance, audio=audio)
        if faults:
            dropped.append(Fault(utterance.id, f"{faults[0]}; utterance dropped"))
            continue
        outside = _attribute_faults(manifest, utterance)
        dropped += [Fault(utterance.id, f"{message}; value removed") for message in outside.values()]
        inside = {name: value for name, value in utterance.attributes.items() if name not in outside}
        kept.append(replace(utterance, attributes=inside))
        seen.add(utterance.id)
    if dropped and not kept:
        first = dropped[0]
        raise DataError(
            f"none of {len(manifest):,} utterances can be used. The first: {first.place}: {first.message}"
        )
    return manifest.with_utterances(kept), dropped


def shared_speakers(manifest: Manifest, first: str, second: str) -> list[str]:
    """The speakers with utterances in both splits; a fair split has none. Unknown speakers do not count."""
    speakers = [{u.speaker for u in manifest.split(split) if u.speaker} for split in (first, second)]
    return sorted(speakers[0] & speakers[1])


def _faults(manifest: Manifest, utterance: Utterance, *, audio: bool) -> list[str]:
    unfit = unfit_name(utterance)
    faults: list[str] = [unfit] if unfit else []
    for name in dict.fromkeys([*utterance.votes, utterance.emotion or OTHER]):
        try:
            if name != OTHER:
                manifest.labels.index(name)
        except LabelError as error:
            faults.append(str(error))
    if any(not 0 <= count < math.inf for count in utterance.votes.values()):
        faults.append(f"votes {dict(utterance.votes)}: a count must be a finite number, 0 or more")
    if (
        not 0 <= utterance.start < math.inf
        or not 0 < (utterance.duration or 1.0) < math.inf
        or utterance.duration == 0
    ):
        faults.append(f"start {utterance.start} s must be >= 0 and duration {utterance.duration} s > 0")
    try:
        path = manifest.audio_path(utterance)
        if audio and not path.is_file():
            faults.append(f"there is no recording {path}{of_windows(path)}")
    except DataError as error:
        faults.append(str(error))
    return faults


def _attribute_faults(manifest: Manifest, utterance: Utterance) -> dict[str, str]:
    faults: dict[str, str] = {}
    for name, value in utterance.attributes.items():
        if name not in manifest.ranges:
            faults[name] = f"attribute {name!r} is not in the header. {did_you_mean(name, manifest.ranges)}".strip()
            continue
        low, high = manifest.ranges[name]
        if not low <= value <= high:
            faults[name] = f"{name} {value} is outside {low:g} to {high:g}"
    return faults
