"""The classes of a manifest become those of a label map: labels, votes, and what was merged or left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sertk.data.label_map import LabelMap
from sertk.data.labels import OTHER, LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import Fault, LabelError
from sertk.tables import Table


@dataclass(frozen=True)
class ClassCount:
    """What became of one class: the utterances of this label, and the votes. becomes: None where it was left out."""

    name: str
    becomes: str | None
    utterances: int
    votes: float


@dataclass(frozen=True)
class MapReport:
    """What a label map did to a corpus.

    classes: one row for each class before. left_out: the utterances whose label is left out. decided_anew: how many
    have another label by their votes after classes were merged than by their label before. labels: afterwards.
    """

    corpus: str
    map: str
    labels: LabelSet
    classes: Sequence[ClassCount]
    left_out: Sequence[Fault] = ()
    decided_anew: int = 0

    def table(self) -> Table:
        """One row for each class before."""
        rows = [(c.name, c.becomes or "left out", c.utterances, f"{c.votes:g}") for c in self.classes]
        return Table(("class", "becomes", "utterances", "votes"), rows, f"{self.corpus} by {self.map}", align="llr")

    def remarks(self) -> list[str]:
        """What the table does not show."""
        sources: dict[str, list[str]] = defaultdict(list)
        for one in self.classes:
            sources[one.becomes or ""].append(one.name)
        lines = [f"merged into {to}: {', '.join(names)}" for to, names in sources.items() if to and len(names) > 1]
        if self.decided_anew:
            lines.append(f"{self.decided_anew:,} labels are other ones by the votes of merged classes")
        if absent := [name for name in self.labels.names if name not in sources]:
            lines.append(f"no class became {', '.join(absent)}")
        return lines

    def summary(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "corpus": self.corpus,
            "map": self.map,
            "classes": [vars(one) for one in self.classes],
            "left_out": len(self.left_out),
            "decided_anew": self.decided_anew,
        }


def map_labels(manifest: Manifest, map: LabelMap) -> tuple[Manifest, MapReport]:
    """The same corpus with the classes of a map, and what was done.

    Votes of merged classes add up; those of classes that are left out count as `Other`. A label that is the most
    frequent vote, or none in a tie, is decided anew by the votes after merging; any other one is mapped. Utterances
    whose label is left out are left out. The raters' own rows stay as they are.

    Raises LabelError for a class that the map does not name, and for labels that are not of the manifest's set.
    """
    try:
        map.check(manifest.labels)
    except LabelError as error:
        raise LabelError(f"{manifest.corpus}: {error}") from None
    kept: list[Utterance] = []
    left_out: list[Fault] = []
    labels: Counter[str] = Counter()
    votes: Counter[str] = Counter()
    anew = 0
    for utterance in manifest:
        _check(utterance, manifest.labels)
        labels.update([utterance.emotion] if utterance.emotion else [])
        votes.update(utterance.votes)
        label = _label(utterance, map)
        if label is not None and label not in map.labels.names and label != OTHER:
            left_out.append(Fault(utterance.id, f"the class {label} is left out"))
            continue
        anew += label != (map[utterance.emotion] if utterance.emotion else None)
        kept.append(replace(utterance, emotion=label, votes=_added(utterance.votes, map)))
    names = (*manifest.labels.names, *([OTHER] if labels[OTHER] or votes[OTHER] else []))
    counts = [ClassCount(name, map[name], labels[name], float(votes[name])) for name in names]
    note = "; ".join(part for part in (manifest.note, f"classes by the map {map.name}") if part)
    mapped = replace(manifest, labels=map.labels, utterances=tuple(kept), note=note)
    return mapped, MapReport(manifest.corpus, map.name, map.labels, counts, left_out, anew)


def _label(utterance: Utterance, map: LabelMap) -> str | None:
    """The label by the map: of the set, `Other`, none, or its own name where it is left out."""
    if utterance.votes and utterance.emotion == _most_voted(utterance.votes):
        merged: Counter[str] = Counter()
        for name, count in utterance.votes.items():
            merged[map[name] or name] += count  # type: ignore[assignment]
        return _most_voted(merged)
    return utterance.emotion and (map[utterance.emotion] or utterance.emotion)


def _most_voted(votes: Mapping[str, float]) -> str | None:
    """The class with most votes, None in a tie."""
    most = max(votes.values())
    winners = [name for name, count in votes.items() if count >= most - 1e-9]
    return winners[0] if len(winners) == 1 else None


def _added(votes: Mapping[str, float], map: LabelMap) -> dict[str, float]:
    """Votes by class of the map, in its order; those of classes that are left out are for `Other`."""
    sums: dict[str, float] = {}
    for name, count in votes.items():
        to = map[name] or OTHER
        sums[to] = sums.get(to, 0.0) + count
    return {name: sums[name] for name in (*map.labels.names, OTHER) if name in sums}


def _check(utterance: Utterance, labels: LabelSet) -> None:
    for name in {*utterance.votes, utterance.emotion or OTHER} - {OTHER}:
        try:
            labels.index(name)
        except LabelError as error:
            raise LabelError(f"utterance {utterance.id}: {error} `sertk data fix` drops such utterances") from None
