"""Options of the verbs that share work out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sertk.engine import Placement

ENGINE = typer.Option("local", help="Where tasks run: local, or ray (needs pip install 'sertk[ray]').")
ADDRESS = typer.Option(
    None, help="Address of a running Ray cluster, or auto. Default: start Ray here with --jobs cores."
)
GPUS = typer.Option(None, help="GPUs per task on Ray, such as 1 or 0.5. Default: 1 if --device is a GPU.")


def placement(engine: str, jobs: int, address: str | None, gpus: float | None) -> Placement:
    """Where the options let tasks run."""
    from sertk.engine import Placement

    return Placement(engine, jobs, address, gpus)
