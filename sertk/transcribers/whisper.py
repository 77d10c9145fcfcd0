"""Speech recognition with Whisper: batched, in a fixed or a detected language, long recordings in windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sertk.config.schema import Positive
from sertk.data.recording import Recording
from sertk.errors import EncoderError, did_you_mean
from sertk.files import parse_json
from sertk.hub import Dtype, find_checkpoint, load_model, load_part
from sertk.pretrained import Pretrained
from sertk.revisions import revision as component_revision

if TYPE_CHECKING:
    import torch

SEARCH_SECONDS = 5.0
"""A window ends at the quietest point of its last seconds, so that no word is cut."""

PAUSE_SECONDS = 0.1


@component_revision(1)
def whisper(
    *,
    model: str,
    revision: str | None = None,
    language: str | None = None,
    beams: Positive = 1,
    batch_size: Positive = 8,
    dtype: Dtype = "float32",
) -> Whisper:
    """Recognises speech with Whisper, by hub id or folder.

    Parameters
    ----------
    model
        Hub id (owner/name) or folder.
    revision
        Branch, tag or commit of the hub's checkpoint.
    language
        A code (`en`) or name (`english`); None detects it in each window, as multilingual checkpoints can.
    beams
        1 is greedy.
    batch_size
        Windows decoded together; a recording of more than 30 s is cut at pauses.
    dtype
        Of computing.

    Raises
    ------
    EncoderError
        For a checkpoint that is not available or is no Whisper, and a language that it does not know.

    References
    ----------
    Radford et al. 2023, "Robust speech recognition via large-scale weak supervision".
    """
    checkpoint = find_checkpoint(model, revision=revision)
    if checkpoint.architecture != "whisper":
        raise EncoderError(f"{model}: a {checkpoint.architecture!r} does not transcribe: give a Whisper checkpoint")
    if beams < 1 or batch_size < 1:
        raise EncoderError(f"beams = {beams} and batch_size = {batch_size} must be 1 or more")
    language = _known_language(checkpoint.folder, language)
    return Whisper(checkpoint, dtype=dtype, language=language, beams=beams, batch_size=batch_size)


class Whisper:
    """A `Transcriber`. Its weights are loaded when it first transcribes; move it with `.to(device)`."""

    unkeyed = ("model", "revision", "batch_size")

    def __init__(
        self, checkpoint: Pretrained, *, dtype: Dtype, language: str | None, beams: int, batch_size: int
    ) -> None:
        self.checkpoint = checkpoint
        self.dtype = dtype
        self.language = language
        self.beams = beams
        self.batch_size = batch_size
        self.source = f"whisper:{checkpoint.name}"
        self._device: torch.device | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the weights and settings of the checkpoint."""
        return self.checkpoint.fingerprint({})

    @cached_property
    def model(self) -> Any:
        """The network, loaded now."""
        model = load_model(self.checkpoint, "WhisperForConditionalGeneration", dtype=self.dtype)
        return model if self._device is None else model.to(self._device)

    @cached_property
    def extractor(self) -> Any:
        """From samples to spectrograms."""
        files = ("preprocessor_config.json", "processor_config.json")
        return load_part(self.checkpoint, "AutoFeatureExtractor", "feature extractor", files)

    @cached_property
    def tokenizer(self) -> Any:
        """From tokens to words."""
        return load_part(self.checkpoint, "AutoTokenizer", "tokenizer", ("tokenizer.json", "vocab.json"))

    def to(self, device: torch.device) -> Whisper:
        """Compute on a device."""
        self._device = device
        if "model" in vars(self):
            self.model.to(device)
        return self

    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        """The words of each recording, "" where none are heard. Raises AudioError for one that cannot be read."""
        rate = int(self.extractor.sampling_rate)
        pieces = [
            (index, piece)
            for index, recording in enumerate(recordings)
            for piece in cut_at_pauses(
                recording.waveform(rate), longest=int(self.extractor.n_samples), sample_rate=rate
            )
        ]
        words: list[list[str]] = [[] for _ in recordings]
        for first in range(0, len(pieces), self.batch_size):
            batch = pieces[first : first + self.batch_size]
            for (index, _), text in zip(batch, self._decode([piece for _, piece in batch]), strict=True):
                words[index].append(text)
        return [" ".join(text for text in texts if text) for texts in words]

    def _decode(self, pieces: list[NDArray[np.float32]]) -> list[str]:
        import torch

        device = next(self.model.parameters()).device
        inputs = self.extractor(
            pieces,
            sampling_rate=self.extractor.sampling_rate,
            return_tensors="pt",
            return_attention_mask=True,
            device=str(device),
        )
        language: dict[str, Any] = {"language": self.language, "task": "transcribe"} if self._multilingual else {}
        with torch.no_grad():
            ids = self.model.generate(
                inputs["input_features"].to(device, self.model.dtype),  # (B, mels, 3000)
                attention_mask=inputs["attention_mask"].to(device),
                num_beams=self.beams,
                do_sample=False,
                return_timestamps=False,
                **language,
            )
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    @property
    def _multilingual(self) -> bool:
        return bool(getattr(self.model.generation_config, "is_multilingual", False))


def cut_at_pauses(samples: NDArray[np.float32], *, longest: int, sample_rate: int) -> list[NDArray[np.float32]]:
    """Part (samples,) into pieces of at most `longest` samples, each ended at the quietest point near its limit."""
    pause, search = round(PAUSE_SECONDS * sample_rate), round(SEARCH_SECONDS * sample_rate)
    pieces = []
    while len(samples) > longest:
        tail = samples[longest - search : longest]
        power = np.square(tail[: len(tail) // pause * pause].reshape(-1, pause)).sum(axis=1)  # (pauses,)
        end = longest - search + int(power.argmin()) * pause + pause // 2
        pieces.append(samples[:end])
        samples = samples[end:]
    return [*pieces, samples]


def _known_language(folder: Path, language: str | None) -> str | None:
    """A language's code. Raises EncoderError for one that the checkpoint does not know."""
    if language is None:
        return None
    try:
        known = [
            str(token).strip("<|>")
            for token in parse_json((folder / "generation_config.json").read_bytes())["lang_to_id"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        raise EncoderError(
            f"{folder}: language = {language!r} cannot be set: this checkpoint knows one language only, or its "
            f"generation_config.json is missing or without lang_to_id"
        ) from None
    code = language.lower()
    if code not in known:
        from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

        code = TO_LANGUAGE_CODE.get(code, code)
    if code not in known:
        raise EncoderError(
            f"{folder}: does not know the language {language!r}. {did_you_mean(code, known)}"
            f"Known: {', '.join(known)}."
        )
    return str(code)
