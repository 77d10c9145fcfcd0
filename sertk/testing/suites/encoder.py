"""What every encoder keeps: `(*, options)` to something frozen that turns recordings into frames, (B, T, dim)."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

import torch
from torch import Tensor, nn

from sertk.contracts import Batching, Encoder, Modality
from sertk.data.recording import Recording
from sertk.errors import SertkError
from sertk.features.card import store_card
from sertk.features.encode import BatchEncoder, Input, Prepared
from sertk.tensors import Padded
from sertk.testing.suites.base import BrokenError, Subject, global_seeds, require, require_near
from sertk.testing.suites.made_up_recordings import made_up_recordings, samples_of, short_recordings

CPU = torch.device("cpu")
SLACK_FRAMES = 3.0
"""How many frames an utterance may have more or fewer than seconds times `frames_per_second`."""


def card(subject: Subject) -> None:
    """Modality, batching, dim, rate, fingerprint and legality say what is true of every utterance."""
    encoder = _built(subject)
    require(encoder.modality in get_args(Modality), f"modality {encoder.modality!r} is none of {get_args(Modality)}")
    require(encoder.batching in get_args(Batching), f"batching {encoder.batching!r} is none of {get_args(Batching)}")
    require(isinstance(encoder.dim, int) and encoder.dim > 0, f"dim is {encoder.dim!r}")
    require(isinstance(encoder.challenge_legal, bool), f"challenge_legal is {encoder.challenge_legal!r}")
    rate = encoder.frames_per_second
    require(isinstance(rate, (int, float)) and rate >= 0, f"frames_per_second is {rate!r}")
    with made_up_recordings() as recordings:
        for recording, frames in zip(recordings, _encoded(encoder, recordings), strict=True):
            require(frames.ndim == 2, f"{recording.id} is of shape {tuple(frames.shape)}")
            require(frames.shape[1] == encoder.dim, f"dim is {encoder.dim}, frames are {frames.shape[1]} wide")
            expected = recording.seconds * rate
            near = rate == 0 or abs(len(frames) - expected) <= SLACK_FRAMES + 0.05 * expected
            require(near, f"{recording.seconds} s at {rate:g} a second gave {len(frames)} frames")


def fingerprint(subject: Subject) -> None:
    """Two builds have one fingerprint; options that change the output change it."""
    first, again = _built(subject).fingerprint, _built(subject).fingerprint
    require(isinstance(first, str) and first != "", f"the fingerprint is {first!r}")
    require(first == again, "two builds with the same options have two fingerprints")
    if subject.other:
        changed = subject.build(**subject.other).fingerprint
        require(changed != first, f"with {dict(subject.other)} the fingerprint is the same")


def neighbours(subject: Subject) -> None:
    """Fed as `batching` says, an utterance alone gives what it gives beside others, in any order."""
    encoder = _built(subject)
    with made_up_recordings() as recordings:
        together = _encoded(encoder, recordings)
        turned = _encoded(encoder, recordings[::-1])[::-1]
        for row, recording in enumerate(recordings):
            alone = _encoded(encoder, [recording])[0]
            what = f"{recording.id} ({recording.seconds} s; batching {encoder.batching!r})"
            require_near(alone, together[row], f"{what} alone and in a batch", tolerance=1e-3)
            require_near(turned[row], together[row], f"{what} in a batch of another order", tolerance=1e-3)


def short_input(subject: Subject) -> None:
    """12 ms of sound, one letter or an empty transcript give a finite frame or more; no transcript may be refused."""
    encoder = _built(subject)
    with short_recordings() as recordings:
        for recording in recordings:
            if recording.utterance.text is None:
                with suppress(SertkError):
                    encoder.prepare(recording)
                continue
            (frames,) = _encoded(encoder, [recording])
            require(len(frames) >= 1, f"{recording.id} gave no frame (text {recording.utterance.text!r})")


def output(subject: Subject) -> None:
    """The output is a padded batch, (B, T, dim) with B lengths of 1 to T."""
    encoder = _built(subject)
    with made_up_recordings() as recordings, torch.inference_mode():
        made = encoder(_one(encoder.prepare(recordings[0])))
        require(made.data.ndim == 3 and len(made) == 1, f"one recording gave {tuple(made.data.shape)}")
        frames = int(made.lengths[0])
        require(1 <= frames <= made.data.shape[1], f"a length of {frames} in {tuple(made.data.shape)}")


def prepared_input(subject: Subject) -> None:
    """`prepare` gives tensors on the CPU with at least one step."""
    encoder = _built(subject)
    with made_up_recordings() as recordings:
        for recording in recordings:
            prepared = encoder.prepare(recording)
            parts = [prepared] if isinstance(prepared, Tensor) else list(prepared.values())
            for part in parts:
                require(isinstance(part, Tensor), f"prepare gave a {type(part).__name__}, no tensor")
                require(part.device == CPU and len(part) >= 1, f"prepare gave {tuple(part.shape)} on {part.device}")


def frozen(subject: Subject) -> None:
    """An encoder is in evaluation mode and has no parameter to be learnt; equal input gives equal output."""
    encoder = _built(subject)
    if isinstance(encoder, nn.Module):
        training = any(part.training for part in encoder.modules() if part is not encoder)
        require(not training, "it is in training mode: call .eval()")
        learnt = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
        require(not learnt, f"parameters are to be learnt ({', '.join(learnt[:3])}): call .requires_grad_(False)")
    with made_up_recordings() as recordings:
        first = _encoded(encoder, recordings[:2])
        _encoded(encoder, recordings[2:])
        for one, again in zip(first, _encoded(encoder, recordings[:2]), strict=True):
            require_near(again, one, "the same recording after others", tolerance=1e-6)


def builds_agree(subject: Subject) -> None:
    """Two builds give the same frames, whatever the global random states: that is what a fingerprint promises."""
    found: list[list[Tensor]] = []
    with made_up_recordings() as recordings:
        for seed in (1, 2):
            with global_seeds(seed):
                found.append(_encoded(_built(subject), recordings))
    for one, other in zip(*found, strict=True):
        require_near(other, one, "a second build", tolerance=1e-5)


def input_unchanged(subject: Subject) -> None:
    """Neither the recording's samples nor what was prepared are changed in place."""
    encoder = _built(subject)
    with made_up_recordings() as recordings:
        before = samples_of(recordings)
        for recording, samples in zip(recordings, before, strict=True):
            batch = _one(encoder.prepare(recording))
            parts = [batch] if isinstance(batch, Padded) else list(batch.values())
            copies = [part.data.clone() for part in parts]
            with torch.inference_mode():
                encoder(batch)
            same = all(torch.equal(part.data, copy) for part, copy in zip(parts, copies, strict=True))
            require(same, "the prepared input was changed in place")
            require(bool((recording.waveform() == samples).all()), "the recording's samples were changed in place")


CONTRACTS = (
    card,
    fingerprint,
    neighbours,
    short_input,
    output,
    prepared_input,
    frozen,
    builds_agree,
    input_unchanged,
)


def _built(subject: Subject) -> Encoder:
    encoder: Encoder = subject.build()
    return encoder


def _encoded(encoder: Encoder, recordings: list[Recording]) -> list[Tensor]:
    """(T, dim) of each recording, by the way that `sertk extract` takes."""
    inputs: dict[str, Input] = {}
    for recording in recordings:
        try:
            inputs[recording.id] = encoder.prepare(recording)
        except SertkError as error:
            raise BrokenError(f"{recording.id} ({recording.seconds} s) was refused: {error}") from error
    run = BatchEncoder(encoder, store_card("made_up", {}, encoder, dtype="float32"), CPU, "float32")
    frames, failed = run(Prepared(inputs))
    require(not failed, f"it failed: {failed}")
    return [frames[recording.id] for recording in recordings]


def _one(prepared: Input) -> Padded | dict[str, Padded]:
    """A batch of one."""
    if isinstance(prepared, Tensor):
        return Padded.of([prepared])
    return {name: Padded.of([tensor]) for name, tensor in prepared.items()}
