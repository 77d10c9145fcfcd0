from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sertk import files
from sertk.batching.dataset import FeatureSet
from sertk.batching.samplers import Shuffle
from sertk.config.schema import Optimizer
from sertk.errors import TrainingError
from sertk.models.classifier import Classifier
from sertk.training.fit import fit
from sertk.training.losses import cross_entropy
from sertk.training.optimizers import build_optimizer
from sertk.training.state import load_state, read_progress, save_state

Model = Callable[..., Classifier]


def trained(model: Classifier, data: FeatureSet, epochs: int = 1) -> torch.optim.Optimizer:
    optimizer = build_optimizer(model, Optimizer(lr=1e-2))
    loss = ("cross_entropy", 1.0, cross_entropy(data.table))  # leaves the attribute head without moments
    sampler, device = Shuffle(data.table, 1), torch.device("cpu")
    list(fit(model, data, sampler=sampler, losses=[loss], optimizer=optimizer, epochs=epochs, seed=1, device=device))
    return optimizer


def test_a_state_comes_back_as_it_was(classifier: Model, data: Callable[..., FeatureSet], tmp_path: Path) -> None:
    model, other = classifier(), classifier(seed=2)
    optimizer = trained(model, data())
    scaler, new_scaler = torch.amp.GradScaler("cpu", init_scale=8.0), torch.amp.GradScaler("cpu")
    progress = {"stage": 1, "best": float("-inf"), "history": [{"score": 0.25}]}
    save_state(tmp_path / "state", model, optimizer, scaler, progress)
    new_optimizer = build_optimizer(other, Optimizer(lr=0.5))
    assert load_state(tmp_path / "state", other, new_optimizer, new_scaler) == progress
    assert read_progress(tmp_path / "state") == progress
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    before, after = optimizer.state_dict()["state"], new_optimizer.state_dict()["state"]
    assert before.keys() == after.keys()
    for index in before:
        assert all(torch.equal(before[index][kind], after[index][kind]) for kind in ("step", "exp_avg", "exp_avg_sq"))
    assert new_optimizer.param_groups[0]["lr"] == 0.5
    assert new_scaler.get_scale() == 8.0


def test_without_a_state_there_is_no_progress(classifier: Model, tmp_path: Path) -> None:
    model = classifier()
    assert load_state(tmp_path / "none", model, build_optimizer(model, Optimizer()), None) is None
    assert read_progress(tmp_path / "none") is None


def test_a_state_of_another_model_is_refused_before_anything_changes(
    classifier: Model, data: Callable[..., FeatureSet], tmp_path: Path
) -> None:
    model = classifier()
    save_state(tmp_path, model, trained(model, data()), None, {})
    for other in (classifier(width=9), classifier(attributes=1), classifier(attributes=0)):
        before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        with pytest.raises(TrainingError, match=r"of another model: .* has shape .* Delete"):
            load_state(tmp_path, other, build_optimizer(other, Optimizer()), None)
        assert all(torch.equal(before[name], tensor) for name, tensor in other.state_dict().items())


def test_only_the_last_state_is_kept_and_other_files_stay(classifier: Model, tmp_path: Path) -> None:
    model = classifier()
    optimizer = build_optimizer(model, Optimizer())
    (tmp_path / "best").mkdir()
    for epoch in range(3):
        save_state(tmp_path, model, optimizer, None, {"epoch": epoch})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000002", "best"]


STEPS = ["writing", "renaming", "removing"]


@pytest.mark.parametrize("killed_while", STEPS)
def test_a_kill_at_any_moment_leaves_a_whole_state(
    classifier: Model,
    data: Callable[..., FeatureSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_while: str,
) -> None:
    class Killed(BaseException):
        """As an interrupt: nothing may catch it."""

    def kill(*_: object, **__: object) -> None:
        raise Killed

    model = classifier()
    optimizer = trained(model, data())
    save_state(tmp_path, model, optimizer, None, {"epoch": 1})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.nn.init.zeros_(model.fusion.linear.weight)
    with monkeypatch.context() as patched:
        patched.setattr(files.shutil, "rmtree", lambda path, ignore_errors=False: None if ignore_errors else kill())
        if killed_while == "writing":
            patched.setattr("sertk.training.state.write_json", kill)
        elif killed_while == "renaming":
            patched.setattr(Path, "rename", kill)
        with pytest.raises(Killed):
            save_state(tmp_path, model, optimizer, None, {"epoch": 2})

    other = classifier(seed=2)
    progress = load_state(tmp_path, other, build_optimizer(other, Optimizer()), None)
    if killed_while == "removing":
        assert progress == {"epoch": 2}
        assert not other.fusion.linear.weight.any()
    else:
        assert progress == {"epoch": 1}
        assert torch.equal(other.fusion.linear.weight, before["fusion.linear.weight"])
    save_state(tmp_path, model, optimizer, None, {"epoch": 3})
    assert len(list(tmp_path.iterdir())) == 1  # what the killed run left is gone
    assert read_progress(tmp_path) == {"epoch": 3}


def test_a_damaged_state_is_an_error_that_says_what_to_do(classifier: Model, tmp_path: Path) -> None:
    model = classifier()
    optimizer = build_optimizer(model, Optimizer())
    for name in ("weights.safetensors", "optimizer.safetensors", "progress.json"):
        save_state(tmp_path, model, optimizer, None, {})
        (state,) = tmp_path.iterdir()
        (state / name).write_bytes(b"\x05")
        with pytest.raises(TrainingError, match=r"is damaged .*: delete"):
            load_state(tmp_path, model, optimizer, None)
        shutil.rmtree(state)
