from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.corpora.emodb import SPEAKERS, read_emodb
from sertk.errors import DataError

NAMES = ["03a01Wa", "03a02Fc", "08b10Tb", "16a05Ld"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wav").mkdir()
    for number, name in enumerate(NAMES):
        samples = np.random.default_rng(number).normal(0, 0.1, 8000)
        soundfile.write(tmp_path / "wav" / f"{name}.wav", samples, 16_000)
    return tmp_path


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


def test_a_strange_name_a_part_of_the_corpus_and_another_folder_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="4 recordings, EMO-DB has 535"):
        read_emodb(folder)
    with pytest.raises(DataError, match="no fold 11"):
        read_emodb(folder, fold=11)
    with pytest.raises(DataError, match="no layout of EMO-DB"):
        read_emodb(folder / "wav")
    (folder / "wav" / "99a01Wa.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"99a01Wa\.wav: no name of EMO-DB"):
        read_emodb(folder, allow_partial=True)


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
