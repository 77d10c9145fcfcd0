"""Several corpora as one manifest: ids and speakers with their corpus, one label set, one scale of each attribute."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sertk.data.label_map import LabelMap
from sertk.data.labels import OTHER
from sertk.data.manifest import Manifest, Utterance
from sertk.data.mapping import MapReport, map_labels
from sertk.errors import DataError, Fault
from sertk.tables import Table

Range = tuple[float, float]


@dataclass
class MergeReport:
    """What was merged. counts: utterances by corpus, language, class. faults: by kind. remarks: what was changed."""

    labels: Sequence[str]
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    maps: Sequence[MapReport] = ()
    remarks: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)

    def table(self) -> Table:
        """Utterances by corpus and language, a column for each class."""
        columns = [
            *self.labels,
            *(name for name in (OTHER, "no label") if any(key[2] == name for key in self.counts)),
        ]
        groups = dict.fromkeys(key[:2] for key in self.counts)
        rows = [
            (*group, sum(self.counts[*group, name] for name in columns), *(self.counts[*group, n] for n in columns))
            for group in groups
        ]
        return Table(("corpus", "language", "utterances", *columns), rows, align="llr")

    def summary(self) -> dict[str, Any]:
        """JSON values."""
        counts = [[*key, count] for key, count in self.counts.items()]
        return {"counts": counts, "maps": [one.summary() for one in self.maps], "remarks": self.remarks}


def merge(
    manifests: Sequence[Manifest],
    *,
    names: Sequence[str] = (),
    map: LabelMap | None = None,
    scale: Range | None = None,
) -> tuple[Manifest, MergeReport]:
    """Join corpora. Splits and folds stay: fold 1 tests on fold 1 of each.

    names: of the corpora, where they are not those of the manifests. map: of their classes; not needed for equal
    label sets. scale: of all attributes; by default that of the first corpus with the attribute.

    Raises DataError for a name twice, other label sets without a map, and attributes that cannot be joined.
    """
    if len(manifests) < 2:
        raise DataError("give two manifests or more to merge")
    names = _names(manifests, names)
    maps: list[MapReport] = []
    if map is not None:
        mapped = [map_labels(one, map) for one in manifests]
        manifests, maps = [one for one, _ in mapped], [report for _, report in mapped]
    elif len({frozenset(one.labels.names) for one in manifests}) > 1:
        listed = "; ".join(f"{n}: {', '.join(m.labels.names)}" for n, m in zip(names, manifests, strict=True))
        raise DataError(f"the corpora have other classes: give a label map with --map, such as six. {listed}")
    report = MergeReport(manifests[0].labels.names, maps=maps)
    if map is not None:
        left_out = [Fault(f"{n}-{f.place}", f.message) for n, r in zip(names, maps, strict=True) for f in r.left_out]
        report.faults |= {"left out": left_out} if left_out else {}
    ranges = _ranges(manifests, names, scale, report)
    utterances: list[Utterance] = []
    for name, manifest in zip(names, manifests, strict=True):
        utterances += [_renamed(u, name, manifest.ranges, ranges) for u in manifest.located()]
    _look(utterances, names, report)
    note = "; ".join(f"{n}: {m.note}" for n, m in zip(names, manifests, strict=True) if m.note)
    whole = Manifest(" + ".join(names), manifests[0].labels, ranges, tuple(utterances), note)
    common = os.path.commonpath([one.folder.absolute() for one in manifests])
    folder = common if any(one.anchored for one in manifests) else os.path.relpath(common)
    return whole.based_in(Path(folder)), report


def _names(manifests: Sequence[Manifest], names: Sequence[str]) -> list[str]:
    if names and len(names) != len(manifests):
        raise DataError(f"{len(names)} names for {len(manifests)} corpora: give one for each with --names")
    chosen = [*names] or [one.corpus for one in manifests]
    if twice := [name for name, count in Counter(chosen).items() if count > 1]:
        raise DataError(f"two corpora are called {twice[0]}: give each a name of its own with --names")
    if bad := next((name for name in chosen if not name.strip() or {*"/\\"} & {*name}), None):
        raise DataError(f"{bad!r} cannot begin ids: give names without slashes with --names")
    return chosen


def _ranges(
    manifests: Sequence[Manifest], names: Sequence[str], scale: Range | None, report: MergeReport
) -> dict[str, Range]:
    """The range of each attribute afterwards. What is converted or missing is remarked."""
    if scale is not None and not scale[0] < scale[1]:
        raise DataError(f"the range {scale[0]:g} to {scale[1]:g} has nothing in it")
    ranges: dict[str, Range] = {}
    spelled: dict[str, str] = {}
    for name, manifest in zip(names, manifests, strict=True):
        for attribute, (low, high) in manifest.ranges.items():
            first = spelled.setdefault(attribute.casefold(), attribute)
            if first != attribute:
                raise DataError(f"{name} has the attribute {attribute!r} and another corpus {first!r}: rename one")
            to = ranges.setdefault(attribute, scale or (low, high))
            if scale is None and (high < to[0] or to[1] < low):
                raise DataError(
                    f"{attribute} is from {low:g} to {high:g} in {name}, from {to[0]:g} to {to[1]:g} before: these "
                    f"do not overlap. If both are right, give the range to convert them to with --range"
                )
            if (low, high) != to:
                report.remarks.append(
                    f"{attribute} of {name} converted from {low:g} to {high:g} to {to[0]:g} to {to[1]:g}"
                )
    for attribute in ranges:
        lacking = [name for name, one in zip(names, manifests, strict=True) if attribute not in one.ranges]
        if lacking:
            report.remarks.append(f"no {attribute} in {', '.join(lacking)}")
    return ranges


def _renamed(u: Utterance, name: str, before: Mapping[str, Range], after: Mapping[str, Range]) -> Utterance:
    def converted(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: _linear(value, before[key], after[key]) if key in before else value for key, value in values.items()
        }

    return replace(
        u,
        id=f"{name}-{u.id}",
        speaker=u.speaker and f"{name}-{u.speaker}",
        source_id=u.source_id and f"{name}-{u.source_id}",
        corpus=u.corpus or name,
        attributes=converted(u.attributes),
        raters=tuple(converted(row) for row in u.raters),
    )


def _linear(value: float, before: Range, after: Range) -> float:
    if before == after:
        return value
    share = (float(value) - before[0]) / (before[1] - before[0])
    return round(after[0] + share * (after[1] - after[0]), 9)


def _look(utterances: Sequence[Utterance], names: Sequence[str], report: MergeReport) -> None:
    """Count, and look for what is in two corpora, and for corpora without splits or folds where others have them."""
    ids = Counter(u.id for u in utterances)
    if twice := [id for id, count in ids.items() if count > 1]:
        raise DataError(f"the id {twice[0]} occurs twice: give other names with --names, or see `sertk data audit`")
    places: dict[tuple[str, float], list[Utterance]] = defaultdict(list)
    for u in utterances:
        places[os.path.realpath(u.audio), u.start].append(u)
        report.counts[u.corpus or "", u.language or "unknown", u.emotion or "no label"] += 1
    same = [found for found in places.values() if len({u.corpus for u in found}) > 1]
    if same:
        report.faults["recording in two corpora"] = [
            Fault(found[0].id, f"has the same sound as {', '.join(u.id for u in found[1:])}; all kept")
            for found in same
        ]
    for what in ("split", "fold"):
        having = {u.corpus for u in utterances if getattr(u, what)}
        lacking = sorted({u.corpus or "" for u in utterances if u.corpus not in having})
        if having and lacking:
            report.remarks.append(f"no {what} in {', '.join(lacking)}")
