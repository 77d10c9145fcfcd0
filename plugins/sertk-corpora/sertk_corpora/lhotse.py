"""Manifests of lhotse in, a manifest and a report out: JSON lines of recordings and supervisions."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from sertk.data.corpora.recordings import named_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import OTHER, LabelSet
from sertk.data.manifest import Manifest, Utterance, unfit_name
from sertk.data.packed import open_text
from sertk.errors import DataError, Fault, LabelError
from sertk.revisions import revision

CUSTOM = ("split", "fold", "corpus", "text_source", "votes", "raters", "attributes")
"""Fields of an utterance that stand in `custom`; so does `emotion`."""
_FILE = re.compile(r"(?:(?P<prefix>.+?)[_-])?(?P<kind>recordings|supervisions)(?:[_-](?P<part>.+?))?\.jsonl(?:\.gz)?")


class _Source(BaseModel):
    type: str
    source: Any = None


class _Recording(BaseModel):
    id: str
    sources: list[_Source]
    channel_ids: list[int] | None = None
    transforms: list[Any] | None = None


class _Supervision(BaseModel):
    id: str
    recording_id: str
    start: float
    duration: float
    channel: int | list[int] = 0
    text: str | None = None
    language: str | None = None
    speaker: str | None = None
    gender: str | None = None
    custom: dict[str, Any] | None = None


class _Header(BaseModel):
    """What every supervision that sertk writes has in `custom.sertk`."""

    corpus: str
    labels: tuple[str, ...]
    letters: str = ""
    ranges: dict[str, tuple[float, float]] = {}
    note: str = ""


_Row = TypeVar("_Row", _Recording, _Supervision)
_UTTERANCE = TypeAdapter(Utterance)


@revision(1)
def read_lhotse(
    folder: Path,
    /,
    *,
    emotion: str = "emotion",
    audio_root: Path | None = None,
    allow_partial: bool = False,
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """Manifests of lhotse: `recordings.jsonl.gz` and `supervisions.jsonl.gz`, or several with prefixes and parts.

    A supervision is an utterance; its `custom` has the emotion, and split, fold, votes and attributes where `sertk
    export` wrote it. Otherwise the part is the split: `emovo_supervisions_train.jsonl.gz` has `train`. The classes of
    such a corpus are the emotions that occur.

    Parameters
    ----------
    emotion
        The entry of `custom` that names the emotion.
    audio_root
        Where relative paths of recordings start, when not in the folder of the manifests.
    allow_partial
        Accept that recordings are missing.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without such files, a line that cannot be read, two supervisions of one id, two label sets, and
        no emotions.
    """
    report = CorpusReport(form="recordings and supervisions of lhotse")
    files = [(path, match) for path in sorted(folder.iterdir()) if (match := _FILE.fullmatch(path.name))]
    report.files = [path.name for path, _ in files]
    for kind in ("recordings", "supervisions"):
        if not any(match["kind"] == kind for _, match in files):
            raise DataError(f"{folder} has no {kind}.jsonl.gz of lhotse (or NAME_{kind}_PART.jsonl.gz)")
    root = (audio_root or folder).absolute()
    paths: dict[str, Path] = {}
    channels: dict[str, int] = {}
    for path, match in files:
        if match["kind"] == "recordings":
            for _, one in _lines(path, _Recording):
                channels[one.id] = len(one.channel_ids or [0])
                if fault := _unread(one):
                    report.add("unread recording", [Fault(one.id, f"{fault}; left out")])
                else:
                    paths[one.id] = root / str(one.sources[0].source)
    utterances: dict[str, Utterance] = {}
    recording_of: dict[str, str] = {}
    header: _Header | None = None
    seen: set[str] = set()
    for path, match in files:
        if match["kind"] == "recordings":
            continue
        for place, row in _lines(path, _Supervision):
            custom = row.custom or {}
            seen.update(custom)
            own = _header(custom["sertk"], place) if "sertk" in custom else None
            if utterances and own != header:
                raise DataError(
                    f"{place}: {row.id!r} has another label set, corpus or range than the lines before it"
                )
            header = own
            if row.id in utterances:
                raise DataError(f"{place}: the supervision {row.id!r} is there twice")
            part = None if match["part"] in (None, "all") else match["part"]
            there = str(paths.get(row.recording_id, row.recording_id))
            utterances[row.id] = _utterance(row, place, there, emotion, part, own=own is not None)
            recording_of[row.id] = row.recording_id
            if len([row.channel] if isinstance(row.channel, int) else row.channel) < channels.get(
                row.recording_id, 0
            ):
                report.add("one channel", [Fault(row.id, "is one channel of several; kept, all are mixed down")])
    made = list(utterances.values())
    if header is None:
        found = sorted({u.emotion for u in made if u.emotion} - {OTHER})
        if len(found) < 2:
            keys = ", ".join(sorted(seen)) or "nothing"
            raise DataError(
                f"{folder}: custom.{emotion} of the supervisions has {len(found)} emotions, where two or more are "
                f"needed; custom has {keys}: --emotion names another entry"
            )
        name = next((match["prefix"] for _, match in files if match["prefix"]), None) or folder.absolute().name
        header = _Header(corpus=name, labels=tuple(found))
    labels = LabelSet(header.labels, header.letters)
    for utterance in made:
        for label in {utterance.emotion, *utterance.votes} - {None, OTHER, *labels.names}:
            raise LabelError(f"{folder}: {utterance.id!r} has {label!r}, which is none of {', '.join(labels.names)}")
    if audio:
        wanted = {id: paths[recording] for id, recording in recording_of.items() if recording in paths}
        made = with_recordings(made, named_recordings(wanted, report), report, allow_partial=allow_partial)
    report.count(made)
    return Manifest(header.corpus, labels, header.ranges, tuple(made), header.note), report


def _lines(path: Path, kind: type[_Row]) -> Iterator[tuple[str, _Row]]:
    """The rows of a file with their places."""
    number = 0
    try:
        with open_text(path, "r") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", kind.model_validate_json(line)
    except ValidationError as error:
        raise DataError(f"{path}, line {number}: is no row of lhotse: {_reasons(error)}") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def _unread(one: _Recording) -> str | None:
    """Why sertk cannot read a recording, or None."""
    if one.transforms:
        return "is transformed by lhotse, such as by speed"
    if len(one.sources) != 1:
        return f"has {len(one.sources)} sources, not one"
    return None if one.sources[0].type == "file" else f"is a {one.sources[0].type}, not a file"


def _header(value: Any, place: str) -> _Header:
    try:
        return _Header.model_validate(value)
    except ValidationError as error:
        raise DataError(f"{place}: custom.sertk: {_reasons(error)}") from None


def _utterance(row: _Supervision, place: str, audio: str, emotion: str, part: str | None, *, own: bool) -> Utterance:
    custom = row.custom or {}
    fields: dict[str, Any] = row.model_dump(
        include={"id", "start", "duration", "text", "language", "speaker", "gender"}
    )
    fields |= {"audio": audio, "emotion": custom.get(emotion) or None}
    if own:
        fields |= {name: custom[name] for name in CUSTOM if name in custom}
    else:
        fields |= {name: str(custom[name]) for name in ("split", "fold") if custom.get(name) is not None}
        fields.setdefault("split", part)
        fields["text_source"] = None if row.text is None else "corpus"
    try:
        made = _UTTERANCE.validate_json(json.dumps(fields))
    except ValidationError as error:
        raise DataError(f"{place}: {_reasons(error)}") from None
    if fault := unfit_name(made):
        raise DataError(f"{place}: {fault}")
    return made


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
