"""`sertk why`: what a result was made from, which part differs, and what would run again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.files import write_json
from sertk.outputs import making
from sertk.provenance import Provenance, record_path
from sertk.why import PLANNERS, explain

pytestmark = pytest.mark.plugins  # which write and read the corpus

Capture = pytest.CaptureFixture[str]


def sertk(line: str) -> int:
    return main(line.split())


RESULTS = [
    *("corpus.jsonl", "split.jsonl", "m.jsonl", "fixed.jsonl", "audit.html", "scores.json", "RESULTS.md"),
    *("report.html", "submission"),
]


@pytest.fixture
def site(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "elsewhere" / "site"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("result", RESULTS)
def test_what_did_not_change_is_up_to_date_in_another_folder_too(site: Path, result: str, capsys: Capture) -> None:
    assert sertk(f"why {result}") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{result}  up to date, made by `sertk ")
    assert "would run again" not in shown
    assert sertk(f"why {result} --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["up_to_date"] is True
    assert found["would_run_again"] == found["changes"] == found["problems"] == []


def test_a_changed_transcript_is_named_and_all_that_reads_it(site: Path, capsys: Capture) -> None:
    name = Manifest.read(Path("corpus.jsonl")).split("train")[0].id
    (site / "corpus" / "Transcripts" / f"{name}.txt").write_text("quite other words")
    for result in RESULTS:
        assert sertk(f"why {result}") == 1, result
        shown = capsys.readouterr().out
        assert shown.startswith(f"{result}  not up to date")
        assert "corpus.jsonl  differs" in shown
        assert "corpus Transcripts/*.txt" in shown
        assert "data prepare  corpus.jsonl" in shown.split("would run again")[1]
    assert sertk("why m.jsonl --json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["would_run_again"] == [
        {"verb": "data prepare", "out": "corpus.jsonl", "differs": True},
        {"verb": "data split", "out": "split.jsonl", "differs": False},
        {"verb": "transcribe", "out": "m.jsonl", "differs": False},
    ]
    assert found["changes"] == []  # it is made from split.jsonl, which is as it was
    assert sertk("data prepare msp_podcast corpus --no-audio --out corpus.jsonl") == 0
    assert sertk("data split corpus.jsonl --share 0.3 --out split.jsonl") == 0
    capsys.readouterr()
    assert sertk("why m.jsonl --json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [change["part"] for change in found["changes"]] == ["contents", "manifest"]
    assert found["would_run_again"] == [{"verb": "transcribe", "out": "m.jsonl", "differs": True}]


CHANGES: list[tuple[str, str, Callable[[], object], str]] = [
    ("scores.json", "labels", lambda: relabel("development"), "labels"),
    ("submission", "ids", lambda: drop("test3"), "ids"),
    ("report.html", "a label", lambda: relabel("train"), "manifest"),
    ("audit.html", "a label", lambda: relabel("train"), "manifest"),
    ("fixed.jsonl", "a label", lambda: relabel("train"), "manifest"),
    (
        "RESULTS.md",
        "predictions",
        lambda: Path("predictions/development/one.csv").write_text("id\n"),
        "predictions one",
    ),
]


def relabel(split: str) -> None:
    manifest = Manifest.read(Path("m.jsonl"))
    first = manifest.split(split)[0].id
    manifest.with_utterances(replace(u, votes={"Fear": 9.0}) if u.id == first else u for u in manifest).write(
        Path("m.jsonl")
    )


def drop(split: str) -> None:
    manifest = Manifest.read(Path("m.jsonl"))
    gone = manifest.split(split)[0].id
    manifest.with_utterances(u for u in manifest if u.id != gone).write(Path("m.jsonl"))


@pytest.mark.parametrize(("result", "what", "change", "part"), CHANGES, ids=[f"{c[0]}-{c[1]}" for c in CHANGES])
def test_the_part_that_differs_is_named_with_both_values(
    site: Path, result: str, what: str, change: Callable[[], object], part: str, capsys: Capture
) -> None:
    change()
    assert sertk(f"why {result} --json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [(each["part"], each["before"] != each["now"]) for each in found["changes"]] == [(part, True)]
    assert found["changes"][0]["before"] == found["parts"][part]


def unfinished() -> None:
    row = json.loads(Path("scores.json.provenance.json").read_text())
    write_json(Path("scores.json.provenance.json"), row | {"finished": False})


def other_parts() -> None:
    row = json.loads(Path("scores.json.provenance.json").read_text())
    row["parts"]["options.draws"] = "8"
    write_json(Path("scores.json.provenance.json"), row)


def other_call() -> None:
    row = json.loads(Path("scores.json.provenance.json").read_text())
    write_json(Path("scores.json.provenance.json"), row | {"call": {"nonsense": 1}})


def other_types() -> None:
    row = json.loads(Path("scores.json.provenance.json").read_text())
    write_json(Path("scores.json.provenance.json"), row | {"call": {**row["call"], "predictions": 7, "draws": []}})


def other_folder() -> None:
    row = json.loads(Path("scores.json.provenance.json").read_text())
    write_json(Path("scores.json.provenance.json"), row | {"folder": "nowhere"})


PROBLEMS: list[tuple[Callable[[], object], str]] = [
    (lambda: Path("scores.json").write_text("{}"), "edited or damaged since it was written: scores.json"),
    (lambda: Path("scores.json").unlink(), "a file of it is gone"),
    (lambda: Path("m.jsonl").unlink(), "what it was made from is gone: m.jsonl"),
    (unfinished, "it is not finished"),
    (other_parts, "its record is damaged"),
    (other_call, "its record has no call of `sertk score`"),
    (other_types, "its record has no call of `sertk score`"),
    (other_folder, "the folder that it was made in is gone"),
    (lambda: Path("predictions/development/one.csv").unlink(), "there is no file predictions/development/one.csv"),
]


@pytest.mark.parametrize(("change", "message"), PROBLEMS, ids=[message for _, message in PROBLEMS])
def test_whatever_is_wrong_is_said(site: Path, change: Callable[[], object], message: str, capsys: Capture) -> None:
    change()
    assert sertk("why scores.json") == 1
    shown = capsys.readouterr()
    assert message in shown.out
    assert "unexpected" not in shown.err
    assert re.search(r"score +scores\.json", shown.out.split("would run again")[1])


def test_a_corpus_that_was_named_by_its_absolute_path_is_up_to_date(site: Path, capsys: Capture) -> None:
    assert sertk(f"data prepare msp_podcast {site / 'corpus'} --no-audio --out absolute.jsonl") == 0
    assert sertk("why absolute.jsonl") == 0


@pytest.mark.parametrize("name", ["nothing", "corpus", "test3.csv", "."])
def test_what_no_verb_made_is_misuse(site: Path, name: str, capsys: Capture) -> None:
    assert sertk(f"why {name}") == 2
    assert "is not a result of sertk" in " ".join(capsys.readouterr().err.split())


def test_a_folder_of_results_names_them(site: Path) -> None:
    Path("all").mkdir()
    shutil.move("submission", "all/submission")
    with pytest.raises(Exception, match="all is not a result of sertk: submission in it are"):
        explain(Path("all"))


def test_a_result_of_a_script_is_compared_as_far_as_can_be(site: Path) -> None:
    with making(Path("own.csv"), Provenance("own.py", {"a": "1"}, reads=["m.jsonl"])):
        Path("own.csv").write_text("")
    found = explain(Path("own.csv"))
    assert found.problems == ("what it would be made from now is unknown: `own.py` has no planner",)
    assert [each.out for each in found.inputs] == [Path("m.jsonl")]


def test_results_that_read_each_other_come_to_an_end(site: Path) -> None:
    for one, two in (("a", "b"), ("b", "a")):
        with making(Path(one), Provenance("own.py", {}, reads=[two])):
            Path(one).write_text("")
    assert not explain(Path("a")).up_to_date


def test_the_record_is_where_the_message_says(site: Path) -> None:
    assert record_path(Path("scores.json")) == Path("scores.json.provenance.json")
    assert record_path(Path("submission")) == Path("submission/provenance.json")


@pytest.mark.parametrize("verb", PLANNERS)
def test_each_verb_has_its_planner(verb: str) -> None:
    module, _, function = PLANNERS[verb].partition(":")
    assert signature(getattr(import_module(module), function)).return_annotation in ("Provenance", Provenance)
