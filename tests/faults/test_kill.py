"""SIGKILL at random moments of every verb that writes: the same command goes on, and the files are the same."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("FAULT_KILLS", "12"))
NAMES = (
    *("data prepare", "data split", "transcribe", "extract", "train", "extract posteriors", "combine"),
    *("predict", "predict test3", "submit", "score"),
)


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_run_again_a_verb_writes_the_same_files(
    site: Any, server: Any, tmp_path: Path, name: str, count: Callable[..., None]
) -> None:
    rng = random.Random(f"kill {name}")
    verb = site.verbs[name]
    killed = tried = rounds = 0
    longest = site.seconds[name]
    while killed < KILLS and tried < 20 * KILLS:
        rounds += 1
        folder = site.copy(tmp_path / str(rounds), without=name)
        for _ in range(rng.randint(1, 4)):
            tried += 1
            if not server.killed_after(rng.uniform(0.0, longest), verb.words, folder):
                longest *= 0.8  # the machine was busier when it was measured
                break
            killed += 1
        status, said = server.run(verb.words, folder)
        assert status == 0, said
        site.assert_same(folder, name)
    assert killed >= KILLS
    count(f"SIGKILL in `sertk {name.removesuffix(' test3')}`, up to 4 in a row", killed)


@pytest.mark.parametrize("name", ["transcribe", "train", "combine"])
def test_killed_at_its_very_end_a_verb_has_nothing_left_to_do(
    site: Any, server: Any, tmp_path: Path, name: str, count: Callable[..., None]
) -> None:
    words = site.verbs[name].words
    folder = site.copy(tmp_path / "killed", without=name)
    for _ in range(len(words)):  # `train` lets go of one lock a member
        status = server.wait(server.start(words, folder, unlocks=True))
        if not status:
            break
        assert status == -signal.SIGKILL
    assert list(folder.rglob(".*.lock"))
    status, said = server.run(words, folder)
    assert status == 0, said
    site.assert_same(folder, name)
    count("SIGKILL right before a verb lets go of its lock")
