"""What a manifest and its recordings are like: shared speakers, duplicates, formats, agreement, tables by split.

All as plain dictionaries and lists, so that it can be written as JSON; missing values are None.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from sertk.data.agreement import interval_alpha, mean_entropy, nominal_alpha
from sertk.data.audio_stats import ODD, AudioStats
from sertk.data.concerns import Concern, concerns
from sertk.data.labels import OTHER
from sertk.data.manifest import Manifest, Utterance
from sertk.data.validation import validate

LISTED = 100
"""So many ids of one kind are listed; all are counted."""
QUARTILES = ("min", "lower", "median", "upper", "max")


def audit(manifest: Manifest, stats: Iterable[AudioStats] | None = None) -> dict[str, Any]:
    """Tell all there is to know of a manifest. stats: of its recordings, where they are to be looked at."""
    splits: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in manifest:
        splits[utterance.split or "none"].append(utterance)
    faults = validate(manifest)
    sound = None if stats is None else list(stats)
    return {
        "corpus": manifest.corpus,
        "note": manifest.note,
        "labels": list(manifest.labels.names),
        "utterances": len(manifest),
        "faults": {"count": len(faults), "listed": [[fault.place, fault.message] for fault in faults[:LISTED]]},
        "shared_speakers": shared_speakers(splits),
        "transcripts": transcripts(manifest),
        "recordings": None if sound is None else recordings(sound),
        "concerns": [_concern(one) for one in concerns(manifest, sound or ())],
        "agreement": agreement(manifest, manifest.utterances),
        "splits": {name: split_table(manifest, splits[name]) for name in sorted(splits)},
    }


def shared_speakers(splits: dict[str, list[Utterance]]) -> list[dict[str, Any]]:
    """The speakers that two splits share; unknown ones do not count."""
    speakers = {name: {u.speaker for u in utterances if u.speaker} for name, utterances in splits.items()}
    pairs = ((one, two, sorted(speakers[one] & speakers[two])) for one, two in combinations(sorted(splits), 2))
    return [{"splits": [one, two], "count": len(both), "listed": both[:LISTED]} for one, two, both in pairs if both]


def transcripts(manifest: Manifest) -> dict[str, Any]:
    """Whose words there are, and which utterances have none."""
    missing = [utterance.id for utterance in manifest if not utterance.text]
    sources = Counter(utterance.text_source or "unknown" for utterance in manifest if utterance.text)
    return {"sources": dict(sources), "missing": _listed(missing)}


def recordings(stats: Iterable[AudioStats]) -> dict[str, Any]:
    """Formats, unreadable recordings, the same samples under several ids, and all that is odd about the sound."""
    formats: Counter[str] = Counter()
    same: dict[str, list[str]] = defaultdict(list)
    bad: list[list[str]] = []
    odd: dict[str, list[str]] = {name: [] for name in ODD}
    for one in stats:
        if one.error is not None:
            bad.append([one.id, one.error])
            continue
        channels = "1 channel" if one.channels == 1 else f"{one.channels} channels"
        formats[f"{one.sample_rate} Hz, {channels}"] += 1
        for name, is_so in ODD.items():
            if is_so(one):
                odd[name].append(one.id)
        if not ODD["silent"](one):
            same[one.digest].append(one.id)
    duplicates = [ids for ids in same.values() if len(ids) > 1]
    return {
        "formats": dict(formats.most_common()),
        "duplicates": _listed(duplicates),
        "bad": _listed(bad),
        **{name: _listed(ids) for name, ids in odd.items()},
    }


def agreement(manifest: Manifest, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """How far the raters agree: alpha of the primary votes and of each attribute, and the entropy in bits."""
    names = (*manifest.labels.names, OTHER)
    column = {name: index for index, name in enumerate(names)}
    votes = np.zeros((len(utterances), len(names)))
    for row, utterance in enumerate(utterances):
        for name, count in utterance.votes.items():
            if name in column:
                votes[row, column[name]] += count
    alphas = {}
    for attribute in manifest.ranges:
        rated = [
            (float(rater[attribute]), row)
            for row, utterance in enumerate(utterances)
            for rater in utterance.raters
            if attribute in rater
        ]
        values = np.array([value for value, _ in rated], dtype=np.float64)
        alphas[attribute] = _number(interval_alpha(values, np.array([row for _, row in rated], dtype=np.int64)))
    voted = votes.sum(axis=1)
    return {
        "utterances": int((voted > 0).sum()),
        "votes_each": _number(voted[voted > 0].mean()) if voted.any() else None,
        "alpha": _number(nominal_alpha(votes)),
        "attribute_alpha": alphas,
        "entropy_bits": _number(mean_entropy(votes)),
    }


def split_table(manifest: Manifest, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Sizes, durations, classes by consensus, shares of the votes, and attributes of one split."""
    seconds = np.array([u.duration for u in utterances if u.duration is not None], dtype=np.float64)
    classes = Counter(u.emotion for u in utterances)
    votes: Counter[str] = Counter()
    for utterance in utterances:
        votes.update(utterance.votes)
    total = sum(votes.values())
    attributes = {}
    for name in manifest.ranges:
        values = np.array([u.attributes[name] for u in utterances if name in u.attributes])
        spread = {"mean": _number(values.mean()), "std": _number(values.std())} if len(values) else {}
        attributes[name] = {"count": len(values), **spread}
    quartiles = np.quantile(seconds, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(seconds) else []
    return {
        "utterances": len(utterances),
        "speakers": len({u.speaker for u in utterances if u.speaker}),
        "unknown_speaker": sum(u.speaker is None for u in utterances),
        "genders": dict(Counter(u.gender or "unknown" for u in utterances).most_common()),
        "hours": _number(seconds.sum() / 3600) if len(seconds) else None,
        "seconds": dict(zip(QUARTILES, map(_number, quartiles), strict=False)),
        "classes": {name: classes[name] for name in (*manifest.labels.names, OTHER)} | {"no label": classes[None]},
        "vote_shares": {name: _number(votes[name] / total) for name in (*manifest.labels.names, OTHER)}
        if total
        else {},
        "attributes": attributes,
        "agreement": agreement(manifest, utterances),
    }


def _concern(one: Concern) -> dict[str, Any]:
    return {"kind": one.kind, "message": one.message, **_listed([*one.cases])}


def _listed(cases: list[Any]) -> dict[str, Any]:
    return {"count": len(cases), "listed": cases[:LISTED]}


def _number(value: float) -> float | None:
    """A number that JSON has, to six digits: NaN becomes None."""
    return None if math.isnan(value) else float(f"{value:.6g}")
