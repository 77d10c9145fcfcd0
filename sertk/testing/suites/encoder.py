"""What every encoder keeps: `(*, options)` to something frozen that turns recordings into frames, (B, T, dim)."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

import torch
from torch import Tensor, nn

from sertk.contracts import Batching, Modality
from sertk.errors import SertkError
from sertk.tensors import Padded
from sertk.testing.suites.base import Subject, global_seeds, require, require_near
from sertk.testing.suites.encoded import CPU, built, encoded, single
from sertk.testing.suites.encoder_inputs import fingerprint, long_recordings, reads
from sertk.testing.suites.made_up_recordings import made_up_recordings, samples_of, short_recordings

SLACK_FRAMES = 3.0
"""How many frames an utterance may have more or fewer than seconds times `frames_per_second`."""


def card(subject: Subject) -> None:
    """Modality, batching, dimension, rate, fingerprint and legality are correct for every utterance."""
    encoder = built(subject)
    for attribute, kind in (("modality", Modality), ("batching", Batching)):
        value = getattr(encoder, attribute)
        require(value in get_args(kind), f"`{attribute}` should be one of {get_args(kind)}, got {value!r}")
    require(isinstance(encoder.dim, int) and encoder.dim > 0, f"`dim` should be an int above 0, got {encoder.dim!r}")
    legal = encoder.challenge_legal
    require(isinstance(legal, bool), f"`challenge_legal` should be true or false, got {legal!r}")
    rate = encoder.frames_per_second
    require(
        isinstance(rate, (int, float)) and rate >= 0,
        f"`frames_per_second` should be a number, 0 or more, got {rate!r}",
    )
    with made_up_recordings() as recordings:
        for recording, frames in zip(recordings, encoded(encoder, recordings), strict=True):
            require(frames.ndim == 2, f"frames should be (T, dim), got {tuple(frames.shape)}")
            require(frames.shape[1] == encoder.dim, f"`dim` is {encoder.dim}, frames are {frames.shape[1]} wide")
            expected = recording.seconds * rate
            near = rate == 0 or abs(len(frames) - expected) <= SLACK_FRAMES + 0.05 * expected
            require(
                near,
                f"{recording.seconds} s at `frames_per_second` = {rate:g} should give about {expected:.0f} frames, "
                f"got {len(frames)}: is the rate right (0 where frames are no time steps)?",
            )


def neighbours(subject: Subject) -> None:
    """In batches as `batching` says, an utterance has the same frames alone and with others, in any order."""
    encoder = built(subject)
    with made_up_recordings() as recordings:
        together = encoded(encoder, recordings)
        turned = encoded(encoder, recordings[::-1])[::-1]
        for row, recording in enumerate(recordings):
            alone = encoded(encoder, [recording])[0]
            what = f"{recording.id} ({recording.seconds} s; batching {encoder.batching!r})"
            require_near(alone, together[row], f"{what} alone and in a batch", tolerance=1e-3)
            require_near(turned[row], together[row], f"{what} in a batch of another order", tolerance=1e-3)


def short_input(subject: Subject) -> None:
    """12 ms of sound, one letter or an empty transcript give at least one finite frame. No transcript at all may be
    refused.
    """
    encoder = built(subject)
    with short_recordings() as recordings:
        for recording in recordings:
            if recording.utterance.text is None:
                with suppress(SertkError):
                    encoder.prepare(recording)
                continue
            (frames,) = encoded(encoder, [recording])
            require(
                len(frames) >= 1,
                f"{recording.id} gave no frame (text {recording.utterance.text!r}): give one of zeros",
            )


def output(subject: Subject) -> None:
    """The output is a padded batch, (B, T, dim), with B lengths between 1 and T."""
    encoder = built(subject)
    with made_up_recordings() as recordings, torch.inference_mode():
        output = encoder(single(encoder.prepare(recordings[0])))
        require(
            output.data.ndim == 3 and len(output) == 1,
            f"one recording should give (1, T, dim), got {tuple(output.data.shape)}",
        )
        frames = int(output.lengths[0])
        require(
            1 <= frames <= output.data.shape[1],
            f"its length should be from 1 to T, got {frames} of {tuple(output.data.shape)}",
        )


def prepared_input(subject: Subject) -> None:
    """`prepare` returns tensors on the CPU with at least one step."""
    encoder = built(subject)
    with made_up_recordings() as recordings:
        for recording in recordings:
            prepared = encoder.prepare(recording)
            parts = [prepared] if isinstance(prepared, Tensor) else list(prepared.values())
            for part in parts:
                require(isinstance(part, Tensor), f"`prepare` should give tensors, got a {type(part).__name__}")
                require(
                    part.device == CPU and len(part) >= 1,
                    f"`prepare` should give steps on the CPU, got {tuple(part.shape)} on {part.device}",
                )


def frozen(subject: Subject) -> None:
    """The encoder is in evaluation mode and has no trainable parameters. Equal inputs give equal outputs."""
    encoder = built(subject)
    if isinstance(encoder, nn.Module):
        training = any(part.training for part in encoder.modules() if part is not encoder)
        require(not training, "it is in training mode: call .eval()")
        learnt = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
        require(not learnt, f"parameters are to be learnt ({', '.join(learnt[:3])}): call .requires_grad_(False)")
    with made_up_recordings() as recordings:
        first = encoded(encoder, recordings[:2])
        encoded(encoder, recordings[2:])
        for one, again in zip(first, encoded(encoder, recordings[:2]), strict=True):
            require_near(again, one, "the same recording after others", tolerance=1e-6)


def builds_agree(subject: Subject) -> None:
    """Two builds give the same frames, whatever the global random states. That is what a fingerprint promises."""
    results: list[list[Tensor]] = []
    with made_up_recordings() as recordings:
        for seed in (1, 2):
            with global_seeds(seed):
                results.append(encoded(built(subject), recordings))
    for one, other in zip(*results, strict=True):
        require_near(
            other,
            one,
            "a second build under other global seeds (weights must be read, or drawn under a seed of their own)",
            tolerance=1e-5,
        )


def input_unchanged(subject: Subject) -> None:
    """The samples of the recording and the prepared input are not changed in place."""
    encoder = built(subject)
    with made_up_recordings() as recordings:
        before = samples_of(recordings)
        for recording, samples in zip(recordings, before, strict=True):
            batch = single(encoder.prepare(recording))
            parts = [batch] if isinstance(batch, Padded) else list(batch.values())
            copies = [part.data.clone() for part in parts]
            with torch.inference_mode():
                encoder(batch)
            same = all(torch.equal(part.data, copy) for part, copy in zip(parts, copies, strict=True))
            require(same, "what was prepared was changed in place: compute new tensors")
            require(bool((recording.waveform() == samples).all()), "the samples were changed in place: copy them")


CONTRACTS = (
    card,
    fingerprint,
    reads,
    neighbours,
    short_input,
    long_recordings,
    output,
    prepared_input,
    frozen,
    builds_agree,
    input_unchanged,
)
