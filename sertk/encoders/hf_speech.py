"""Speech encoders of transformers: WavLM, HuBERT, wav2vec 2.0, data2vec-audio and the encoder of Whisper."""

# Longer than others: the traps of five architectures meet in one place.
from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.data.recording import Recording
from sertk.encoders.hf_layers import Layers, pick, states
from sertk.encoders.pooled import VALUES, Pool, averaged, pooled
from sertk.encoders.whisper_context import Context, context_samples, positions
from sertk.encoders.windows import check_windows, join, window_samples, windows
from sertk.errors import AudioError, EncoderError
from sertk.hub import Attention, Dtype, before_weights, find_checkpoint, load_model, load_part
from sertk.models.fitting import at_most
from sertk.pretrained import Pretrained
from sertk.revisions import revision as revised
from sertk.tensors import Padded

if TYPE_CHECKING:
    from sertk.contracts import Batching, Modality

MODEL_CLASSES = {
    "wavlm": "WavLMModel",
    "hubert": "HubertModel",
    "wav2vec2": "Wav2Vec2Model",
    "data2vec-audio": "Data2VecAudioModel",
    "whisper": "WhisperModel",
}

WHISPER_ENCODER = "WhisperEncoder"
"""The class of a checkpoint, by its config, that has the weights of Whisper's encoder alone."""

REVISION = 1
"""Raised whenever the frames for the same recording change."""

LONGEST_WHOLE_SECONDS = 300.0
"""Attention takes memory by the square of the duration: longer recordings want `window_seconds`."""

WINDOWS_AT_ONCE = 8
"""Windows of a long recording that are encoded together."""


@revised(REVISION)
def hf_speech(
    *,
    model: str,
    revision: str | None = None,
    layers: Layers = "last4_sum",
    window_seconds: float | None = None,
    overlap_seconds: float = 1.0,
    keep_padding: bool = False,
    context: Context = "window",
    margin_seconds: float = 0.5,
    pool: Pool = "none",
    average: Positive = 1,
    dtype: Dtype = "float32",
    attention: Attention = "auto",
    challenge_legal: bool | None = None,
) -> SpeechEncoder:
    """WavLM, HuBERT, wav2vec 2.0, data2vec-audio or Whisper's encoder, by hub id or folder.

    Gives 50 frames per second, (T, D): D is the model's width, or (layers + 1) times that for layers = "all", state
    after state. Whisper gives ceil(samples / 320) frames, for it is cropped to the utterance. With `pool` an
    utterance is one frame, and all layers of a corpus are megabytes (whisper-base: 14 kB an utterance in float16).

    Parameters
    ----------
    model
        Hub id (owner/name), or a folder with config.json, preprocessor_config.json and safetensors weights.
    revision
        Branch, tag or commit of the hub's checkpoint.
    layers
        `last`, `last4_sum` (MEDUSA: the sum of the last four states), `all` (for learnt weights) or an index; 0 is
        what enters the first layer, -1 the output.
    window_seconds
        Encode longer recordings in windows of this length; without it recordings up to five minutes are encoded whole
        (Whisper always has windows of 30 s).
    overlap_seconds
        What two windows share.
    keep_padding
        Keep the frames of the silence that fills Whisper's window, 1,500 frames whatever the utterance, as MEDUSA's
        released code does.
    context
        What Whisper's encoder is given: `window`, the 30 s of its training, or `utterance`, the utterance and
        `margin_seconds` of silence after it, which takes a tenth of the time for clips of 2 to 3 s and gives much the
        same states (whisper-base on CREMA-D: mean cosine .99 at layer 3, .93 at the last).
    margin_seconds
        Silence after the utterance, with context = "utterance".
    pool
        One frame per utterance: the `mean` of its frames, or `mean_std`, their mean and standard deviation (divided
        by their number, not one less). With layers = "all" state after state, [mean 0, deviation 0, mean 1, ...], so
        that a fusion's `input_layers`, the number of states, mixes whole states. What is beyond float16 (65,504) is
        not stored as that: extraction names the utterance, and asks for bfloat16 or float32.
    average
        So many successive frames become their mean: 5 gives 10 frames per second, and a fusion a fifth of the work.
    dtype
        Of the weights and of computing.
    attention
        `sdpa` where the architecture has it (WavLM does not).
    challenge_legal
        Whether the challenge allows the checkpoint; None decides by name and labels.

    Raises
    ------
    EncoderError
        For a checkpoint that is not available or is none of these, and options that do not fit it.
    """
    checkpoint = find_checkpoint(model, revision=revision)
    if checkpoint.architecture not in MODEL_CLASSES:
        raise EncoderError(
            f"{model}: a {checkpoint.architecture!r} is none of {', '.join(MODEL_CLASSES)}. For a text encoder use "
            f"'hf_text'; for other speech encoders the plugin sertk-s3prl, or an encoder of your own"
        )
    options: dict[str, Any] = {"layers": layers, "dtype": dtype, "attention": attention, "window": window_seconds}
    if window_seconds is not None or checkpoint.architecture == "whisper":
        options["overlap"] = overlap_seconds
    if keep_padding:
        if checkpoint.architecture != "whisper":
            raise EncoderError(
                f"{model}: keep_padding is for Whisper: a {checkpoint.architecture!r} has no fixed window"
            )
        options["keep_padding"] = True
    if context == "utterance":
        if checkpoint.architecture != "whisper" or keep_padding:
            what = "keep_padding keeps it" if keep_padding else f"a {checkpoint.architecture!r} has none"
            raise EncoderError(f"{model}: context = 'utterance' shortens Whisper's window of 30 s, but {what}")
        if margin_seconds < 0:
            raise EncoderError(f"{model}: margin_seconds = {margin_seconds:g} must be 0 or more")
        options |= {"context": context, "margin": margin_seconds}
    if pool != "none":
        if keep_padding:
            raise EncoderError(
                f"{model}: pool = {pool!r} is of the utterance's own frames, keep_padding keeps others"
            )
        options["pool"] = pool
    if average != 1:
        if pool != "none" or keep_padding or average < 1:
            raise EncoderError(
                f"{model}: average = {average} is a number of frames, 1 or more, without pool and keep_padding"
            )
        options["average"] = average
    model_class, whole = MODEL_CLASSES[checkpoint.architecture], checkpoint.architecture == "whisper"
    if whole and checkpoint.config.get("architectures") == [WHISPER_ENCODER]:
        model_class, whole = f"models.whisper.modeling_whisper.{WHISPER_ENCODER}", False
    before_weights()
    with at_most(checkpoint.tensors):
        loaded: Any = load_model(checkpoint, model_class, dtype=dtype, attention=attention)
    front = replace(_front(checkpoint, loaded.config), keep_padding=keep_padding)
    if context == "utterance":
        front = replace(front, margin=round(margin_seconds * front.sample_rate))
    check_windows(window_seconds, overlap_seconds, front.stride / front.sample_rate)
    if front.window is not None and window_seconds is not None:
        longest = front.window / front.sample_rate
        if window_seconds > longest:
            raise EncoderError(f"{model}: window_seconds = {window_seconds:g}, but Whisper takes at most {longest:g}")
    return SpeechEncoder(
        loaded.get_encoder() if whole else loaded,
        front,
        layers=layers,
        pool=pool,
        average=average,
        window=front.window if window_seconds is None else front.samples(window_seconds),
        overlap=front.samples(overlap_seconds),
        fingerprint=checkpoint.fingerprint({"encoder": ["hf_speech", REVISION], **options}, tokenizer=False),
        challenge_legal=not checkpoint.emotion_trained if challenge_legal is None else challenge_legal,
    )


@dataclass(frozen=True)
class Front:
    """What comes before the transformer. sample_rate: in Hz. stride, receptive: samples a frame takes and sees.

    kernels: kernel and stride of each convolution, empty for Whisper. window: the samples that Whisper takes.
    pads: whether outputs are the same with padding behind an utterance as without. keep_padding: of Whisper's window.
    margin: samples of silence behind an utterance that Whisper is given in place of its whole window; None for that.
    """

    extractor: Any
    sample_rate: int
    stride: int
    receptive: int
    kernels: tuple[tuple[int, int], ...]
    window: int | None
    pads: bool
    keep_padding: bool = False
    margin: int | None = None

    def context(self, samples: int) -> int:
        """The samples that Whisper's encoder is given for an utterance of so many."""
        assert self.window is not None
        if self.margin is None:
            return self.window
        return context_samples(
            samples, margin=self.margin, window=self.window, sample_rate=self.sample_rate, stride=self.stride
        )

    def frames(self, samples: int) -> int:
        """The number of frames of an utterance."""
        if not self.kernels:
            return math.ceil((self.window if self.keep_padding and self.window else samples) / self.stride)
        for kernel, stride in self.kernels:
            samples = (samples - kernel) // stride + 1
        return samples

    def samples(self, seconds: float) -> int:
        """A duration in samples, a whole number of frames."""
        return window_samples(seconds, self.sample_rate, self.stride)


class SpeechEncoder(nn.Module):
    """A frozen speech model as an `Encoder`: waveforms in, frames out, long ones in windows.

    Waveforms are what travels, for Whisper too: its spectrogram is made on the device of the model. An utterance's
    frames are the same whatever stands beside it: models that padding would change (group norm over time, stacked
    convolutions behind the mask) are run on equal lengths only.
    """

    # The fingerprint holds `average` where it is not 1: stores made before the option was added stay up to date.
    unkeyed = ("model", "revision", "challenge_legal", "average")

    def __init__(
        self,
        model: Any,
        front: Front,
        *,
        layers: Layers,
        pool: Pool,
        average: int,
        window: int | None,
        overlap: int,
        fingerprint: str,
        challenge_legal: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.front = front
        self.layers: Layers = layers
        self.pool: Pool = pool
        self.average = average
        self.window = window
        self.overlap = overlap
        self.count: int = model.config.num_hidden_layers
        used = len(states(layers, self.count))
        self.states = used if layers == "all" else 1
        self.modality: Modality = "speech"
        self.dim: int = model.config.hidden_size * self.states * VALUES.get(pool, 1)
        self.frames_per_second = front.sample_rate / (front.stride * average) if pool == "none" else 0.0
        self.fingerprint = fingerprint
        self.batching: Batching = "padded" if front.pads else "equal_length"
        self.challenge_legal = challenge_legal
        # A CPU gains nothing from batches: the convolutions of four clips take longer than four times those of one,
        # and masked bfloat16 attention several times as long (benchmarks/extract.py).
        self.alone_on_cpu = True

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    def prepare(self, recording: Recording) -> Tensor:
        """(samples,) float32, normalised as the checkpoint says; zeros are added up to the first whole frame."""
        samples = recording.waveform(self.front.sample_rate)
        seconds = len(samples) / self.front.sample_rate
        if self.window is None and seconds > LONGEST_WHOLE_SECONDS:
            raise AudioError(
                f"{recording.id}: {seconds:.0f} s are too long to encode whole: set window_seconds (30, for one)"
            )
        if not self.front.kernels:
            return torch.tensor(samples)
        values = self.front.extractor(samples, sampling_rate=self.front.sample_rate, return_tensors="np")
        waveform = torch.tensor(values["input_values"][0], dtype=torch.float32)
        return nn.functional.pad(waveform, (0, max(0, self.front.receptive - len(waveform))))  # (samples,)

    @torch.no_grad()
    def forward(self, inputs: Padded) -> Padded:
        """(B, samples) to (B, T, dim) float32; T is 1 with `pool`."""
        pieces = [
            (row, start, stop)
            for row, length in enumerate(inputs.lengths.tolist())
            for start, stop in self._windows(length)
        ]
        found: dict[tuple[int, int], Tensor] = {}
        for group in self._groups(pieces):
            waveforms = Padded.of([inputs.data[row, start:stop] for row, start, stop in group]).to(self.device)
            frames = self._encode(waveforms)
            for index, (row, start, stop) in enumerate(group):
                found[row, start] = frames[index, : self.front.frames(stop - start)]
        rows: list[list[Tensor]] = [[] for _ in range(len(inputs))]
        for row, start, _ in pieces:
            rows[row].append(found[row, start])
        stride = self.front.stride
        step = 0 if self.window is None else (self.window - self.overlap) // stride
        whole = (join(parts, step=step, overlap=self.overlap // stride) for parts in rows)
        fewer = (averaged(frames, self.average) for frames in whole)
        return Padded.of([pooled(frames, self.pool, states=self.states) for frames in fewer]).to(self.device)

    def _windows(self, samples: int) -> list[tuple[int, int]]:
        if self.window is None or samples <= self.window:
            return [(0, samples)]
        return windows(samples, window=self.window, overlap=self.overlap)

    def _groups(self, pieces: list[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
        """Pieces that may be encoded together: all, or those of one length; many windows in several goes."""
        if self.alone_on_cpu and self.device.type == "cpu":
            yield from ([piece] for piece in pieces)
            return
        whole = self.front.kernels and len({row for row, _, _ in pieces}) == len(pieces)
        by_length: dict[int, list[tuple[int, int, int]]] = {}
        for piece in pieces:
            by_length.setdefault(self._length(piece[2] - piece[1]), []).append(piece)
        for length, group in by_length.items():
            size = len(group) if whole else WINDOWS_AT_ONCE
            if self.front.margin is not None and self.front.window:
                size *= self.front.window // length  # as many as take the memory of that many whole windows
            yield from (group[first : first + size] for first in range(0, len(group), size))

    def _length(self, samples: int) -> int:
        """What pieces that are encoded together must have in common; 0 for any."""
        if not self.front.pads:
            return samples
        return 0 if self.front.margin is None else self.front.context(samples)

    def _encode(self, waveforms: Padded) -> Tensor:
        """(B, samples) to (B, T, dim) float32, padding included."""
        dtype = self.model.dtype
        given: dict[str, Any] = {"output_hidden_states": self.layers != "last"}
        if self.front.kernels:
            if int(waveforms.lengths.min()) < waveforms.data.shape[1]:
                given["attention_mask"] = waveforms.mask.long()
            with warnings.catch_warnings():
                # WavLM masks padding with booleans beside a float bias; torch means to forbid that one day.
                warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
                return pick(self.model(waveforms.data.to(dtype), **given), self.layers, self.count)
        arrays = [np.asarray(waveforms.sequence(row).cpu()) for row in range(len(waveforms))]
        context = self.front.context(waveforms.data.shape[1])  # of one context all, see `_groups`
        mel = self.front.extractor(
            arrays,
            sampling_rate=self.front.sample_rate,
            max_length=context,
            return_tensors="pt",
            device=str(self.device),
        )["input_features"]  # (B, mels, context / hop)
        with positions(self.model, context // self.front.stride):
            return pick(self.model(mel.to(self.device, dtype), **given), self.layers, self.count)


def _front(checkpoint: Pretrained, config: Any) -> Front:
    extractor = load_part(
        checkpoint,
        "AutoFeatureExtractor",
        "feature extractor",
        ("preprocessor_config.json", "processor_config.json"),
    )
    rate = int(extractor.sampling_rate)
    if config.model_type == "whisper":
        stride, window = 2 * int(extractor.hop_length), int(extractor.n_samples)
        if config.max_source_positions * stride != window:
            raise EncoderError(
                f"{checkpoint.folder}: the feature extractor gives {window} samples a window, the model takes "
                f"{config.max_source_positions * stride}: they are of different checkpoints"
            )
        return Front(extractor, rate, stride, 1, (), window, True)
    if getattr(config, "add_adapter", False):
        raise EncoderError(
            f"{checkpoint.folder}: has an adapter after the encoder, whose frames have a different rate"
        )
    kernels = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
    receptive = 1
    for kernel, stride in reversed(kernels):
        receptive = (receptive - 1) * stride + kernel
    # Group norm takes its mean over time, padding included; data2vec stacks convolutions that carry padding inwards.
    pads = config.model_type != "data2vec-audio" and config.feat_extract_norm == "layer"
    return Front(extractor, rate, math.prod(config.conv_stride), receptive, kernels, None, pads)
