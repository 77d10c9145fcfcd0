"""`sertk data`: the toy corpus, corpora into manifests, splits, mending, audits and tables."""

# Longer than others: seven commands of one verb.
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sertk.cli import data_tables as tables
from sertk.cli.output import say, say_json, track, up_to_date, warn

if TYPE_CHECKING:
    from sertk.data.manifest import Manifest

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make, read, split, mend and look at corpora.")

OUT = typer.Option(..., "--out", help="The manifest to write, *.jsonl or *.jsonl.gz.")
FORCE = typer.Option(False, "--force", help="Do again what is up to date.")
AS_JSON = typer.Option(False, "--json", help="Write JSON for programs.")
NO_AUDIO = typer.Option(False, "--no-audio", help="Do not look at the recordings.")


@app.command()
def toy(
    folder: Path = typer.Argument(..., help="A new folder."),
    utterances: int = typer.Option(600, help="Labelled utterances; Test3 comes on top."),
    seed: int = typer.Option(1, help="The same seed gives the same corpus."),
    no_audio: bool = typer.Option(False, "--no-audio", help="Write everything but the recordings."),
) -> None:
    """Write a made-up corpus in the layout of MSP-Podcast."""
    from sertk.testing.corpus import write_toy_corpus

    readme = folder / "readme.txt"
    before = readme.stat().st_mtime_ns if readme.is_file() else None
    write_toy_corpus(folder, utterances=utterances, seed=seed, audio=not no_audio)
    if readme.stat().st_mtime_ns == before:
        up_to_date(folder)
    else:
        say(f"wrote  {folder}  a made-up corpus: its scores say nothing about people")


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
    from sertk.data.corpora import READERS
    from sertk.errors import DataError, did_you_mean
    from sertk.files import made_from, note_inputs

    if corpus not in READERS:
        raise DataError(f"there is no corpus {corpus!r}. {did_you_mean(corpus, READERS)}Known: {', '.join(READERS)}.")
    _one_of("--secondary", secondary, ("drop", "half"))
    _one_of("--missing", missing, ("consensus", "unlabelled"))
    module, _, function = READERS[corpus].partition(":")
    reader = getattr(import_module(module), function)
    options: dict[str, Any] = {"allow_partial": allow_partial, "audio": not no_audio}
    options |= _of_reader(
        reader,
        release=(release, None),
        fold=(fold, None),
        transcripts=(transcripts, []),
        secondary=(secondary, "drop"),
        missing=(missing, "consensus"),
    )
    inputs = _inputs(
        "prepare", corpus, {**options, "transcripts": []}, *(_listing(p, but=out) for p in (folder, *transcripts))
    )
    if not force and made_from(out, inputs):
        return up_to_date(out)
    manifest, report = reader(folder, **options)
    manifest.write(out)
    tables.say_corpus(report)
    if report.faults:
        listed = _beside(out, ".report.jsonl")
        report.write(listed)
        kinds = ", ".join(f"{kind} {len(faults):,}" for kind, faults in report.faults.items())
        warn(f"{kinds}: listed in {listed}")
    say(f"wrote  {out}  {len(manifest):,} utterances")
    note_inputs(out, inputs)


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
    from sertk.data.splits import hold_out
    from sertk.files import made_from, note_inputs, sha256_file

    if not manifest.is_file():
        Manifest.read(manifest)  # which says so
    inputs = _inputs("split", part, into, share, seed, sha256_file(manifest))
    if not force and made_from(out, inputs):
        return up_to_date(out)
    corpus = hold_out(Manifest.read(manifest), part, into=into, share=share, seed=seed)
    _write_manifest(corpus, out)
    say(f"wrote  {out}  {part} {len(corpus.split(part)):,}, {into} {len(corpus.split(into)):,} utterances")
    note_inputs(out, inputs)


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
    from sertk.data.validation import fix as mend
    from sertk.files import made_from, note_inputs

    corpus = Manifest.read(manifest, any_names=True)
    inputs = _inputs("fix", corpus.fingerprint, [] if no_audio else _recordings(corpus))
    if not force and made_from(out, inputs):
        return up_to_date(out)
    mended, faults = mend(corpus, audio=not no_audio)
    _write_manifest(mended, out)
    if faults:
        listed = _beside(out, ".report.jsonl")
        write_faults(listed, {"fixed": faults}, {"kept": len(mended), "fixed": len(faults)})
        warn(f"{len(faults):,} faults mended or dropped: listed in {listed}")
    say(f"wrote  {out}  {len(mended):,} of {len(corpus):,} utterances")
    note_inputs(out, inputs)


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
    from sertk.data.audit_page import audit_page
    from sertk.data.manifest import Manifest
    from sertk.files import made_from, note_inputs, write_text

    corpus = Manifest.read(manifest, any_names=True)
    inputs = _inputs("audit", corpus.fingerprint, [] if no_audio else _recordings(corpus))
    if html and not as_json and not force and made_from(html, inputs):
        return up_to_date(html)
    sound = None if no_audio else audio_stats(corpus)
    if sound is not None and not as_json:
        sound = track(sound, "recordings", len(corpus))
    report = look(corpus, sound)
    if html:
        write_text(html, audit_page(report))
        note_inputs(html, inputs)
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


def _write_manifest(corpus: Manifest, out: Path) -> None:
    """Write a manifest, its recordings by absolute paths where it goes into another folder than it came from."""
    moved = corpus.folder.absolute() != out.absolute().parent
    (corpus.with_utterances(corpus.located()) if moved else corpus).write(out)


def _recordings(corpus: Manifest) -> list[tuple[str, int, int]]:
    """Path, size and time of all recordings."""
    paths = {utterance.audio for utterance in corpus.located()}
    stats = ((path, Path(path).stat()) for path in sorted(paths) if Path(path).is_file())
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _inputs(verb: str, *what: Any) -> dict[str, str]:
    """What an output was made from, as its sidecar keeps it."""
    from sertk import __version__
    from sertk.files import sha256_json

    return {"verb": f"data {verb}", "version": __version__, "inputs": sha256_json([*what])}


def _listing(folder: Path, *, but: Path) -> list[tuple[str, int, int]]:
    """Path, size and time of all files below a folder but the output's: a corpus is too large to be read for this."""
    from sertk.data.corpora.msp_podcast.layout import files_below

    if not folder.is_dir():
        return []
    ours = str(_beside(but.absolute(), ""))
    found = (entry for entry in files_below([folder.absolute()], "") if entry.is_file())
    stats = ((entry.path, entry.stat()) for entry in found if not entry.path.startswith(ours))
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _beside(path: Path, ending: str) -> Path:
    """`data/corpus.jsonl.gz` -> `data/corpus.jsonl.report.jsonl`, as `sertk.files.made_from` has it."""
    return path.with_suffix(ending)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise typer.BadParameter(f"{option} is one of {', '.join(allowed)}, got {value!r}")
