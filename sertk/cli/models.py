"""`sertk models`: trained models that installed packages bring."""

from __future__ import annotations

from pathlib import Path

from sertk.cli.models_option import MODELS
from sertk.cli.output import say, show
from sertk.tables import listing


def command(models: Path | None = MODELS) -> None:
    """List the models that are ready to predict with, by the names that `sertk predict` takes."""
    from sertk import registry
    from sertk.cards import read_card
    from sertk.ready import guidance, lacks, model_folder

    rows = []
    for name, component in registry.models.components().items():
        folder = model_folder(name)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        missing = ", ".join(lacks(folder))
        about = (", ".join(read_card(folder).labels), str(guidance(folder).get("limits", "")))
        rows.append((name, component.owner, f"{size:.1f} MB", missing, *about))
    if rows:
        show(listing(("name", "owner", "size", "to download", "classes", "limits"), rows))
    else:
        say("none: pip install sertk-ready")
