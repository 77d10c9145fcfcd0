"""The files that a timeline is written to, by the name of their format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sertk.timelines.spans import Span, Timeline

FORMAT = 1


@dataclass(frozen=True)
class Writer:
    """A format. ending: of its files. text: the content of a file."""

    ending: str
    text: Callable[[Timeline], str]


def row(span: Span, labels: Iterable[str], attribute_names: Iterable[str]) -> dict[str, object]:
    """A span as JSON values, without what it does not have."""
    found: dict[str, object] = {"start_s": round(span.start_s, 3), "end_s": round(span.end_s, 3), "state": span.state}
    found |= {"label": span.label, "speaker": span.speaker, "text": span.text}
    found |= {"posterior": _by_name(labels, span.posterior)}
    found |= {"attributes": _by_name(attribute_names, span.attributes)}
    return {name: value for name, value in found.items() if value not in (None, {})}


def _by_name(names: Iterable[str], values: Iterable[float] | None) -> dict[str, float]:
    return {name: round(value, 6) for name, value in zip(names, values or (), strict=False)}


def _jsonl(timeline: Timeline) -> str:
    """A header with what all spans share and the curve of the attributes, then one line per span."""
    head = {"sertk_timeline": FORMAT, "recording": timeline.recording, "duration_s": round(timeline.duration_s, 3)}
    ranges = dict(zip(timeline.attribute_names, timeline.ranges, strict=True))
    curve = {name: [round(at[n], 6) for at in timeline.curve.values] for n, name in enumerate(ranges)}
    curve = {"times_s": [round(time, 3) for time in timeline.curve.times_s], **curve}
    lines = [head | {"labels": timeline.labels, "ranges": ranges, "curve": curve}]
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in (*lines, *_rows(timeline)))


def _rows(timeline: Timeline) -> Iterable[dict[str, object]]:
    return (row(span, timeline.labels, timeline.attribute_names) for span in timeline.spans)


def _csv(timeline: Timeline) -> str:
    """One line per span: times, state, label, probabilities by class, attributes."""
    out = io.StringIO()
    columns = ("start_s", "end_s", "state", "label", "speaker", "text", *timeline.labels, *timeline.attribute_names)
    table = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    for found in _rows(timeline):
        table.writerow(found | found.pop("posterior", {}) | found.pop("attributes", {}))  # type: ignore[operator]
    return out.getvalue()


WRITERS = {"jsonl": Writer(".jsonl", _jsonl), "csv": Writer(".csv", _csv)}
