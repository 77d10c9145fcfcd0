"""`sertk score`: prediction files against a manifest, with intervals, comparisons and calibration."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sertk.cli.output import kept, say_json, up_to_date
from sertk.errors import DataError
from sertk.files import write_json, write_text

if TYPE_CHECKING:
    from sertk.data.manifest import Manifest
    from sertk.scoring.compare import Comparison
    from sertk.scoring.truth import Case


def command(
    predictions: list[Path] = typer.Argument(help="Prediction files, *.csv or *.jsonl; one row each."),
    manifest: Path = typer.Option(help="The manifest with the labels."),
    split: list[str] = typer.Option(help="The split to score; may be given several times."),
    compare: Path | None = typer.Option(None, help="Another system's predictions: give the difference from it."),
    calibrate: Path | None = typer.Option(None, help="The system's predictions of held-out utterances, to fit on."),
    groups: bool = typer.Option(False, "--groups", help="Tables by gender, duration, agreement and speaker."),
    draws: int = typer.Option(1000, min=1, help="Resamples of speakers for the 95 % intervals."),
    seed: int = typer.Option(1, min=0, help="Seed of the resamples."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
    output: Path | None = typer.Option(None, help="Write all scores to this JSON file."),
    results: Path | None = typer.Option(
        None, help="Write a page of Markdown with the scores and how they were made."
    ),
    card: Path | None = typer.Option(
        None, help="The model that predicted; its card and README.md take the scores up."
    ),
    force: bool = typer.Option(False, "--force", help="Score again although the output is up to date."),
) -> None:
    """Score predictions against labels and votes, with 95 % intervals that resample speakers."""
    if calibrate is not None and len(predictions) > 1:
        raise typer.BadParameter("--calibrate takes one system: its predictions and its held-out predictions")
    if card is not None and len(predictions) > 1:
        raise typer.BadParameter("--card takes one model and the predictions of that model")
    from sertk.outputs import making, refuse_foreign_files
    from sertk.provenance import is_current
    from sertk.scoring.provenance import score_provenance, system_names

    written = [path for path in (output, results) if path is not None]
    others = [path for path in (compare, calibrate) if path is not None]
    refuse_foreign_files("score", written, inputs=[*predictions, manifest, *others])
    made = score_provenance(
        [*map(str, predictions)],
        str(manifest),
        split,
        None if compare is None else str(compare),
        None if calibrate is None else str(calibrate),
        groups,
        draws,
        seed,
    )
    current = [is_current(path, made) for path in written]
    if card is not None:
        from sertk.reports.on_card import on_card, put_on_card

        current.append(on_card(card, ", ".join(split)) == made.key)
        written.append(card)
    if written and not force and all(current):
        for path in written:
            up_to_date(path)
        return

    from sertk.cli.score_tables import show_classes, show_difference, show_groups, show_scores
    from sertk.data.manifest import Manifest
    from sertk.reports.results import results_markdown
    from sertk.scoring.balanced import balanced_draws
    from sertk.scoring.compare import compare as compare_cases
    from sertk.scoring.groups import groups as score_groups
    from sertk.scoring.score import score

    corpus = Manifest.read(manifest)
    names = system_names([*map(str, predictions)])
    cases = {name: _case(corpus, split, path) for name, path in zip(names, predictions, strict=True)}
    if calibrate is not None:
        cases |= _calibrated(corpus, names[0], cases[names[0]], calibrate)
    scores = {name: score(case, draws=draws, seed=seed) for name, case in cases.items()}
    tables = {name: score_groups(case, draws=draws, seed=seed) for name, case in cases.items()} if groups else {}
    differences: dict[str, Comparison] = {}
    other_name = ""
    if compare is not None:
        other_name = compare.stem
        other = _case(corpus, split, compare)
        differences = {
            name: compare_cases(other, case, draws=draws, seed=seed)
            for name, case in cases.items()
            if name != other_name
        }
    systems: dict[str, Any] = {name: one.as_dict() for name, one in scores.items()}
    for name, one in scores.items():
        if one.consensus:
            systems[name]["balanced_draws"] = balanced_draws(one.confusion, seed=seed).as_dict()
        if name in tables:
            systems[name]["groups"] = [group.as_dict() for group in tables[name]]
        if name in differences:
            systems[name]["less"] = {"system": other_name, **differences[name].as_dict()}
    result = {"split": split, "labels": corpus.labels.names, "systems": systems, "fingerprint": made.key}
    if output is not None:
        with making(output, made) as edited:
            write_json(output, result)
        kept(edited)
    if results is not None:
        page = results_markdown(
            scores,
            corpus=corpus.corpus,
            splits=split,
            note=corpus.note,
            command=_command(predictions, manifest, split, compare, calibrate, draws, seed, results),
            fingerprint=made.key,
            other=other_name,
            comparisons=differences,
        )
        with making(results, made) as edited:
            write_text(results, page)
        kept(edited)
    if card is not None:
        put_on_card(
            card, ", ".join(split), scores[names[0]], cases[names[0]], predictions=predictions[0], made_from=made.key
        )
    if as_json:
        say_json(result)
        return
    show_scores(scores, split)
    if len(predictions) == 1:
        show_classes(scores[names[0]])
    for name, rows in tables.items():
        show_groups(name, rows)
    for name, difference in differences.items():
        show_difference(name, other_name, difference)


def _command(
    predictions: Sequence[Path],
    manifest: Path,
    split: Sequence[str],
    compare: Path | None,
    calibrate: Path | None,
    draws: int,
    seed: int,
    results: Path,
) -> str:
    """The call that made the results, with paths as seen from their folder."""
    folder = results.absolute().parent

    def here(path: Path) -> Path:
        elsewhere = path.is_absolute() and not path.is_relative_to(folder)
        return path if elsewhere else Path(os.path.relpath(path, folder))

    words: list[object] = ["sertk", "score", *map(here, predictions), "--manifest", here(manifest)]
    words += [word for name in split for word in ("--split", name)]
    for name, path in (("--compare", compare), ("--calibrate", calibrate)):
        words += [name, here(path)] if path else []
    words += ["--draws", draws, "--seed", seed, "--results", here(results)]
    return shlex.join(map(str, words))


def _case(corpus: Manifest, split: Sequence[str], path: Path) -> Case:
    from sertk.ensemble.predictions import Predictions
    from sertk.scoring.truth import align, truth_of

    try:
        return align(truth_of(corpus, corpus.split(*split)), Predictions.read(path, labels=corpus.labels))
    except DataError as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from None


def _calibrated(corpus: Manifest, name: str, case: Case, path: Path) -> dict[str, Case]:
    """The case with its probabilities calibrated in two ways on held-out predictions."""
    from sertk.ensemble.by_ending import under_ids
    from sertk.ensemble.predictions import Predictions, some
    from sertk.scoring.calibration import temperature_scaling, vector_scaling
    from sertk.scoring.truth import align, truth_of

    held_out, _ = under_ids(Predictions.read(path, labels=corpus.labels), [u.id for u in corpus])
    ids = set(held_out.ids)
    both = [one for one in case.truth.ids if one in ids]
    if both:
        raise DataError(
            f"{path}: calibration must be fitted on other utterances than those scored; both have {some(both)}"
        )
    fit_on = align(truth_of(corpus, [u for u in corpus if u.id in ids]), held_out)
    fits = {"temperature": temperature_scaling(fit_on), "vector": vector_scaling(fit_on)}
    return {f"{name} + {kind}": replace(case, predictions=fit(case.predictions)) for kind, fit in fits.items()}
