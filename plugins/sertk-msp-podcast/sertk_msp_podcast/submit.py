"""`sertk submit`: the files of the challenge from predictions, or a check of such files."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import fail, say, up_to_date, warn


def command(
    predictions: Path | None = typer.Argument(None, help="A predictions file of the test split."),
    manifest: Path = typer.Option(..., help="The manifest that lists the recordings of the test split."),
    split: str = typer.Option("test3", help="The test split."),
    out: Path | None = typer.Option(None, help="The folder to write task1.csv and task2.csv to."),
    check: Path | None = typer.Option(None, help="Check the files in this folder instead."),
    model: Path | None = typer.Option(
        None, help="The model that predicted; its card says whether the challenge allows it."
    ),
    allow_illegal: bool = typer.Option(
        False, "--allow-illegal", help="Write the files even if the challenge does not allow the model."
    ),
    force: bool = typer.Option(False, "--force", help="Write again even if up to date."),
) -> None:
    """Write and check a submission to the challenge: task1.csv (emotions) and task2.csv (attributes)."""
    if (check is None) == (predictions is None) or (predictions is None) != (out is None):
        raise typer.BadParameter("give PREDICTIONS and --out to write a submission, or --check FOLDER")
    from sertk.data.manifest import Manifest

    ids = [utterance.id for utterance in Manifest.read(manifest).split(split)]
    if check:
        _check(check, ids)
        return
    assert predictions is not None
    assert out is not None
    from sertk.api.remarks import warn_of_edited
    from sertk.ensemble.by_ending import under_ids
    from sertk.ensemble.predictions import Predictions
    from sertk.outputs import making_in, refuse_collisions, refuse_foreign
    from sertk.provenance import is_current
    from sertk_msp_podcast.labels import MSP_PODCAST
    from sertk_msp_podcast.provenance import submit_provenance
    from sertk_msp_podcast.submission import TASKS, check_submission, write_submission

    refuse_foreign(out, "submit")
    refuse_collisions([out], [predictions, manifest])
    wanted = None if model is None else str(model)
    made = submit_provenance(str(predictions), str(manifest), split, wanted, allow_illegal)
    if not force and is_current(out, made) and not check_submission(out, ids):
        return up_to_date(out)
    predicted, joined = under_ids(Predictions.read(predictions, labels=MSP_PODCAST), ids)
    if joined:
        warn(f"{predictions}: {joined}")
    with making_in(out, made, [*TASKS]) as edited:
        written = write_submission(predicted, ids, out)
    warn_of_edited(edited)
    _check(out, ids)
    if len(written) == 1:
        warn(f"{predictions} has no attributes: there is no task2.csv")


def _check(folder: Path, ids: list[str]) -> None:
    from sertk_msp_podcast.submission import TASKS, check_submission

    faults = check_submission(folder, ids)
    if faults:
        width = max(len(fault.place) for fault in faults)
        lines = [f"  {fault.place:<{width}}  {fault.message}" for fault in faults]
        fail("\n".join([f"{folder}: {len(faults)} fault{'s' * (len(faults) > 1)}", *lines]))
        raise typer.Exit(1)
    for task in TASKS:
        if (folder / task).is_file():
            say(f"valid  {folder / task}  {len(ids):,} rows")
