"""`sertk submit`: the files of the challenge from predictions, or a check of such files."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import fail, say, up_to_date, warn


def command(
    predictions: Path | None = typer.Argument(None, help="A predictions file of the test split."),
    manifest: Path = typer.Option(..., help="The manifest, which says which recordings the test split has."),
    split: str = typer.Option("test3", help="The test split."),
    out: Path | None = typer.Option(None, help="The folder to write task1.csv and task2.csv into."),
    check: Path | None = typer.Option(None, help="Check the files of this folder instead."),
    model: Path | None = typer.Option(
        None, help="The model that predicted; its card tells if the challenge allows it."
    ),
    allow_illegal: bool = typer.Option(
        False, "--allow-illegal", help="Write it even for a model that is not allowed."
    ),
    force: bool = typer.Option(False, "--force", help="Write again what is up to date."),
) -> None:
    """Write and check a submission to the challenge: task1.csv (emotions) and task2.csv (attributes)."""
    if (check is None) == (predictions is None) or (predictions is None) != (out is None):
        raise typer.BadParameter("give PREDICTIONS and --out to write a submission, or --check FOLDER")
    from sertk.data.manifest import Manifest

    ids = [utterance.id for utterance in Manifest.read(manifest).split(split)]
    if check:
        _check(check, ids)
    elif predictions and out:
        _write(predictions, ids, out, model, allow_illegal=allow_illegal, force=force)


def _write(path: Path, ids: list[str], out: Path, model: Path | None, *, allow_illegal: bool, force: bool) -> None:
    from sertk.data.labels import MSP_PODCAST
    from sertk.ensemble.predictions import Predictions
    from sertk.errors import DataError
    from sertk.files import made_from, note_inputs, sha256_file, sha256_json
    from sertk.scoring.submission import check_submission, illegal_encoders, write_submission

    illegal = illegal_encoders(model) if model else []
    if illegal and not allow_illegal:
        raise DataError(
            f"{model} hears with {', '.join(illegal)}, trained on emotion labels, which the challenge forbids. "
            f"Use another model, or --allow-illegal for a submission that is no entry."
        )
    predicted = Predictions.read(path, labels=MSP_PODCAST)
    inputs = {"predictions": sha256_file(path), "ids": sha256_json(ids)}
    if not force and made_from(out, inputs) and not check_submission(out, ids):
        return up_to_date(out)
    written = write_submission(predicted, ids, out)
    _check(out, ids)
    if len(written) == 1:
        warn(f"{path} has no attributes: there is no task2.csv")
    note_inputs(out, inputs)


def _check(folder: Path, ids: list[str]) -> None:
    from sertk.scoring.submission import TASKS, check_submission

    faults = check_submission(folder, ids)
    if faults:
        width = max(len(fault.place) for fault in faults)
        lines = [f"  {fault.place:<{width}}  {fault.message}" for fault in faults]
        fail("\n".join([f"{folder}: {len(faults)} fault{'s' * (len(faults) > 1)}", *lines]))
        raise typer.Exit(1)
    for task in TASKS:
        if (folder / task).is_file():
            say(f"valid  {folder / task}  {len(ids):,} rows")
