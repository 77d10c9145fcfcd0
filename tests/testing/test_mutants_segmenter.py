"""Segmenters broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from sertk.data.sound import Segment, Sound
from sertk.segmenters.windows import Windows

Broken = Callable[..., set[str]]


class PastTheEnd(Windows):
    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        for segment in super().__call__(sound):
            yield replace(segment, end_s=segment.end_s + 0.5) if sound.ended else segment


class LastFirst(Windows):
    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        yield from reversed([*super().__call__(sound)])


class OnePerBlock(Windows):
    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        done = 0.0
        for _ in sound.blocks():
            yield Segment(done, sound.received_s)
            done = sound.received_s


class LooksAhead(Windows):
    """Calls speech what is louder than the whole recording's mean."""

    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        segments = [*super().__call__(sound)]
        samples = sound.cut(0, sound.received_s)
        for segment in segments:
            part = samples[round(segment.start_s * 16_000) : round(segment.end_s * 16_000)]
            yield replace(segment, speech=bool(np.square(part).mean() > np.square(samples).mean()))


class PromisesTooMuch(Windows):
    @property
    def lag_s(self) -> float:
        return 0.0

    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        held: list[Segment] = []
        for segment in super().__call__(sound):
            held.append(segment)
            if len(held) > 2:
                yield held.pop(0)
        yield from held


class SilentInSilence(Windows):
    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        held: list[Segment] = []
        for segment in super().__call__(sound):
            held.append(segment)
            if segment.speech or sound.ended:
                yield from held
                held = []
        yield from held


class RandomTimes(Windows):
    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        for segment in super().__call__(sound):
            yield replace(segment, end_s=segment.end_s - 0.1 * np.random.rand())


class NeedsASecond(Windows):
    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        for segment in super().__call__(sound):
            yield (
                replace(segment, end_s=max(segment.end_s, segment.start_s + 1.0)) if not segment.start_s else segment
            )


def of(segmenter: type[Windows]) -> Callable[..., Windows]:
    def made_up() -> Windows:
        return segmenter()

    return made_up


MUTANTS = [
    (PastTheEnd, "inside"),
    (LastFirst, "order"),
    (OnePerBlock, "blocks"),
    (LooksAhead, "causal"),
    (PromisesTooMuch, "lag"),
    (SilentInSilence, "memory"),
    (RandomTimes, "repeatable"),
    (NeedsASecond, "short_input"),
]


def test_a_segmenter_as_it_should_be_breaks_nothing(broken: Broken) -> None:
    assert broken("segmenter", of(Windows)) == set()


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Windows], contract: str) -> None:
    assert contract in broken("segmenter", of(mutant))
