"""Ready models: trained models that installed packages bring, and those that the user names. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sertk import registry
from sertk.cards import is_checkpoint, read_card
from sertk.errors import UsageError
from sertk.hub import is_here


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
    """The ready model for calls that name none, and what to say of it.

    Of those that need no download, the one with the highest UAR on its card. Raises UsageError where there is none.
    """
    found = registry.models.components()
    folders = {name: folder for name in found if not lacks(folder := model_folder(name))}
    if not folders:
        raise UsageError("name a model, or install one that is ready: pip install sertk-ready")
    name = max(folders, key=lambda name: _uar(folders[name]))
    limits = guidance(folders[name]).get("limits", "")
    return folders[name], f"model {name} of {found[name].owner}. {limits}".strip()


def lacks(folder: Path) -> list[str]:
    """The pretrained encoders that a model reads and that would have to be downloaded first."""
    missing: dict[str, None] = {}
    for name, spec in read_card(folder).encoders.items():
        if spec.use == "checkpoint":
            missing |= dict.fromkeys(lacks(folder / "members" / name))
        elif (model := spec.options.get("model")) and not is_here(model, revision=spec.options.get("revision")):
            missing[str(model)] = None
    return [*missing]


def _uar(folder: Path) -> float:
    scores = read_card(folder).scores.values()
    return max((score["metrics"].get("uar", {}).get("value") or 0.0 for score in scores), default=0.0)


def guidance(folder: Path) -> dict[str, str | float]:
    """What a model's card tells its users: licence, limits, unsure_below."""
    found = read_card(folder).notes.get("guidance", {})
    return dict(found)
