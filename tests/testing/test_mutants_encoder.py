"""Encoders broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable

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

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.fingerprint = sha256_json(["made_up", dim])
        self.linear = nn.Linear(2, dim)
        with torch.no_grad():
            self.linear.weight.copy_(torch.linspace(-1, 1, 2 * dim).view(dim, 2))
            self.linear.bias.zero_()
        self.requires_grad_(False).eval()

    def prepare(self, recording: Recording) -> Tensor:
        samples = torch.from_numpy(recording.waveform().copy())
        short = max(HOP - len(samples), 0)
        frames = nn.functional.pad(samples, (0, short)).unfold(0, HOP, HOP)  # (T, HOP)
        return torch.stack([frames.abs().mean(1), frames.abs().amax(1)], dim=1)  # (T, 2)

    def forward(self, inputs: Padded) -> Padded:
        return Padded(self.linear(inputs.data) * inputs.mask[:, :, None], inputs.lengths)


class DimLiedAbout(Sound):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.dim = dim + 1


class RateLiedAbout(Sound):
    frames_per_second = 100.0


class NormalisedOverThePadding(Sound):
    def forward(self, inputs: Padded) -> Padded:
        made = super().forward(inputs)
        return Padded(made.data - made.data.mean(dim=1, keepdim=True), made.lengths)


class RandomFingerprint(Sound):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.fingerprint = str(id(self.linear.weight))


class FingerprintOfTheNameAlone(Sound):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.fingerprint = sha256_json("made_up")


class FingerprintOfTheInputs(Sound):
    """Random weights behind a fingerprint that says they are always the same."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.linear = nn.Linear(2, dim).requires_grad_(False).eval()


class NoFrameOfShortRecordings(Sound):
    def prepare(self, recording: Recording) -> Tensor:
        return super().prepare(recording)[: len(recording.waveform()) // HOP]


class LearnsAlong(Sound):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.requires_grad_(True)


class DropoutLeftOn(Sound):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
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


def of(encoder: type[Sound]) -> Callable[..., Sound]:
    def made_up(*, dim: int = 6) -> Sound:
        return encoder(dim)

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
    (UnknownModality, "card"),
    (BareTensor, "output"),
]


def test_a_sound_encoder_breaks_nothing(broken: Broken) -> None:
    assert broken("encoder", of(Sound), other={"dim": 7}) == set()


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Sound], contract: str) -> None:
    assert contract in broken("encoder", of(mutant), other={"dim": 7})
