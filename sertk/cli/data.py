"""`sertk data`: corpora into manifests, splits, mending, audits and tables."""

# Longer than others: six commands of one verb.
from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import typer

from sertk.cli import data_tables as tables
from sertk.cli.output import kept, progress, say, say_json, track, up_to_date, warn

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Read, split, mend and look at corpora.")

OUT = typer.Option(..., "--out", help="The manifest to write, *.jsonl or *.jsonl.gz.")
FORCE = typer.Option(False, "--force", help="Do again what is up to date.")
AS_JSON = typer.Option(False, "--json", help="Write JSON for programs.")
NO_AUDIO = typer.Option(False, "--no-audio", help="Do not look at the recordings.")


@app.command()
def prepare(
    corpus: str = typer.Argument(..., help="Which corpus it is: msp_podcast, crema_d or emodb."),
    folder: Path = typer.Argument(..., help="The folder of the corpus."),
    out: Path = OUT,
    release: str | None = typer.Option(
        None, help="Its release, as 1.12 or 2025; found by its counts where not given."
    ),
    fold: int | None = typer.Option(
        None, min=1, help="The fold whose parts become the splits, for a corpus with folds."
    ),
    allow_partial: bool = typer.Option(False, "--allow-partial", help="Read a part of a corpus."),
    transcripts: list[Path] = typer.Option([], help="A further folder of transcripts."),
    secondary: str = typer.Option("drop", help="Secondary emotions: drop, or half a vote each."),
    missing: str = typer.Option("consensus", help="Utterances without votes: take the consensus, or unlabelled."),
    no_audio: bool = NO_AUDIO,
    force: bool = FORCE,
) -> None:
    """Read a corpus into a manifest, and report what is wrong with it."""
    from sertk.data.corpora import find_reader
    from sertk.data.provenance import REPORT, prepare_provenance
    from sertk.outputs import making, refuse_foreign_files
    from sertk.provenance import beside, is_current

    reader = find_reader(corpus)
    _one_of("--secondary", secondary, ("drop", "half"))
    _one_of("--missing", missing, ("consensus", "unlabelled"))
    options: dict[str, Any] = {"allow_partial": allow_partial, "audio": not no_audio}
    options |= _of_reader(
        reader,
        release=(release, None),
        fold=(fold, None),
        transcripts=(transcripts, []),
        secondary=(secondary, "drop"),
        missing=(missing, "consensus"),
    )
    refuse_foreign_files("data prepare", [out], sides=[REPORT])
    with progress("files of the corpus read", last_line=False) as advance:
        made = prepare_provenance(corpus, str(folder), str(out), options, progress=advance)
    if not force and is_current(out, made):
        return up_to_date(out)
    manifest, report = reader(folder, **options)
    tables.say_corpus(report)
    with making(out, made, sides=[REPORT]) as edited:
        manifest.based_in(folder).write(out)
        if report.faults:
            report.write(beside(out, REPORT))
    kept(edited)
    if report.faults:
        kinds = ", ".join(f"{kind} {len(faults):,}" for kind, faults in report.faults.items())
        warn(f"{kinds}: listed in {beside(out, REPORT)}")
    say(f"wrote  {out}  {len(manifest):,} utterances")


@app.command()
def split(
    manifest: Path = typer.Argument(..., help="A manifest."),
    out: Path = OUT,
    part: str = typer.Option("train", "--split", help="The split to take utterances from."),
    into: str = typer.Option("held_out", help="The split to put them into."),
    share: float = typer.Option(0.1, min=0.0, max=0.9, help="About how much of it, in whole speakers."),
    seed: int = typer.Option(1, help="The same seed gives the same split."),
    force: bool = FORCE,
) -> None:
    """Move a share of a split into a new one, whole speakers at a time."""
    from sertk.data.manifest import Manifest
    from sertk.data.provenance import split_provenance
    from sertk.data.splits import hold_out
    from sertk.outputs import making, refuse_foreign_files
    from sertk.provenance import is_current

    refuse_foreign_files("data split", [out], inputs=[manifest])
    made = split_provenance(str(manifest), str(out), part, into, share, seed)
    if not force and is_current(out, made):
        return up_to_date(out)
    corpus = hold_out(Manifest.read(manifest), part, into=into, share=share, seed=seed)
    with making(out, made) as edited:
        corpus.write(out)
    kept(edited)
    say(f"wrote  {out}  {part} {len(corpus.split(part)):,}, {into} {len(corpus.split(into)):,} utterances")


@app.command()
def fix(
    manifest: Path = typer.Argument(..., help="A manifest."),
    out: Path = OUT,
    no_audio: bool = NO_AUDIO,
    force: bool = FORCE,
) -> None:
    """Drop what cannot be used of a manifest, and list what was dropped."""
    from sertk.data.corpora.report import write_faults
    from sertk.data.manifest import Manifest
    from sertk.data.provenance import REPORT, fix_provenance
    from sertk.data.validation import fix as mend
    from sertk.outputs import making, refuse_foreign_files
    from sertk.provenance import beside, is_current

    refuse_foreign_files("data fix", [out], sides=[REPORT], inputs=[manifest])
    made = fix_provenance(str(manifest), str(out), not no_audio)
    if not force and is_current(out, made):
        return up_to_date(out)
    corpus = Manifest.read(manifest, any_names=True)
    mended, faults = mend(corpus, audio=not no_audio)
    with making(out, made, sides=[REPORT]) as edited:
        mended.write(out)
        if faults:
            write_faults(beside(out, REPORT), {"fixed": faults}, {"kept": len(mended), "fixed": len(faults)})
    kept(edited)
    if faults:
        warn(f"{len(faults):,} faults mended or dropped: listed in {beside(out, REPORT)}")
    say(f"wrote  {out}  {len(mended):,} of {len(corpus):,} utterances")


@app.command()
def audit(
    manifest: Path = typer.Argument(..., help="A manifest."),
    as_json: bool = AS_JSON,
    html: Path | None = typer.Option(None, help="Write a page, *.html."),
    no_audio: bool = NO_AUDIO,
    force: bool = FORCE,
) -> None:
    """Look for shared speakers, duplicates, odd recordings and missing transcripts; measure the raters' agreement."""
    from sertk.data.audio_stats import audio_stats
    from sertk.data.audit import audit as look
    from sertk.data.manifest import Manifest
    from sertk.data.provenance import audit_provenance
    from sertk.files import write_text
    from sertk.outputs import making, refuse_foreign_files
    from sertk.provenance import is_current
    from sertk.reports.audit_page import audit_page

    if html:
        refuse_foreign_files("data audit", [html], inputs=[manifest])
        with progress("recordings read", last_line=False) as advance:
            made = audit_provenance(str(manifest), not no_audio, progress=advance)
        if not as_json and not force and is_current(html, made):
            return up_to_date(html)
    corpus = Manifest.read(manifest, any_names=True)
    sound = None if no_audio else audio_stats(corpus)
    if sound is not None and not as_json:
        sound = track(sound, "recordings", len(corpus))
    report = look(corpus, sound)
    if html:
        with making(html, made) as edited:
            write_text(html, audit_page(report))
        kept(edited)
    if as_json:
        return say_json(report)
    tables.say_audit(report)
    if html:
        say(f"wrote  {html}")


@app.command()
def stats(manifest: Path = typer.Argument(..., help="A manifest."), as_json: bool = AS_JSON) -> None:
    """Count utterances, speakers, hours and classes by split."""
    from sertk.data.audit import audit as look
    from sertk.data.manifest import Manifest

    splits = look(Manifest.read(manifest))["splits"]
    if as_json:
        return say_json(splits)
    tables.say_splits(splits)


def _of_reader(reader: Callable[..., Any], **options: tuple[Any, Any]) -> dict[str, Any]:
    """Those of the options (value, default) that were given; a reader that does not take one is no reader for it."""
    taken = signature(reader).parameters
    given = {name: value for name, (value, default) in options.items() if value != default}
    for name in given:
        if name not in taken:
            takes = ", ".join(f"--{known.replace('_', '-')}" for known in options if known in taken)
            raise typer.BadParameter(f"this corpus does not have it; it takes {takes}", param_hint=f"--{name}")
    return given


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise typer.BadParameter(f"{option} is one of {', '.join(allowed)}, got {value!r}")
