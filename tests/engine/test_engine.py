from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

import pytest

from sertk.engine import Needs, engine
from sertk.errors import SertkError


def test_the_local_engine_gives_results_in_the_order_of_the_tasks() -> None:
    assert engine("local")(operator.add, [(1, 2), (3, 4), (5, 6)]) == [3, 7, 11]
    found = engine("local", jobs=2)(os.getpid, [(), ()], needs=Needs(cpus=2))
    assert len({*found, os.getpid()}) == 3


def test_a_name_that_is_no_engine_and_an_address_without_use_are_refused() -> None:
    with pytest.raises(SertkError, match="--engine is local or ray, got 'slurm'"):
        engine("slurm")
    with pytest.raises(SertkError, match="--address is for --engine ray"):
        engine("local", address="auto")


def test_the_first_failure_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        engine("local", jobs=2)(operator.truediv, [(1, 0), (1, 1)])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_two_ray_workers_train_the_weights_of_the_local_engine_though_one_is_killed(
    tiny_store: Path, tmp_path: Path
) -> None:
    """Three members on two workers; the worker of the second kills itself after an epoch and the task goes on."""
    pytest.importorskip("ray")
    lines: list[tuple[Path, ...]] = [
        (tmp_path / "ray" / str(seed), tmp_path / f"killed-{seed}") for seed in (1, 2, 3)
    ]

    def train(seed: int, out: Path, killed: Path | None) -> int:
        import signal

        from sertk.config.files import load_experiment
        from sertk.experiment import run

        epochs: list[int] = []

        def report(row: dict[str, Any]) -> None:
            epochs.append(row["epoch"])
            if killed is not None and not killed.exists():
                killed.write_text(str(len(epochs)))
                os.kill(os.getpid(), signal.SIGKILL)

        run(load_experiment(tiny_store / "experiment.toml", [f"seed={seed}"]), out, report=report)
        return len(epochs)

    local = engine("local")(train, [(seed, tmp_path / "local" / str(seed), None) for seed in (1, 2, 3)])
    tasks = [(n + 1, out, killed if n == 1 else None) for n, (out, killed) in enumerate(lines)]
    there = engine("ray", jobs=2)(train, tasks, needs=Needs(cpus=1))
    assert lines[1][1].is_file()
    assert there[0] == local[0]
    assert 0 < there[1] < local[1]  # the second try did not begin anew
    for seed in (1, 2, 3):
        weights = [(tmp_path / place / str(seed) / "model.safetensors").read_bytes() for place in ("local", "ray")]
        assert weights[0] == weights[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_on_ray_an_error_of_a_task_is_raised_once_and_a_task_that_always_dies_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ray")

    def count(path: Path) -> None:
        with open(path, "a") as file:
            file.write("x")
        raise SertkError("the disk is full")

    def die() -> None:
        os._exit(9)

    run = engine("ray", jobs=2)
    with pytest.raises(SertkError, match="the disk is full"):
        run(count, [(tmp_path / "tries",)])
    assert (tmp_path / "tries").read_text() == "x"
    with pytest.raises(SertkError, match="task 1 of 1 lost its worker 4 times"):
        run(die, [()])
