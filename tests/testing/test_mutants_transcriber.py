"""Transcribers broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from sertk.data.recording import Recording

Broken = Callable[..., set[str]]


class Sound:
    """A sound transcriber: says how long each recording is. Each mutant below changes one thing."""

    source = "made_up"

    def words(self, recording: Recording) -> str | None:
        return f"about {len(recording.waveform()) // 160} hundredths"

    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        return [self.words(recording) for recording in recordings]


class SortedByLength(Sound):
    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        return super().__call__(sorted(recordings, key=lambda recording: recording.seconds))


class SilenceLeftOut(Sound):
    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        return [words for words in super().__call__(recordings) if words and len(words) > 20]


class LeadingBlank(Sound):
    def words(self, recording: Recording) -> str | None:
        return f" about {recording.seconds}"


class OneAnswerForAll(Sound):
    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        return [self.words(max(recordings, key=lambda recording: recording.seconds))] * len(recordings)


class NeedsARecording(Sound):
    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        longest = max(recording.seconds for recording in recordings)
        return [self.words(recording) if longest else None for recording in recordings]


class RemembersWhatWasSaid(Sound):
    def __init__(self) -> None:
        self.said = 0

    def words(self, recording: Recording) -> str | None:
        self.said += 1
        return f"number {self.said}"


class RandomWords(Sound):
    def words(self, recording: Recording) -> str | None:
        return str(np.random.rand())


class NamesTheEmotion(Sound):
    def words(self, recording: Recording) -> str | None:
        return f"{super().words(recording)} {recording.utterance.emotion or ''}".strip()


class GeneratorForList(Sound):
    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        return (self.words(recording) for recording in recordings)


class NoSource(Sound):
    source = ""


class ScalesTheRecording(Sound):
    def words(self, recording: Recording) -> str | None:
        samples = recording.waveform()
        samples *= 0.5
        return super().words(recording)


class SortsTheList(Sound):
    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        recordings.sort(key=lambda recording: recording.seconds)
        return super().__call__(recordings)


def of(transcriber: type[Sound]) -> Callable[..., Sound]:
    def made_up() -> Sound:
        return transcriber()

    return made_up


MUTANTS = [
    (SortedByLength, "order"),
    (SilenceLeftOut, "one_answer"),
    (LeadingBlank, "plain_words"),
    (OneAnswerForAll, "neighbours"),
    (NeedsARecording, "no_recordings"),
    (RemembersWhatWasSaid, "repeatable"),
    (RandomWords, "repeatable"),
    (NamesTheEmotion, "labels"),
    (GeneratorForList, "one_answer"),
    (NoSource, "source"),
    (ScalesTheRecording, "input_unchanged"),
    (SortsTheList, "input_unchanged"),
]


def test_a_sound_transcriber_breaks_nothing(broken: Broken) -> None:
    assert broken("transcriber", of(Sound)) == set()


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Sound], contract: str) -> None:
    assert contract in broken("transcriber", of(mutant))
