"""A pretrained checkpoint on this disk: which files are read of it, by which it is told apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.digests import file_digest
from sertk.errors import EncoderError
from sertk.files import sha256_json

SETTINGS = ("*.json", "*.txt", "*.model", "*.codes", "*.tokenizer", "*.tiktoken", "*.jinja")
"""Whatever transformers reads beside weights: configurations, feature extractors, tokenizers of all kinds."""

OF_TOKENIZERS = frozenset(
    {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"}
    | {"normalizer.json"}
)
"""JSON files that no speech encoder reads, as it reads none of the settings that are not JSON."""

EMOTION_TRAINED = re.compile(
    r"emotion|(^|[-_/])ser([-_]|$)|[-_]er$|vox-?profile|tiantiaf/|odyssey-baseline|msp-?(dim|podcast)|iemocap|meld",
    re.IGNORECASE,
)
"""Names of checkpoints trained on emotion labels, which challenges with a closed training set do not allow:
audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim, 3loi/SER-Odyssey-Baseline-WavLM-*, superb/*-er,
emotion2vec, tiantiaf/* (Vox-Profile), SamLowe/roberta-base-go_emotions, and what is named alike."""

EMOTION_LABELS = frozenset(
    {"angry", "anger", "ang", "happy", "happiness", "hap", "joy", "sad", "sadness", "disgust", "fear", "fearful"}
    | {"arousal", "valence", "dominance"}
)


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint on this disk. name: hub id, or the folder's own name. revision: the hub's commit, None for a
    folder. config: what its config.json says. weights: the safetensors files.
    """

    folder: Path
    name: str
    revision: str | None
    config: Mapping[str, Any]
    weights: tuple[Path, ...]

    @property
    def architecture(self) -> str:
        """`model_type` of its config."""
        return str(self.config["model_type"])

    @property
    def emotion_trained(self) -> bool:
        """Whether its name or its labels are those of a checkpoint that was trained on emotion labels."""
        labels = {str(label).lower() for label in (self.config.get("id2label") or {}).values()}
        return bool(EMOTION_TRAINED.search(self.name) or labels & EMOTION_LABELS)

    def fingerprint(self, options: Mapping[str, Any], *, tokenizer: bool = True) -> str:
        """SHA-256 over name and commit (on the hub), the bytes of weights and settings, and the options given.

        A folder counts by its content alone, wherever it is. tokenizer: whether the tokenizer's files are read too.
        """
        files = files_read(self.folder, weights=self.weights, tokenizer=tokenizer)
        hub = {"id": self.name, "revision": self.revision} if self.revision else None
        return sha256_json({"files": files, "hub": hub, "options": dict(options)})


def files_read(path: Path, *, weights: Iterable[Path] = (), tokenizer: bool = True) -> dict[str, str]:
    """SHA-256 of the files that are read of a checkpoint, a folder or one file, by name, remembered.

    weights: those of a folder. tokenizer: whether the tokenizer's files are read too. Raises EncoderError for a file
    that cannot be read.
    """
    found = [path] if path.is_file() else [*weights]
    for kind in SETTINGS if tokenizer else ("*.json",):
        found += [other for other in path.glob(kind) if tokenizer or other.name not in OF_TOKENIZERS]
    read = [other for other in found if other.is_file() and not other.name.endswith(".index.json")]
    try:
        return {other.name: file_digest(other) for other in read}
    except OSError as error:
        raise EncoderError(f"{path}: {error}") from None
