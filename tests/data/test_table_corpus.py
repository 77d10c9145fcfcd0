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
    assert report.columns[:3] == [
        ("File", "file", 24, "clips/ann0.wav"),
        ("Emotion", "emotion", 24, "Happy"),
        ("Speaker", "speaker", 24, "ann"),
    ]
    tested = [{u.speaker for u in read_table_corpus(corpus, folds=3, fold=n)[0].split("test")} for n in (1, 2, 3)]
    assert set.union(*tested) == set(SPEAKERS)


def test_the_command_prepares_it(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "manifest.jsonl.gz"
    main(["data", "prepare", "table", str(corpus), "--folds", "3", "--out", str(out)])
    assert len(Manifest.read(out)) == 24
    shown = capsys.readouterr().out.split()
    assert shown[shown.index("Emotion") + 1] == "emotion"


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
        (["file,a,speaker"], {"votes": ("a", "b")}, "has no column 'b'. Columns: file, a, speaker"),
        (["file,emotion,speaker", *clips("ann", "bob", "cem")], {"fold": 4}, "a fold from 1 to 3"),
        (["file,emotion,speaker"], {"table": "other.csv"}, "there is no such file"),
        (["file,emotion,speaker"], {}, "has no row below its first line: file, emotion, speaker"),
        (["file,emotion,speaker", "clips/ann0.wav,Happy,ann"], {}, "1 speakers cannot be divided into 3 folds"),
        (["file,emotion,speaker", "clips/ann0.wav,Happy,ann,more"], {}, "line 2: 4 cells under 3 columns"),
        (["file,emotion,speaker", "clips/ann0.wav,Ha\0ppy,ann"], {}, "line 2: has a zero byte"),
        (["file,emotion,speaker,start,end", "a.wav,Happy,ann,2,1"], {}, "line 2: starts at 2 s and ends at 1 s"),
        (["file,emotion,speaker,start,end", "a.wav,Happy,ann,-1,1"], {}, "should be 0 <= start < end"),
        (["file,emotion,speaker,start", "a.wav,Happy,ann,soon"], {}, "start must be a number, got 'soon'"),
        (["file,emotion,speaker,start,onset", "a.wav,Happy,ann,1,1"], {}, "start and onset could both be the start"),
        (["file,emotion,speaker,start,end", *["a.wav,Happy,ann,0,1"] * 2], {}, "is in another row too"),
        (["file,emotion,speaker,fold", "a.wav,Happy,ann,1", "b.wav,Sad,bob,2"], {}, "has the folds 1, 2: three or"),
        (
            ["file,emotion,speaker,fold", *(f"{n}.wav,{'Happy' if n else 'Sad'},s{n},{n}" for n in range(4))],
            {"fold": 9},
            "has no fold '9'. Folds: 0, 1, 2, 3",
        ),
        (["file,emotion", "a.wav,Happy"], {"group": "sesion"}, "has no column 'sesion'"),
        (["file,emotion", "a.wav,Happy"], {"speaker_pattern": "("}, "is no regular expression"),
        (["file,emotion", "a.wav,Happy"], {"speaker_pattern": "x+"}, "finds no speaker in 'a.wav'"),
        (["file,votes,speaker", 'a.wav,"[1, 2]",ann'], {}, "votes should be a list of classes, got"),
        (["file,emotion,a,b,speaker", "a.wav,c,1,2,ann"], {"votes": ("a", "b")}, "which has no column of votes"),
        (["file,emotion,speaker", *(f"{n}.wav,words {n},s{n}" for n in range(60))], {}, "the label has 60 values"),
        (
            ["file,emotion,speaker,valence", "a.wav,Happy,ann,9"],
            {"lowest": 1.0, "highest": 7.0},
            "valence 9 is outside the scale of 1 to 7",
        ),
        (
            ["file,emotion,speaker,split", "a.wav,Other,ann,test"],
            {"audio": False},
            "needs two or more distinct names",
        ),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,emotion,speaker\na.wav,Fröhlich,ann\n".encode("latin-1"), "line 2: is not UTF-8"),
        ("file,emotion,speaker\n".encode("utf-16"), "is UTF-16: save it as CSV"),
        (b"PK\x03\x04zip", "is a spreadsheet, whatever its name"),
    ],
)
def test_files_that_are_no_text_are_named(corpus: Path, content: bytes, message: str) -> None:
    (corpus / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table_corpus(corpus, folds=3)
    (corpus / "labels.csv").rename(corpus / "labels.xlsx")
    with pytest.raises(DataError, match=r"labels.xlsx is a spreadsheet: save it as CSV"):
        read_table_corpus(corpus, folds=3)


def test_several_rows_may_name_parts_of_one_recording(corpus: Path) -> None:
    lines = [
        f"clips/{s}0.wav,{'Happy' if b else 'Sad'},{s},{b},{e}" for s in SPEAKERS for b, e in ((0, 0.2), (0.1, ""))
    ]
    lines.append("clips/ann1.wav,Sad,ann,0.4,0.9")
    lines.append("clips/ann1.wav,Sad,ann,0.6,0.9")
    manifest, report = rows(corpus, "file,emotion,speaker,start,end", *lines)
    found = {u.id: (u.start, u.duration) for u in manifest}
    assert len(found) == 13
    assert found["ann0-0-200"] == (0.0, 0.2)
    assert found["ann0-100-end"] == (0.1, 0.4)
    assert found["ann1-400-900"] == (0.4, 0.1)
    assert report.faults["ends after its recording"][0].place == "ann1-400-900"
    assert report.faults["bad recording"][0].place == "ann1-600-900"


def test_folds_of_the_table_are_kept_and_one_is_tested(corpus: Path) -> None:
    lines = [f"{line},{number // 8 + 1}" for number, line in enumerate(clips(*SPEAKERS))]
    manifest, report = rows(corpus, "file,emotion,speaker,fold", *lines, fold=3)
    assert {(u.fold, u.split) for u in manifest} == {("3", "test"), ("1", "held_out"), ("2", "train")}
    assert "fold 3 of the table's 3 tested, fold 1 held out" in report.form
    both = [f"{line},train" for line in lines]
    manifest, report = rows(corpus, "file,emotion,speaker,fold,split", *both)
    assert {u.split for u in manifest} == {"train"}
    assert "splits of the table, not its folds" in report.form


@pytest.mark.parametrize("name", ["{}.WAV", "{}", "{}.mp3", r"D:\sound\{}.wav", "/other/clips/{}.flac"])
def test_recordings_are_found_below_another_folder_whatever_their_ending(corpus: Path, name: str) -> None:
    lines = [f"{name.format(s + str(n))},{('Happy', 'Sad')[n % 2]},{s}" for s in SPEAKERS for n in range(4)]
    table = corpus.parent / "mine.csv"
    table.write_text("\n".join(["file,emotion,speaker", *lines]))
    manifest, _ = read_table_corpus(table, folds=3, audio_root=corpus)
    assert {Path(u.audio) for u in manifest} == {*(corpus / "clips").glob("*.wav")}


def test_names_are_found_in_another_case_but_not_in_another_folder(corpus: Path) -> None:
    lines = [line.replace("clips/ann", "Clips/ANN") for line in clips("ann", "bob", "cem")]
    manifest, _ = rows(corpus, "file,emotion,speaker", *lines)
    assert len(manifest) == 12
    (corpus / "other").mkdir()
    lines = [line.replace("clips/ann", "other/ann") for line in clips("ann", "bob", "cem")]
    manifest, report = rows(corpus, "file,emotion,speaker", *lines)
    assert [fault.place for fault in report.faults["no recording"]] == ["ann0", "ann1", "ann2", "ann3"]
    assert len(manifest) == 8


def test_a_list_of_votes_is_counted_and_other_classes_are_said(corpus: Path) -> None:
    ends = ("Happy;Sad;happy", "Sad|Sad|Sur", '"[""Happy"", ""Sad""]"', "Sad")
    manifest, report = rows(corpus, "file,votes,speaker", *clips(*SPEAKERS, ends=ends))
    found = {u.id: (u.votes, u.emotion) for u in manifest}
    assert manifest.labels.names == ("Happy", "Sad", "Sur")
    assert found["ann0"] == ({"Happy": 2.0, "Sad": 1.0}, "Happy")
    assert found["ann2"] == ({"Happy": 1.0, "Sad": 1.0}, None)
    lines = [
        f"{line},{label}" for line, label in zip(clips(*SPEAKERS, ends=ends), ["Happy", "Sad"] * 12, strict=True)
    ]
    manifest, report = rows(corpus, "file,votes,speaker,emotion", *lines)
    assert next(u for u in manifest if u.id == "ann1").votes == {"Sad": 2.0, "Other": 1.0}
    assert report.faults["vote for no class"][0].message == "'Sur' counts as Other"
    (corpus / "labels.csv").unlink()
    objects = [
        json.dumps({"file": f"clips/{s}{n}.wav", "speaker": s, "votes": [["A", "B", "A"], {"A": 1, "B": 3}][n % 2]})
        for s in SPEAKERS
        for n in range(4)
    ]
    manifest, _ = rows(corpus, *objects, name="labels.jsonl")
    assert {u.emotion for u in manifest} == {"A", "B"}


def test_a_folder_for_each_class_needs_no_table(corpus: Path) -> None:
    for path in sorted((corpus / "clips").iterdir()):
        place = corpus / ("happy" if path.stem[-1] in "02" else "sad") / path.name
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
    (corpus / "labels.csv").unlink()
    with pytest.raises(DataError, match="no column says who speaks"):
        read_table_corpus(corpus, folds=3)
    manifest, report = read_table_corpus(corpus, folds=3, speaker_pattern="^[a-z]+")
    assert report.form == "no table: 2 folders are the classes (happy, sad); 24 recordings; fold 1 of 3 by speaker"
    assert {u.speaker for u in manifest} == set(SPEAKERS)
    manifest, report = read_table_corpus(corpus, folds=3, unknown_speakers=True)
    assert "by recording; speakers are unknown: one voice may be in training and in test" in manifest.note
    (corpus / "happy").rename(corpus / "Actor_01")
    (corpus / "sad").rename(corpus / "Actor_02")
    with pytest.raises(DataError, match="do not look like classes: Actor_01, Actor_02"):
        read_table_corpus(corpus, folds=3)


def test_tables_in_folders_of_splits_give_the_split(corpus: Path) -> None:
    (corpus / "labels.csv").unlink()
    for part, speakers in (("train", SPEAKERS[:3]), ("validation", SPEAKERS[3:4]), ("test", SPEAKERS[4:])):
        (corpus / part).mkdir()
        lines = []
        for name in [f"{s}{n}.wav" for s in speakers for n in range(4)]:
            (corpus / "clips" / name).rename(corpus / part / name)
            lines.append(json.dumps({"file_name": name, "label": ("a", "b")[int(name[3]) % 2], "speaker": name[:3]}))
        (corpus / part / "metadata.jsonl").write_text("\n".join(lines))
    manifest, report = read_table_corpus(corpus)
    assert {u.speaker: u.split for u in manifest} | {} == dict(
        zip(SPEAKERS, ("train", "train", "train", "held_out", "test", "test"), strict=True)
    )
    assert report.files == ["test/metadata.jsonl", "train/metadata.jsonl", "validation/metadata.jsonl"]


def test_another_column_can_be_kept_together_and_shared_speakers_are_said(corpus: Path) -> None:
    lines = [f"{line},s{number % 4}" for number, line in enumerate(clips(*SPEAKERS))]
    manifest, report = rows(corpus, "file,emotion,speaker,session", *lines, group="session")
    assert "fold 1 of 3 by session" in report.form
    assert len(report.faults["speaker in several splits"]) == len(SPEAKERS)
    sessions = {u.id: f"s{u.id[-1]}" for u in manifest}
    assert all(len({u.split for u in manifest if sessions[u.id] == s}) == 1 for s in set(sessions.values()))


def test_a_table_is_prepared_by_its_own_path(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "manifest.jsonl"
    call = ["data", "prepare", "table", str(corpus / "labels.csv"), "--folds", "3", "--fold", "2", "--out", str(out)]
    assert main(call) == 0
    assert len(Manifest.read(out)) == 24
    assert main(call) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["data", "prepare", "table", str(corpus), "--folds", "3", "--votes", "x", "--out", str(out)]) == 1
