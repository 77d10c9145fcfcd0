"""One rater's row of MSP-Podcast, and the packed text that most releases write it as."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sertk.data.corpora.tables import decimal
from sertk.data.labels import OTHER
from sertk_msp_podcast.labels import MSP_PODCAST

ATTRIBUTES = ("arousal", "valence", "dominance")
"""EmoAct, EmoVal and EmoDom; A, V and D in the packed form."""
LOWEST, HIGHEST = 1.0, 7.0
SECONDARY = (
    *MSP_PODCAST.names,
    *("Amused", "Frustrated", "Depressed", "Concerned", "Disappointed", "Excited", "Confused", "Annoyed", OTHER),
)
"""What a rater may tick besides the primary emotion."""

_SPELLING = {name.lower(): name for name in SECONDARY} | {"dissapointed": "Disappointed"}
_RATED = r";\s*([AVD])\s*:([^;]*)"
_PACKED = re.compile(rf"\s*([^;]*?)\s*;(.*){_RATED}{_RATED}{_RATED};?\s*", re.DOTALL)
_OTHER = re.compile(r"other\b\s*-?\s*(.*)", re.IGNORECASE | re.DOTALL)


class Rating(NamedTuple):
    """What one rater said of one utterance.

    primary: a class, or `Other-` and the rater's own words. secondary: words of SECONDARY, own words after `Other-`.
    arousal, valence, dominance: 1 to 7, NaN where the rater gave none.
    """

    worker: str
    primary: str
    secondary: tuple[str, ...]
    arousal: float
    valence: float
    dominance: float

    @property
    def vote(self) -> str:
        """The class voted for, or `Other`."""
        return OTHER if self.primary.startswith(OTHER) else self.primary

    def row(self) -> dict[str, Any]:
        """The row as a manifest keeps it; what is missing is left out."""
        row: dict[str, Any] = {"worker": self.worker, "primary": self.primary}
        if self.secondary:
            row["secondary"] = list(self.secondary)
        for name, value in zip(ATTRIBUTES, self[3:], strict=True):
            if value == value:
                row[name] = value
        return row


def parse_packed(text: str) -> Rating:
    """Read `WORKERn; Primary; Sec1,Sec2; A:3.0; V:4.0; D:4.0;`, the worker from the front and D, V, A from the back.

    What lies between is the primary and, behind the last semicolon, the secondary emotions: free text may hold
    semicolons, commas, quotes, and what looks like a rating. Raises ValueError saying what does not fit.
    """
    match = _PACKED.fullmatch(text)
    if match is None:
        raise ValueError(f"should be `WORKER; Primary; Secondary; A:n; V:n; D:n;`, got {shortened(text)!r}")
    worker, middle, *rated = match.groups()
    values = dict(zip(rated[::2], rated[1::2], strict=True))
    if len(values) != 3:
        raise ValueError(f"should have A, V and D once each, got {shortened(text)!r}")
    primary, secondary = split_emotions(middle)
    return make_rating(worker, primary, secondary, [values[key] for key in "AVD"])


@lru_cache(maxsize=65536)
def split_emotions(middle: str) -> tuple[str, str]:
    """Part `Primary; Secondary`: at the first semicolon behind a class, at the last one behind free text."""
    first, semicolon, rest = middle.partition(";")
    if semicolon and first.strip().lower() in _SPELLING and not _OTHER.match(first.strip()):
        return first, rest
    primary, _, secondary = middle.rpartition(";") if semicolon else (middle, "", "")
    return primary, secondary


def make_rating(worker: str, primary: str, secondary: str, values: list[Any]) -> Rating:
    """Check one rater's fields. values: arousal, valence, dominance. Raises ValueError for what does not fit."""
    if not worker:
        raise ValueError("the worker is empty")
    arousal, valence, dominance = (_rating(value) for value in values)
    return Rating(sys.intern(worker.strip()), _primary(primary), _secondary(secondary), arousal, valence, dominance)


def rating_of(worker: str, fields: Mapping[str, Any]) -> Rating:
    """Read a rater's row from columns or JSON keys: EmoClass_Major, EmoClass_Second, EmoAct, EmoVal, EmoDom.

    Raises ValueError or KeyError for a row that lacks one or has another value.
    """
    second = fields["EmoClass_Second"]
    joined = ",".join(second) if isinstance(second, list) else str(second or "")
    values = [fields[name] for name in ("EmoAct", "EmoVal", "EmoDom")]
    return make_rating(str(worker), str(fields["EmoClass_Major"]), joined, values)


def on_scale(value: Any) -> float:
    """A value of an attribute, with a decimal point or comma. Raises ValueError for what is no number from 1 to 7."""
    try:
        number = decimal(str(value))
    except ValueError:
        number = math.nan
    if not LOWEST <= number <= HIGHEST:
        raise ValueError(f"should be a number from 1 to 7, got {value!r}")
    return number


def shortened(text: str, width: int = 90) -> str:
    """The beginning of a long text, for messages."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


@lru_cache(maxsize=65536)
def _primary(text: str) -> str:
    word = text.strip()
    other = _OTHER.fullmatch(word)
    if other:
        return sys.intern(f"{OTHER}-{other[1].strip()}" if other[1].strip() else OTHER)
    name = _SPELLING.get(word.lower())
    if name not in MSP_PODCAST.names:
        known = ", ".join(MSP_PODCAST.names)
        raise ValueError(f"the primary emotion should be one of {known} or Other-..., got {shortened(word)!r}")
    return name


@lru_cache(maxsize=65536)
def _secondary(text: str) -> tuple[str, ...]:
    """The words between commas, without those that stand twice; a word that is not known is kept as it is."""
    words = [word.strip() for word in text.split(",")]
    known = (_SPELLING.get(word.lower(), word) for word in words if word and word.lower() != "nan")
    return tuple(sys.intern(word) for word in dict.fromkeys(known))


@lru_cache(maxsize=4096)
def _rating(value: Any) -> float:
    """A rating, NaN for `nan` and for nothing; written as text or as a number."""
    if value is None or str(value).strip().lower() in ("", "nan", "none"):
        return math.nan
    return on_scale(value)
