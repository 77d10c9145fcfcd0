"""What a timeline comes to: for the whole recording and for each speaker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sertk.tables import Table
from sertk.timelines.spans import Span, Timeline

WHOLE = "all"


def summary(timeline: Timeline) -> Table:
    """Seconds of speech, the share of each class and of "unsure" in them, and the means of the attributes.

    One row for the whole recording, then one for each speaker.
    """
    speakers = sorted({span.speaker for span in timeline.spans if span.speaker is not None})
    columns = ("speaker", "seconds", "speech_s", "spans", *timeline.labels, "unsure", *timeline.attribute_names)
    rows = [_row(WHOLE, timeline.duration_s, timeline.spans, timeline)]
    for speaker in speakers:
        spans = [span for span in timeline.spans if span.speaker == speaker]
        rows.append(_row(speaker, sum(span.seconds for span in spans), spans, timeline))
    return Table(columns, rows, align="lr")


def _row(name: str, seconds: float, spans: Sequence[Span], timeline: Timeline) -> list[object]:
    speech = [span for span in spans if span.state != "no speech"]
    total = sum(span.seconds for span in speech)
    by_label = dict.fromkeys((*timeline.labels, None), 0.0)
    for span in speech:
        by_label[span.label if span.state == "emotion" else None] += span.seconds
    shares = [part / total if total else None for part in by_label.values()]
    rated = [span for span in speech if span.attributes]
    means: list[float | None] = [None] * len(timeline.attribute_names)
    if rated:
        weights = [span.seconds for span in rated]
        means = np.average([span.attributes for span in rated], axis=0, weights=weights).tolist()
    return [name, round(seconds, 3), round(total, 3), len(speech), *map(_rounded, (*shares, *means))]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
