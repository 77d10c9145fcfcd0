"""Options of the verbs that share work out, and the engine they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sertk.engine import Engine, Needs

ENGINE = typer.Option("local", help="Where tasks run: local, or ray (pip install 'sertk[ray]').")
ADDRESS = typer.Option(None, help="Of a running Ray cluster, or auto; without it Ray starts here with --jobs cores.")
GPUS = typer.Option(None, help="GPUs of each task on Ray, such as 1 or 0.5; 1 without it where --device is a GPU.")


def choose(engine: str, address: str | None, jobs: int) -> Engine:
    """The engine of the options. Raises SertkError."""
    from sertk.engine import engine as named

    return named(engine, jobs=jobs, address=address)


def needs(device: str | None, gpus: float | None, *, cpus: int = 1) -> Needs:
    """What a task asks of a machine."""
    from sertk.engine import Needs

    on_gpu = (device or "auto").startswith("cuda")
    return Needs(cpus=float(max(1, cpus)), gpus=gpus if gpus is not None else float(on_gpu))
