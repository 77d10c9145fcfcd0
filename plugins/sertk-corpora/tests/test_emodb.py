from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_corpora.emodb import SPEAKERS, read_emodb

from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

NAMES = ["03a01Wa", "03a02Fc", "08b10Tb", "16a05Ld"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_copy(tmp_path)


def write_copy(folder: Path) -> Path:
    (folder / "wav").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        samples = np.random.default_rng(number).normal(0, 0.1, 8000)
        soundfile.write(folder / "wav" / f"{name}.wav", samples, 16_000)
    return folder


def test_names_of_recordings_say_speaker_words_and_emotion(folder: Path) -> None:
    manifest, _ = read_emodb(folder, allow_partial=True)
    first, *_, last = manifest
    assert (first.id, first.speaker, first.gender, first.emotion) == ("03a01Wa", "03", "male", "Anger")
    assert (last.gender, last.emotion, last.duration) == ("female", "Boredom", 0.5)
    assert first.text == "Der Lappen liegt auf dem Eisschrank."
    assert [utterance.emotion for utterance in manifest] == ["Anger", "Happiness", "Sadness", "Boredom"]
    assert not first.votes


def test_a_metadata_table_names_the_recordings_as_well(folder: Path) -> None:
    before, _ = read_emodb(folder, allow_partial=True)
    (folder / "wav").rename(folder / "audio")
    rows = "".join(f"audio/{name}.wav,{name[:2]}\n" for name in NAMES)
    (folder / "metadata.csv").write_text(f"file,speaker\n{rows}")
    after, _ = read_emodb(folder, allow_partial=True)
    assert [(u.id, u.emotion, u.split) for u in after] == [(u.id, u.emotion, u.split) for u in before]


def test_each_fold_leaves_one_speaker_out_and_holds_out_the_next(folder: Path) -> None:
    splits = {u.speaker: u.split for u in read_emodb(folder, fold=10, allow_partial=True)[0]}
    assert splits == {"03": "held_out", "08": "train", "16": "test"}
    assert len(SPEAKERS) == 10


def test_a_part_of_the_corpus_and_another_folder_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="4 recordings, EMO-DB has 535"):
        read_emodb(folder)
    with pytest.raises(DataError, match="no fold 11"):
        read_emodb(folder, fold=11)
    with pytest.raises(DataError, match="not a known layout of EMO-DB"):
        read_emodb(folder / "wav")


def table(folder: Path, header: str, *rows: str) -> None:
    (folder / "wav").rename(folder / "audio")
    (folder / "metadata.csv").write_text("\n".join([header, *rows]))


def test_what_has_a_strange_name_is_left_out_and_listed(folder: Path) -> None:
    for name in (b"99a01Wa.wav", b"notes.wav", b"caf\xe9.wav"):
        Path(os.fsdecode(os.fsencode(folder / "wav" / "x")[:-1] + name)).write_bytes(b"")
    manifest, report = read_emodb(folder, allow_partial=True)
    assert [u.id for u in manifest] == NAMES
    assert report.form == "4 recordings of 535; speaker, gender, transcript, emotion by name"
    assert [Path(fault.place).stem for fault in report.faults["strange name"]] == ["99a01Wa", "caf\udce9", "notes"]
    report.write(folder / "report.jsonl")  # whatever the names are
    summary, *listed = (json.loads(line) for line in (folder / "report.jsonl").read_text("utf-8").splitlines())
    assert summary["faults"] == {"strange name": 3}
    assert len(listed) == 3


def test_a_table_counts_where_it_has_a_column_and_says_where_it_differs(folder: Path) -> None:
    rows = [f"audio/{name}.wav,joy" for name in NAMES]
    table(folder, "file,emotion", *rows)
    manifest, report = read_emodb(folder, allow_partial=True)
    assert {u.emotion for u in manifest} == {"Happiness"}
    assert [u.speaker for u in manifest] == ["03", "03", "08", "16"]
    assert report.form == "4 recordings of 535; emotion by metadata.csv; speaker, gender, transcript by name"
    assert [fault.place for fault in report.faults["another emotion"]] == ["03a01Wa", "08b10Tb", "16a05Ld"]
    assert "'Happiness' by metadata.csv, 'Anger' by its name" in report.faults["another emotion"][0].message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("audio/03a01Wa.wav,angst,03", "line 2: emotion is one of anger, .*, joy, got 'angst'"),
        ("audio/03a01Wa.wav,fear,3", "line 2: speaker is one of 03, 08, .* got '3'"),
    ],
)
def test_a_table_with_a_value_that_the_corpus_has_not_is_refused(folder: Path, row: str, message: str) -> None:
    table(folder, "file,emotion,speaker", row)
    with pytest.raises(DataError, match=message):
        read_emodb(folder, allow_partial=True)


def test_a_recording_that_is_in_the_table_twice_is_refused(folder: Path) -> None:
    table(folder, "file", *(f"audio/{name}.wav" for name in (*NAMES, NAMES[0])))
    with pytest.raises(DataError, match=r"line 6: 'audio/03a01Wa\.wav' occurs twice in the table"):
        read_emodb(folder, allow_partial=True)


def test_a_table_of_windows_and_copies_in_other_formats_are_read(folder: Path) -> None:
    table(folder, "file;speaker", *(rf"audio\{name}.wav;{name[:2]}" for name in NAMES))
    for path in list((folder / "audio").iterdir()):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".aiff"), samples, rate)
        path.unlink()
    manifest, report = read_emodb(folder, allow_partial=True)
    assert [Path(u.audio).name for u in manifest] == [f"{name}.aiff" for name in NAMES]
    assert all(u.duration == 0.5 for u in manifest)
    assert report.faults == {}


def test_sound_that_must_be_converted_is_named(folder: Path) -> None:
    (folder / "wav" / "03a01Wa.wav").rename(folder / "wav" / "03a01Wa.m4a")
    _, report = read_emodb(folder, allow_partial=True)
    (fault,) = report.faults["unread format"]
    assert fault.place == "03a01Wa"
    assert "convert it: ffmpeg -i 03a01Wa.m4a 03a01Wa.wav" in fault.message


def test_a_copy_of_which_nothing_can_be_read_is_refused(folder: Path) -> None:
    for path in (folder / "wav").iterdir():
        path.write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"none of 4 recordings could be read\. The first: .*03a01Wa\.wav"):
        read_emodb(folder, allow_partial=True)


def write_copy_with_table(folder: Path) -> None:
    """A table names the recordings, so that it is known which of them are missing."""
    table(write_copy(folder), "file,speaker", *(f"audio/{name}.wav,{name[:2]}" for name in NAMES))


@pytest.mark.parametrize(
    "check", checks("corpus", "emodb", options={"allow_partial": True}, example=write_copy_with_table)
)
def test_contract(check: Check) -> None:
    check()


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("SERTK_EMODB"), reason="needs the corpus: set SERTK_EMODB to its folder")
def test_the_corpus_itself_has_its_counts() -> None:
    manifest, _ = read_emodb(Path(os.environ["SERTK_EMODB"]), fold=3)
    assert Counter(u.emotion for u in manifest) == {
        "Anger": 127,
        "Boredom": 81,
        "Disgust": 46,
        "Fear": 69,
        "Happiness": 71,
        "Neutral": 79,
        "Sadness": 62,
    }
    assert {u.speaker for u in manifest.split("test")} == {"09"}
