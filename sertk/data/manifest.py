"""The manifest: a corpus as JSON lines, one utterance a line behind a header line. Joined by utterance id."""

# Longer than others: one file format, its fields, read strictly and written.
from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.data.collection import without_collection
from sertk.data.ids import name_fault, names_fault
from sertk.data.labels import LabelSet
from sertk.data.packed import open_text
from sertk.errors import DataError, LabelError, did_you_mean
from sertk.escapes import escaped
from sertk.files import atomic_path

STRICT = ConfigDict(extra="forbid", strict=True)
NAMES = ("speaker", "split", "fold", "corpus", "source_id")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: where its audio is, who speaks, what is said, and what raters heard.

    audio: path of the recording, relative to the folder that the header names or absolute. start, duration: seconds
    (duration None: to the end). fold: the part of a cross-validation that it is tested in. corpus: where it comes
    from, in a manifest of several. source_id: of a changed copy, the id of the original. emotion: the consensus,
    `Other`, or None without agreement. votes: by class. raters: the raters' own rows, where a corpus gives them.
    attributes: by name, missing left out.
    """

    __pydantic_config__ = STRICT

    id: str
    audio: str
    start: float = 0.0
    duration: float | None = None
    sample_rate: int | None = None
    speaker: str | None = None
    gender: str | None = None
    language: str | None = None
    split: str | None = None
    fold: str | None = None
    corpus: str | None = None
    source_id: str | None = None
    text: str | None = None
    text_source: str | None = None
    votes: Mapping[str, float] = field(default_factory=dict)
    raters: tuple[Mapping[str, Any], ...] = ()
    emotion: str | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The id of the utterance that it is a copy of, else its own."""
        return self.source_id or self.id


@dataclass(frozen=True)
class Manifest:
    """Utterances with the label set and the attribute ranges that their labels are to be read with."""

    corpus: str
    labels: LabelSet
    ranges: Mapping[str, tuple[float, float]]
    utterances: tuple[Utterance, ...]
    note: str = ""
    folder: Path = Path()
    """Where relative audio paths start; without it the folder of the file that it is written to."""
    anchored: bool = False
    """Whether a file names `folder` by its absolute path, not as seen from itself."""

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def split(self, *names: str) -> tuple[Utterance, ...]:
        """The utterances of one or more splits. Raises DataError for a split that has none."""
        known = {utterance.split for utterance in self.utterances if utterance.split}
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise DataError(f"no utterance is in split {name!r}. {hint}Splits: {', '.join(sorted(known))}.")
        return tuple(utterance for utterance in self.utterances if utterance.split in names)

    def audio_path(self, utterance: Utterance) -> Path:
        """The recording of an utterance. Raises DataError for a relative path that climbs out of the folder."""
        path = Path(utterance.audio)
        if path.is_absolute():
            return path
        if ".." in path.parts:
            raise DataError(
                f"utterance {utterance.id}: audio {utterance.audio!r} leaves the folder of the recordings"
            )
        return self.folder / path

    def located(self) -> tuple[Utterance, ...]:
        """The utterances with `audio` made absolute, as encoders read them."""
        return tuple(replace(u, audio=str(self.audio_path(u).absolute())) for u in self.utterances)

    def based_in(self, folder: Path) -> Manifest:
        """The same corpus with the recordings below a folder by their paths from there.

        Where `folder` is a relative path, files name it as seen from themselves: corpus and files can be moved
        together. An absolute one stays where it is when they are moved.
        """
        place = folder.absolute()

        def short(path: Path) -> str:
            inside = path.is_relative_to(place) and ".." not in path.relative_to(place).parts
            return str(path.relative_to(place) if inside else path)

        made = tuple(replace(u, audio=short(self.audio_path(u).absolute())) for u in self.utterances)
        return replace(self, utterances=made, folder=place, anchored=folder.is_absolute())

    def audio_folder(self, path: Path) -> str:
        """How a file at `path` names the folder of the recordings: absolute, as seen from it, or "" for its own."""
        if self.folder == Path() or all(Path(utterance.audio).is_absolute() for utterance in self.utterances):
            return ""
        if self.anchored:
            return str(self.folder.absolute())
        found = os.path.relpath(self.folder.absolute(), path.absolute().parent)
        return "" if found == "." else found

    def with_utterances(self, utterances: Iterable[Utterance]) -> Manifest:
        """The same corpus with other utterances."""
        return replace(self, utterances=tuple(utterances))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, whatever the file's name, place or compression."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @staticmethod
    @without_collection
    def read(path: Path, *, any_names: bool = False) -> Manifest:
        """Read `*.jsonl` or `*.jsonl.gz`. Raises DataError naming file and line for what is not a manifest.

        any_names: let ids and names through that would break other files (`sertk.data.ids`), to list or drop them.
        """
        with _reading(path), open_text(path, "r") as file:
            return _parse(path, file, any_names=any_names)

    def write(self, path: Path) -> None:
        """Write `*.jsonl` or `*.jsonl.gz`, whole or not at all; the same content gives the same bytes.

        Raises DataError for an id or a name that could not be read again, and for text that is not UTF-8.
        """
        for utterance in self.utterances:
            if fault := unfit_name(utterance):
                raise DataError(f"{path}: utterance {escaped(utterance.id)!r}: {fault}")
        with atomic_path(path) as temporary, open_text(temporary, "w", like=path) as file:
            for line in self._lines(self.audio_folder(path)):
                try:
                    file.write(line)
                except UnicodeEncodeError:
                    raise DataError(f"{path}: text that is not UTF-8: {escaped(line[:200])}...") from None

    def _lines(self, audio: str = "") -> Iterator[str]:
        ranges = {name: (float(low), float(high)) for name, (low, high) in self.ranges.items()}
        header = _Header(1, self.corpus, list(self.labels.names), self.labels.letters, ranges, self.note, audio)
        yield json.dumps({k: v for k, v in vars(header).items() if k != "audio" or v}, ensure_ascii=False) + "\n"
        for utterance in self.utterances:
            yield json.dumps(_row(utterance), ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class _Header:
    __pydantic_config__ = ConfigDict(extra="forbid")

    sertk_manifest: Literal[1]
    corpus: str
    labels: list[str]
    letters: str
    attributes: dict[str, tuple[float, float]]
    note: str = ""
    audio: str = ""


def unfit_name(utterance: Utterance) -> str | None:
    """What makes an utterance's id or one of its names unfit for files, or None."""
    return names_fault(utterance.id, **{name: getattr(utterance, name) for name in NAMES})


_HEADER = TypeAdapter(_Header)
_UTTERANCE = TypeAdapter(Utterance)
_DEFAULTS = [(f.name, None if f.default_factory is not MISSING else f.default) for f in fields(Utterance)]


def _row(utterance: Utterance) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    values = ((name, getattr(utterance, name), default) for name, default in _DEFAULTS)
    row = {name: value for name, value, default in values if value != default and value not in ({}, ())}
    for name in ("votes", "attributes"):
        if name in row:  # 2 and 2.0 are one number, and so one fingerprint
            row[name] = {key: float(value) for key, value in row[name].items()}
    return row


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of a file that cannot be read that it is no manifest."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"there is no manifest {path}: `sertk data prepare` writes one") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as a manifest: {error}") from error


def _parse(path: Path, lines: Iterable[str], *, any_names: bool) -> Manifest:
    utterances: list[Utterance] = []
    manifest: Manifest | None = None
    number = 0
    for number, line in enumerate(lines, start=1):
        try:
            if manifest is None:
                header = _HEADER.validate_json(line)
                for name, (low, high) in header.attributes.items():
                    if not low < high:
                        raise DataError(f"{path}, line {number}: the range of {name!r} is {low:g} to {high:g}")
                    if fault := name_fault("attribute", name):
                        raise DataError(f"{path}, line {number}: {fault}")
                labels = LabelSet(tuple(header.labels), header.letters)
                place = Path(os.path.normpath(path.absolute().parent / header.audio))
                anchored = Path(header.audio).is_absolute()
                manifest = Manifest(header.corpus, labels, header.attributes, (), header.note, place, anchored)
            else:
                utterance = _UTTERANCE.validate_json(line)
                if not any_names and (fault := unfit_name(utterance)):
                    raise DataError(f"{path}, line {number}: {fault}; `sertk data fix` drops such utterances")
                utterances.append(utterance)
        except ValidationError as error:
            raise DataError(f"{path}, line {number}: {_reasons(error)}") from None
        except LabelError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
    if manifest is None:
        raise DataError(f"{path} is empty: a manifest has a header line, then one utterance per line")
    return manifest.with_utterances(utterances)


def _reasons(error: ValidationError) -> str:
    reasons = [(".".join(str(part) for part in e["loc"]), e["msg"]) for e in error.errors(include_url=False)]
    return "; ".join(f"{place}: {message}" if place else message for place, message in reasons)
