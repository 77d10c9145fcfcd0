"""Ready models: trained models that installed packages bring, and those that the user names. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sertk import registry
from sertk.cards import is_checkpoint, read_card
from sertk.errors import UsageError


def model_folder(model: str | Path) -> Path:
    """The folder of a model: itself, or that of the ready model of this name. What is in the file system goes first.

    Raises BrokenPluginError for a package that cannot be loaded.
    """
    path = Path(model)
    if path.exists() or str(model) not in registry.models:
        return path
    return Path(registry.models.get(str(model))())


def split_models(words: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Leading words that are models, as folders, and the rest, which are recordings."""
    models: list[Path] = []
    for word in words:
        folder = model_folder(word)
        if not is_checkpoint(folder):
            break
        models.append(folder)
    return models, [Path(word) for word in words[len(models) :]]


def best_ready() -> tuple[Path, str]:
    """The ready model for calls that name none, and what to say of it. Raises UsageError where none is installed."""
    found = registry.models.components()
    if not found:
        raise UsageError("name a model, or install one that is ready: pip install sertk-ready")
    component = next(iter(found.values()))
    folder = model_folder(component.name)
    limits = guidance(folder).get("limits", "")
    return folder, f"model {component.name} of {component.owner}. {limits}".strip()


def guidance(folder: Path) -> dict[str, str | float]:
    """What a model's card tells its users: licence, limits, unsure_below."""
    found = read_card(folder).notes.get("guidance", {})
    return dict(found)
