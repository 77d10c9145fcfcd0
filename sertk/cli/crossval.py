"""`sertk crossval`: train, combine, predict and score, fold by fold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, placement
from sertk.cli.output import say, show, up_to_date

if TYPE_CHECKING:
    from sertk.api.folds import FoldResult
    from sertk.data.folds import Folds


def command(
    configs: list[Path] = typer.Argument(..., help="Experiment files (TOML), one per member."),
    manifest: Path = typer.Option(help="The manifest of the corpus."),
    into: Path = typer.Option(help="The folder for all folds and the pooled predictions."),
    combine: list[str] = typer.Option(
        [], metavar="[NAME=]FILE[:SYSTEM,...]", help="A combination file; SYSTEM: members, or combinations before it."
    ),
    folds: str | None = typer.Option(
        None, help="A number, speakers (one in each), or given (in the manifest). Default: given if there, else 5."
    ),
    dev: str = typer.Option("next", help="Held out: next, the fold after the tested one, or a share such as 0.1."),
    split: list[str] = typer.Option([], help="Divide only this split; can be repeated. Default: all utterances."),
    only: list[str] = typer.Option([], help="Test this fold alone; can be repeated. Others can follow later."),
    by_recording: bool = typer.Option(
        False, "--by-recording", help="Count each unknown speaker as one of their own."
    ),
    sets: list[str] = typer.Option([], "--set", help="Override a value of the members: stage.full.epochs=5."),
    results: Path | None = typer.Option(None, help="Score all systems and write this Markdown page."),
    compare: str | None = typer.Option(None, help="With --results: the system that the others are compared with."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    jobs: int = typer.Option(1, min=1, help="Number of folds in parallel, each in its own process."),
    force: bool = typer.Option(False, help="Do everything again, and remove folds of another division."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Cross-validate: each fold trains without the speakers that it tests; scores are of all speakers together."""
    from sertk.api.crossval import crossval
    from sertk.api.score import score
    from sertk.errors import UsageError, did_you_mean

    if compare and not results:
        raise UsageError("--compare is for the page of scores: give --results FILE")
    found = crossval(
        configs,
        manifest,
        into,
        combine=combine,
        folds=_folds(folds),
        dev="next" if dev == "next" else _share(dev),
        splits=split,
        only=only,
        by_recording=by_recording,
        sets=sets,
        device=device,
        force=force,
        on=placement(engine, jobs, address, gpus),
        progress=_done,
    )
    if found.up_to_date:
        up_to_date(into)
    else:
        without = f"; {found.without_fold} utterances belong to none" if found.without_fold else ""
        say(f"{found.how}{without}  {len(found.systems)} systems  {found.manifest.parent}")
    if results:
        if compare and compare not in found.systems:
            hint = did_you_mean(compare, found.systems)
            raise UsageError(f"--compare {compare}: no such system. {hint}There are {', '.join(found.systems)}")
        other = found.systems[compare] if compare else None
        scored = score([*found.systems.values()], found.manifest, "test", compare=other, results=results, force=force)
        if scored.up_to_date:
            up_to_date(results)
        else:
            for table in scored.tables():
                show(table)
            for note in scored.notes():
                say(note, style="dim")


def _done(result: FoldResult) -> None:
    if result.up_to_date:
        up_to_date(next(iter(result.systems.values())).parent.parent)
        return
    metrics = {
        name: "  ".join(f"{what} {value:.3f}" for what, value in m.items()) for name, m in result.metrics.items()
    }
    say(
        f"fold {result.name}  {len(result.systems)} systems  "
        + "  ".join(f"{n}: {m}" for n, m in metrics.items() if m)
    )


def _folds(text: str | None) -> Folds:
    from sertk.errors import UsageError

    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    match text:
        case "speakers" | "given":
            return text
    raise UsageError(f"--folds is a number, speakers or given, got {text!r}")


def _share(text: str) -> float:
    from sertk.errors import UsageError

    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--dev is next or a share such as 0.1, got {text!r}") from None
