"""`sertk data`: manifests, splits, fixes, audits and tables of corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from pathlib import Path
from typing import Any

import typer

from sertk.cli.output import progress, say, say_json, show, up_to_date
from sertk.cli.reader_options import with_reader_options
from sertk.progress import Advance, silent
from sertk.registry import corpora

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Read, split, clean and inspect corpora.")

OUT = typer.Option(..., "--out", help="The manifest to write, *.jsonl or *.jsonl.gz.")
FORCE = typer.Option(False, "--force", help="Run again even if up to date.")
AS_JSON = typer.Option(False, "--json", help="Write JSON for programs.")
MAP_HELP = "A label map: four, six or eight, for the usual classes, or a file, *.toml."
NO_AUDIO = typer.Option(False, "--no-audio", help="Do not read the recordings.")


def build(words: Sequence[str]) -> typer.Typer:
    """The commands; `prepare` has the options of the reader that is named in the words of the command line."""
    named = next((word for word in words if word in corpora), None) if "prepare" in words else None
    whole = copy(app)
    whole.registered_commands = []
    whole.command("prepare")(with_reader_options(prepare, named))
    whole.registered_commands += app.registered_commands
    return whole


def prepare(
    corpus: str = typer.Argument(..., help="The reader of the corpus, such as msp_podcast: see `sertk list corpus`."),
    folder: Path = typer.Argument(..., help="The folder of the corpus, or its table."),
    out: Path = OUT,
    force: bool = FORCE,
    *,
    options: Mapping[str, Any],
) -> None:
    """Read a corpus into a manifest, and report what is wrong with it. Name a corpus to see its further options."""
    from sertk.api.data import prepare as read

    made = read(corpus, folder, out=out, force=force, progress=_bar, **options)
    if made.up_to_date:
        return up_to_date(out)
    assert made.report is not None
    first, *more = made.report.lines()
    for line in (first, f"read  {', '.join(made.report.files)}"):
        say(line)
    if made.report.columns:
        show(made.report.columns_table())
    show(made.report.table())
    for line in more:
        say(line)
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
    join: bool = typer.Option(
        False, "--join", help="First put all utterances into the split to take from: for a final model."
    ),
    force: bool = FORCE,
) -> None:
    """Move a share of a split into a new one, whole speakers at a time."""
    from sertk.api.data import split as hold_out

    made = hold_out(manifest, out=out, part=part, into=into, share=share, seed=seed, join=join, force=force)
    if made.up_to_date:
        return up_to_date(out)
    say(f"wrote  {out}  {', '.join(f'{name} {count:,}' for name, count in made.splits.items())} utterances")


@app.command("map")
def map_(
    manifest: Path = typer.Argument(..., help="A manifest."),
    out: Path = OUT,
    map_name: str = typer.Option(..., "--map", help=MAP_HELP),
    force: bool = FORCE,
) -> None:
    """Map the classes of a manifest to others, and count what is merged or left out."""
    from sertk.api.mapping import map_labels

    made = map_labels(manifest, map_name, out=out, force=force)
    if made.report is None:
        return up_to_date(out)
    show(made.report.table())
    for line in made.report.remarks():
        say(line)
    say(f"wrote  {out}  {made.utterances:,} of {made.before:,} utterances")


@app.command()
def merge(
    manifests: list[Path] = typer.Argument(..., help="Manifests of two or more corpora."),
    out: Path = OUT,
    map_name: str | None = typer.Option(None, "--map", help=f"{MAP_HELP} Not needed for the same classes."),
    names: str = typer.Option("", help="Names of the corpora, between commas, in place of those of the manifests."),
    scale: tuple[float, float] | None = typer.Option(
        None, "--range", help="Lowest and highest value to convert all attributes to; by default the first corpus's."
    ),
    force: bool = FORCE,
) -> None:
    """Merge corpora into one manifest; ids and speakers begin with the name of their corpus."""
    from sertk.api.mapping import merge as join

    chosen = [name.strip() for name in names.split(",")] if names else []
    made = join(manifests, out=out, map=map_name, names=chosen, scale=scale, force=force)
    if made.report is None:
        return up_to_date(out)
    for table in (*(one.table() for one in made.report.maps), made.report.table()):
        show(table)
        say()
    for line in (*(line for one in made.report.maps for line in one.remarks()), *made.report.remarks):
        say(line)
    say(f"wrote  {out}  {made.utterances:,} utterances")


@app.command()
def features(
    name: str = typer.Argument(..., help="A name for the features, for the program and settings that made them."),
    source: Path = typer.Option(
        ..., "--from", help="A folder of .npy files named by utterance id, or a file *.npz, *.safetensors or *.csv."
    ),
    manifest: Path = typer.Option(..., help="The manifest (*.jsonl, *.jsonl.gz)."),
    out: Path = typer.Option(..., help="The folder of the feature store to write."),
    modality: str = typer.Option("speech", help="What the features are of: speech or text."),
    dtype: str = typer.Option("float32", help="The type to store: float32 or float16."),
    frames_per_second: float = typer.Option(0.0, help="Rate of the frames; 0 where they are no time steps."),
    force: bool = FORCE,
) -> None:
    """Store features that another program computed."""
    from sertk.api.features import store_features

    made = store_features(
        name,
        source,
        manifest=manifest,
        out=out,
        modality=modality,
        dtype=dtype,  # type: ignore[arg-type]
        frames_per_second=frames_per_second,
        force=force,
    )
    if made.up_to_date:
        return up_to_date(out)
    say(f"wrote  {out}  {made.utterances:,} utterances  {made.dim:,} values per frame")


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
    """Look for what a reviewer would doubt: shared speakers, duplicates, odd recordings, whatever tells the label."""
    from sertk.api.data import audit as look
    from sertk.reports.audit_page import agreement_table, concern_lines, findings, split_tables

    bar = silent if as_json else _bar
    report = look(manifest, html=html, audio=not no_audio, force=force or as_json, progress=bar)
    if report is None and html is not None:
        return up_to_date(html)
    if as_json:
        return say_json(report)
    assert report is not None
    for table in (*split_tables(report["splits"]), agreement_table(report)):
        show(table)
        say()
    for what, count, cases in findings(report):
        shown = "; ".join(cases[:3]) + ("; ..." if len(cases) > 3 else "")
        say(f"{count:,} {what}{f': {shown}' if count else ''}", style="red" if count else None)
    for line in concern_lines(report):
        say(f"concern  {line}", style="red")
    if report["recordings"] is None:
        say("the recordings were not read")
    if html:
        say(f"wrote  {html}")


@app.command()
def stats(manifest: Path = typer.Argument(..., help="A manifest."), as_json: bool = AS_JSON) -> None:
    """Count utterances, speakers, hours and classes by split."""
    from sertk.data.audit import audit as look
    from sertk.data.manifest import Manifest
    from sertk.reports.audit_page import split_tables

    splits = look(Manifest.read(manifest))["splits"]
    if as_json:
        return say_json(splits)
    for number, table in enumerate(split_tables(splits)):
        say() if number else None
        show(table)


def _bar(what: str, total: int | None = None) -> AbstractContextManager[Advance]:
    return progress(what, total, last_line=False)
