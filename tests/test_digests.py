"""The memory of digests never gives that of other content: racy files, restored times, damage, many processes."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sertk import digests
from sertk.digests import cache_folder, file_digest, file_digests


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SERTK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files that were read whole."""
    seen: list[str] = []
    read = digests._read
    monkeypatch.setattr(digests, "_read", lambda path: (seen.append(path.name), read(path))[1])
    return seen


def right(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def settled(path: Path, content: bytes) -> Path:
    """A file that looks as if it had been written long ago: only its inode's time cannot be set back."""
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))
    return path


def wait_until_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "SETTLED_SECONDS", -60.0)


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]) -> None:
    wait_until_settled(monkeypatch)
    paths = [settled(tmp_path / f"{n}.wav", bytes([n]) * 99) for n in range(30)]
    for _ in range(3):
        assert file_digests(paths) == {path: right(path) for path in paths}
        assert file_digest(paths[3]) == right(paths[3])
    assert sorted(reads) == sorted(path.name for path in paths)


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path, reads: list[str]) -> None:
    path = settled(tmp_path / "a.wav", b"before")
    assert file_digest(path) == right(path)
    assert file_digest(path) == right(path)
    assert reads == ["a.wav", "a.wav"]


def test_two_changes_within_one_time_stamp_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk whose clock ticks in seconds: size, inode and all times are those of the change before."""
    path = settled(tmp_path / "a.wav", b"before")
    signature = digests._signature(path)
    stamp = (*signature[:2], time.time_ns(), time.time_ns())
    monkeypatch.setattr(digests, "_signature", lambda _: stamp)
    assert file_digest(path) == right(path)
    path.write_bytes(b"behind")
    assert file_digest(path) == right(path)


def test_a_long_reading_does_not_settle_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(tmp_path / "a.wav", b"before")
    monkeypatch.setattr(digests, "SETTLED_SECONDS", 0.2)
    stamp = (*digests._signature(path)[:2], time.time_ns(), time.time_ns())
    monkeypatch.setattr(digests, "_signature", lambda _: stamp)
    read = digests._read
    monkeypatch.setattr(digests, "_read", lambda path: (read(path), time.sleep(0.5))[0])
    assert file_digest(path) == right(path)
    path.write_bytes(b"behind")
    assert file_digest(path) == right(path)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until_settled(monkeypatch)
    path = settled(tmp_path / "a.wav", b"before")
    read = digests._read

    def slow(path: Path) -> str:
        found = read(path)
        path.write_bytes(b"behind")
        return found

    monkeypatch.setattr(digests, "_read", slow)
    file_digest(path)
    monkeypatch.setattr(digests, "_read", read)
    assert file_digest(path) == right(path)


@pytest.mark.parametrize("in_place", [True, False])
def test_content_of_equal_size_with_its_time_set_back_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    wait_until_settled(monkeypatch)
    path = settled(tmp_path / "a.wav", b"before")
    assert file_digest(path) == right(path)
    before = path.stat()
    if not in_place:
        path.rename(tmp_path / "old")
    path.write_bytes(b"behind")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_size == before.st_size
    assert file_digest(path) == hashlib.sha256(b"behind").hexdigest()


def test_two_files_that_exchange_names_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until_settled(monkeypatch)
    one, two = settled(tmp_path / "1.wav", b"first"), settled(tmp_path / "2.wav", b"other")
    assert len(set(file_digests([one, two]).values())) == 2
    one.rename(tmp_path / "between")
    two.rename(one)
    (tmp_path / "between").rename(two)
    assert file_digests([one, two]) == {one: right(one), two: right(two)}


def test_touched_files_are_read_again_and_have_the_same_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    wait_until_settled(monkeypatch)
    path = settled(tmp_path / "a.wav", b"before")
    first = file_digest(path)
    path.touch()
    assert file_digest(path) == first
    assert reads == ["a.wav", "a.wav"]


def test_what_cannot_be_read_is_none_in_bulk_and_an_error_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    bad = [tmp_path / name for name in ("none", "folder", "pipe", "loop", "null\0byte", "x" * 300)]
    good = settled(tmp_path / "good", b"content")
    assert file_digests([*bad, good]) == {**dict.fromkeys(bad), good: right(good)}
    for path in bad:
        with pytest.raises(OSError):
            file_digest(path)


def test_names_that_are_odd_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until_settled(monkeypatch)
    names = ["a b", "ünï", "a\nb", "'; DROP TABLE files; --", os.fsdecode(b"\xff\xfe.wav")]
    paths = [settled(tmp_path / name, name.encode("utf-8", "surrogateescape")) for name in names]
    for _ in range(2):
        assert file_digests(paths) == {path: right(path) for path in paths}


def test_inodes_beyond_63_bits_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    path = settled(tmp_path / "a", b"content")
    huge = SimpleNamespace(
        st_mode=0o100644, st_dev=2**64 - 1, st_ino=2**64 - 1, st_size=7, st_mtime_ns=1, st_ctime_ns=1
    )
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **given: huge if self == path else stat(self, **given))
    assert file_digest(path) == file_digest(path)
    assert reads == ["a"]


def damage_header(file: Path) -> None:
    file.write_bytes(b"not a database" * 100)


def damage_pages(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def of_another_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut, empty, of_another_program])
def test_a_damaged_cache_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, reads: list[str], damage: object
) -> None:
    wait_until_settled(monkeypatch)
    paths = [settled(tmp_path / f"{n}.wav", bytes([n])) for n in range(9)]
    file_digests(paths)
    damage(cache / "digests.sqlite")  # type: ignore[operator]
    for _ in range(3):
        assert file_digests(paths) == {path: right(path) for path in paths}
    assert len(reads) == 18, "read once, and once more after the damage"


@pytest.mark.parametrize("above", ["a file", "a folder in the place of the cache"])
def test_without_a_place_for_the_cache_files_are_read_each_time(
    tmp_path: Path, cache: Path, reads: list[str], above: str
) -> None:
    if above == "a file":
        cache.write_text("")
    else:
        (cache / "digests.sqlite").mkdir(parents=True)
    path = settled(tmp_path / "a", b"content")
    assert [file_digest(path), file_digest(path)] == [right(path)] * 2
    assert reads == ["a", "a"]


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SERTK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/sertk")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert cache_folder() == Path("/h/.cache/sertk")


def test_many_processes_share_the_cache(tmp_path: Path) -> None:
    paths = [settled(tmp_path / f"{n}.wav", bytes([n]) * 1000) for n in range(200)]
    code = (
        "import sys; from pathlib import Path; import sertk.digests as d; d.SETTLED_SECONDS = -60.0\n"
        "found = [d.file_digests(map(Path, sys.argv[1:])) for _ in range(5)]\n"
        "assert found == found[:1] * 5; print(*found[0].values())"
    )
    words = [sys.executable, "-c", code, *map(str, paths)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    wanted = [right(path) for path in paths]
    for process in processes:
        out, _ = process.communicate()
        assert process.returncode == 0
        assert out.split() == wanted


def test_progress_counts_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until_settled(monkeypatch)
    monkeypatch.setattr(digests, "_AT_ONCE", 4)
    paths = [settled(tmp_path / f"{n}.wav", bytes([n])) for n in range(9)]
    counts: list[int] = []
    file_digests(paths, progress=counts.append)
    file_digests(paths, progress=counts.append)
    assert counts == [4, 4, 1]
