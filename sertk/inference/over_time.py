"""From a recording to emotion over time: segments, the model on each, smoothing, equal neighbours merged."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sertk.contracts import Segmenter
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.data.sound import Segment, Sound
from sertk.errors import Fault, MissingWordsWarning, SpeakerWarning
from sertk.inference.model import Model
from sertk.timelines.spans import Span

BATCH_SECONDS = 120.0
BATCH_SEGMENTS = 32
SAME_TIME_S = 1e-3
"""Times that differ by less are the same."""


@dataclass(frozen=True)
class Rules:
    """How the results of segments become spans.

    smooth_s: posteriors and attributes are means over the segments of a speaker whose middles are nearer than this,
    weighted by nearness (a triangle) and duration; 0 leaves them as they are. confidence: below this probability of
    the likeliest class a span is "unsure". shortest_s: a shorter span joins the one before it, or the next one where
    none touches it.
    """

    smooth_s: float = 3.0
    confidence: float = 0.3
    shortest_s: float = 0.5


def results(
    model: Model,
    sound: Sound,
    segmenter: Segmenter,
    *,
    at_once: int = BATCH_SEGMENTS,
    remark: Callable[[Fault], None] = lambda _: None,
) -> Iterator[Span]:
    """The model's result for each segment, in order, and "no speech" for what is between segments.

    at_once: segments in a batch; 1 for a stream. remark: called with segments that the model cannot read, which are
    "unsure". Segments are encoded alone: no other sound changes a result.
    """
    covered, first = 0.0, True
    for batch in _batches(sound, segmenter, at_once):
        for span in _predicted(model, batch, quiet=not first, remark=remark):
            if span.start_s > covered + SAME_TIME_S:
                yield Span(covered, span.start_s, "no speech")
            covered = max(covered, span.end_s)
            yield span
        first = False
    sound.skip()
    if sound.received_s > covered + SAME_TIME_S:
        yield Span(covered, sound.received_s, "no speech")


def _batches(sound: Sound, segmenter: Segmenter, at_once: int) -> Iterator[list[tuple[Segment, Recording | None]]]:
    """Segments with what the model reads of each; None for those without speech."""
    batch: list[tuple[Segment, Recording | None]] = []
    seconds = 0.0
    for number, segment in enumerate(segmenter(sound)):
        start, end = segment.read_s
        recording = None
        if segment.speech:
            utterance = Utterance(id=str(number), audio=sound.name, text=segment.text)
            recording = Recording(utterance, given={sound.sample_rate: sound.cut(start, end)})
            seconds += end - start
        sound.forget(start)
        batch.append((segment, recording))
        if len(batch) >= at_once or seconds >= BATCH_SECONDS:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch


def _predicted(
    model: Model,
    batch: Sequence[tuple[Segment, Recording | None]],
    *,
    quiet: bool,
    remark: Callable[[Fault], None],
) -> Iterator[Span]:
    """A span for each segment. quiet: warnings of the whole model were given before."""
    recordings = [recording for _, recording in batch if recording is not None]
    found = {}
    if model.reads_text and not quiet and not all(recording.utterance.text for recording in recordings):
        message = f"{model.checkpoint.card.name} also reads words, and the parts of the recording have none"
        warnings.warn(message, MissingWordsWarning, stacklevel=2)
    if recordings:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingWordsWarning)  # which counts recordings
            if quiet:
                warnings.simplefilter("ignore", SpeakerWarning)
            predictions, faults = model.predict_recordings(recordings)
        rows = zip(predictions.emotion.tolist(), predictions.attributes.tolist(), strict=True)
        found = dict(zip(predictions.ids, rows, strict=True))
        segments = {recording.id: segment for segment, recording in batch if recording is not None}
        for fault in faults:
            of = segments[fault.place]
            remark(Fault(f"{of.start_s:.3f}-{of.end_s:.3f} s", fault.message))
    for segment, recording in batch:
        span = Span(segment.start_s, segment.end_s, "no speech", speaker=segment.speaker, text=segment.text)
        if recording is not None and recording.id in found:
            posterior, attributes = found[recording.id]
            labels = model.checkpoint.card.labels
            label = labels[int(np.argmax(posterior))] if labels else None
            span = replace(
                span, state="emotion", label=label, posterior=tuple(posterior), attributes=tuple(attributes)
            )
        elif recording is not None:
            span = replace(span, state="unsure")
        yield span


def decided(spans: Iterable[Span], labels: Sequence[str], rules: Rules) -> Iterator[Span]:
    """Smooth results over time and decide the class of each, or "unsure"; each as soon as it is final."""
    waiting: deque[Span] = deque()  # not yet given
    near: deque[Span] = deque()  # all that may be near one that waits
    for span in spans:
        if rules.smooth_s == 0:
            yield _smoothed(span, [span], labels, rules)
            continue
        while waiting and span.start_s >= _middle(waiting[0]) + rules.smooth_s:
            yield _smoothed(waiting.popleft(), near, labels, rules)
        while waiting and near and near[0].end_s < waiting[0].start_s - rules.smooth_s:
            near.popleft()
        waiting.append(span)
        near.append(span)
    for span in waiting:
        yield _smoothed(span, near, labels, rules)


def _middle(span: Span) -> float:
    return (span.start_s + span.end_s) / 2


def _smoothed(span: Span, near: Iterable[Span], labels: Sequence[str], rules: Rules) -> Span:
    if span.posterior is None:
        return span
    weights, rows = [], []
    for other in near:
        apart = abs(_middle(other) - _middle(span))
        if other is span or (other.posterior and other.speaker == span.speaker and apart < rules.smooth_s):
            nearness = 1.0 if other is span else 1 - apart / rules.smooth_s
            weights.append(nearness * other.seconds)
            rows.append([*(other.posterior or ()), *(other.attributes or ())])
    values = np.average(rows, axis=0, weights=weights)  # (C + A,)
    span = replace(span, attributes=tuple(values[len(labels) :].tolist()))
    if not labels:
        return span
    posterior = values[: len(labels)] / values[: len(labels)].sum()
    sure = posterior.max() >= rules.confidence
    return replace(
        span,
        state="emotion" if sure else "unsure",
        label=labels[int(np.argmax(posterior))] if sure else None,
        posterior=tuple(posterior.tolist()),
    )


def merged(spans: Iterable[Span], shortest_s: float) -> list[Span]:
    """Join equal neighbours of each speaker, and spans that are too short with the one before or after."""
    by_speaker: dict[str | None, list[Span]] = {}
    for span in spans:
        by_speaker.setdefault(span.speaker, []).append(span)
    joined = [span for group in by_speaker.values() for span in _merged(group, shortest_s)]
    return sorted(joined, key=lambda span: (span.start_s, span.end_s, span.speaker or ""))


def _merged(spans: list[Span], shortest_s: float) -> list[Span]:
    found: list[Span] = []
    for span in _joined(spans):
        last = found[-1] if found else None
        if last is None or not _touch(last, span) or min(last.seconds, span.seconds) >= shortest_s:
            found.append(span)
        elif span.seconds < shortest_s:
            found[-1] = replace(last, end_s=span.end_s, text=_texts(last, span))
        else:  # the first of those that touch is too short
            found[-1] = replace(span, start_s=last.start_s, text=_texts(last, span))
    return _joined(found)


def _touch(one: Span, next_one: Span) -> bool:
    return abs(next_one.start_s - one.end_s) <= SAME_TIME_S


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Join neighbours that touch and are in the same state, of the same class; values are means by duration."""
    found: list[Span] = []
    for span in spans:
        last = found[-1] if found else None
        same = last is not None and (last.state, last.label) == (span.state, span.label) != ("emotion", None)
        if last is not None and same and _touch(last, span):
            weights = [last.seconds, span.seconds]
            found[-1] = replace(
                last,
                end_s=span.end_s,
                posterior=_mean(last.posterior, span.posterior, weights),
                attributes=_mean(last.attributes, span.attributes, weights),
                text=_texts(last, span),
            )
        else:
            found.append(span)
    return found


def _mean(
    one: tuple[float, ...] | None, other: tuple[float, ...] | None, weights: Sequence[float]
) -> tuple[float, ...] | None:
    if one is None or other is None:
        return one or other
    return tuple(np.average([one, other], axis=0, weights=weights).tolist())


def _texts(one: Span, other: Span) -> str | None:
    return " ".join(text for text in (one.text, other.text) if text) or None
