"""Read, split, clean and audit corpora."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sertk.api.remarks import warn, warn_of_edited
from sertk.corpora import prepare_provenance, read_corpus
from sertk.data.audio_stats import AudioStats, audio_stats
from sertk.data.audit import audit as audit_manifest
from sertk.data.corpora.report import CorpusReport, write_faults
from sertk.data.manifest import Manifest
from sertk.data.provenance import REPORT, audit_provenance, fix_provenance, split_provenance
from sertk.data.splits import hold_out
from sertk.data.validation import fix as fix_manifest
from sertk.files import write_text
from sertk.outputs import making, refuse_foreign_files
from sertk.progress import Bars, silent
from sertk.provenance import beside, is_current
from sertk.reports.audit_page import audit_page


@dataclass(frozen=True)
class Prepared:
    """A manifest that a function wrote or found up to date.

    utterances: in it; before: in the manifest that it was made from. report: of a corpus that was read. splits: sizes
    of the splits that utterances were moved between.
    """

    out: Path
    up_to_date: bool = False
    utterances: int = 0
    before: int = 0
    report: CorpusReport | None = None
    splits: Mapping[str, int] = field(default_factory=dict)


def prepare(
    corpus: str,
    folder: str | Path,
    *,
    out: str | Path,
    force: bool = False,
    progress: Bars = silent,
    **options: Any,
) -> Prepared:
    """Read a corpus into a manifest, and report what is wrong with it.

    Parameters
    ----------
    corpus
        Which corpus it is: the name of a reader, such as msp_podcast, crema_d or emodb.
    folder
        The folder of the corpus; for `table` also the table itself.
    out
        The manifest to write, `*.jsonl` or `*.jsonl.gz`; `OUT.report.jsonl` lists faults.
    force
        Read again what is up to date.
    progress
        Opens a bar for the files that are read.
    options
        Of the reader, such as `fold=2` or `allow_partial=True`.

    Raises
    ------
    SertkError
        DataError for a folder that is no such corpus; UnknownNameError for a corpus that no reader is installed for;
        ConfigError for an option that the reader does not take; OutputError.
    """
    place = Path(out)
    refuse_foreign_files("data prepare", [place], sides=[REPORT])
    with progress("files of the corpus read") as advance:
        made = prepare_provenance(corpus, str(folder), str(place), options, progress=advance)
    if not force and is_current(place, made):
        return Prepared(place, up_to_date=True)
    manifest, report = read_corpus(corpus, Path(folder), options)
    with making(place, made, sides=[REPORT]) as edited:
        base = Path(folder)
        manifest.based_in(base if base.is_dir() else base.parent).write(place)
        if report.faults:
            report.write(beside(place, REPORT))
    warn_of_edited(edited)
    if report.faults:
        kinds = ", ".join(f"{kind} {len(faults):,}" for kind, faults in report.faults.items())
        warn(f"{kinds}: listed in {beside(place, REPORT)}")
    return Prepared(place, utterances=len(manifest), report=report)


def split(
    manifest: str | Path,
    *,
    out: str | Path,
    part: str = "train",
    into: str = "held_out",
    share: float = 0.1,
    seed: int = 1,
    join: bool = False,
    force: bool = False,
) -> Prepared:
    """Move about a share of a split into a new one, whole speakers at a time.

    Parameters
    ----------
    manifest, out
        The manifest, and the one to write.
    part, into
        The split to take utterances from, and the one to put them into.
    share
        Of the utterances, from 0 to 0.9.
    seed
        The same seed gives the same split.
    join
        First put all utterances into `part`, whatever split they are in: for a final model.
    force
        Write again what is up to date.
    """
    source, place = Path(manifest), Path(out)
    refuse_foreign_files("data split", [place], inputs=[source])
    made = split_provenance(str(source), str(place), part, into, share, seed, join)
    if not force and is_current(place, made):
        return Prepared(place, up_to_date=True)
    corpus = Manifest.read(source)
    if join:
        corpus = corpus.with_utterances(replace(u, split=part) for u in corpus)
    corpus = hold_out(corpus, part, into=into, share=share, seed=seed)
    with making(place, made) as edited:
        corpus.write(place)
    warn_of_edited(edited)
    sizes = {name: len(corpus.split(name)) for name in (part, into)}
    return Prepared(place, utterances=len(corpus), before=len(corpus), splits=sizes)


def fix(manifest: str | Path, *, out: str | Path, audio: bool = True, force: bool = False) -> Prepared:
    """Drop what cannot be used of a manifest; `OUT.report.jsonl` lists what was dropped.

    Parameters
    ----------
    manifest, out
        The manifest, and the one to write.
    audio
        Look at the recordings.
    force
        Write again what is up to date.
    """
    source, place = Path(manifest), Path(out)
    refuse_foreign_files("data fix", [place], sides=[REPORT], inputs=[source])
    made = fix_provenance(str(source), str(place), audio)
    if not force and is_current(place, made):
        return Prepared(place, up_to_date=True)
    corpus = Manifest.read(source, any_names=True)
    mended, faults = fix_manifest(corpus, audio=audio)
    with making(place, made, sides=[REPORT]) as edited:
        mended.write(place)
        if faults:
            write_faults(beside(place, REPORT), {"fixed": faults}, {"kept": len(mended), "fixed": len(faults)})
    warn_of_edited(edited)
    if faults:
        warn(f"{len(faults):,} faults fixed or removed: listed in {beside(place, REPORT)}")
    return Prepared(place, utterances=len(mended), before=len(corpus))


def audit(
    manifest: str | Path,
    *,
    html: str | Path | None = None,
    audio: bool = True,
    force: bool = False,
    progress: Bars = silent,
) -> dict[str, Any] | None:
    """Look for what a reviewer would doubt: shared speakers, duplicates, odd recordings, whatever tells the label.

    Parameters
    ----------
    manifest
        The manifest.
    html
        A page to write.
    audio
        Look at the recordings.
    force
        Look again although the page is up to date.
    progress
        Opens a bar for the recordings that are read.

    Returns
    -------
    dict or None
        JSON values: sizes, classes and agreement by split, and what may be wrong; None where the page was up to date.
    """
    source, page = Path(manifest), None if html is None else Path(html)
    made = None
    if page is not None:
        refuse_foreign_files("data audit", [page], inputs=[source])
        with progress("recordings read") as advance:
            made = audit_provenance(str(source), audio, progress=advance)
        if not force and is_current(page, made):
            return None
    corpus = Manifest.read(source, any_names=True)
    if audio:
        with progress("recordings", len(corpus)) as advance:
            report = audit_manifest(corpus, _counted(corpus, advance))
    else:
        report = audit_manifest(corpus, None)
    if page is not None and made is not None:
        with making(page, made) as edited:
            write_text(page, audit_page(report))
        warn_of_edited(edited)
    return report


def _counted(corpus: Manifest, advance: Callable[[int], object]) -> Iterator[AudioStats]:
    for stats in audio_stats(corpus):
        yield stats
        advance(1)
