"""The option of the verbs that load pretrained models: the folder where hub ids are looked up first."""

from __future__ import annotations

import os
from pathlib import Path

import typer

VARIABLE = "SERTK_MODELS"


def _set(context: typer.Context, folder: Path | None) -> Path | None:
    """Set the variable until the verb ends, so that processes that it starts have it too."""
    if folder is None or context.resilient_parsing:
        return folder
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder.absolute())

    def restore() -> None:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before

    context.call_on_close(restore)
    return folder


MODELS = typer.Option(
    None,
    "--models",
    metavar="FOLDER",
    exists=True,
    file_okay=False,
    callback=_set,
    help="The folder with pretrained models, as owner/name or name, to look up hub ids in first. "
    "Default: $SERTK_MODELS.",
)


def ready_model(*, err: bool = False) -> Path:
    """The ready model for a call that names none, of which a line is printed. Raises UsageError without any."""
    from sertk.escapes import escaped
    from sertk.ready import best_ready

    folder, about = best_ready()
    typer.secho(escaped(about), dim=True, err=err)
    return folder
