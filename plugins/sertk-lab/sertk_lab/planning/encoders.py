"""What an encoder file will make, without loading weights where that can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import EncoderFile
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.pooled import VALUES
from sertk.features.card import StoreCard
from sertk.features.plan import bytes_needed, spoken_seconds, written_seconds
from sertk.features.store import FeatureStore


@dataclass(frozen=True)
class Shape:
    """A published checkpoint: width, transformer layers, frames a second (0: tokens), number of weights."""

    modality: str
    width: int
    layers: int
    frames_per_second: float
    parameters: int


KNOWN: Mapping[str, Shape] = {
    "microsoft/wavlm-large": Shape("speech", 1024, 24, 50.0, 315_453_120),
    "facebook/hubert-large-ls960-ft": Shape("speech", 1024, 24, 50.0, 315_438_720),
    "openai/whisper-large-v3": Shape("speech", 1280, 32, 50.0, 636_779_520),
    "FacebookAI/roberta-large": Shape("text", 1024, 24, 0.0, 355_359_744),
    "answerdotai/ModernBERT-large": Shape("text", 1024, 28, 0.0, 394_781_696),
}
"""The encoders of MEDUSA, as their model cards and configurations have them; weights to within a few per cent."""

TOKENS_A_WORD = 1.4
"""Of English in RoBERTa's and ModernBERT's vocabularies, about."""
TOKENS_WITHOUT_WORDS_A_SECOND = 4.0
"""Where there is no transcript yet: fast speech."""
WHISPER_WINDOW_FRAMES = 1500


@dataclass(frozen=True)
class EncoderPlan:
    """What one encoder takes and gives. basis: how that is known. longest: frames of the longest utterance.

    weights: bytes of its own weights, None where they are not known. done: utterances that are in the store already.
    """

    name: str
    dim: int
    longest: int
    disk: int
    weights: int | None
    done: int
    basis: str


def plan_encoder(name: str, file: EncoderFile, utterances: Sequence[Utterance], store: Path) -> EncoderPlan:
    """Plan one encoder: from its store where there is one, from its published shape, or by building it.

    Raises SertkError for an encoder that has neither store nor known shape and cannot be built.
    """
    if (store / "card.json").is_file():
        opened = FeatureStore.open(store)
        lengths = list(opened.lengths.values())
        left = [utterance for utterance in utterances if utterance.id not in opened]
        longest = max([*lengths, _longest(opened.card, left)])
        return EncoderPlan(name, opened.dim, longest, _disk(opened.card, left), None, len(lengths), "its store")
    options: dict[str, Any] = file.encoder.options
    shape = KNOWN.get(str(options.get("model")))
    if shape is None:
        encoder = build(registry.encoders, file.encoder)
        card = StoreCard(
            name, options, "", encoder.modality, encoder.dim, encoder.frames_per_second, cast(Any, file.dtype)
        )
        weights = sum(p.numel() * p.element_size() for p in encoder.parameters()) if _has_weights(encoder) else 0
        return EncoderPlan(
            name, card.dim, _longest(card, utterances), _disk(card, utterances), weights, 0, "the encoder, built"
        )
    width = shape.width * (shape.layers + 1 if options.get("layers") == "all" else 1)
    pool = options.get("pool", "none")
    rate = shape.frames_per_second if pool == "none" else 0.0
    card = StoreCard(name, options, "", shape.modality, width * VALUES.get(pool, 1), rate, cast(Any, file.dtype))
    longest, disk = _longest(card, utterances), _disk(card, utterances)
    if options.get("keep_padding"):
        longest, disk = WHISPER_WINDOW_FRAMES, len(utterances) * _padded_disk(card)
    bytes_each = 4 if options.get("dtype", "float32") == "float32" else 2
    return EncoderPlan(name, card.dim, longest, disk, bytes_each * shape.parameters, 0, "its published shape")


def longest_seconds(utterances: Sequence[Utterance]) -> float:
    """Duration of the longest recording; 0 where none can be read."""
    return max((spoken_seconds(Recording(utterance)) for utterance in utterances), default=0.0)


def _longest(card: StoreCard, utterances: Sequence[Utterance]) -> int:
    if not utterances:
        return 1
    if card.modality != "text":
        return max(1, round(longest_seconds(utterances) * card.frames_per_second))
    spoken = [u for u in utterances if u.text is None]
    words = max((len(u.text.split()) for u in utterances if u.text), default=0)
    return max(1, round(words * TOKENS_A_WORD), round(longest_seconds(spoken) * TOKENS_WITHOUT_WORDS_A_SECOND))


def _disk(card: StoreCard, utterances: Sequence[Utterance]) -> int:
    if card.modality != "text":
        return bytes_needed(card, [spoken_seconds(Recording(u)) for u in utterances])
    seconds = [
        spoken_seconds(Recording(u)) * TOKENS_WITHOUT_WORDS_A_SECOND / 5
        if u.text is None
        else written_seconds(Recording(u))
        for u in utterances
    ]
    return bytes_needed(card, seconds)


def _padded_disk(card: StoreCard) -> int:
    return bytes_needed(card, [(WHISPER_WINDOW_FRAMES - 1) / card.frames_per_second])


def _has_weights(encoder: Any) -> bool:
    return hasattr(encoder, "parameters")
