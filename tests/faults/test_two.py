"""Two processes on one output: the second is refused, names the first, and harms nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults

LOCKS = {
    "transcribe": "data/.manifest.jsonl.gz.lock",
    "extract": "features/logmel/.lock",
    "train": "members/.one.lock",
    "extract posteriors": "posteriors/one/.lock",
    "combine": "ensembles/.vote.lock",
}
SCRIPT = "# stage 1: wait\necho begun; sleep 60\n"


def stopped_holding(server: Any, words: tuple[str, ...], folder: Path, lock: Path) -> int:
    """The process id of a verb that was stopped while it holds its lock."""
    number = server.start(words, folder)
    deadline = time.monotonic() + 60
    while not (lock.is_file() and lock.stat().st_size):
        assert time.monotonic() < deadline, "waited in vain"
    os.kill(number, signal.SIGSTOP)
    return int(number)


@pytest.mark.parametrize("name", LOCKS)
def test_a_second_process_is_refused_and_the_first_ends_right(
    site: Any, server: Any, tmp_path: Path, name: str, count: Callable[..., None]
) -> None:
    times = 0
    for attempt in range(6):
        folder = site.copy(tmp_path / str(attempt), without=name)
        words = site.verbs[name].words
        first = stopped_holding(server, words, folder, folder / LOCKS[name])
        try:
            held = (folder / LOCKS[name]).is_file()  # it may have ended before it was stopped
            if held:
                status, said = server.run(words, folder)
                assert status == 1
                assert "another process is at work on it (process" in said, said
                assert f"process {first} " in said
                times += 1
        finally:
            os.kill(first, signal.SIGCONT)
        assert server.wait(first) == 0
        site.assert_same(folder, name)
        if times == 3:
            break
    assert times
    count(f"a second process into the output of `sertk {words[0]}`", times)


def test_a_second_run_of_a_recipe_is_refused(server: Any, tmp_path: Path, count: Callable[..., None]) -> None:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "run.sh").write_text(SCRIPT)
    words = ("run", "run.sh", "--exp", "exp")
    first = server.start(words, folder)
    lock = folder / "exp" / ".lock"
    deadline = time.monotonic() + 60
    while not (lock.is_file() and lock.stat().st_size):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    status, said = server.run(words, folder)
    os.kill(first, signal.SIGTERM)
    server.wait(first)
    assert status == 1
    assert f"process {first} " in said
    count("a second `sertk run` of one experiment folder", 1)
