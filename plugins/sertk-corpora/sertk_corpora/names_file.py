"""Description of a corpus whose file names say everything: a TOML file, checked."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sertk.errors import DataError

STRICT = ConfigDict(extra="forbid", frozen=True)
SHIPPED = Path(__file__).with_name("names")
GROUPS = ("speaker", "emotion", "gender", "language", "text")
"""Groups of a pattern that say something; others may only be used by `id`."""


class Card(BaseModel):
    """What people should know of a corpus before they use it."""

    model_config = STRICT

    url: str = ""
    licence: str = ""
    speakers: str = ""
    folds: str = ""
    emobox: str = ""
    citation: str = ""
    defects: tuple[str, ...] = ()

    def text(self) -> str:
        """One line for each fact."""
        facts = {"Licence": self.licence, "Speakers": self.speakers, "Folds": self.folds, "EmoBox": self.emobox}
        facts |= {"Known defects": " ".join(self.defects), "Page": self.url, "Cite": self.citation}
        return "\n\n".join(f"{name}: {fact}" for name, fact in facts.items() if fact)


class NamesFile(BaseModel):
    """A corpus by the names of its files.

    title: how messages call it. pattern: a regular expression of the path from the folder, with `/` and without the
    ending, in any case; its groups are `speaker`, `emotion`, `gender`, `language`, `text`, and others that `id` uses.
    example: a name that fits. id: how utterances are called, such as `{speaker}_{take}`; else the name of the file.
    labels: the classes in their order. emotion, speaker, gender, language, text: what a group's codes mean, in any
    case; gender may be by speaker; gender, language or text in place of a table is the same for all, where `{text}`
    is what the group has. recordings, speakers: how many there are. folds: the speakers of each fold, also as ranges
    `1001-1018`; a number divides all of them. left_out: patterns of recordings that do not belong, and why.
    known: recordings that are kept with a remark.
    """

    model_config = STRICT

    title: str
    pattern: str
    example: str = ""
    id: str = ""
    labels: tuple[str, ...]
    emotion: dict[str, str]
    speaker: dict[str, str] = {}
    gender: str | dict[str, str] = {}
    language: str | dict[str, str] = {}
    text: str | dict[str, str] = {}
    recordings: int | None = None
    speakers: int | None = None
    folds: int | tuple[tuple[str, ...], ...] = 5
    left_out: dict[str, str] = {}
    known: dict[str, str] = {}
    card: Card = Card()

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern, re.IGNORECASE)

    def meaning(self, what: str, groups: dict[str, str]) -> str | None:
        """What a name says: a code by its table, or as it is where there is no table. Raises KeyError for another."""
        table: str | dict[str, str] = getattr(self, what)
        code = groups.get(what) or (groups.get("speaker", "") if what == "gender" else "")
        if isinstance(table, str):
            return table.format(**groups)
        if not table:
            return code or None
        found = {key.casefold(): value for key, value in table.items()}
        return found[code.casefold()]

    def parts(self, speakers: list[str]) -> list[list[str]]:
        """The speakers of each fold."""
        if isinstance(self.folds, int):
            return [speakers[number :: self.folds] for number in range(self.folds)]
        return [[one for item in fold for one in _expanded(item)] for fold in self.folds]


def read_names_file(path: Path) -> NamesFile:
    """Read and check a description. Raises DataError that says what is wrong where."""
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Shipped: {', '.join(shipped())}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not TOML: {error}") from None
    try:
        names = NamesFile.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise DataError(f"{path}: {'; '.join(faults)}") from None
    try:
        groups = names.expression.groupindex
    except re.error as error:
        raise DataError(f"{path}: pattern is no regular expression: {error}") from None
    if lacking := [name for name in ("speaker", "emotion") if name not in groups]:
        raise DataError(f"{path}: pattern has no group (?P<{lacking[0]}>...), which every name must say")
    if strange := sorted({*names.emotion.values()} - {*names.labels}):
        raise DataError(f"{path}: emotion: {', '.join(strange)} is none of the labels {', '.join(names.labels)}")
    if names.example and not names.expression.fullmatch(names.example):
        raise DataError(f"{path}: example {names.example!r} does not fit the pattern")
    return names


def shipped() -> list[str]:
    """The names of the descriptions that come with this plugin."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def _expanded(item: str) -> list[str]:
    first, _, last = item.partition("-")
    if not (last and first.isdigit() and last.isdigit()):
        return [item]
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
