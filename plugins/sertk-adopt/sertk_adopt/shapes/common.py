"""What several shapes share: names of outputs, settings of encoders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sertk.data.labels import OTHER
from sertk.encoders.hf_speech import MODEL_CLASSES
from sertk.errors import EncoderError
from sertk.files import parse_json
from sertk.hub import find_checkpoint
from sertk.pretrained import Pretrained
from sertk_adopt.contract import AdoptError, Asked, Public

ATTRIBUTES = frozenset({"arousal", "activation", "dominance", "valence"})
EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
BASES = {"wav2vec2": "wav2vec2.", "hubert": "hubert.", "wavlm": "wavlm.", "data2vec-audio": "data2vec_audio."}
"""Where transformers has the encoder in a model with a head, by architecture; Whisper's is at `encoder.`."""


def names_of_outputs(public: Public, asked: Asked, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes and attributes in the order of the outputs, of which one is empty.

    Raises AdoptError where neither the checkpoint nor the user says the order.
    """
    named = public.config.get("id2label")
    names: Sequence[str] = ()
    if isinstance(named, Mapping) and all(str(key).isdigit() for key in named):
        names = [str(named[key]) for key in sorted(named, key=lambda key: int(str(key)))]
    if asked.labels:
        names = asked.labels
    elif not names or any(re.fullmatch(r"LABEL_\d+", name, re.IGNORECASE) for name in names):
        raise AdoptError(
            f"{public.given}: config.json does not name its {count} outputs. Look them up on its page and give them "
            f"in their order: --labels NAME,NAME,..."
        )
    if len(names) != count:
        raise AdoptError(
            f"{public.given}: {count} outputs, but {len(names)} names: {', '.join(names)}. Give all in order "
            f"with --labels"
        )
    if {name.lower() for name in names} <= ATTRIBUTES:
        return (), tuple(name.lower() for name in names)
    if count == 1:
        raise AdoptError(
            f"{public.given}: one output, {names[0]}, which is no attribute ({', '.join(sorted(ATTRIBUTES))})"
        )
    return tuple(plain(name) for name in names), ()


def plain(name: str) -> str:
    """A class as sertk can name it: `Other` is the vote outside of all classes, so a class becomes `other`."""
    return OTHER.lower() if name == OTHER else name.strip()


def scale_of(public: Public, asked: Asked, attributes: Sequence[str]) -> tuple[float, float]:
    """The range of attributes. Raises AdoptError for one that is asked of a model without attributes."""
    if asked.range is None:
        return (0.0, 1.0)
    if not attributes:
        raise AdoptError(f"{public.given}: has no attributes, so --range says nothing")
    return asked.range


def architecture_of(public: Public) -> str:
    """The architecture of the encoder. Raises AdoptError for one that sertk does not read."""
    name = public.source.architecture
    if name not in MODEL_CLASSES:
        raise AdoptError(f"{public.given}: its encoder is a {name!r}; known are {', '.join(MODEL_CLASSES)}")
    return name


def extractor_of(source: Pretrained, given: str) -> dict[str, Any]:
    """The settings of a checkpoint's feature extractor. Raises AdoptError where there is no file with them."""
    for name in EXTRACTORS:
        path = source.folder / name
        if path.is_file():
            try:
                content = parse_json(path.read_bytes())
                content = content.get("feature_extractor", content)  # as a processor keeps it
                return {key: value for key, value in content.items() if key not in ("processor_class", "auto_map")}
            except (OSError, ValueError, AttributeError) as error:
                raise AdoptError(f"{path}: cannot be read as JSON: {error}") from None
    raise AdoptError(
        f"{given}: there is no preprocessor_config.json, which says how its waveforms are normalised. Copy that "
        f"of the encoder that it was trained from, if its page says that nothing was changed"
    )


def settings_of(public: Public, asked: Asked, default: str) -> Pretrained:
    """The checkpoint whose settings the encoder has, where the public one has none. Raises AdoptError."""
    model = asked.encoder or default
    try:
        return find_checkpoint(model, weights=False)
    except EncoderError as error:
        raise AdoptError(
            f"{public.given}: has no settings of its encoder, which are those of {model}. Give a folder with its "
            f"config.json and preprocessor_config.json: --encoder FOLDER ({error})"
        ) from None
