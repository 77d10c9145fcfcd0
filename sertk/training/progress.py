"""How far a training has come, and the weights of its best epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file

from sertk.errors import TrainingError
from sertk.files import atomic_path, remove, sha256_file
from sertk.models.classifier import Classifier
from sertk.provenance import Provenance, read_record, write_record
from sertk.tensors import save_tensors
from sertk.training.state import read_progress


@dataclass(frozen=True)
class Progress:
    """How far training has come. epoch: finished ones of `stage`. stale: epochs since the best score.

    best_weights, best_sha256: the file beside the state that has the weights of the best score, and its checksum.
    """

    stage: int = 0
    epoch: int = 0
    best: float = float("-inf")
    stale: int = 0
    history: tuple[dict[str, Any], ...] = ()
    best_weights: str = ""
    best_sha256: str = ""


_PROGRESS = TypeAdapter(Progress)


def names_of_state(state: Path, verb: str) -> list[str]:
    """The names in its folder of an unfinished training's state, where it is the verb's own."""
    record = read_record(state)
    begun = state.is_dir() and all(path.name.startswith(".") for path in state.iterdir())
    own = begun or (record is not None and record.made.verb == verb)
    return [_going(state).name, *([state.name] if own else [])]


def _going(state: Path) -> Path:
    """The name that a state has while it is removed, so that no part of it is taken for a state."""
    return state.with_name(f".{state.name}.part")


def resumed(state: Path, made: Provenance) -> Progress:
    """Where an earlier run of the same key stopped; the beginning for any other, whose state is removed."""
    record = read_record(state)
    remove(_going(state))
    if record is None or not record.intact or record.made.key != made.key:
        if state.exists():
            state.rename(_going(state))
            remove(_going(state))
        state.mkdir(parents=True)
        write_record(state, made, finished=False)
        return Progress()
    found = read_progress(state)
    if found is None:
        return Progress()
    try:
        progress = _PROGRESS.validate_python(found)
        _best_path(state, progress)
        return progress
    except ValidationError as error:
        raise TrainingError(f"the training state in {state} is damaged: {error}\nDelete it to start again.") from None


def save_best(classifier: Classifier, state: Path, progress: Progress) -> Progress:
    """Write the weights beside those of the best epoch before, which the last state still names."""
    path = state / f"best-{len(progress.history):06d}.safetensors"
    with atomic_path(path) as temporary:
        save_tensors(temporary, classifier.state_dict())
    return replace(progress, best_weights=path.name, best_sha256=sha256_file(path))


def restore_best(classifier: Classifier, state: Path, progress: Progress) -> None:
    """Load the weights of the best epoch, where there is one. Raises TrainingError for damaged ones."""
    path = _best_path(state, progress)
    if path:
        classifier.load_state_dict(load_file(path))


def _best_path(state: Path, progress: Progress) -> Path | None:
    """The weights of the best epoch, None before the first. Raises TrainingError for damaged ones."""
    if not progress.best_weights:
        return None
    path = state / Path(progress.best_weights).name
    if not path.is_file() or sha256_file(path) != progress.best_sha256:
        raise TrainingError(f"the weights of the best epoch, {path}, are damaged: delete {state} to start again")
    return path
