"""No verb replaces what it did not make: each one onto many kinds of foreign files and folders, byte by byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.outputs import making
from sertk.provenance import Provenance, read_record, record_path, write_record

pytestmark = pytest.mark.plugins  # which write and read the corpus

Capture = pytest.CaptureFixture[str]

ONE = "predictions/development/one.csv"
ON = f"{ONE} --manifest m.jsonl --split development --draws 9"
VERBS = {
    # verb: command with OUT, endings of side files, whether OUT is a folder
    "data toy": ("data toy OUT --utterances 64 --no-audio", (), True),
    "data prepare": ("data prepare msp_podcast corpus --no-audio --out OUT", (".report.jsonl",), False),
    "data split": ("data split corpus.jsonl --share 0.3 --out OUT", (), False),
    "data fix": ("data fix m.jsonl --no-audio --out OUT", (".report.jsonl",), False),
    "data map": ("data map m.jsonl --map four --out OUT", (".report.jsonl",), False),
    "data merge": ("data merge m.jsonl m.jsonl --names a,b --out OUT", (".report.jsonl",), False),
    "data audit": ("data audit m.jsonl --no-audio --html OUT", (), False),
    "transcribe": ("transcribe split.jsonl --out OUT", (".words.jsonl", ".report.json"), False),
    "score": (f"score {ON} --output OUT", (), False),
    "score --results": (f"score {ON} --results OUT", (), False),
    "report": ("report . --manifest m.jsonl --clips 0 --draws 9 --output OUT", (), False),
    "submit": ("submit test3.csv --manifest m.jsonl --out OUT", (), True),
    "new plugin": ("new plugin mine-out --kind loss --into below", (), True),
    "new recipe": ("new recipe mine-out --into below", (), True),
}
NEW = ("new plugin", "new recipe", "data toy")
"""They write a new folder, never again."""


def text_file(out: Path) -> None:
    out.write_text("mine")


def empty_file(out: Path) -> None:
    out.touch()


def another_verbs_file(out: Path) -> None:
    with making(out, Provenance("another", {})):
        out.write_text("page")


def file_with_a_record_that_cannot_be_read(out: Path) -> None:
    out.write_text("mine")
    record_path(out).write_text("{")


def folder_with_files(out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("mine")


def hidden_folder_inside(out: Path) -> None:
    (out / ".git").mkdir(parents=True)
    (out / ".git" / "HEAD").write_text("ref: refs/heads/main")


def folder_with_a_lock_of_another_program(out: Path) -> None:
    out.mkdir()
    (out / "poetry.lock").write_text("mine")


def trained_models(out: Path) -> None:
    (out / "one").mkdir(parents=True)
    (out / "one" / "model.safetensors").write_text("trained")
    write_record(out / "one", Provenance("train", {}))


def another_verbs_folder(out: Path) -> None:
    out.mkdir()
    (out / "weights").write_text("trained")
    write_record(out, Provenance("train", {}))


def submission_made_by_hand(out: Path) -> None:
    out.mkdir()
    for task in ("task1.csv", "task2.csv"):
        (out / task).write_text("mine")


def link_to_nothing(out: Path) -> None:
    out.symlink_to(out.with_name("nowhere"))


def link_to_a_file(out: Path) -> None:
    out.with_name("real").write_text("mine")
    out.symlink_to("real")


def link_to_a_folder(out: Path) -> None:
    folder_with_files(out.with_name("real"))
    out.symlink_to("real")


def below_a_file(out: Path) -> None:
    out.parent.rmdir()
    out.parent.write_text("mine")


FOREIGN = [
    *(text_file, empty_file, another_verbs_file, file_with_a_record_that_cannot_be_read, folder_with_files),
    *(hidden_folder_inside, folder_with_a_lock_of_another_program, trained_models, another_verbs_folder),
    *(submission_made_by_hand, link_to_nothing, link_to_a_file, link_to_a_folder, below_a_file),
]


@pytest.fixture
def site(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    shutil.copytree(finished, folder)
    (folder / "below").mkdir()
    monkeypatch.chdir(folder)
    return folder


def content(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    return path.read_bytes() if path.is_file() else None


def contents(folder: Path) -> dict[str, object]:
    return {str(path.relative_to(folder)): content(path) for path in folder.rglob("*")}


def run(verb: str, out: str) -> int:
    return main(VERBS[verb][0].replace("OUT", out).split())


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_foreign_is_refused_before_any_work(site: Path, verb: str, capsys: Capture) -> None:
    for foreign in FOREIGN:
        out = Path("below/mine-out")
        foreign(out)
        before = contents(site)
        assert run(verb, str(out)) == 1, foreign.__name__
        shown = capsys.readouterr()
        assert contents(site) == before, foreign.__name__
        assert "below" in shown.err, foreign.__name__
        assert "unexpected" not in shown.err, foreign.__name__
        shutil.rmtree("below") if Path("below").is_dir() else Path("below").unlink()
        Path("below").mkdir()
    assert run(verb, "below/mine-out") == 0, "and what is new is written"
    assert Path("below/mine-out").exists()


@pytest.mark.parametrize("verb", [verb for verb, (_, sides, _) in VERBS.items() if sides])
def test_foreign_side_files_are_refused_before_any_work(site: Path, verb: str, capsys: Capture) -> None:
    for ending in VERBS[verb][1]:
        Path(f"below/out{ending}").write_text("mine")
        before = contents(site)
        assert run(verb, "below/out") == 1
        assert f"below/out{ending} is not of an earlier result" in capsys.readouterr().err
        assert contents(site) == before
        Path(f"below/out{ending}").unlink()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in NEW])
def test_an_own_earlier_result_is_replaced_and_one_that_was_edited_is_kept(
    site: Path, verb: str, capsys: Capture
) -> None:
    out = Path("below/out")
    assert run(verb, str(out)) == 0
    first = contents(out) if out.is_dir() else out.read_bytes()
    capsys.readouterr()
    assert run(verb, str(out)) == 0
    assert capsys.readouterr().out == f"up to date  {out}\n"
    edited = out / "task1.csv" if out.is_dir() else out
    edited.write_bytes(edited.read_bytes() + b"\nmy note")
    changed = edited.read_bytes()
    assert run(verb, str(out)) == 0
    assert f"was edited since it was written: kept as {edited}.edited" in capsys.readouterr().err
    assert Path(f"{edited}.edited").read_bytes() == changed
    Path(f"{edited}.edited").unlink()
    assert (contents(out) if out.is_dir() else out.read_bytes()) == first
    record = read_record(out)
    assert record is not None
    assert record.made.verb == verb.partition(" --")[0]


def test_what_is_beside_a_submission_stays(site: Path) -> None:
    assert run("submit", "below/out") == 0
    Path("below/out/notes.md").write_text("mine")
    assert run("submit", "below/out") == 0
    assert main(["submit", "test3.csv", "--manifest", "m.jsonl", "--out", "below/out", "--force"]) == 0
    assert Path("below/out/notes.md").read_text() == "mine"


COLLISIONS = {
    "split over its input": "data split m.jsonl --out m.jsonl",
    "fix over its input": "data fix m.jsonl --no-audio --out ./m.jsonl",
    "transcribe over its input": "transcribe m.jsonl --out below/../m.jsonl",
    "audit over its input": "data audit m.jsonl --no-audio --html m.jsonl",
    "prepare over a table of the corpus": "data prepare msp_podcast corpus --no-audio --out corpus/Partitions.txt",
    "score over the manifest": f"score {ON} --output m.jsonl",
    "score over the predictions": f"score {ON} --results {ONE}",
    "score over what it compares with": f"score {ON} --compare test3.csv --output test3.csv",
    "both outputs of score": f"score {ON} --output below/s --results below/s",
    "one output of score inside the other": f"score {ON} --output below/s --results below/s/r",
    "an output of score over the record of the other": f"score {ON} --output below/s --results below/s.provenance.json",
    "report over the manifest": "report . --manifest m.jsonl --output m.jsonl",
    "report over predictions": f"report . --manifest m.jsonl --output {ONE}",
    "submit over its predictions": "submit test3.csv --manifest m.jsonl --out test3.csv",
    "submit around its predictions": f"submit {ONE} --manifest m.jsonl --split development --out predictions",
}


@pytest.mark.parametrize("line", COLLISIONS.values(), ids=COLLISIONS)
def test_an_output_on_an_input_or_on_another_output_is_refused(site: Path, line: str, capsys: Capture) -> None:
    before = contents(site)
    assert main(line.split()) == 1
    assert contents(site) == before
    assert "unexpected" not in capsys.readouterr().err


def test_a_file_is_not_written_onto_an_empty_folder(site: Path, capsys: Capture) -> None:
    for verb, (_, _, folder) in VERBS.items():
        if not folder:
            assert run(verb, "below") == 1
            assert "below is a folder, where a file is to be written" in capsys.readouterr().err
    assert not list(Path("below").iterdir())
