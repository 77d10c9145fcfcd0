"""Label maps: which classes of a corpus become which. Those that are shipped are in the folder `label_maps`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.data.labels import OTHER, LabelSet
from sertk.errors import DataError, LabelError, did_you_mean
from sertk.files import parse_toml, sha256_json

SHIPPED = Path(__file__).parent / "label_maps"


@dataclass(frozen=True)
class LabelMap:
    """Which classes become which; any case, hyphens and underscores count as blanks.

    name: of the file, without its ending. labels: the classes that there are afterwards, in their order. becomes: the
    class of each name, None for those that are left out on purpose. others: what is done with a class that has no
    name here.
    """

    name: str
    labels: LabelSet
    becomes: Mapping[str, str | None]
    others: Literal["error", "drop"] = "error"

    def __getitem__(self, name: str) -> str | None:
        """What a class becomes: a class of `labels`, or None. Votes for `Other` stay what they are."""
        return OTHER if name == OTHER else self.becomes.get(_plain(name))

    def check(self, labels: LabelSet) -> None:
        """Raise LabelError for classes that the map does not name, unless it drops others."""
        unknown = [name for name in labels.names if _plain(name) not in self.becomes]
        if unknown and self.others == "error":
            hint = did_you_mean(_plain(unknown[0]), self.becomes)
            raise LabelError(
                f"the label map {self.name} does not say what becomes of {', '.join(unknown)}. {hint}Name them for a "
                f'class or in `left_out` of a map of your own, or have it say `others = "drop"`'
            )

    @property
    def digest(self) -> str:
        """Changes with all that the map does."""
        return sha256_json([self.labels.names, self.labels.letters, sorted(self.becomes.items()), self.others])


@dataclass(frozen=True)
class _File:
    __pydantic_config__ = ConfigDict(extra="forbid")

    labels: dict[str, list[str]]
    left_out: list[str] = field(default_factory=list)
    others: Literal["error", "drop"] = "error"
    letters: str = ""


_FILE = TypeAdapter(_File)


def shipped_maps() -> list[str]:
    """The names of the maps that come with sertk."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def map_path(name: str | Path) -> Path:
    """The file of a map: a shipped one by its name, else the path itself. Raises DataError for neither."""
    path = Path(name)
    if str(name) in shipped_maps():
        return SHIPPED / f"{name}.toml"
    if not path.is_file():
        hint = did_you_mean(str(name), shipped_maps())
        raise DataError(
            f"there is no label map {name}. {hint}Give one of {', '.join(shipped_maps())}, or a file *.toml"
        )
    return path


def read_label_map(name: str | Path) -> LabelMap:
    """Read a map. Raises DataError for a file that is none, and for a class that is in it twice."""
    path = map_path(name)
    try:
        found = _FILE.validate_python(parse_toml(path.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise DataError(
            f"{path}: {'; '.join(reasons)}. A label map has a table `labels`, with a list of names for each class, "
            f"and may have `left_out`, `others` and `letters`"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as TOML: {error}") from None
    try:
        labels = LabelSet(tuple(found.labels), found.letters)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None
    named = [(name, label) for label, names in found.labels.items() for name in _with_own(label, names)]
    becomes: dict[str, str | None] = {}
    for each, label in [*named, *((name, None) for name in found.left_out)]:
        plain = _plain(each)
        if plain in becomes:
            places = " and in ".join(dict.fromkeys(one or "left_out" for one in (becomes[plain], label)))
            raise DataError(f"{path}: {each!r} is in {places}: name each class once")
        becomes[plain] = label
    return LabelMap(path.stem, labels, becomes, found.others)


def _with_own(label: str, names: list[str]) -> list[str]:
    """The names for a class, and the class's own."""
    return names if _plain(label) in map(_plain, names) else [label, *names]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()
