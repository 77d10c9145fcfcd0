"""The card of a feature store: which encoder made it, and how its frames are kept. No torch here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.errors import StoreError
from sertk.files import write_json

if TYPE_CHECKING:
    from sertk.contracts import Encoder

Dtype = Literal["float16", "bfloat16", "float32", "int8"]
FILE = "card.json"


@dataclass(frozen=True)
class StoreCard:
    """What made the frames of a store, and how they are kept.

    encoder, options: the registered name and its options. fingerprint: of the encoder's output. dim: D.
    frames_per_second: 0 where frames are no time steps. dtype: float16, bfloat16, float32, or int8 (with one
    float32 scale a frame, the frame's largest absolute value / 127). licence: of the encoder, where it binds the
    features it makes; an encoder says so in an attribute `licence`. precision: that was computed in. words: of
    text features, the sources of the transcripts, so that features of other words are not gone on with. error: the
    largest relative difference from float32 that was found (`sertk.features.error`); None where computing was in it.
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
    precision: str = "float32"
    words: str = ""
    error: float | None = None


_CARD = TypeAdapter(StoreCard)


def store_card(name: str, options: dict[str, Any], encoder: Encoder, *, dtype: Dtype = "float16") -> StoreCard:
    """The card of what an encoder gives, under the name and options that it was built with."""
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
    )


def read_card(folder: Path) -> StoreCard:
    """Read the card of a store. Raises StoreError for a folder without one, or a damaged one."""
    path = folder / FILE
    try:
        return _CARD.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{folder} is not a feature store (no {FILE}): `sertk extract` makes one") from None
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} is damaged: {_brief(error)}. Extract again with --repair.") from None


def write_card(folder: Path, card: StoreCard) -> None:
    """Write the card of a store, or check that the card there is the same.

    Raises StoreError, naming what differs, for a folder that another encoder filled.
    """
    if not (folder / FILE).exists():
        if any(folder.glob("index*.json")):
            raise StoreError(f"{folder} has features but no {FILE}, so nobody knows whose: extract with --repair")
        write_json(folder / FILE, asdict(card))
    check_same(folder, read_card(folder), card)


def check_same(folder: Path, there: StoreCard, wanted: StoreCard) -> None:
    """Raise StoreError, naming both sides, unless two cards say the same; each machine measures its own error."""
    old, new = (json.loads(json.dumps(asdict(replace(card, error=None)))) for card in (there, wanted))
    differing = [name for name in old if old[name] != new[name]]
    if differing:
        each = "; ".join(f"{name} is {old[name]!r}, wanted {new[name]!r}" for name in differing)
        raise StoreError(
            f"{folder} holds features of {there.encoder} that do not mix with those of {wanted.encoder}: {each}. "
            f"Choose another folder, or delete this one."
        )


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])} {first['msg']}".strip()
    return str(error)
