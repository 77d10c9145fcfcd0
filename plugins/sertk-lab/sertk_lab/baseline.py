"""`sertk baseline`: one command from a table to scores, a report and a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import say, show, warn
from sertk.cli.reader_options import with_reader_options
from sertk.progress import duration
from sertk.tables import Table

OWN = ("table", "fold", "folds", "audio")
"""Options of the reader that the verb decides itself."""


def baseline(
    source: Path = typer.Argument(..., help="A table (*.csv, *.tsv, *.jsonl), a folder with one, or a manifest."),
    out: Path = typer.Option(..., help="The folder of the recipe and its results, new or empty."),
    features: str = typer.Option("whisper", help="whisper, egemaps, compare or logmel, which needs nothing."),
    folds: str | None = typer.Option(
        None, help="A number, speakers, or given. Default: given if there, one per speaker up to 12, else 5."
    ),
    no_deepser: bool = typer.Option(False, "--no-deepser", help="Leave the network out: the linear model alone."),
    reader: str = typer.Option("table", help="The reader of a folder: see `sertk list corpus`."),
    models: Path | None = MODELS,
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    jobs: int | None = typer.Option(None, min=1, help="Work in parallel. Default: the number of cores, up to 8."),
    plan: bool = typer.Option(False, "--plan", help="Write the recipe and say what it will do, but do not run it."),
    *,
    options: Mapping[str, Any],
) -> None:
    """Go from a table of recordings to scores with intervals, a report and a model, by speaker-disjoint folds."""
    from sertk_lab.baselines.run import plan_baseline

    made = plan_baseline(
        source,
        out,
        features=features,
        folds=folds,
        deepser=not no_deepser,
        reader=reader,
        jobs=jobs,
        device=device,
        options=options,
    )
    corpus = made.corpus
    speakers, classes = {u.speaker for u in corpus if u.speaker}, corpus.labels.names
    say(f"{len(corpus):,} utterances of {len(speakers)} speakers in {len(classes)} classes: {', '.join(classes)}")
    for one in made.concerns:
        cases = f": {'; '.join(one.cases[:3])}{'; ...' if len(one.cases) > 3 else ''}" if one.cases else ""
        warn(f"a reviewer would ask: {one.kind}: {one.message}{cases}")
    rows = [(s.name, s.what, "?" if s.seconds is None else duration(s.seconds)) for s in made.steps]
    total = sum(step.seconds or 0.0 for step in made.steps)
    show(Table(("step", "what", "about"), [*rows, ("all", "", duration(total))], align="llr"))
    say(f"{'wrote' if made.written else 'the recipe is'}  {made.script}")
    if plan:
        return
    results = made.run(device=device, write=say)
    if all(result.idle for result in results):
        say("Nothing to do: everything is up to date.")
    say(f"scores  {out / 'results' / 'RESULTS.md'}; report  {out / 'results' / 'report.html'}")
    say(f"model  {out / 'model'}: sertk predict {out / 'model'} RECORDING.wav")
    say(f"to change something: edit {out / 'conf'} or {out / 'settings.sh'}, then sertk run {made.script}")


command = with_reader_options(baseline, "table", without=OWN)
