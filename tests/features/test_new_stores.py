"""Processes that begin at the same moment make one store together, every time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sertk.features.store import FeatureStore

STORES = 50
COUNTS = (2, 3, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def fillers(folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """As many processes as fill a store at the most, waiting."""
    command = [sys.executable, str(Path(__file__).with_name("fill_me.py")), str(folder)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(max(COUNTS))
    ]
    assert {answer(process) for process in processes} == {"ready"}
    yield processes
    for process in processes:
        process.communicate()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def test_fifty_new_stores_are_filled_by_two_to_four_processes(
    fillers: list[subprocess.Popen[str]], folder: Path
) -> None:
    for number in range(STORES):
        count = COUNTS[number % len(COUNTS)]
        for part, process in enumerate(fillers[:count]):
            ask(process, f"{number} {part} {count}")
        answers = [answer(process) for process in fillers[:count]]
        assert answers == ["done"] * count, f"store {number}, by {count} processes"
        store = FeatureStore.open(folder / str(number))
        store.verify()
        assert len(store) == 29
        assert hidden(store.folder) == []


def hidden(folder: Path) -> list[str]:
    """What is in a store beside its files and locks."""
    return [path.name for path in folder.glob(".*") if not path.name.startswith(".lock")]


@pytest.mark.parametrize("part", ["0 1", "1 2"])
@pytest.mark.parametrize("name", ["shard", "index", "card", "provenance"])
def test_what_a_kill_leaves_of_a_file_is_cleared_by_the_next_run(
    fillers: list[subprocess.Popen[str]], folder: Path, name: str, part: str
) -> None:
    killed = f"killed-{name}-{part[0]}"
    ask(fillers[0], f"{killed} {part} {name}")
    assert answer(fillers[0]) == "done"
    assert [left[: len(name) + 1] for left in hidden(folder / killed)] == [f".{name}"]
    (folder / killed / ".notes.part").write_text("another's")
    ask(fillers[0], f"{killed} {part}")
    assert answer(fillers[0]) == "done"
    assert hidden(folder / killed) == [".notes.part"]
    ask(fillers[0], f"{killed} 0 1")
    assert answer(fillers[0]) == "done"
    assert len(FeatureStore.open(folder / killed)) == 29


def test_a_store_is_emptied_for_another_encoder_by_one_process_while_nobody_else_is_at_work(tmp_path: Path) -> None:
    import torch

    from sertk.errors import BusyError
    from sertk.features.card import StoreCard
    from sertk.features.store import StoreWriter

    old = StoreCard("e", {"mels": 8}, "f00d", "speech", 2, 100.0, "float32")
    new = StoreCard("e", {"mels": 9}, "beef", "speech", 2, 100.0, "float32")
    with StoreWriter(tmp_path, old, part=(0, 2), renew=True) as writer:
        writer.add("a", torch.ones(1, 2), "x")
        with (
            pytest.raises(BusyError, match=f"process {os.getpid()}"),
            StoreWriter(tmp_path, new, part=(1, 2), renew=True),
        ):
            pass
    assert list(FeatureStore.open(tmp_path)) == ["a"]
    with StoreWriter(tmp_path, new, part=(1, 2), renew=True) as writer:
        assert writer.renewed == "mels was 8, is 9"
        with StoreWriter(tmp_path, new, part=(0, 2), renew=True) as other:
            assert other.renewed == ""
            other.add("b", torch.ones(1, 2), "x")
        writer.add("c", torch.ones(1, 2), "x")
    assert list(FeatureStore.open(tmp_path)) == ["b", "c"]
