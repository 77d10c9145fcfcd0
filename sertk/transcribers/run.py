"""A manifest with words: only what changed is transcribed again, failures are listed, and words have one source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError, DataError, Fault
from sertk.features.sources import UNKNOWN
from sertk.files import parse_json, write_json
from sertk.outputs import making
from sertk.provenance import Provenance, beside, changes, is_current
from sertk.transcribers.provenance import VERB, chosen_of, contents_of, plan, transcriber_parts
from sertk.transcribers.words import Transcription, Words

if TYPE_CHECKING:
    from sertk.contracts import Transcriber

WORDS, REPORT = ".words.jsonl", ".report.json"
"""The endings of the side files: the words of every utterance, and what could not be transcribed."""


@dataclass(frozen=True)
class TranscribeReport:
    """What a transcription did.

    written, changed, kept: utterances with words that are new, in the place of those of other content, or from
    before. failed: by utterance id, and why. renewed: what differs from the transcriber whose words were there.
    edited: files that somebody had edited, and that were moved aside.
    """

    source: str
    written: int
    changed: int
    kept: int
    failed: tuple[Fault, ...]
    renewed: str = ""
    edited: tuple[Path, ...] = ()
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
            f"Transcribe all of them in the same way, or allow different sources"
        )
    return found.pop() if found else None


def transcribe(
    manifest: Manifest,
    transcriber: Transcriber,
    out: Path,
    *,
    splits: Sequence[str] = (),
    parts: Mapping[str, str] | None = None,
    made: Provenance | None = None,
    batch_size: int = 32,
    mixed_sources: bool = False,
    force: bool = False,
    progress: Callable[[int], object] | None = None,
    remark: Callable[[Fault], object] = lambda _: None,
) -> TranscribeReport:
    """Give utterances words and write the manifest to `out`; words of the same content are kept.

    Those of an interrupted run are kept too. splits: only these; none means all. parts: `transcriber_parts`, its
    source and fingerprint where not given; words of others are not kept. made: of `plan`. batch_size: recordings a
    call. mixed_sources: allow a manifest whose splits have words of different sources. force: transcribe everything
    again. progress: called with the number of utterances done since. remark: called with what was done to read a
    recording whose header has no length.

    A recording that cannot be used has neither `text` nor `text_source`, and is listed in `OUT.report.json`.
    Raises DataError for mixed sources, an id that stands twice, and where not one utterance could be transcribed;
    BusyError where another process writes `out`, and OutputError where it is not of an earlier transcription.
    """
    chosen = chosen_of(manifest, splits)
    if not mixed_sources:
        _refuse_mixture(_with_words(manifest, {u.id: ("", transcriber.source) for u in chosen}))
    parts = transcriber_parts(transcriber) if parts is None else parts
    made = plan(manifest, transcriber, out, parts, splits) if made is None else made
    if not force and is_current(out, made) and (before := _report_before(out)):
        return before
    contents = contents_of(transcriber, manifest, chosen)
    with making(out, made, sides=[REPORT], journals=[WORDS]) as edited:
        words = Words(beside(out, WORDS), parts, anew=force)
        known = {id: one.content for id, one in words.transcribed.items()}
        kept = {id for id, content in contents.items() if known.get(id) == content != UNKNOWN}
        if progress is not None and kept:
            progress(len(kept))
        located = {utterance.id: utterance for utterance in manifest.located()}
        waiting = [Recording(located[u.id]) for u in chosen if u.id not in kept]
        with words:
            for first in range(0, len(waiting), batch_size):
                batch = waiting[first : first + batch_size]
                answers = [(r.id, text, error) for r, text, error in _listen(transcriber, batch)]
                words.add(
                    Transcription(id, contents[id], text, "" if text is not None else error)
                    for id, text, error in answers
                )
                for recording in batch:
                    for message in recording.remarks:
                        remark(Fault(recording.id, message))
                if progress is not None:
                    progress(len(batch))
        transcribed = [words.transcribed[utterance.id] for utterance in chosen]
        failed = tuple(Fault(one.id, one.error) for one in transcribed if one.text is None)
        if chosen and len(failed) == len(chosen):
            raise DataError(
                f"{manifest.corpus}: none of {len(chosen)} utterances could be transcribed. The first: "
                f"{failed[0].place}: {failed[0].message}"
            )
        done = _with_words(manifest, {one.id: (one.text, transcriber.source) for one in transcribed})
        done.write(out)
        words.sort(utterance.id for utterance in chosen)
        report = {"source": transcriber.source, "transcribed": len(chosen) - len(failed)}
        write_json(beside(out, REPORT), report | {"failed": [{"id": f.place, "message": f.message} for f in failed]})
    new = [one for one in transcribed if one.text is not None and one.id not in kept]
    changed = sum(one.id in known for one in new)
    return TranscribeReport(
        transcriber.source,
        len(new) - changed,
        changed,
        len(transcribed) - len(failed) - len(new),
        failed,
        _difference(words.before, parts),
        tuple(edited),
    )


def _report_before(out: Path) -> TranscribeReport | None:
    """What was done when `out` was written."""
    try:
        found = parse_json(beside(out, REPORT).read_bytes())
        failed = tuple(Fault(fault["id"], fault["message"]) for fault in found["failed"])
        return TranscribeReport(found["source"], 0, 0, int(found["transcribed"]), failed, up_to_date=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The first part in which two transcribers differ: `options.beams was 1, is 5`."""
    found = changes(Provenance(VERB, before), Provenance(VERB, now))
    return f"{found[0].part} was {found[0].before}, is {found[0].now}" if found else ""


def _listen(transcriber: Transcriber, batch: Sequence[Recording]) -> Iterator[tuple[Recording, str | None, str]]:
    """The words of a batch, or why there are none; where a recording is bad, one by one to find it."""
    try:
        texts = transcriber(batch)
    except AudioError as error:
        if len(batch) == 1:
            yield batch[0], None, str(error)
            return
        for recording in batch:
            yield from _listen(transcriber, [recording])
        return
    for recording, text in zip(batch, texts, strict=True):
        yield recording, text, f"{transcriber.source} has no words for it"


def _with_words(manifest: Manifest, words: Mapping[str, tuple[str | None, str]]) -> Manifest:
    def change(utterance: Utterance) -> Utterance:
        if utterance.id not in words:
            return utterance
        text, source = words[utterance.id]
        return replace(utterance, text=text, text_source=None if text is None else source)

    return manifest.with_utterances(change(utterance) for utterance in manifest)


def _refuse_mixture(manifest: Manifest) -> None:
    splits = sorted({utterance.split for utterance in manifest if utterance.split})
    same_text_source(manifest, splits)
