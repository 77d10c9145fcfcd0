"""Any corpus from a table: columns by their usual names, and a message for whatever cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sertk.cli import main
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.table import read_table_corpus
from sertk.data.manifest import Manifest
from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

SPEAKERS = ("ann", "bob", "cem", "dee", "eva", "fay")


def write_corpus(folder: Path) -> None:
    """Six speakers with four clips each, in a table with semicolons as spreadsheets write it."""
    (folder / "clips").mkdir(parents=True)
    lines = ["File;Emotion;Speaker;Transcript"]
    for number, speaker in enumerate(SPEAKERS):
        for clip in range(4):
            name = f"{speaker}{clip}"
            wave = np.random.default_rng(10 * number + clip).normal(0, 0.1, 8000)
            soundfile.write(folder / "clips" / f"{name}.wav", wave, 16_000)
            lines.append(f"clips/{name}.wav;{('Happy', 'Sad')[clip % 2]};{speaker};words of {name}")
    (folder / "labels.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")


@pytest.mark.parametrize("check", checks("corpus", "table", options={"folds": 3}, example=write_corpus))
def test_contract(check: Check) -> None:
    check()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "corpus")
    return tmp_path / "corpus"


def rows(corpus: Path, *lines: str, name: str = "labels.csv", **options: Any) -> tuple[Manifest, CorpusReport]:
    (corpus / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_table_corpus(corpus, **{"folds": 3, "allow_partial": True, **options})


def clips(*speakers: str, ends: tuple[str, ...] = ("Happy", "Sad", "Happy", "Sad")) -> list[str]:
    return [f"clips/{s}{n}.wav,{end},{s}" for s in speakers for n, end in enumerate(ends)]


def test_columns_are_found_and_speakers_are_divided_into_folds(corpus: Path) -> None:
    manifest, report = read_table_corpus(corpus, folds=3)
    assert manifest.labels.names == ("Happy", "Sad")
    assert len(manifest) == 24
    ann = next(u for u in manifest if u.id == "ann0")
    assert (ann.speaker, ann.emotion, ann.text) == ("ann", "Happy", "words of ann0")
    by_split = {name: {u.speaker for u in manifest.split(name)} for name in ("train", "held_out", "test")}
    assert [len(speakers) for speakers in by_split.values()] == [2, 2, 2]
    assert set.union(*by_split.values()) == set(SPEAKERS)
    assert "file: File; emotion: Emotion; speaker: Speaker; text: Transcript" in report.form
    tested = [{u.speaker for u in read_table_corpus(corpus, folds=3, fold=n)[0].split("test")} for n in (1, 2, 3)]
    assert set.union(*tested) == set(SPEAKERS)


def test_the_command_prepares_it(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "manifest.jsonl.gz"
    main(["data", "prepare", "table", str(corpus), "--folds", "3", "--out", str(out)])
    assert len(Manifest.read(out)) == 24
    assert "emotion: Emotion" in capsys.readouterr().out


def test_labels_that_differ_in_case_are_joined_and_said(corpus: Path) -> None:
    manifest, report = rows(
        corpus, "path,label,spk", *clips("ann", "bob", "cem", ends=("Happy", "happy", "Happy", "SAD"))
    )
    assert manifest.labels.names == ("Happy", "SAD")
    assert report.faults["label in several ways"][0].message == "also written 'happy' (3); joined"


def test_votes_attributes_splits_and_tabs(corpus: Path) -> None:
    lines = ["filename\thappy\tsad\tarousal\tsubset\tspeaker"]
    for speaker, part in (("ann", "train"), ("bob", "valid"), ("cem", "Test")):
        lines += [f"clips\\{speaker}{n}.wav\t{n}\t2\t{n + 1},5\t{part}\t{speaker}" for n in range(4)]
    (corpus / "labels.csv").unlink()
    votes = {"votes": ("happy", "sad"), "lowest": 1.0, "highest": 7.0}
    manifest, _ = rows(corpus, *lines, name="labels.tsv", **votes)
    assert [len(manifest.split(name)) for name in ("train", "held_out", "test")] == [4, 4, 4]
    found = {u.id: u for u in manifest}
    assert found["ann3"].votes == {"happy": 3.0, "sad": 2.0}
    assert (found["ann3"].emotion, found["ann2"].emotion, found["ann0"].emotion) == ("happy", None, "sad")
    assert found["ann1"].attributes == {"arousal": 2.5}
    assert manifest.ranges == {"arousal": (1.0, 7.0)}


def test_json_lines_and_absolute_paths(corpus: Path) -> None:
    (corpus / "labels.csv").unlink()
    lines = [
        json.dumps(
            {"audio": str(corpus / f"clips/{s}{n}.wav"), "class": ("a", "b")[n % 2], "speaker": s, "more": None}
        )
        for s in SPEAKERS
        for n in range(4)
    ]
    manifest, _ = rows(corpus, *lines, name="labels.jsonl")
    assert len(manifest) == 24


def test_names_that_two_recordings_have_become_paths(corpus: Path) -> None:
    (corpus / "more").mkdir()
    (corpus / "clips" / "ann0.wav").rename(corpus / "more" / "bob0.wav")
    lines = ["file,emotion,speaker", "more/bob0.wav,Happy,ann", *clips("bob", "cem", "dee")]
    manifest, _ = rows(corpus, *lines)
    assert {"more_bob0", "clips_bob0"} <= {u.id for u in manifest}


def test_a_speaker_in_each_row_is_doubted_and_unknown_ones_must_be_asked_for(corpus: Path) -> None:
    lines = [line.rpartition(",")[0] + f",{n}" for n, line in enumerate(clips("ann", "bob", "cem"))]
    _, report = rows(corpus, "file,emotion,speaker", *lines)
    assert "is it the number of a recording" in report.faults["doubtful speakers"][0].message
    blind = [line.rpartition(",")[0] for line in clips("ann", "bob", "cem")]
    manifest, report = rows(corpus, "file,emotion", *blind, unknown_speakers=True)
    assert "by recording" in report.form
    assert len({u.split for u in manifest}) == 3


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([], {}, "is empty: its first line should name the columns"),
        (["wave,emotion,speaker"], {}, "which column names the recordings"),
        (["file,feeling,speaker"], {}, "which column is the label"),
        (["file,emotion"], {}, "no column says who speaks"),
        (["file,path,emotion,speaker"], {}, "file and path could both be the file: name it with --file"),
        (["file,emotion,speaker"], {"emotion": "emotoin"}, "no column 'emotoin'. Did you mean 'emotion'"),
        (["file,file,emotion,speaker"], {}, "two columns are called 'file'"),
        (["file,emotion,speaker", *clips("ann"), *clips("ann")], {}, "is in another row too"),
        (["file,emotion,speaker", *clips("ann", "bob")], {}, "2 speakers cannot be divided into 3 folds"),
        (["file,emotion,speaker", *clips("ann", "bob", "cem", ends=("x", "x"))], {}, "needs two or more distinct"),
        (["file,emotion,speaker", "clips/ann0.wav,,ann"], {}, "'emotion' is empty in all rows"),
        (["file,emotion,speaker", "clips/ann0.wav,Happy"], {}, "line 2: 2 cells under 3 columns"),
        (["file,emotion,speaker", ",Happy,ann"], {}, "line 2: file is empty"),
        (
            ["file,emotion,speaker,arousal", "a.wav,Happy,ann,3"],
            {},
            "the scale of arousal with --lowest and --highest",
        ),
        (
            ["file,emotion,speaker,arousal", "a.wav,Happy,ann,much"],
            {"lowest": 1.0, "highest": 7.0},
            "arousal must be a number, got 'much'",
        ),
        (["file,emotion,speaker,split", "a.wav,Happy,ann,2nd"], {}, "split '2nd' is none of train"),
        (["file,a,b,speaker", "a.wav,-1,2,ann"], {"votes": ("a", "b")}, "-1 votes for a"),
        (["file,a,speaker"], {"votes": ("a", "b")}, "has no column 'b' for votes"),
        (["file,emotion,speaker", *clips("ann", "bob", "cem")], {"fold": 4}, "a fold from 1 to 3"),
        (["file,emotion,speaker"], {"table": "other.csv"}, "there is no such file"),
    ],
)
def test_hostile_tables_are_refused_with_what_would_be_right(
    corpus: Path, lines: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        rows(corpus, *lines, **options)


def test_two_tables_and_none_are_asked_about(corpus: Path) -> None:
    (corpus / "more.csv").write_text("x\n")
    with pytest.raises(DataError, match=r"has 2 tables \(labels.csv, more.csv\): name one with --table"):
        read_table_corpus(corpus, folds=3)
    (corpus / "more.csv").unlink()
    (corpus / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"has no (table|\*.csv).*: name it with --table"):
        read_table_corpus(corpus, folds=3)
    (corpus / "labels.jsonl").write_text("{no json\n")
    with pytest.raises(DataError, match="line 1: is not JSON"):
        read_table_corpus(corpus, folds=3)
