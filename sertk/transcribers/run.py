"""A manifest with words: resumable, failures listed, one source of words for train and test."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError, BusyError, DataError, Fault
from sertk.files import parse_json, sha256_file, sha256_json, write_json, write_text, writing
from sertk.locks import sole_writer

if TYPE_CHECKING:
    from sertk.contracts import Transcriber


@dataclass(frozen=True)
class TranscribeReport:
    """What a transcription did. written: now. kept: from an interrupted run. failed: by utterance id, and why."""

    source: str
    written: int
    kept: int
    failed: tuple[Fault, ...]
    up_to_date: bool = False


def same_text_source(manifest: Manifest, splits: Sequence[str]) -> str | None:
    """The one source that the words of all these splits have; None where no utterance has words.

    Raises DataError, naming splits and sources, where there are several: a model that is trained on people's
    transcripts and tested on a recogniser's does not meet what it has learnt.
    """
    sources: dict[str, set[str]] = {}
    for split in splits:
        words = [u.text_source or "unknown" for u in manifest.split(split) if u.text is not None]
        sources[split] = set(words)
    found = set().union(*sources.values()) if sources else set()
    if len(found) > 1:
        named = "; ".join(f"{split}: {', '.join(sorted(names)) or 'none'}" for split, names in sources.items())
        raise DataError(
            f"{manifest.corpus}: the words of these splits are from different sources ({named}). "
            f"Transcribe all of them in one way, or say that the sources may differ"
        )
    return found.pop() if found else None


def transcribe(
    manifest: Manifest,
    transcriber: Transcriber,
    out: Path,
    *,
    splits: Sequence[str] = (),
    options: str = "",
    batch_size: int = 32,
    mixed_sources: bool = False,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> TranscribeReport:
    """Give utterances words and write the manifest to `out`; what an interrupted run has done is kept.

    splits: only these; none means all. options: what decides the transcriber's words, its source where not given;
    work of other options is not gone on with. batch_size: recordings a call. mixed_sources: allow a manifest whose
    splits have words of different sources. progress: called with the number of utterances done since.

    A recording that cannot be used has neither `text` nor `text_source`, and is listed in `OUT.report.json`.
    Raises DataError for mixed sources, an id that stands twice, and where not one utterance could be transcribed;
    BusyError where another process writes `out`.
    """
    chosen = manifest.split(*splits) if splits else manifest.utterances
    if len({utterance.id for utterance in chosen}) != len(chosen):
        raise DataError(f"{manifest.corpus}: ids stand twice: `sertk data fix` drops the second")
    if not mixed_sources:
        planned = {utterance.id for utterance in chosen}
        _refuse_mixture(_with_words(manifest, dict.fromkeys(planned, ("", transcriber.source))))
    options = options or transcriber.source
    if not force and (before := finished(manifest, out, options=options, splits=splits)):
        return before
    with sole_writer(out):
        return _transcribe(
            manifest, transcriber, out, chosen, _key(manifest, options, splits), batch_size, force, progress
        )


def _transcribe(
    manifest: Manifest,
    transcriber: Transcriber,
    out: Path,
    chosen: Sequence[Utterance],
    key: str,
    batch_size: int,
    force: bool,
    progress: Callable[[int], None] | None,
) -> TranscribeReport:
    words = _Words(_side_file(out), key, anew=force)
    kept = len(words.texts)
    with words:
        if progress is not None and kept:
            progress(kept)
        located = {utterance.id: utterance for utterance in manifest.located()}
        waiting = [Recording(located[u.id]) for u in chosen if u.id not in words.texts and u.id not in words.errors]
        for first in range(0, len(waiting), batch_size):
            batch = waiting[first : first + batch_size]
            words.add(_heard(transcriber, batch))
            if progress is not None:
                progress(len(batch))
    if chosen and not words.texts:
        first_error = next(iter(words.errors.items()))
        raise DataError(
            f"{manifest.corpus}: not one of {len(chosen)} utterances could be transcribed. The first: "
            f"{first_error[0]}: {first_error[1]}"
        )
    made = _with_words(manifest, {u.id: (words.texts.get(u.id), transcriber.source) for u in chosen})
    if out.absolute().parent != manifest.folder.absolute():
        made = made.with_utterances(made.located())  # relative paths start at the manifest's folder
    made.write(out)
    done = TranscribeReport(
        transcriber.source,
        len(words.texts) - kept,
        kept,
        tuple(
            Fault(utterance.id, words.errors[utterance.id]) for utterance in chosen if utterance.id in words.errors
        ),
    )
    failed = [{"id": fault.place, "message": fault.message} for fault in done.failed]
    report = {"key": key, "source": done.source, "transcribed": len(words.texts), "failed": failed}
    write_json(_report(out), report | {"sha256": sha256_file(out)})
    words.path.unlink()
    return done


def finished(manifest: Manifest, out: Path, *, options: str, splits: Sequence[str] = ()) -> TranscribeReport | None:
    """What was done where `out` is up to date: made from this manifest with these options, and not damaged."""
    try:
        found = parse_json(_report(out).read_text(encoding="utf-8"))
        if found["key"] != _key(manifest, options, splits) or found["sha256"] != sha256_file(out):
            return None
        failed = tuple(Fault(fault["id"], fault["message"]) for fault in found["failed"])
        report = TranscribeReport(found["source"], 0, int(found["transcribed"]), failed, up_to_date=True)
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged
        return None
    if _side_file(out).exists():  # of a run that was killed when all was written
        with suppress(BusyError, OSError), sole_writer(out):
            _side_file(out).unlink()
    return report


def _side_file(out: Path) -> Path:
    return out.with_name(f"{out.name}.words.jsonl")


def _report(out: Path) -> Path:
    return out.with_name(f"{out.name}.report.json")


def _key(manifest: Manifest, options: str, splits: Sequence[str]) -> str:
    return sha256_json([options, manifest.fingerprint, sorted(splits)])


class _Words:
    """The side file of work in progress: a header line, then one line an utterance, each whole once it is there."""

    def __init__(self, path: Path, key: str, *, anew: bool) -> None:
        self.path = path
        self.texts: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self._key = key
        if not anew and path.is_file():
            self._read()
        self._file: IO[str] | None = None

    def __enter__(self) -> _Words:
        """Rewrite what is known, without a torn last line, and go on behind it."""
        rows = [{"key": self._key}, *({"id": key, "text": text} for key, text in self.texts.items())]
        write_text(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        self._file = open(self.path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with writing(self.path):
                self._file.close()

    def add(self, heard: Iterable[tuple[Recording, str | None, str]]) -> None:
        """Keep the words of a batch on disk, or why there are none until the report is written."""
        assert self._file is not None
        with writing(self.path):
            for recording, text, error in heard:
                if text is None:
                    self.errors[recording.id] = error
                else:
                    self.texts[recording.id] = text
                    self._file.write(json.dumps({"id": recording.id, "text": text}, ensure_ascii=False) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self) -> None:
        for number, line in enumerate(self.path.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                row = parse_json(line)
                if number == 0 and row != {"key": self._key}:
                    return
                if number:
                    self.texts[row["id"]] = row["text"]
            except (ValueError, KeyError, TypeError):
                return  # torn by an interruption, or damaged: what follows is heard again


def _heard(transcriber: Transcriber, batch: Sequence[Recording]) -> Iterator[tuple[Recording, str | None, str]]:
    """The words of a batch, or why there are none; where a recording is bad, one by one to find it."""
    try:
        texts = transcriber(batch)
    except AudioError as error:
        if len(batch) == 1:
            yield batch[0], None, str(error)
            return
        for recording in batch:
            yield from _heard(transcriber, [recording])
        return
    for recording, text in zip(batch, texts, strict=True):
        yield recording, text, f"{transcriber.source} has no words for it"


def _with_words(manifest: Manifest, words: dict[str, tuple[str | None, str]]) -> Manifest:
    def change(utterance: Utterance) -> Utterance:
        if utterance.id not in words:
            return utterance
        text, source = words[utterance.id]
        return replace(utterance, text=text, text_source=None if text is None else source)

    return manifest.with_utterances(change(utterance) for utterance in manifest)


def _refuse_mixture(manifest: Manifest) -> None:
    splits = sorted({utterance.split for utterance in manifest if utterance.split})
    same_text_source(manifest, splits)
