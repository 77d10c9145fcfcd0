"""`sertk data`: the toy corpus, corpora into manifests, splits, mending, audits and tables."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sertk.cli.output import say, table, up_to_date, warn

if TYPE_CHECKING:
    from sertk.data.corpora.report import CorpusReport

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
    corpus: str = typer.Argument(..., help="Which corpus it is: msp_podcast."),
    folder: Path = typer.Argument(..., help="The folder of the corpus."),
    out: Path = OUT,
    release: str | None = typer.Option(
        None, help="Its release, as 1.12 or 2025; found by its counts where not given."
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
    from sertk.files import made_from, write_json

    if corpus not in READERS:
        raise DataError(f"there is no corpus {corpus!r}. {did_you_mean(corpus, READERS)}Known: {', '.join(READERS)}.")
    _one_of("--secondary", secondary, ("drop", "half"))
    _one_of("--missing", missing, ("consensus", "unlabelled"))
    options: dict[str, Any] = {"release": release, "allow_partial": allow_partial, "audio": not no_audio}
    options |= {"transcripts": transcripts, "secondary": secondary, "missing": missing}
    inputs = _inputs(
        "prepare", corpus, {**options, "transcripts": []}, *(_listing(p) for p in (folder, *transcripts))
    )
    if not force and made_from(out, inputs):
        return up_to_date(out)
    module, _, function = READERS[corpus].partition(":")
    manifest, report = getattr(import_module(module), function)(folder, **options)
    manifest.write(out)
    _say_report(report)
    if report.faults:
        listed = _beside(out, ".report.jsonl")
        report.write(listed)
        kinds = ", ".join(f"{kind} {len(faults):,}" for kind, faults in report.faults.items())
        warn(f"{kinds}: listed in {listed}")
    say(f"wrote  {out}  {len(manifest):,} utterances")
    write_json(_beside(out, ".inputs.json"), inputs)


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
    from sertk.files import made_from, sha256_file, write_json

    if not manifest.is_file():
        Manifest.read(manifest)  # which says so
    inputs = _inputs("split", part, into, share, seed, sha256_file(manifest))
    if not force and made_from(out, inputs):
        return up_to_date(out)
    corpus = hold_out(Manifest.read(manifest), part, into=into, share=share, seed=seed)
    corpus.write(out)
    say(f"wrote  {out}  {part} {len(corpus.split(part)):,}, {into} {len(corpus.split(into)):,} utterances")
    write_json(_beside(out, ".inputs.json"), inputs)


def _say_report(report: CorpusReport) -> None:
    say(f"release {report.release or 'unknown'}; raters: {report.form}")
    say(f"read  {', '.join(report.files)}")
    rows = [
        (name, f"{part['utterances']:,.0f}", f"{part['speakers']:,.0f}", f"{part['hours']:.2f}")
        for name, part in sorted(report.splits.items())
    ]
    table(("split", "utterances", "speakers", "hours"), rows, right=("utterances", "speakers", "hours"))
    if report.consensus_agreement is not None:
        means = "" if report.attribute_agreement is None else f", the means in {report.attribute_agreement:.2%}"
        agreed = f"the consensus agrees in {report.consensus_agreement:.2%}{means}"
        say(f"drawn again from {report.rater_rows:,} raters' rows, {agreed}")


def _inputs(verb: str, *what: Any) -> dict[str, str]:
    """What an output was made from, as its sidecar keeps it."""
    from sertk import __version__
    from sertk.files import sha256_json

    return {"verb": f"data {verb}", "version": __version__, "inputs": sha256_json([*what])}


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of all files below a folder: a corpus is too large to be read for this."""
    from sertk.data.corpora.msp_podcast.layout import files_below

    if not folder.is_dir():
        return []
    entries = ((entry.path, entry.stat()) for entry in files_below([folder], "") if entry.is_file())
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in entries]


def _beside(path: Path, ending: str) -> Path:
    """`data/corpus.jsonl.gz` -> `data/corpus.jsonl.report.jsonl`, as `sertk.files.made_from` has it."""
    return path.with_suffix(ending)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise typer.BadParameter(f"{option} is one of {', '.join(allowed)}, got {value!r}")
