"""Spans of a recording and what they come to over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sertk.errors import DataError

State = Literal["emotion", "unsure", "no speech"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Span:
    """A part of a recording with its emotion. Raises DataError for times and states that do not go together.

    state: `emotion`, which has a label where the model has classes; `unsure`; or `no speech`. posterior: by class.
    attributes: by name. Both are in the order of the timeline. speaker, text: where known.
    """

    start_s: float
    end_s: float
    state: State
    label: str | None = None
    posterior: tuple[float, ...] | None = None
    attributes: tuple[float, ...] | None = None
    speaker: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no span."""
        if not (0 <= self.start_s < self.end_s < math.inf):
            raise DataError(f"a span from {self.start_s} to {self.end_s} s: needs 0 <= start < end")
        if self.state not in STATES:
            raise DataError(f"a span with the state {self.state!r}: choose of {', '.join(STATES)}")
        if (self.state == "emotion" and bool(self.posterior)) > (self.label is not None) or (
            self.label is not None and self.state != "emotion"
        ):
            raise DataError(
                f"a span from {self.start_s:g} to {self.end_s:g} s with the state {self.state!r} and the label "
                f"{self.label!r}: spans with an emotion have a label, others have none"
            )

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Curve:
    """Attributes over time. times_s: (T,) in order. values: (T,) of (A,), in the order of the timeline's names."""

    times_s: tuple[float, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The emotion over time of a recording. Raises DataError for spans that do not fit it.

    recording: its path or name. ranges: (lowest, highest) of each attribute. spans: in the order of their starts;
    those of one speaker do not overlap. curve: attributes before spans were merged.
    """

    recording: str
    duration_s: float
    labels: tuple[str, ...]
    attribute_names: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    spans: tuple[Span, ...]
    curve: Curve = Curve()

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if len(self.ranges) != len(self.attribute_names):
            raise DataError(f"{self.recording}: {len(self.ranges)} ranges for {self.attribute_names}")
        last: dict[str | None, Span] = {}
        before = 0.0
        for span in self.spans:
            where = f"{self.recording}: the span from {span.start_s:g} to {span.end_s:g} s"
            if span.start_s < before:
                raise DataError(f"{where} comes after one that starts at {before:g} s: sort spans by their starts")
            before = span.start_s
            if span.speaker in last and span.start_s < last[span.speaker].end_s - 1e-3:
                raise DataError(f"{where} begins before the one ends that is before it, of the same speaker")
            last[span.speaker] = span
            if span.end_s > self.duration_s + 1e-3:
                raise DataError(f"{where} is outside of its {self.duration_s:g} s")
            if span.label is not None and span.label not in self.labels:
                raise DataError(f"{where} has the label {span.label!r}, which is not among {', '.join(self.labels)}")
            _check_width(where, "probabilities", span.posterior, self.labels)
            _check_width(where, "attributes", span.attributes, self.attribute_names)


def _check_width(where: str, what: str, values: Sequence[float] | None, names: Sequence[str]) -> None:
    if values is not None and len(values) != len(names):
        raise DataError(f"{where} has {len(values)} {what}, and there are {len(names)}: {', '.join(names)}")
