"""What `sertk data` makes its outputs from: the content of a corpus's files, whatever their times and places."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.corpora import prepare_provenance
from sertk.data.manifest import Manifest
from sertk.data.provenance import corpus_files, folder_parts

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("provenance") / "finished"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["data", "toy", "corpus", "--utterances", "64"]) == 0
        for line in LINES.values():
            assert main(line.split()) == 0
    return folder


LINES = {
    "prepare": "data prepare msp_podcast corpus --out m.jsonl",
    "prepare --no-audio": "data prepare msp_podcast corpus --no-audio --out without.jsonl",
    "fix": "data fix m.jsonl --out fixed.jsonl",
    "audit": "data audit m.jsonl --html audit.html",
    "audit --no-audio": "data audit m.jsonl --no-audio --html without.html",
}


@pytest.fixture
def site(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "elsewhere" / "site"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def overwrite(path: Path) -> None:
    """Other content of the same size, in place, with the times set back."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def touch() -> None:
    for path in Path().rglob("*"):
        path.touch()


def exchange_names(one: str, two: str) -> None:
    Path(one).rename("between")
    Path(two).rename(one)
    Path("between").rename(two)


def remove_recording() -> None:
    first("Audios").unlink()


def first(folder: str) -> Path:
    return sorted(Path("corpus", folder).iterdir())[0]


ROWS: list[tuple[str, Callable[[], object], str]] = [
    ("nothing but the folder", lambda: None, "....."),
    ("the times of all files", touch, "....."),
    ("samples of a recording", lambda: overwrite(first("Audios")), "x..x."),
    ("words of a transcript", lambda: first("Transcripts").write_text("other\n"), "xxxxx"),
    ("a label file", lambda: overwrite_digit(Path("corpus/Labels/labels_consensus.csv")), "xxxxx"),
    ("a recording is gone", remove_recording, "x.xxx"),
    ("a hidden file", lambda: Path("corpus/.DS_Store").write_text("x"), "....."),
    ("a file of another kind", lambda: Path("corpus/Labels/paper.pdf").write_text("x"), "....."),
    (
        "two recordings exchange their names",
        lambda: exchange_names(*map(str, sorted(Path("corpus/Audios").iterdir())[:2])),
        "x.xxx",
    ),
]


@pytest.mark.plugins
@pytest.mark.parametrize(("what", "change", "marks"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_read_decides_what_is_done_again(
    site: Path, what: str, change: Callable[[], object], marks: str, capsys: Capture
) -> None:
    change()
    ran = ""
    for line in LINES.values():
        capsys.readouterr()
        assert main(line.split()) == 0
        ran += "." if "up to date" in capsys.readouterr().out else "x"
    assert ran == marks
    for line in LINES.values():
        capsys.readouterr()
        assert main(line.split()) == 0
        assert "up to date" in capsys.readouterr().out, "a second run has nothing to do"


def overwrite_digit(path: Path) -> None:
    """A rating of one Test2 recording, in place, with the times set back."""
    before = path.stat()
    content = path.read_bytes()
    at = content.rindex(b"Test2") - 30
    digit = next(i for i in range(at, len(content)) if content[i : i + 1] in b"123456")
    with open(path, "r+b") as file:
        file.seek(digit)
        file.write(b"2" if content[digit : digit + 1] != b"2" else b"3")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.plugins
def test_results_inside_of_a_corpus_are_not_of_it(site: Path, capsys: Capture) -> None:
    for line in (
        "data prepare msp_podcast corpus --out corpus/Labels/m.jsonl",
        "data fix corpus/Labels/m.jsonl --out corpus/Labels/fixed.csv",
        "transcribe corpus/Labels/m.jsonl --out corpus/words.jsonl",
    ):
        assert main(line.split()) == 0
    capsys.readouterr()
    assert main(LINES["prepare"].split()) == 0
    assert capsys.readouterr().out == "up to date  m.jsonl\n"
    assert main(["data", "prepare", "msp_podcast", "corpus", "--out", "corpus/Labels/m.jsonl"]) == 0
    assert capsys.readouterr().out == "up to date  corpus/Labels/m.jsonl\n"


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").touch()
    for name in ("one", "two"):
        (tmp_path / "a" / name).symlink_to(tmp_path)
    assert [path.name for path in corpus_files(tmp_path)] == ["x.csv"]


def test_a_folder_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "x.wav").touch()
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "Audios").symlink_to("../big")
    assert [str(p.relative_to(tmp_path)) for p in corpus_files(tmp_path / "corpus")] == ["corpus/Audios/x.wav"]


def test_few_files_are_a_part_each_and_many_are_one(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.csv").write_text(str(n))
    for n in range(30):
        (tmp_path / f"{n}.WAV").write_text(str(n))
    parts = folder_parts("corpus", tmp_path, audio=True)
    assert sorted(parts) == ["corpus *.wav", "corpus 0.csv", "corpus 1.csv", "corpus 2.csv"]
    assert parts["corpus *.wav"].startswith("30 files ")
    assert len(folder_parts("corpus", tmp_path, audio=False)) == 3


def test_names_that_are_no_utf8_and_files_that_cannot_be_read_are_parts_too(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.wav")).write_text("x")
    (tmp_path / "gone.wav").symlink_to("nowhere")
    first = folder_parts("corpus", tmp_path, audio=True)
    assert len(first) == 2
    (tmp_path / os.fsdecode(b"\xff.wav")).write_text("y")
    assert folder_parts("corpus", tmp_path, audio=True) != first
    (tmp_path / "nowhere").write_text("x")
    assert folder_parts("corpus", tmp_path, audio=True)["corpus gone.wav"] != first["corpus gone.wav"]


@pytest.mark.plugins
def test_a_transcripts_folder_is_read_whatever_its_place(site: Path) -> None:
    for name in ("one", "two"):
        Path(name).mkdir()
        Path(name, "a.txt").write_text("words")
    found = [
        prepare_provenance("msp_podcast", "corpus", "m.jsonl", {"transcripts": [name], "audio": False}).key
        for name in ("one", "two")
    ]
    assert found[0] == found[1]
    Path("two/a.txt").write_text("other")
    assert (
        prepare_provenance("msp_podcast", "corpus", "m.jsonl", {"transcripts": ["two"], "audio": False}).key
        != found[0]
    )


@pytest.mark.plugins
def test_a_corpus_and_its_manifest_move_together(site: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(Path("m.jsonl"))
    assert {Path(u.audio).is_absolute() for u in manifest} == {False}
    assert manifest.audio_path(manifest.utterances[0]).is_file()
    assert manifest.audio_path(manifest.utterances[0]).is_relative_to(site)
