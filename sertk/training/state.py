"""What a stopped run needs to resume: weights, the state of the optimizer, and its progress.

Each state is a folder, `000007/`, with `weights.safetensors`, `optimizer.safetensors` and `progress.json`, which has
the checksums of both and whatever the optimizer keeps beside tensors. A state is renamed into place when it is
complete, and then the one before it is deleted: whenever a run is killed, the highest number is a complete state.
Random states are not saved, since every epoch seeds its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sertk.errors import TrainingError
from sertk.files import atomic_folder, parse_json, sha256_file, sha256_json, write_json
from sertk.tensors import save_tensors


def save_state(
    folder: Path,
    classifier: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    progress: Mapping[str, Any],
) -> None:
    """Write a state in place of the one before it.

    Parameters
    ----------
    progress
        Whatever JSON can hold; `load_state` returns it.

    Raises
    ------
    TrainingError
        For an optimizer whose state holds anything but tensors and numbers.
    """
    tensors, values = _optimizer_state(classifier, optimizer)
    before = _states(folder)
    number = int(before[-1].name) + 1 if before else 0
    with atomic_folder(folder / f"{number:06d}") as temporary:
        save_tensors(temporary / "weights.safetensors", _on_cpu(classifier.state_dict()))
        save_tensors(temporary / "optimizer.safetensors", _on_cpu(tensors))
        sums = {path.name: sha256_file(path) for path in sorted(temporary.iterdir())}
        scale = scaler.state_dict() if scaler else None
        sums["progress"] = sha256_json([progress, scale, values])
        content = {"progress": progress, "scaler": scale, "optimizer": values, "sha256": sums}
        write_json(temporary / "progress.json", content)
    for old in before:
        shutil.rmtree(old)
    for part in folder.glob(".*.part"):
        shutil.rmtree(part)  # of a run that was killed


def load_state(
    folder: Path, classifier: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None
) -> dict[str, Any] | None:
    """Load the last complete state into model, optimizer and scaler; return its progress, or None without a state.

    The optimizer keeps its own settings, such as the learning rate.

    Raises
    ------
    TrainingError
        For a damaged state and for one of other parameters or shapes, before anything is changed.
    """
    states = _states(folder)
    if not states:
        return None
    state = states[-1]
    found = _read_json(state)
    try:
        for name in ("weights.safetensors", "optimizer.safetensors"):
            if sha256_file(state / name) != found["sha256"].get(name):
                raise OSError(f"{name} does not have the checksum in progress.json")
        weights, tensors = (load_file(state / f"{name}.safetensors") for name in ("weights", "optimizer"))
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"the training state {state} is damaged ({error}): delete {folder} to start again"
        ) from error
    _check_shapes(state, weights, classifier.state_dict())
    order = {name: index for index, name in enumerate(_optimized(classifier, optimizer))}
    by_parameter: dict[int, dict[str, Any]] = {}
    for key, value in (tensors | found["optimizer"]).items():
        kind, name = key.split("/", 1)
        if name not in order:
            raise _of_another_model(state, f"its optimizer has a state for {name}, this one has none")
        by_parameter.setdefault(order[name], {})[kind] = value
    classifier.load_state_dict(weights)
    optimizer.load_state_dict({"state": by_parameter, "param_groups": optimizer.state_dict()["param_groups"]})
    if scaler and found.get("scaler"):
        scaler.load_state_dict(found["scaler"])
    return dict(found["progress"])


def read_progress(folder: Path) -> dict[str, Any] | None:
    """The progress of the last complete state, or None without one. Raises TrainingError if it is damaged."""
    states = _states(folder)
    return dict(_read_json(states[-1])["progress"]) if states else None


def _states(folder: Path) -> list[Path]:
    """Complete states, in order."""
    return sorted((path for path in folder.glob("[0-9]*") if path.name.isdigit()), key=lambda path: int(path.name))


def _read_json(state: Path) -> dict[str, Any]:
    try:
        found = parse_json((state / "progress.json").read_text(encoding="utf-8"))
        objects = ("progress", "optimizer", "sha256")
        if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in objects):
            raise ValueError(f"progress.json should have the objects {', '.join(objects)}")
        digest = sha256_json([found["progress"], found.get("scaler"), found["optimizer"]])
        if digest != found["sha256"].get("progress"):
            raise ValueError("progress.json does not have the checksum that it names")
        return found
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"the training state {state} is damaged ({error}): delete {state.parent} to start again"
        ) from error


def _optimized(classifier: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Parameters by name, in the optimizer's own order."""
    names = {parameter: name for name, parameter in classifier.named_parameters()}
    return {names[parameter]: parameter for group in optimizer.param_groups for parameter in group["params"]}


def _optimizer_state(
    classifier: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, float | None]]:
    """Tensors and other values that the optimizer keeps, as `exp_avg/fusion.weight`."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, float | None] = {}
    names = list(_optimized(classifier, optimizer))
    for index, kept in optimizer.state_dict()["state"].items():
        for kind, value in kept.items():
            key = f"{kind}/{names[index]}"
            if isinstance(value, Tensor):
                tensors[key] = value
            elif value is None or isinstance(value, (bool, int, float)):
                values[key] = value
            else:
                raise TrainingError(
                    f"the optimizer {type(optimizer).__name__} keeps a {type(value).__name__} as {key}, which a "
                    f"training state cannot hold: keep tensors or numbers"
                )
    return tensors, values


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies with memory of their own, which safetensors demands."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def _check_shapes(state: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name in dict.fromkeys([*found, *wanted]):
        there, here = (list(t[name].shape) if name in t else None for t in (found, wanted))
        if there != here:
            raise _of_another_model(state, f"{name} has shape {there} there and {here} here")


def _of_another_model(state: Path, how: str) -> TrainingError:
    return TrainingError(
        f"the training state {state} is of another model: {how}. Delete {state.parent} to start again."
    )
