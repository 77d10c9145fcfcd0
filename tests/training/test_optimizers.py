"""Core's optimizers: their options, what they refuse, and that a run resumes with each, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sertk.config.files import load_experiment
from sertk.config.schema import Optimizer
from sertk.errors import BrokenPluginError, ConfigError, TrainingError, UnknownNameError
from sertk.experiment import run
from sertk.registry import optimizers
from sertk.testing.tiny import tiny_experiment, write_tiny_corpus
from sertk.training.optimizers import build_optimizer
from sertk.training.state import load_state, save_state

SETTINGS: list[dict[str, Any]] = [
    {"use": "adamw", "lr": 3e-2},
    {"use": "adam", "lr": 3e-2, "weight_decay": 0.1, "fused": False},
    {"use": "sgd", "lr": 3e-2},
    {"use": "sgd", "lr": 3e-2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
]


def built(**options: Any) -> torch.optim.Optimizer:
    return build_optimizer(nn.Linear(3, 2), Optimizer.model_validate(options))


def test_without_a_name_it_is_adamw_as_medusa_has_it() -> None:
    optimizer = built()
    assert type(optimizer) is torch.optim.AdamW
    (group,) = optimizer.param_groups
    wanted = {"lr": 1e-5, "weight_decay": 0.01, "betas": (0.9, 0.999), "fused": True}
    assert {name: group[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("options", "kind", "wanted"),
    [
        ({"use": "adam", "lr": 0.1, "weight_decay": 0.2, "betas": [0.5, 0.6]}, torch.optim.Adam,
         {"lr": 0.1, "weight_decay": 0.2, "betas": (0.5, 0.6), "fused": True}),
        ({"use": "sgd", "lr": 0.1, "weight_decay": 0.2, "momentum": 0.3, "nesterov": True}, torch.optim.SGD,
         {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.3, "nesterov": True}),
        ({"use": "adamw", "lr": 0.1, "weight_decay": 0.2, "betas": [0.5, 0.6], "fused": False}, torch.optim.AdamW,
         {"lr": 0.1, "weight_decay": 0.2, "betas": (0.5, 0.6), "fused": False}),
    ],
)  # fmt: skip
def test_options_reach_the_optimizer(options: dict[str, Any], kind: type, wanted: dict[str, Any]) -> None:
    optimizer = built(**options)
    assert type(optimizer) is kind
    assert {name: optimizer.param_groups[0][name] for name in wanted} == wanted


@pytest.mark.parametrize("use", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, r"lr +should be above 0, got -1.0"),
        ({"lr": 0.0}, r"lr +should be above 0, got 0.0"),
        ({"lr": float("nan")}, r"lr +should be .*, got NaN"),
        ({"lr": float("inf")}, r"lr +should be a finite number, got Infinity"),
        ({"lr": "fast"}, r'lr +should be a number, got "fast"'),
        ({"weight_decay": -0.1}, r"weight_decay +should be at least 0, got -0.1"),
        ({"learning_rate": 0.1}, r"has no option 'learning_rate'. .*It takes: lr"),
    ],
)
def test_wrong_options_are_refused_with_what_would_be_right(use: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(use=use, **options)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Nesterov momentum requires a momentum"):
        built(use="sgd", nesterov=True)
    with pytest.raises(ConfigError, match=r"betas\[0\] +should be below 1, got 1.0"):
        built(use="adam", betas=[1.0, 0.9])


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no optimizer 'adamm'\. Did you mean 'adam'"):
        built(use="adamm")


def test_a_model_without_trainable_parameters_is_refused() -> None:
    with pytest.raises(TrainingError, match="no trainable parameter"):
        build_optimizer(nn.Linear(3, 2).requires_grad_(False), Optimizer())


def test_parameters_that_are_not_trainable_are_left_out_and_names_are_the_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Tensor] = {}

    def spy(parameters: dict[str, Tensor], /) -> torch.optim.Optimizer:
        given.update(parameters)
        return torch.optim.SGD(parameters.values())

    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    monkeypatch.setattr(optimizers, "get", lambda name: spy)
    build_optimizer(model, Optimizer(use="spy"))
    assert list(given) == ["1.weight", "1.bias"]
    monkeypatch.setattr(optimizers, "get", lambda name: lambda parameters, /: parameters)
    with pytest.raises(BrokenPluginError, match=r"'spy' should give a torch.optim.Optimizer, got dict"):
        build_optimizer(model, Optimizer(use="spy"))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("stopped_in", [1, 3])
def test_a_run_resumes_bit_for_bit(settings: dict[str, Any], stopped_in: int, tmp_path: Path) -> None:
    write_tiny_corpus(tmp_path)
    path = tiny_experiment(tmp_path, epochs=2)
    options = ", ".join(
        f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for name, value in settings.items()
    )
    sets = [f"stage.{name}.optimizer={{ {options} }}" for name in ("full", "second")]
    experiment = load_experiment(path, sets)
    undisturbed = run(experiment, tmp_path / "undisturbed")

    class Killed(BaseException):
        """As an interrupt: nothing may catch it."""

    lines = []

    def kill(line: dict[str, Any]) -> None:
        lines.append(line)
        if len(lines) == stopped_in:
            raise Killed

    with pytest.raises(Killed):
        run(experiment, tmp_path / "model", report=kill)
    resumed = run(experiment, tmp_path / "model", report=lines.append)
    assert len(lines) == 4
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in undisturbed.weights.items())
    assert resumed.experiment.stage[0].optimizer.use == settings["use"]


class Keeps(torch.optim.SGD):
    """Keeps whatever it is given beside its own state."""

    def __init__(self, model: nn.Module, kept: dict[str, Any]) -> None:
        super().__init__(model.parameters(), lr=0.1)
        self.state[next(model.parameters())].update(kept)


def test_numbers_and_none_of_a_state_come_back(tmp_path: Path) -> None:
    kept = {"step": 3, "scale": 0.1, "none": None, "on": True, "row": torch.ones(3)}
    model = nn.Linear(3, 2)
    save_state(tmp_path, model, Keeps(model, kept), None, {})
    optimizer = Keeps(model, {})
    load_state(tmp_path, model, optimizer, None)
    found = dict(optimizer.state[model.weight])
    assert torch.equal(found.pop("row"), kept.pop("row"))
    assert found == kept
    assert model.bias not in optimizer.state


@pytest.mark.parametrize("kept", [[1.0], "warm", {"a": torch.ones(2)}, object()])
def test_a_state_that_cannot_be_saved_is_refused_by_name(kept: Any, tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(TrainingError, match=rf"Keeps keeps a {type(kept).__name__} as odd/weight"):
        save_state(tmp_path, model, Keeps(model, {"odd": kept}), None, {})
    assert list(tmp_path.iterdir()) == []
