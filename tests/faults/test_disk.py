"""A full disk, a limit on file sizes and a read-only disk: an error that names the path, then the same files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults

NAMES = (
    *("data prepare", "data split", "transcribe", "extract", "train", "extract posteriors", "combine"),
    *("predict", "submit", "score"),
)
ROOMS = (0, 4_096, 3 * 4_096, 8 * 4_096)
"""Bytes that are left on the disk, so that it is full at the first file or at a later one."""


def fill(disk: Path, room: int) -> Path:
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    filler.write_bytes(bytes(free))
    os.truncate(filler, filler.stat().st_size - room)
    return filler


def assert_nothing_half_written(site: Any, folder: Path, name: str) -> None:
    """Whatever is there is as it should be in the end; what training and transcribing go on from aside.

    A record says beforehand whose a result will be, and that it is not finished.
    """
    right = site.contents(site.folder, name)
    for path, content in site.contents(folder, name).items():
        if "/state/" in path or path.endswith(".words.jsonl"):
            continue
        if path.endswith("provenance.json"):
            assert json.loads(content)[:-1] == json.loads(right[path])[:-1], path
        else:
            assert right[path] == content, path
    assert not [path for path in folder.rglob(".*.part") if "state" not in path.parts]


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_loses_nothing(site: Any, server: Any, disk: Path, name: str, count: Callable[..., None]) -> None:
    verb, times = site.verbs[name], 0
    for room in ROOMS:
        folder = site.copy(disk / f"site-{room}", without=name)
        filler = fill(disk, room)
        status, said = server.run(verb.words, folder)
        if status:  # else it had room enough
            times += 1
            assert status == 1
            assert "No space left" in said or "free on that disk" in said, said
            assert "unexpected" not in said
            assert any(pattern.split("/")[0].split(".")[0] in said for pattern in verb.writes), said
            assert_nothing_half_written(site, folder, name)
        filler.unlink()
        status, said = server.run(verb.words, folder)
        assert status == 0, said
        site.assert_same(folder, name)
    assert times
    count(f"full disk in `sertk {name}`", times)


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_on_the_size_of_files_loses_nothing(
    site: Any, server: Any, tmp_path: Path, name: str, count: Callable[..., None]
) -> None:
    verb, times = site.verbs[name], 0
    for limit in (0, 2_000):
        folder = site.copy(tmp_path / str(limit), without=name)
        status, said = server.run(verb.words, folder, limit=limit)
        times += status != 0
        assert_nothing_half_written(site, folder, name)
        status, said = server.run(verb.words, folder)
        assert status == 0, said
        site.assert_same(folder, name)
    assert times
    count(f"file size limit in `sertk {name}`", times)


@pytest.mark.parametrize("name", NAMES)
def test_a_read_only_disk_loses_nothing(
    site: Any, server: Any, disk: Path, name: str, count: Callable[..., None]
) -> None:
    verb = site.verbs[name]
    folder = site.copy(disk / "site", without=name)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    status, said = server.run(verb.words, folder)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert status == 1
    assert "Read-only file system" in said, said
    assert "unexpected" not in said
    assert any(pattern.split("/")[0].split(".")[0] in said for pattern in verb.writes), said
    assert_nothing_half_written(site, folder, name)
    status, said = server.run(verb.words, folder)
    assert status == 0, said
    site.assert_same(folder, name)
    count(f"read-only disk in `sertk {name}`", 1)
