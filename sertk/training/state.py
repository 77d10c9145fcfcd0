"""What a run needs to go on after it was stopped: weights, optimizer moments, and how far it has come.

A state folder holds one folder a state, `000007/` with `weights.safetensors`, `optimizer.safetensors` and
`progress.json`, which has the checksums of both; it appears under its number by one rename when it is whole, and
only then the one before it goes. Whenever a run is killed, the highest number is a whole state. Random state is not
in it: every epoch seeds its own.
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
    """Write a state in place of the one before it. progress: whatever JSON can hold; `load_state` gives it back."""
    before = _states(folder)
    number = int(before[-1].name) + 1 if before else 0
    with atomic_folder(folder / f"{number:06d}") as temporary:
        save_tensors(temporary / "weights.safetensors", _on_cpu(classifier.state_dict()))
        save_tensors(temporary / "optimizer.safetensors", _on_cpu(_moments(classifier, optimizer)))
        sums = {path.name: sha256_file(path) for path in sorted(temporary.iterdir())}
        scale = scaler.state_dict() if scaler else None
        sums["progress"] = sha256_json([progress, scale])
        write_json(temporary / "progress.json", {"progress": progress, "scaler": scale, "sha256": sums})
    for old in before:
        shutil.rmtree(old)
    for part in folder.glob(".*.part"):
        shutil.rmtree(part)  # of a run that was killed


def load_state(
    folder: Path, classifier: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None
) -> dict[str, Any] | None:
    """Read the last whole state into model, optimizer and scaler; give its progress, or None where there is none.

    The optimizer keeps its own settings, such as the learning rate. Raises TrainingError, before anything is
    changed, for a state of other parameters or shapes and for a damaged one.
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
        weights, moments = (load_file(state / f"{name}.safetensors") for name in ("weights", "optimizer"))
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"the training state {state} is damaged ({error}): delete {folder} to start again"
        ) from error
    _check_shapes(state, weights, classifier.state_dict())
    parameters = _optimized(classifier, optimizer)
    order = {name: index for index, name in enumerate(parameters)}
    by_parameter: dict[int, dict[str, Tensor]] = {}
    for key, moment in moments.items():
        kind, name = key.split("/", 1)
        if name not in parameters or (moment.dim() and moment.shape != parameters[name].shape):
            raise _of_another_model(state, f"the optimizer's {key} has shape {list(moment.shape)}")
        by_parameter.setdefault(order[name], {})[kind] = moment
    classifier.load_state_dict(weights)
    optimizer.load_state_dict({"state": by_parameter, "param_groups": optimizer.state_dict()["param_groups"]})
    if scaler and found.get("scaler"):
        scaler.load_state_dict(found["scaler"])
    return dict(found["progress"])


def read_progress(folder: Path) -> dict[str, Any] | None:
    """The progress of the last whole state alone, or None where there is none. Raises TrainingError if damaged."""
    states = _states(folder)
    return dict(_read_json(states[-1])["progress"]) if states else None


def _states(folder: Path) -> list[Path]:
    """Whole states, the last one last."""
    return sorted((path for path in folder.glob("[0-9]*") if path.name.isdigit()), key=lambda path: int(path.name))


def _read_json(state: Path) -> dict[str, Any]:
    try:
        found = parse_json((state / "progress.json").read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("progress", "sha256")):
            raise ValueError("progress.json should have objects progress and sha256")
        if sha256_json([found["progress"], found.get("scaler")]) != found["sha256"].get("progress"):
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


def _moments(classifier: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors as `exp_avg/fusion.weight`."""
    names = list(_optimized(classifier, optimizer))
    state = optimizer.state_dict()["state"]
    return {f"{kind}/{names[index]}": tensor for index, kinds in state.items() for kind, tensor in kinds.items()}


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
