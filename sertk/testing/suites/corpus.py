"""What every reader of a corpus keeps: `(folder, /, *, options)` to a manifest and a report of what was found."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest
from sertk.errors import DataError
from sertk.files import sha256_file
from sertk.testing.suites.base import Subject, global_seeds, require


def options(subject: Subject) -> None:
    """It takes the options `audio` and `allow_partial`, true or false."""
    for name in ("audio", "allow_partial"):
        require(subject.takes(name), f"there is no option {name!r}")
        with example(subject) as folder:
            for value in (True, False):
                if (name, value) != ("allow_partial", False):  # the example may be a part of the corpus
                    _read(subject.varied(**{name: value}), folder)


def manifest(subject: Subject) -> None:
    """It gives a manifest and a report. Utterances have an id of their own, a split, a recording and its duration."""
    with example(subject) as folder:
        corpus, report = _read(subject, folder)
        require(isinstance(corpus, Manifest), f"the first should be a Manifest, got a {type(corpus).__name__}")
        require(isinstance(report, CorpusReport), f"the second should be a CorpusReport, got {type(report).__name__}")
        require(len(corpus) > 0, "the example has no utterance")
        require(len({one.id for one in corpus}) == len(corpus), "two utterances have one id")
        for one in corpus:
            require(bool(one.split), f"utterance {one.id} is in no split")
            require(corpus.audio_path(one).is_file(), f"utterance {one.id}: there is no recording {one.audio}")
            require(one.duration is not None and one.duration > 0, f"utterance {one.id} has no duration")


def written(subject: Subject) -> None:
    """The manifest can be written and read again, and is the same. This finds votes and attributes that are none."""
    with example(subject) as folder:
        corpus, _ = _read(subject, folder)
        path = folder.parent / "manifest.jsonl"
        based = corpus.based_in(folder)
        based.write(path)
        require(Manifest.read(path).fingerprint == based.fingerprint, "the manifest that is read again is another")


def labels(subject: Subject) -> None:
    """Some utterance has votes or an emotion, and only classes of the label set or `Other` occur."""
    with example(subject) as folder:
        corpus, _ = _read(subject, folder)
    known = {*corpus.labels.names, "Other"}
    for one in corpus:
        for name in (*one.votes, *([one.emotion] if one.emotion else [])):
            require(name in known, f"utterance {one.id} has the class {name!r}, which is not in the label set")
    require(any(one.votes or one.emotion for one in corpus), "no utterance has a label")


def counts(subject: Subject) -> None:
    """The report counts the utterances of each split, as `report.count(utterances)` does."""
    with example(subject) as folder:
        corpus, report = _read(subject, folder)
    found = {split: part["utterances"] for split, part in report.splits.items()}
    wanted = {split: len(corpus.split(split)) for split in {one.split for one in corpus} if split}
    require(found == wanted, f"the report counts {found}, the manifest has {wanted}")


def repeatable(subject: Subject) -> None:
    """The same folder gives the same manifest, whatever the global random states."""
    prints = []
    with example(subject) as folder:
        for seed in (1, 2):
            with global_seeds(seed):
                prints.append(_read(subject, folder)[0].fingerprint)
    require(prints[0] == prints[1], "two readings give two manifests")


def moved(subject: Subject) -> None:
    """A corpus that is moved gives the same manifest, apart from the folder of its recordings."""
    with example(subject) as folder:
        before = _read(subject, folder)[0].based_in(folder)
        elsewhere = folder.parent / "elsewhere" / folder.name
        elsewhere.parent.mkdir()
        folder.rename(elsewhere)
        after = _read(subject, elsewhere)[0].based_in(elsewhere)
    require(
        [one.audio for one in before] == [one.audio for one in after] and before.utterances == after.utterances,
        "the manifest of the moved corpus is another",
    )


def without_audio(subject: Subject) -> None:
    """With `audio = false` the same utterances and labels are read, and recordings may be absent."""
    with example(subject) as folder:
        corpus, _ = _read(subject, folder)
        for one in corpus:
            corpus.audio_path(one).unlink()
        blind, _ = _read(subject.varied(audio=False), folder)
    seen = {one.id: (one.split, one.speaker, dict(one.votes), one.emotion, dict(one.attributes)) for one in corpus}
    found = {one.id: (one.split, one.speaker, dict(one.votes), one.emotion, dict(one.attributes)) for one in blind}
    require(seen == found, "without the recordings the utterances or their labels are others")


def bad_recordings(subject: Subject) -> None:
    """A recording that is missing or damaged is left out and listed in the report; the others are read."""
    with example(subject) as folder:
        corpus, before = _read(subject, folder)
        require(len(corpus) > 2, "the example should have three utterances or more")
        missing, damaged, *others = corpus
        corpus.audio_path(missing).unlink()
        corpus.audio_path(damaged).write_bytes(b"RIFF")
        left, report = _read(subject.varied(allow_partial=True), folder)
    kept = {one.id for one in left}
    require(kept == {one.id for one in others}, f"{len(others)} of {len(corpus)} utterances should be left: {kept}")
    earlier, later = (sum(map(len, one.faults.values())) for one in (before, report))
    require(later >= earlier + 2, f"the report lists {later - earlier} more faults than before, not the two")


def no_corpus(subject: Subject) -> None:
    """A folder that is no copy of the corpus is refused with a DataError that names it."""
    with tempfile.TemporaryDirectory() as name:
        for folder in (Path(name) / "empty", Path(name) / "absent"):
            if folder.name == "empty":
                folder.mkdir()
            try:
                _read(subject, folder)
            except DataError as error:
                require(folder.name in str(error), f"the error does not name the folder: {error}")
            else:
                require(False, f"a folder that is {folder.name} was read as a corpus")


def input_unchanged(subject: Subject) -> None:
    """The folder of the corpus is not changed."""
    with example(subject) as folder:
        before = _contents(folder)
        _read(subject, folder)
        require(_contents(folder) == before, "files of the corpus were changed, added or removed")


CONTRACTS = (
    options,
    manifest,
    written,
    labels,
    counts,
    repeatable,
    moved,
    without_audio,
    bad_recordings,
    no_corpus,
    input_unchanged,
)


@contextmanager
def example(subject: Subject) -> Iterator[Path]:
    """The folder of a small copy of the corpus, which is removed afterwards."""
    assert subject.example is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "corpus"
        subject.example(folder)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def _read(subject: Subject, folder: Path) -> tuple[Manifest, CorpusReport]:
    read: tuple[Manifest, CorpusReport] = subject.build(folder)
    return read


def _contents(folder: Path) -> dict[Path, str | None]:
    return {path: sha256_file(path) if path.is_file() else None for path in sorted(folder.rglob("*"))}
