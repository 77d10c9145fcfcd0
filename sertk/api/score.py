"""Score predictions against labels and votes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from sertk.api.remarks import warn_of_edited
from sertk.api.scored import Scored
from sertk.data.manifest import Manifest
from sertk.errors import UsageError
from sertk.files import write_json, write_text
from sertk.outputs import making, refuse_foreign_files
from sertk.provenance import Provenance, is_current
from sertk.reports.results import results_markdown
from sertk.scoring.aligned import align_file, calibrated
from sertk.scoring.compare import Comparison
from sertk.scoring.compare import compare as compare_aligned
from sertk.scoring.groups import groups as score_groups
from sertk.scoring.provenance import score_provenance, system_names
from sertk.scoring.score import score as score_aligned


def score(
    predictions: str | Path | Sequence[str | Path],
    manifest: str | Path,
    split: str | Sequence[str],
    *,
    compare: str | Path | None = None,
    calibrate: str | Path | None = None,
    groups: bool = False,
    draws: int = 1000,
    seed: int = 1,
    output: str | Path | None = None,
    results: str | Path | None = None,
    card: str | Path | None = None,
    cross_validated: bool = False,
    force: bool = False,
) -> Scored:
    """Score predictions against labels and votes, with 95 % intervals that resample speakers.

    Parameters
    ----------
    predictions
        Files of predictions, `*.csv` or `*.jsonl`, one per system.
    manifest
        The manifest with the labels.
    split
        The split to score, or several.
    compare
        Another system's predictions: the difference from it is given.
    calibrate
        A single system's predictions of held-out utterances, on which its probabilities are calibrated.
    groups
        Score also by corpus, gender, duration, agreement and speaker.
    draws, seed
        Resamples of speakers for the intervals, and their seed.
    output
        A JSON file for all scores.
    results
        A page of Markdown for the scores and how they were computed.
    card
        The model that predicted; its card and README.md take the scores up.
    cross_validated
        The predictions are not of the model of `card` but of models trained in the same way, each without the
        utterances that it predicted, as those of `crossval` are. The card says so.
    force
        Score again although the outputs are up to date.

    Raises
    ------
    SertkError
        DataError where predictions and labels share no utterance; OutputError.
    """
    files = [Path(predictions)] if isinstance(predictions, str | Path) else [Path(path) for path in predictions]
    splits = (split,) if isinstance(split, str) else tuple(split)
    if calibrate is not None and len(files) > 1:
        raise UsageError("--calibrate takes one system: its predictions and its held-out predictions")
    if card is not None and len(files) > 1:
        raise UsageError("--card takes one model and the predictions of that model")
    if cross_validated and card is None:
        raise UsageError("--cross-validated says what scores on a card are of: give --card MODEL too")
    source, other, held_out, page, table, model = (
        None if path is None else Path(path) for path in (manifest, compare, calibrate, results, output, card)
    )
    assert source is not None
    written = [path for path in (table, page) if path is not None]
    refuse_foreign_files("score", written, inputs=[*files, source, *filter(None, (other, held_out))])
    made = score_provenance(
        [*map(str, files)],
        str(source),
        splits,
        None if other is None else str(other),
        None if held_out is None else str(held_out),
        groups,
        draws,
        seed,
    )
    current = [is_current(path, made) for path in written]
    name_on_card = ""
    if model is not None:
        from sertk.reports.on_card import CROSS_VALIDATED, on_card  # which loads torch

        name_on_card = CROSS_VALIDATED if cross_validated else ", ".join(splits)
        current.append(on_card(model, name_on_card) == made.key)
        written.append(model)
    if written and not force and all(current):
        return Scored(splits, up_to_date=tuple(written))

    corpus = Manifest.read(source)
    names = system_names([*map(str, files)])
    systems = {name: align_file(corpus, splits, path) for name, path in zip(names, files, strict=True)}
    if held_out is not None:
        systems |= calibrated(corpus, names[0], systems[names[0]], held_out)
    compared: dict[str, Comparison] = {}
    if other is not None:
        base = align_file(corpus, splits, other)
        compared = {
            name: compare_aligned(base, aligned, draws=draws, seed=seed)
            for name, aligned in systems.items()
            if name != other.stem
        }
    scored = Scored(
        splits,
        corpus.labels.names,
        {name: score_aligned(aligned, draws=draws, seed=seed) for name, aligned in systems.items()},
        {name: score_groups(aligned, draws=draws, seed=seed) for name, aligned in systems.items()} if groups else {},
        compared,
        "" if other is None else other.stem,
        seed,
        made.key,
    )
    command = "" if page is None else _command(files, source, splits, other, held_out, draws, seed, page)
    _write(scored, corpus, made, table, page, command)
    if model is not None:
        from sertk.reports.on_card import put_on_card

        put_on_card(
            model,
            name_on_card,
            scored.scores[names[0]],
            systems[names[0]],
            predictions=files[0],
            made_from=made.key,
            utterances=corpus,
            cross_validated=cross_validated,
        )
    return scored


def _write(
    scored: Scored, corpus: Manifest, made: Provenance, output: Path | None, results: Path | None, command: str
) -> None:
    if output is not None:
        with making(output, made) as edited:
            write_json(output, scored.as_dict())
        warn_of_edited(edited)
    if results is not None:
        page = results_markdown(
            scored.scores,
            corpus=corpus.corpus,
            splits=[*scored.splits],
            note=corpus.note,
            command=command,
            fingerprint=made.key,
            other=scored.other,
            comparisons=scored.comparisons,
        )
        with making(results, made) as edited:
            write_text(results, page)
        warn_of_edited(edited)


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
