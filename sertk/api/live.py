"""The emotion of a stream, as it arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sertk.api.remarks import warn
from sertk.api.timeline import rules_of
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.contracts import Segmenter
from sertk.data.stream import Encoding, StreamFormat, stream_sound
from sertk.inference.model import Model, load
from sertk.inference.over_time import Rules, decided, results
from sertk.ready import model_folder
from sertk.registry import segmenters
from sertk.timelines.formats import row
from sertk.timelines.spans import Span


@dataclass(frozen=True)
class LiveSpan:
    """A span of a stream. lag_s: how much sound had come after its end when it was final, in seconds."""

    span: Span
    lag_s: float
    labels: tuple[str, ...]
    attribute_names: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """JSON values."""
        return row(self.span, self.labels, self.attribute_names) | {"lag_s": round(self.lag_s, 3)}


def live(
    model: str | Path | Model,
    stream: BinaryIO,
    *,
    sample_rate: int = 16_000,
    channels: int = 1,
    encoding: Encoding = "s16le",
    segmenter: str = "windows",
    smooth: float = Rules.smooth_s,
    confidence: float | None = None,
    device: str = "auto",
    stall: float = 10.0,
    **options: Any,
) -> Iterator[LiveSpan]:
    """Give the emotion of a stream as it arrives: a span for each segment, as soon as it is final.

    Spans are those of `timeline` before equal neighbours are merged.

    Parameters
    ----------
    model
        The folder of a trained model or ensemble, the name of a ready one, or a model from `sertk.load`.
    stream
        Open for reading bytes, such as `sys.stdin.buffer`: raw samples, or a WAV file with its header.
    sample_rate, channels, encoding
        Of raw samples: in Hz, and `u8`, `s16le`, `s32le` or `f32le`.
    segmenter, smooth, confidence, options
        As for `timeline`. What is smoothed waits for the sound that comes after it.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    stall
        Seconds without sound after which a SertkWarning says so.

    Yields
    ------
    LiveSpan
        In order.

    Raises
    ------
    SertkError
        AudioError for a stream that is not sound; else as `timeline`.
    """
    component: Segmenter = build(segmenters, Use(use=segmenter, **options))
    loaded = model if isinstance(model, Model) else load(model_folder(model), device=device)
    sound = stream_sound(stream, StreamFormat(sample_rate, channels, encoding), remark=warn, stall_s=stall)
    rules = rules_of(loaded.checkpoint.folder, smooth, confidence)
    found = results(loaded, sound, component, at_once=1, remark=lambda fault: warn(f"{fault.place}: {fault.message}"))
    card = loaded.checkpoint.card
    for span in decided(found, card.labels, rules):
        lag = max(0.0, sound.received_s - span.end_s)
        yield LiveSpan(span, lag, tuple(card.labels), tuple(card.ranges))
