"""A pretrained checkpoint on this disk: which files are read of it, by which it is told apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sertk.digests import file_digest, remembered
from sertk.errors import EncoderError
from sertk.files import parse_json, sha256_json

SETTINGS = ("*.json", "*.txt", "*.model", "*.codes", "*.tokenizer", "*.tiktoken", "*.jinja")
"""Whatever transformers reads beside weights: configurations, feature extractors, tokenizers of all kinds."""

OF_TOKENIZERS = frozenset(
    {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"}
    | {"normalizer.json"}
)
"""JSON files that no speech encoder reads, as it reads none of the settings that are not JSON."""

OF_GENERATION = "generation_config.json"
"""What a model that writes text reads beside its weights."""

OF_SAVING = frozenset({"torch_dtype", "dtype", "_name_or_path", "transformers_version"})
"""What a configuration says of how and by whom it was saved; `load_model` is told the precision by its caller."""

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

TENSORS = "tensors 1"
"""What digests of tensors are remembered as; the number is raised when they are made in another way."""


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
        """`model_type` of its config. Raises EncoderError without one."""
        if not isinstance(self.config.get("model_type"), str):
            raise EncoderError(
                f"{self.folder / 'config.json'}: names no `model_type`, so its architecture is unknown"
            )
        return str(self.config["model_type"])

    @property
    def emotion_trained(self) -> bool:
        """Whether its name or its labels are those of a checkpoint that was trained on emotion labels."""
        labels = {str(label).lower() for label in (self.config.get("id2label") or {}).values()}
        return bool(EMOTION_TRAINED.search(self.name) or labels & EMOTION_LABELS)

    @property
    def tensors(self) -> int:
        """How many tensors its files have. Raises EncoderError for a file that cannot be read."""
        count = 0
        for path in self.weights:
            try:
                with open(path, "rb") as file:
                    count += len(_header(path, file)[0])
            except (OSError, ValueError, TypeError, AttributeError, MemoryError) as error:
                raise EncoderError(f"{path}: cannot be loaded as safetensors: {error}. Copy it again") from None
        return count

    def fingerprint(self, options: Mapping[str, Any], *, tokenizer: bool = True) -> str:
        """SHA-256 over the values of the weights, the settings that are read, and the options given.

        It is the same wherever the checkpoint is, on the hub or in a folder, in how many files and in which precision
        it was saved. tokenizer: whether the files of the tokenizer and of generation are read too.
        """
        settings = files_read(self.folder, tokenizer=tokenizer)
        if not tokenizer:
            settings.pop(OF_GENERATION, None)
        for name in {"config.json", OF_GENERATION} & settings.keys():
            settings[name] = _settings_digest(self.folder / name)
        return sha256_json({"weights": tensors_digest(self.weights), "settings": settings, "options": dict(options)})


def tensors_digest(files: Iterable[Path]) -> str:
    """SHA-256 over names, shapes and values of the tensors in safetensors files, whatever file each is in.

    Floating-point values are rounded to float16, so that a model saved in float32 and its copy in float16 are one. A
    tensor of which a finite value would be infinite in float16 counts in float32 (bfloat16 can hold such values).
    Read tensor by tensor and remembered by file. Raises EncoderError for a file that cannot be read.
    """
    digests: dict[str, str] = {}
    for path in files:
        try:
            digests |= json.loads(remembered(path, TENSORS, _tensor_digests))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, MemoryError) as error:
            raise EncoderError(f"{path}: cannot be loaded as safetensors: {error}. Copy it again") from None
    return sha256_json(digests)


def _tensor_digests(path: Path) -> str:
    """The digest of each tensor in a file, by name, as JSON. Needs no torch, so that idle verbs stay quick."""
    found = {}
    with open(path, "rb") as file:
        header, start = _header(path, file)
        for name in sorted(header):
            begin, end = header[name]["data_offsets"]
            file.seek(start + begin)
            data = file.read(end - begin)
            if len(data) != end - begin:
                raise ValueError(f"the tensor {name} is cut off")
            found[name] = _tensor_digest(header[name]["dtype"], header[name]["shape"], data)
    return json.dumps(found)


def _header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of each tensor, and where their bytes start."""
    size = int.from_bytes(file.read(8), "little")
    if size > path.stat().st_size:
        raise ValueError("it has no header of that length")
    header = parse_json(file.read(size))
    return {name: header[name] for name in header if name != "__metadata__"}, 8 + size


def _tensor_digest(dtype: str, shape: list[int], data: bytes) -> str:
    """dtype: as safetensors names it. data: little-endian."""
    if dtype == "BF16":
        values = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    elif dtype in ("F32", "F64"):
        values = np.frombuffer(data, "<f4" if dtype == "F32" else "<f8")
    else:  # float16 as it is; so are whole numbers and the kinds of 8 bits and less
        return hashlib.sha256(f"{dtype} {shape} ".encode() + data).hexdigest()
    with np.errstate(all="ignore"):
        rounded = values.astype("<f2")
    beyond = bool((np.isinf(rounded) & ~np.isinf(values)).any())
    kind, values = ("F32", values.astype("<f4")) if beyond else ("F16", rounded)
    return hashlib.sha256(f"{kind} {shape} ".encode() + values.tobytes()).hexdigest()


def _settings_digest(path: Path) -> str:
    """SHA-256 of a configuration without what it says of saving."""
    try:
        return sha256_json(_without_saving(parse_json(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot be read as JSON: {error}") from None


def _without_saving(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_saving(inner) for key, inner in value.items() if key not in OF_SAVING}


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
