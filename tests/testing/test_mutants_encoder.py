"""Encoders broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sertk.data.recording import Recording
from sertk.files import sha256_json
from sertk.tensors import Padded

Broken = Callable[..., set[str]]
HOP = 400


class Sound(nn.Module):
    """A sound encoder: mean and peak of every 25 ms, mapped. Each mutant below changes one thing."""

    modality, batching, challenge_legal = "speech", "padded", True
    frames_per_second = 16_000 / HOP

    def __init__(self, dim: int, power: float = 1.0, smooth: bool = False) -> None:
        super().__init__()
        self.dim, self.power, self.smooth = dim, power, smooth
        self.fingerprint = sha256_json(["made_up", *self.deciding()])
        self.linear = nn.Linear(2, dim)
        with torch.no_grad():
            self.linear.weight.copy_(torch.linspace(-1, 1, 2 * dim).view(dim, 2))
            self.linear.bias.zero_()
        self.requires_grad_(False).eval()

    def deciding(self) -> list[object]:
        return [self.dim, self.power, self.smooth]

    def prepare(self, recording: Recording) -> Tensor:
        samples = torch.from_numpy(recording.waveform().copy())
        short = max(HOP - len(samples), 0)
        frames = nn.functional.pad(samples, (0, short)).unfold(0, HOP, HOP)  # (T, HOP)
        values = torch.stack([frames.abs().mean(1), frames.abs().amax(1)], dim=1) ** self.power  # (T, 2)
        return (values + values.roll(1, dims=0)) / 2 if self.smooth else values

    def forward(self, inputs: Padded) -> Padded:
        return Padded(self.linear(inputs.data) * inputs.mask[:, :, None], inputs.lengths)


class DimLiedAbout(Sound):
    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.dim += 1


class RateLiedAbout(Sound):
    frames_per_second = 100.0


class NormalisedOverThePadding(Sound):
    def forward(self, inputs: Padded) -> Padded:
        made = super().forward(inputs)
        return Padded(made.data - made.data.mean(dim=1, keepdim=True), made.lengths)


class RandomFingerprint(Sound):
    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.fingerprint = str(id(self.linear.weight))


class FingerprintOfTheNameAlone(Sound):
    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.fingerprint = sha256_json("made_up")


class FingerprintOfTheInputs(Sound):
    """Random weights behind a fingerprint that says they are always the same."""

    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.linear = nn.Linear(2, self.dim).requires_grad_(False).eval()


class NoFrameOfShortRecordings(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording)[: len(recording.waveform()) // HOP]


class LearnsAlong(Sound):
    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.requires_grad_(True)


class DropoutLeftOn(Sound):
    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.dropout = nn.Dropout(0.5).train()

    def forward(self, inputs: Padded) -> Padded:
        made = super().forward(inputs)
        return Padded(self.dropout(made.data), made.lengths)


class ScalesTheRecording(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        samples = recording.waveform()
        samples /= abs(samples).max()
        return super().prepare(recording)


class StateKeptBetweenBatches(Sound):
    seen = 0.0

    def forward(self, inputs: Padded) -> Padded:
        made = super().forward(inputs)
        self.seen = 0.9 * self.seen + 0.1 * float(made.data.mean())
        return Padded(made.data - self.seen, made.lengths)


class NeedsWords(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording) + len(recording.utterance.text.split())


class UnknownModality(Sound):
    modality = "audio"


class BareTensor(Sound):
    def forward(self, inputs: Padded) -> Tensor:
        return super().forward(inputs).data


class PowerNotInTheFingerprint(Sound):
    def deciding(self) -> list[object]:
        return [self.dim, self.smooth]


class SmoothingNotInTheFingerprint(Sound):
    def deciding(self) -> list[object]:
        return [self.dim, self.power]


class PowerCountsBesideSmoothingAlone(Sound):
    """Without `smooth` the power does nothing, so that only both together show it."""

    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.power = self.power if self.smooth else 1.0

    def deciding(self) -> list[object]:
        return [self.dim, self.smooth]


class ReadsTheWords(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording) + len((recording.utterance.text or "").split())


class ReadsBoth(ReadsTheWords):
    """Sound, for it says so."""

    reads = ("audio", "text")


class PretendsToReadTheWords(Sound):
    reads = ("audio", "text")


class ReadsTheSpeaker(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording) + len(recording.utterance.speaker or "")


class ReadsTheVotes(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording) + sum(recording.utterance.votes.values())


class ReadsTheFileBeside(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        beside = Path(recording.utterance.audio).with_suffix(".txt")
        return super().prepare(recording) + float(beside.is_file())


class ReadsText(Sound):
    """A sound encoder of words: two numbers for each, mapped."""

    modality, frames_per_second = "text", 0.0

    def words(self, recording: Recording) -> list[str]:
        return (recording.utterance.text or "").split() or [""]

    def prepare(self, recording: Recording) -> Tensor:
        words = self.words(recording)
        values = torch.tensor([[len(word), sum(map(ord, word)) / 1000] for word in words])  # (T, 2)
        return values**self.power + self.smooth


class ReadsTextAndSound(ReadsText):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording) + abs(recording.waveform()).mean()


class ReadsTextAndDuration(ReadsText):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording) + recording.seconds


class ReadsOneWord(ReadsText):
    reads = "text"


class FirstFrames(Sound):
    """Gives as many frames as there should be."""

    def prepare(self, recording: Recording) -> Tensor:
        values = super().prepare(recording)
        return torch.cat([values[:100], values[:1].expand(max(len(values) - 100, 0), 2)])


class MeanOfTheFirstFrames(Sound):
    frames_per_second = 0.0

    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording)[:100].mean(dim=0, keepdim=True)


class FirstWords(ReadsText):
    def words(self, recording: Recording) -> list[str]:
        return super().words(recording)[:100]


class FirstWordsRemarked(FirstWords):
    """Sound, for it says so."""

    def words(self, recording: Recording) -> list[str]:
        if len((recording.utterance.text or "").split()) > 100:
            recording.remark("words behind the first hundred were left out")
        return super().words(recording)


class FirstFramesBesideAllWords(ReadsBoth):
    def prepare(self, recording: Recording) -> Tensor:
        values = super().prepare(recording)
        return torch.cat([values[:100], values[:1].expand(max(len(values) - 100, 0), 2)])


class StatisticsOfTheBatch(Sound):
    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.normalise = nn.BatchNorm1d(self.dim, affine=False, track_running_stats=False).eval()

    def forward(self, inputs: Padded) -> Padded:
        made = super().forward(inputs)
        return Padded(self.normalise(made.data.mT).mT, made.lengths)


def of(encoder: type[Sound]) -> Callable[..., Sound]:
    def made_up(*, dim: int = 6, power: float = 1.0, smooth: bool = False) -> Sound:
        return encoder(dim, power, smooth)

    return made_up


MUTANTS = [
    (DimLiedAbout, "card"),
    (RateLiedAbout, "card"),
    (NormalisedOverThePadding, "neighbours"),
    (RandomFingerprint, "fingerprint"),
    (FingerprintOfTheNameAlone, "fingerprint"),
    (FingerprintOfTheInputs, "builds_agree"),
    (NoFrameOfShortRecordings, "short_input"),
    (LearnsAlong, "frozen"),
    (DropoutLeftOn, "frozen"),
    (ScalesTheRecording, "input_unchanged"),
    (StateKeptBetweenBatches, "frozen"),
    (NeedsWords, "short_input"),
    (NeedsWords, "reads"),
    (UnknownModality, "card"),
    (BareTensor, "output"),
    (ReadsOneWord, "reads"),
    (PretendsToReadTheWords, "reads"),
    (StatisticsOfTheBatch, "neighbours"),
]
CAUGHT_ONCE = [
    (PowerNotInTheFingerprint, "fingerprint"),
    (SmoothingNotInTheFingerprint, "fingerprint"),
    (ReadsTheWords, "reads"),
    (ReadsTheSpeaker, "reads"),
    (ReadsTheVotes, "reads"),
    (ReadsTheFileBeside, "reads"),
    (ReadsTextAndSound, "reads"),
    (ReadsTextAndDuration, "reads"),
    (FirstFrames, "long_recordings"),
    (MeanOfTheFirstFrames, "long_recordings"),
    (FirstWords, "long_recordings"),
    (FirstFramesBesideAllWords, "long_recordings"),
]
"""Mutants that break one contract alone: nothing else would catch them."""
SOUND = [Sound, ReadsText, ReadsBoth, FirstWordsRemarked]


@pytest.mark.parametrize("encoder", SOUND)
@pytest.mark.parametrize("other", [{}, {"dim": 7}, {"dim": 7, "power": 2.0, "smooth": True}])
def test_a_sound_encoder_breaks_nothing(broken: Broken, encoder: type[Sound], other: dict[str, Any]) -> None:
    assert broken("encoder", of(encoder), other=other) == set()


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[f"{m.__name__}-{c}" for m, c in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Sound], contract: str) -> None:
    assert contract in broken("encoder", of(mutant), other={"dim": 7})


@pytest.mark.parametrize(("mutant", "contract"), CAUGHT_ONCE, ids=[m.__name__ for m, _ in CAUGHT_ONCE])
def test_a_mutant_that_breaks_one_contract_is_caught(broken: Broken, mutant: type[Sound], contract: str) -> None:
    assert broken("encoder", of(mutant)) == {contract}


def test_an_option_is_not_hidden_by_another_one_in_other(broken: Broken) -> None:
    other = {"dim": 7, "power": 2.0}
    assert broken("encoder", of(PowerNotInTheFingerprint), other=other) == {"fingerprint"}


def test_an_option_that_counts_beside_another_alone_is_caught_with_that_one_in_other(broken: Broken) -> None:
    assert broken("encoder", of(PowerCountsBesideSmoothingAlone)) == set()
    assert broken("encoder", of(PowerCountsBesideSmoothingAlone), other={"smooth": True}) == {"fingerprint"}


def test_an_option_that_a_type_suggests_no_value_for_is_varied_by_other(broken: Broken) -> None:
    def made_up(*, scale: str = "1") -> Sound:
        return PowerNotInTheFingerprint(6, float(scale))

    assert broken("encoder", made_up) == set()
    assert broken("encoder", made_up, other={"scale": "2"}) == {"fingerprint"}
