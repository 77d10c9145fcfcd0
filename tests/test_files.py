"""Writing whole or not at all: temporary names belong to one output, and what killed writers left is put right."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sertk.files import atomic_folder, atomic_path, tidy, write_text
from sertk.locks import sole_writer

MACHINE = re.sub(r"\W", "_", platform.node())


def dead() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def temporary(path: Path, number: int, ending: str = "part", machine: str = MACHINE) -> Path:
    return path.with_name(f".{path.name}.{machine}-{number}.{ending}")


WRITER = """
import sys
from pathlib import Path
from sertk.files import atomic_folder, atomic_path
from sertk.locks import sole_writer
out, kind = Path(sys.argv[1]), sys.argv[2]
with sole_writer(out), (atomic_folder if kind == "folder" else atomic_path)(out) as temporary:
    inside = temporary / "weights" if kind == "folder" else temporary
    inside.write_text("long work")
    print("begun", flush=True)
    input()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("ending", [".backup", ".two", ".x-1", ".part", ".old"])
def test_an_output_and_the_same_plus_something_are_written_at_the_same_time(
    tmp_path: Path, kind: str, ending: str
) -> None:
    longer, shorter = tmp_path / f"one{ending}", tmp_path / "one"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(longer), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        with sole_writer(shorter):
            if kind == "folder":
                with atomic_folder(shorter) as folder:
                    (folder / "weights").write_text("short work")
            else:
                write_text(shorter, "short work")
        other.communicate("\n")
    assert other.returncode == 0
    for out, text in ((longer, "long work"), (shorter, "short work")):
        assert (out / "weights" if kind == "folder" else out).read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["one", f"one{ending}"])


@pytest.mark.parametrize("name", ["m.jsonl", "a[b]*", "a.b-1", "with space", "ünï", "a\nb", "x" * 200])
def test_what_the_dead_left_of_a_file_goes_and_what_is_others_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    number = dead()
    left = temporary(path, number)
    others = [
        temporary(path, os.getppid()),
        temporary(path, number, machine="another"),
        temporary(tmp_path / f"{name}.more", number),
        temporary(tmp_path / f"{name}.{MACHINE}-{number}.part", number) if len(name) < 99 else path,
        tmp_path / f".{name}.lock",
        tmp_path / f".{name}.part",
        tmp_path / f".{name}.{MACHINE}-{number}.part.txt",
        tmp_path / f"x.{name}.{MACHINE}-{number}.part",
    ]
    for file in (left, *others):
        file.touch()
    tidy(path)
    assert not left.exists()
    assert [other for other in others if not other.exists()] == []
    tidy(path, alone=True)
    assert [other for other in others if not other.exists()] == others[:2]


def test_a_folder_is_put_back_that_a_kill_moved_aside(tmp_path: Path) -> None:
    out = tmp_path / "model"
    old, part = temporary(out, dead(), "old"), temporary(out, dead())
    for folder in (old, part):
        folder.mkdir()
        (folder / "weights").write_text(folder.suffix)
    with pytest.raises(KeyboardInterrupt), atomic_folder(out):
        raise KeyboardInterrupt
    assert (out / "weights").read_text() == ".old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "before")

    def half() -> None:
        with atomic_path(tmp_path / "a") as path:
            path.write_text("half")
            raise ValueError

    with pytest.raises(ValueError):
        half()
    assert (tmp_path / "a").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    write_text(tmp_path / "big" / "a", "before")
    (tmp_path / "a").symlink_to(tmp_path / "big" / "a")
    write_text(tmp_path / "a", "after")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "big" / "a").read_text() == "after"
    (tmp_path / "model").symlink_to("big")
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "b").write_text("new")
    assert (tmp_path / "model").is_symlink()
    assert [path.name for path in (tmp_path / "big").iterdir()] == ["b"]


def test_a_lock_file_of_another_program_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".a.lock").write_bytes(b"\xff\xfe binary")
    with sole_writer(tmp_path / "a"):
        pass
