"""The hooks of regularizers: each is optional, and an unknown one is refused before any training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from sertk import registry
from sertk.cli import main
from sertk.config.files import load_experiment
from sertk.errors import TrainingError
from sertk.experiment import run
from sertk.tensors import Targets
from sertk.training.hooks import check_hooks, run_hooks


class Doubles:
    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        return 2 * fused, targets


class OldHook(Doubles):
    def on_fused(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        return fused, targets


def test_a_hook_that_is_not_there_changes_nothing() -> None:
    targets, generator = Targets(torch.ones(2, 3), torch.ones(2, 1)), Generator()
    fused, _ = run_hooks("on_embedding", [Doubles(), Doubles()], torch.ones(2, 4), targets, generator)
    assert torch.equal(fused, torch.full((2, 4), 4.0))
    features, same = run_hooks("on_batch", [Doubles()], {}, targets, generator)
    assert features == {}
    assert same is targets


def test_unknown_hooks_and_none_at_all_are_refused() -> None:
    check_hooks(Doubles(), "doubles")
    with pytest.raises(
        TrainingError, match=r"'old' has a method on_fused, which is never called\. .*Hooks: on_batch"
    ):
        check_hooks(OldHook(), "old")
    with pytest.raises(TrainingError, match="'nothing' has no hook"):
        check_hooks(object(), "nothing")


def test_training_and_check_refuse_an_old_hook(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.regularizers.register("old_hook", func=lambda: OldHook())
    try:
        sets = ['stage.full.regularizers=[{ use = "old_hook" }]']
        with pytest.raises(TrainingError, match="on_fused, which is never called"):
            run(load_experiment(tiny_store / "experiment.toml", sets), tmp_path / "model")
        words = ["check", str(tiny_store / "experiment.toml"), "--set", sets[0]]
        assert main(words) == 1
        assert "on_fused" in capsys.readouterr().err
    finally:
        import catalogue

        del catalogue.REGISTRY[(*registry.regularizers.namespace, "old_hook")]
