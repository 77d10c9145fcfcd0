"""A manifest as a database of audformat."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sertk.data.audio import AudioInfo
from sertk.data.labels import OTHER
from sertk.data.manifest import Manifest, Utterance
from sertk.files import atomic_path
from sertk_corpora.audformat_library import VOTES, library

FIELDS = {"id": "id", "emotion": "emotion", "speaker": "speaker", "text": "transcription", "fold": "fold"}
FIELDS |= {"corpus": "corpus", "text_source": "text_source", "gender": "gender", "language": "language"}
"""Fields of an utterance, and the columns and schemes that they become."""
TYPES = {"train": "train", "test": "test", "held_out": "dev", "dev": "dev"}
"""Splits to the types of audformat; others are of type `other`."""
_SAME = 1e-5


def file_names(corpus: Manifest) -> list[str]:
    """The files of the database: its header, and one table for each split."""
    return ["db.yaml", *(f"db.{number}.parquet" for number in _tables(corpus).values())]


def write_files(corpus: Manifest, infos: Mapping[str, AudioInfo], folder: Path) -> None:
    """Write header and tables. infos: headers by the absolute path of a recording."""
    audformat = library()
    located = corpus.located()
    of_speaker = _of_speaker(located)
    db = audformat.Database(
        corpus.corpus,
        usage="other",
        languages=_languages(audformat, located),
        description=corpus.note or None,
        meta={"attributes": [*corpus.ranges]} if corpus.ranges else None,
    )
    segmented = len(infos) < len(located) or not all(_whole(u, infos[u.audio]) for u in located)
    columns = _columns(located, of_speaker)
    _add_schemes(audformat, db, corpus, columns, of_speaker)
    for split, name in _tables(corpus).items():
        chosen = [u for u in located if u.split == split]
        if split is not None:
            db.splits[split] = audformat.Split(TYPES.get(split, "other"))
        files = [_path(u, folder) for u in chosen]
        if segmented:
            starts = [f"{u.start:.9f}s" for u in chosen]
            ends = [None if u.duration is None else f"{u.start + u.duration:.9f}s" for u in chosen]
            index = audformat.segmented_index(files, starts, ends)
        else:
            index = audformat.filewise_index(files)
        table = db[name] = audformat.Table(index, split_id=split)
        for column, (scheme, values) in columns.items():
            table[column] = audformat.Column(scheme_id=scheme)
            table[column].set([value for u, value in zip(located, values, strict=True) if u.split == split])
    with TemporaryDirectory() as place:
        db.save(place)
        for name in file_names(corpus):
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(Path(place) / name, temporary)


def _tables(corpus: Manifest) -> dict[str | None, str]:
    """The table of each split, by names that any file may have."""
    splits = dict.fromkeys(u.split for u in corpus)
    names: dict[str | None, str] = {}
    for split in splits:
        clean = (
            "files" if split is None else "files." + "".join(c if c.isalnum() or c in "-_" else "_" for c in split)
        )
        names[split] = clean if clean.lower() not in (n.lower() for n in names.values()) else f"{clean}-{len(names)}"
    return names


def _whole(u: Utterance, info: AudioInfo) -> bool:
    return u.start == 0 and (u.duration is None or abs(u.duration - info.seconds) < _SAME)


def _path(u: Utterance, folder: Path) -> str:
    """A recording by its path from the database, or, outside of it, by its absolute path."""
    path, place = Path(u.audio), folder.absolute()
    return path.relative_to(place).as_posix() if path.is_relative_to(place) else path.as_posix()


def _of_speaker(utterances: Iterable[Utterance]) -> dict[str, dict[str, str]]:
    """What is the same for all utterances of every speaker: gender, language; empty where it is not."""
    found: dict[str, dict[str, set[str | None]]] = {"gender": {}, "language": {}}
    for u in utterances:
        for name, values in found.items():
            values.setdefault(u.speaker or "", set()).add(getattr(u, name))
    kept = [n for n, values in found.items() if all(len(v) == 1 for v in values.values()) and "" not in values]
    speakers = sorted(found["gender"])
    return (
        {speaker: {name: value for name in kept for value in found[name][speaker] if value} for speaker in speakers}
        if kept
        else {}
    )


def _columns(
    utterances: Iterable[Utterance], of_speaker: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[str, list[Any]]]:
    """Columns by name: scheme and values, for all utterances; those without any value are left out."""
    utterances = list(utterances)
    made: dict[str, tuple[str, list[Any]]] = {}
    for field, column in FIELDS.items():
        values = [getattr(u, field) for u in utterances]
        in_speaker_table = [
            u.speaker is not None and of_speaker.get(u.speaker, {}).get(field) == getattr(u, field)
            for u in utterances
        ]
        if field == "emotion" or (any(v is not None for v in values) and not all(in_speaker_table)):
            made[column] = (column, values)
    for name in dict.fromkeys(name for u in utterances for name in u.attributes):
        made[name] = (name, [u.attributes.get(name) for u in utterances])
    for name in dict.fromkeys(name for u in utterances for name in u.votes):
        made[f"{VOTES}.{name}"] = (VOTES, [u.votes.get(name) for u in utterances])
    return made


def _add_schemes(
    audformat: Any,
    db: Any,
    corpus: Manifest,
    columns: Mapping[str, tuple[str, list[Any]]],
    of_speaker: Mapping[str, Mapping[str, str]],
) -> None:
    labels = [*corpus.labels.names, *([OTHER] if any(u.emotion == OTHER for u in corpus) else [])]
    meta = {"letters": corpus.labels.letters} if corpus.labels.letters else None
    for scheme in dict.fromkeys(scheme for scheme, _ in columns.values()):
        if scheme == "emotion":
            made = audformat.Scheme("str", labels=labels, meta=meta)
        elif scheme == "speaker":
            speakers = sorted({u.speaker for u in corpus if u.speaker})
            made = audformat.Scheme("str", labels={s: dict(of_speaker.get(s, {})) for s in speakers})
        elif scheme == VOTES:
            made = audformat.Scheme("float", minimum=0)
        elif scheme in corpus.ranges:
            low, high = corpus.ranges[scheme]
            made = audformat.Scheme("float", minimum=float(low), maximum=float(high))
        else:
            made = audformat.Scheme("str")
        db.schemes[scheme] = made
    for name in set(corpus.ranges) - {*db.schemes}:
        low, high = corpus.ranges[name]
        db.schemes[name] = audformat.Scheme("float", minimum=float(low), maximum=float(high))


def _languages(audformat: Any, utterances: Iterable[Utterance]) -> list[str]:
    """The languages by their codes of three letters, those that have one."""
    found: list[str] = []
    for language in sorted({u.language for u in utterances if u.language}):
        with suppress(ValueError):
            found.append(audformat.utils.map_language(language))
    return list(dict.fromkeys(found))
