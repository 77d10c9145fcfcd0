"""`sertk data`: manifests, splits, fixes, audits and tables of corpora."""

# Longer than others: six commands of one verb.
from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import typer

from sertk.cli import data_tables as tables
from sertk.cli.output import progress, say, say_json, up_to_date
from sertk.progress import Advance, silent

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Read, split, clean and inspect corpora.")

OUT = typer.Option(..., "--out", help="The manifest to write, *.jsonl or *.jsonl.gz.")
FORCE = typer.Option(False, "--force", help="Run again even if up to date.")
AS_JSON = typer.Option(False, "--json", help="Write JSON for programs.")
NO_AUDIO = typer.Option(False, "--no-audio", help="Do not read the recordings.")


@app.command()
def prepare(
    corpus: str = typer.Argument(..., help="Which corpus it is: msp_podcast, crema_d or emodb."),
    folder: Path = typer.Argument(..., help="The folder of the corpus."),
    out: Path = OUT,
    release: str | None = typer.Option(
        None, help="The release, such as 1.12 or 2025. Default: detected by its counts."
    ),
    fold: int | None = typer.Option(
        None, min=1, help="For a corpus with folds: the fold whose parts become the splits."
    ),
    allow_partial: bool = typer.Option(False, "--allow-partial", help="Accept an incomplete copy of the corpus."),
    transcripts: list[Path] = typer.Option([], help="Another folder of transcripts; can be repeated."),
    secondary: str = typer.Option("drop", help="Secondary emotions: drop, or half (half a vote each)."),
    missing: str = typer.Option(
        "consensus", help="Utterances without votes: consensus (use it as their label) or unlabelled."
    ),
    no_audio: bool = NO_AUDIO,
    force: bool = FORCE,
) -> None:
    """Read a corpus into a manifest, and report what is wrong with it."""
    from sertk.api.data import prepare as read

    _one_of("--secondary", secondary, ("drop", "half"))
    _one_of("--missing", missing, ("consensus", "unlabelled"))
    given: dict[str, tuple[Any, Any]] = {
        "release": (release, None),
        "fold": (fold, None),
        "transcripts": (transcripts, []),
        "secondary": (secondary, "drop"),
        "missing": (missing, "consensus"),
    }
    options: dict[str, Any] = {name: value for name, (value, default) in given.items() if value != default}
    options |= {"allow_partial": allow_partial, "audio": not no_audio}
    made = read(corpus, folder, out=out, force=force, progress=_bar, **options)
    if made.up_to_date:
        return up_to_date(out)
    assert made.report is not None
    tables.say_corpus(made.report)
    say(f"wrote  {out}  {made.utterances:,} utterances")


@app.command()
def split(
    manifest: Path = typer.Argument(..., help="A manifest."),
    out: Path = OUT,
    part: str = typer.Option("train", "--split", help="The split to take utterances from."),
    into: str = typer.Option("held_out", help="The split to move them to."),
    share: float = typer.Option(
        0.1, min=0.0, max=0.9, help="The approximate share of the split to move, in whole speakers."
    ),
    seed: int = typer.Option(1, help="The same seed gives the same split."),
    force: bool = FORCE,
) -> None:
    """Move a share of a split into a new one, whole speakers at a time."""
    from sertk.api.data import split as hold_out

    made = hold_out(manifest, out=out, part=part, into=into, share=share, seed=seed, force=force)
    if made.up_to_date:
        return up_to_date(out)
    say(f"wrote  {out}  {', '.join(f'{name} {count:,}' for name, count in made.splits.items())} utterances")


@app.command()
def fix(
    manifest: Path = typer.Argument(..., help="A manifest."),
    out: Path = OUT,
    no_audio: bool = NO_AUDIO,
    force: bool = FORCE,
) -> None:
    """Remove what cannot be used from a manifest, and list what was removed."""
    from sertk.api.data import fix as mend

    made = mend(manifest, out=out, audio=not no_audio, force=force)
    if made.up_to_date:
        return up_to_date(out)
    say(f"wrote  {out}  {made.utterances:,} of {made.before:,} utterances")


@app.command()
def audit(
    manifest: Path = typer.Argument(..., help="A manifest."),
    as_json: bool = AS_JSON,
    html: Path | None = typer.Option(None, help="Also write an HTML page, *.html."),
    no_audio: bool = NO_AUDIO,
    force: bool = FORCE,
) -> None:
    """Look for shared speakers, duplicates, odd recordings and missing transcripts; measure the raters' agreement."""
    from sertk.api.data import audit as look

    bar = silent if as_json else _bar
    report = look(manifest, html=html, audio=not no_audio, force=force or as_json, progress=bar)
    if report is None and html is not None:
        return up_to_date(html)
    if as_json:
        return say_json(report)
    assert report is not None
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


def _bar(what: str, total: int | None = None) -> AbstractContextManager[Advance]:
    return progress(what, total, last_line=False)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise typer.BadParameter(f"{option} is one of {', '.join(allowed)}, got {value!r}")
