"""Give the utterances of a manifest words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sertk.api.remarks import warn_of_edited, warn_of_remarks
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.data.manifest import Manifest
from sertk.errors import Fault
from sertk.outputs import refuse_foreign_files
from sertk.progress import Bars, silent
from sertk.provenance import is_current
from sertk.registry import transcribers
from sertk.transcribers.provenance import VERB, plan, transcriber_parts
from sertk.transcribers.run import REPORT, WORDS, TranscribeReport
from sertk.transcribers.run import transcribe as give_words


def transcribe(
    manifest: str | Path,
    *,
    out: str | Path,
    use: str = "corpus",
    splits: Sequence[str] = (),
    batch_size: int = 32,
    mixed_sources: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Bars = silent,
    **options: Any,
) -> TranscribeReport | None:
    """Transcribe the utterances of a manifest, going on where an interrupted run stopped.

    Parameters
    ----------
    manifest, out
        The manifest, and the one with words that is written.
    use
        A transcriber: `corpus`, `whisper`, or one of a plugin.
    splits
        Only these; none means all.
    batch_size
        Utterances between two saves.
    mixed_sources
        Allow words of different sources in one manifest.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    force
        Transcribe again what is up to date, and what has failed.
    progress
        Opens a bar for the work.
    options
        Of the transcriber, such as `model="openai/whisper-base"`.

    Returns
    -------
    TranscribeReport or None
        What was done; None where `out` was up to date.

    Raises
    ------
    SertkError
        DataError where not one utterance could be transcribed or words are from different sources; ConfigError for
        an option that the transcriber does not take; OutputError.
    """
    source, place = Path(manifest), Path(out)
    refuse_foreign_files(VERB, [place], sides=[REPORT, WORDS], inputs=[source])
    chosen = Use(use=use, **options)
    corpus = Manifest.read(source)
    transcriber = build(transcribers, chosen)
    parts = transcriber_parts(transcriber, chosen)
    made = plan(corpus, transcriber, place, parts, splits, manifest=source, use=chosen)
    if not force and is_current(place, made):
        return None
    if hasattr(transcriber, "to"):
        from sertk.devices import choose_device  # which loads torch

        transcriber.to(choose_device(device))
    remarks: list[Fault] = []
    count = len(corpus.split(*splits) if splits else corpus)
    with progress(f"transcribe with {transcriber.source}", count) as advance:
        report = give_words(
            corpus,
            transcriber,
            place,
            splits=splits,
            parts=parts,
            made=made,
            batch_size=batch_size,
            mixed_sources=mixed_sources,
            force=force,
            progress=advance,
            remark=remarks.append,
        )
    warn_of_remarks(remarks)
    warn_of_edited(report.edited)
    return report
