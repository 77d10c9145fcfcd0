"""The card of a feature store: which encoder made it, and how its frames are kept. No torch here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.errors import StoreError
from sertk.features.sources import Read, default_reads
from sertk.files import parse_json
from sertk.provenance import Provenance, changes, options_as_parts

if TYPE_CHECKING:
    from sertk.contracts import Encoder

Dtype = Literal["float16", "bfloat16", "float32", "int8"]
Precision = Literal["float32", "bfloat16", "float16"]
"""That encoders compute in, by autocast."""

FILE = "card.json"
FORMAT = 2
VERB = "extract"
IMPORT = "data features"
"""The verb that makes stores of arrays that another program computed."""
EXTERNAL = "external"
"""What their cards have in place of an encoder's name."""


@dataclass(frozen=True)
class StoreCard:
    """What made the frames of a store, and how they are kept.

    encoder, options: the registered name and its options. fingerprint: of the encoder's output. dim: D.
    frames_per_second: 0 where frames are no time steps. dtype: float16, bfloat16, float32, or int8 (with one
    float32 scale a frame, the frame's largest absolute value / 127). licence: of the encoder, where it binds the
    features it makes; an encoder says so in an attribute `licence`. precision: that was computed in. reads: what an
    utterance's frames are computed from (`sertk.features.sources`); empty where that cannot be compared. stores: of
    posteriors, the folders of the feature stores that the model read. versions: of the components that
    made the frames, as parts of the key. unkeyed: the options that are no part of the key. error: the largest
    relative difference from float32 that was found (`sertk.features.error`); None where computing was in it.
    """

    __pydantic_config__ = ConfigDict(strict=True)

    encoder: str
    options: dict[str, Any]
    fingerprint: str
    modality: str
    dim: int
    frames_per_second: float
    dtype: Dtype
    challenge_legal: bool = True
    licence: str = ""
    precision: Precision = "float32"
    reads: list[Read] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    unkeyed: list[str] = field(default_factory=list)
    error: float | None = None
    sertk_store: Literal[2] = 2

    @property
    def parts(self) -> dict[str, str]:
        """What decides the frames of an utterance beside its own content, as parts of a key."""
        options = {name: value for name, value in self.options.items() if name not in self.unkeyed}
        return {
            "encoder": self.encoder,
            **options_as_parts("options", options),
            "fingerprint": self.fingerprint,
            "dim": str(self.dim),
            "dtype": self.dtype,
            "precision": self.precision,
            **self.versions,
        }

    @property
    def key(self) -> str:
        """A digest of the parts: stores of one key hold the same frames for the same content."""
        return Provenance(VERB, self.parts).key


_CARD = TypeAdapter(StoreCard)


def store_card(
    name: str,
    options: dict[str, Any],
    encoder: Encoder,
    *,
    dtype: Dtype = "float16",
    precision: Precision = "float32",
    versions: dict[str, str] | None = None,
) -> StoreCard:
    """The card of what an encoder gives, under the name and options that it was built with.

    versions: of the components that make the frames (`sertk.revisions.component_parts`).
    """
    reads: Sequence[Read] = getattr(encoder, "reads", ()) or default_reads(encoder.modality)
    return StoreCard(
        encoder=name,
        options=options,
        fingerprint=encoder.fingerprint,
        modality=encoder.modality,
        dim=encoder.dim,
        frames_per_second=encoder.frames_per_second,
        dtype=dtype,
        challenge_legal=encoder.challenge_legal,
        licence=getattr(encoder, "licence", ""),
        precision=precision,
        reads=sorted(reads),
        stores=sorted(getattr(encoder, "store_folders", ())),
        versions=versions or {},
        unkeyed=sorted(getattr(encoder, "unkeyed", ())),
    )


def read_card(folder: Path) -> StoreCard:
    """Read the card of a store. Raises StoreError for a folder without one, a damaged one, and an older format."""
    path = folder / FILE
    refuse_older(folder)
    try:
        return _CARD.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{folder} is not a feature store (no {FILE}): `sertk extract` makes one") from None
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} is damaged: {_brief(error)}. Extract again with --repair.") from None


def refuse_older(folder: Path) -> None:
    """Raise StoreError for a store of the format that had no digests."""
    try:
        row = parse_json((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return
    if isinstance(row, dict) and "sertk_store" not in row and {"encoder", "fingerprint", "dtype"} <= row.keys():
        raise StoreError(
            f"{folder} is a feature store of format 1, which does not record what its utterances were computed from: "
            f"delete it and extract again"
        )


def as_json(card: StoreCard) -> dict[str, Any]:
    """What a card file says."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(card)))
    return value


def check_same(folder: Path, there: StoreCard, wanted: StoreCard) -> None:
    """Raise StoreError, naming both sides, unless two cards have one key."""
    if there.key != wanted.key:
        raise StoreError(
            f"{folder} holds features of {there.encoder} that do not mix with those of {wanted.encoder}: "
            f"{differences(there, wanted)}. Choose another folder, or delete this one."
        )


def differences(there: StoreCard, wanted: StoreCard) -> str:
    """In which parts the keys of two cards differ, for people: `mels was 40, is 80`."""
    found = changes(Provenance(VERB, there.parts), Provenance(VERB, wanted.parts))
    named = [change for change in found if change.part != "fingerprint"] or found
    phrases = [f"{c.part.removeprefix('options.')} was {_short(c.before)}, is {_short(c.now)}" for c in named]
    return "; ".join(dict.fromkeys(phrases))


def _short(value: str | None) -> str:
    if value is None:
        return "not given"
    return value if len(value) < 60 else f"{value[:12]}..."


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])} {first['msg']}".strip()
    return str(error)
