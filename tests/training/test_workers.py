from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sertk.checkpoint import Checkpoint
from sertk.errors import TrainingError
from sertk.training.workers import ALONE, Workers, find_workers

BIN = Path(sys.executable).parent


@given(rows=st.lists(st.integers(), min_size=1, max_size=40), count=st.integers(1, 8))
def test_shares_make_up_the_batch_and_their_weights_its_mean(rows: list[int], count: int) -> None:
    shares = [Workers(rank, count).share(rows) for rank in range(count)]
    assert all(len(mine) > 0 for mine, _ in shares)
    counted = [row for mine, weight in shares if weight for row in mine]
    assert sorted(counted) == sorted(rows)
    mean = sum(weight * sum(mine) / len(mine) for mine, weight in shares) / count
    assert mean == pytest.approx(sum(rows) / len(rows))


def test_alone_nothing_is_shared() -> None:
    values = torch.ones(2)
    assert ALONE.share([3, 4]) == ([3, 4], 1.0)
    assert ALONE.mean(values) is values
    assert ALONE.of_first("x") == "x"
    assert find_workers(torch.device("cpu")) is ALONE


def test_several_processes_without_accelerate_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(TrainingError, match=r"pip install 'sertk\[accelerate\]'"):
        find_workers(torch.device("cpu"))


def _train(folder: Path, out: Path, *before: str) -> Checkpoint:
    # The mean over attributes that are present is no mean over utterances: left out of this comparison.
    changes = ["--set", "stage.full.loss.attribute_mse.weight=0"]
    command = [*before, str(BIN / "sertk"), "train", str(folder / "experiment.toml"), "--out", str(out), *changes]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--device", "cpu"], capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("trained") == 1
    return Checkpoint.load(out)


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tiny_store: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    launch = [str(BIN / "accelerate"), "launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--no_python"]
    one = _train(tiny_store, tmp_path / "one")
    two = _train(tiny_store, tmp_path / "two", *launch)
    assert one.card.metrics == two.card.metrics
    for name, weights in one.weights.items():
        torch.testing.assert_close(two.weights[name], weights, atol=1e-5, rtol=1e-4)
