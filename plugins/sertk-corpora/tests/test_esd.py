from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_corpora.esd import FOLDS, read_esd

from sertk.errors import DataError

NAMES = (
    "0001/Angry/train/0001_000351",
    "0001/Neutral/test/0001_000001",
    "0011/Sad/0011_001051",
    "0020/Happy/0020_000701",
)


def sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(len(path.name)).normal(0, 0.1, 1600), 16_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        sound(tmp_path / f"{name}.wav")
    (tmp_path / "0001" / "0001.txt").write_bytes(
        "0001_000351\t打远一看\t生气\n0001_000001\t你好\t中立\n".encode("gbk")
    )
    (tmp_path / "0011" / "0011.txt").write_text("0011_001051\tThe nine.\tSad\n")
    (tmp_path / "0020" / "0020.txt").write_bytes("0020_000701\tI saw it.\tHappy\n".encode("utf-16"))
    return tmp_path


def test_numbers_say_the_emotion_with_and_without_parts(folder: Path) -> None:
    manifest, report = read_esd(folder, allow_partial=True)
    assert [(u.id, u.emotion, u.language, u.text) for u in manifest] == [
        ("0001_000001", "Neutral", "zh", "你好"),
        ("0001_000351", "Anger", "zh", "打远一看"),
        ("0011_001051", "Sadness", "en", "The nine."),
        ("0020_000701", "Happiness", "en", "I saw it."),
    ]
    assert [fault.place for fault in report.faults["encoding"]] == ["0001.txt", "0020.txt"]


def test_folds_are_of_four_speakers_that_are_in_no_other(folder: Path) -> None:
    assert len({speaker for fold in FOLDS for speaker in fold}) == 20
    splits = {u.speaker: (u.fold, u.split) for u in read_esd(folder, fold=4, allow_partial=True)[0]}
    assert splits == {"0001": ("5", "held_out"), "0011": ("1", "train"), "0020": ("4", "test")}


def test_usual_defects_are_said(folder: Path) -> None:
    (folder / "0011" / "Sad" / "0011_001051.wav").rename(folder / "0011" / "Sad" / "0011_001051.WAV")
    (folder / "0020" / "Happy" / "0020_000701.wav").write_bytes(b"RIFF")
    (folder / "0001" / "again").mkdir()
    twin = folder / "0001" / "again" / "0001_000001.wav"
    twin.write_bytes((folder / f"{NAMES[1]}.wav").read_bytes())
    sound(folder / "0001" / "Angry" / "0001_001751.wav")
    sound(folder / "0001" / "Angry" / "0001_000352.wav")
    manifest, report = read_esd(folder, allow_partial=True)
    assert len(manifest) == 4
    counts = {kind: len(listed) for kind, listed in report.faults.items()}
    assert counts == {
        "recording in two places": 1,
        "strange name": 1,
        "count": 1,
        "encoding": 2,
        "no transcript": 1,
        "bad recording": 1,
    }


def test_a_part_of_the_corpus_and_another_folder_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="4 recordings, ESD has 35,000"):
        read_esd(folder)
    with pytest.raises(DataError, match="not a known layout of ESD"):
        read_esd(folder / "0001")
