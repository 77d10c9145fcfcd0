"""A clock that was moved: what is up to date is decided by content, so the times of files mean nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults

PAST, FUTURE = 315_532_800, 2_208_988_800  # 1980, 2040


def touch(paths: list[Path]) -> None:
    for number, path in enumerate(paths):
        moved = (PAST, FUTURE)[number % 2]
        os.utime(path, (moved, moved))


def test_files_of_the_past_and_the_future_are_up_to_date(
    site: Any, server: Any, tmp_path: Path, count: Callable[..., None]
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    site.copy(folder, without="score")
    assert server.run(site.verbs["score"].words, folder)[0] == 0
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    touch(files)
    for name, verb in site.verbs.items():
        status, said = server.run(verb.words, folder)
        assert status == 0
        assert all(line.startswith("up to date") for line in said.splitlines() if line.strip()), f"{name}: {said}"
    touch(files[::-1])
    for name in site.verbs:
        site.assert_same(folder, name)
    count("clock moved: times of all files set to 1980 and 2040", len(files))


def test_touched_recordings_are_looked_at_again_and_give_the_same(
    site: Any, server: Any, tmp_path: Path, count: Callable[..., None]
) -> None:
    """`data prepare` lists a corpus by sizes and times: it does its work again, and everything behind it stays."""
    folder = site.copy(tmp_path / "site", without="score")
    corpus = [path for path in sorted((site.folder.parent / "corpus").rglob("*")) if path.is_file()]
    before = {path: path.stat() for path in corpus}
    touch(corpus)
    try:
        status, said = server.run(site.verbs["data prepare"].words, folder)
    finally:
        for path, stat in before.items():
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert status == 0, said
    assert (folder / "data/corpus.jsonl.gz").read_bytes() == (site.folder / "data/corpus.jsonl.gz").read_bytes()
    for name in ("data split", "transcribe", "extract", "train"):
        assert server.run(site.verbs[name].words, folder)[1].startswith("up to date"), name
    count("clock moved: times of the corpus's files", len(corpus))
