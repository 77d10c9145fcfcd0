from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_corpora.meld import FOLDERS, read_meld

from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
SPEAKERS = ("Ross", "Rachel", "Monica", "Joey", "Phoebe", "Waiter")


def write_copy(folder: Path) -> Path:
    for part, (name, _) in FOLDERS.items():
        rows = ""
        for number, speaker in enumerate(SPEAKERS):
            rows += (
                f'{number},"Oh, you\x92re here!",{speaker},joy,positive,0,{number},8,21,"00:16:16,059","00:16:21"\n'
            )
            path = folder / name / f"dia0_utt{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 1600), 16_000)
        (folder / f"{part}_sent_emo.csv").write_text(HEADER + rows, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_copy(tmp_path)


def test_official_splits_are_kept_and_their_shared_speakers_said(folder: Path) -> None:
    manifest, report = read_meld(folder, allow_partial=True)
    first = next(iter(manifest))
    assert (first.id, first.speaker, first.emotion, first.split) == ("train_dia0_utt0", "Ross", "Joy", "train")
    assert first.text == "Oh, you’re here!"
    assert {u.split for u in manifest} == {"train", "held_out", "test"}
    assert report.faults["shared speakers"][0].message.startswith("6 speakers of train are in held_out or test too")


def test_folds_by_speaker_share_none(folder: Path) -> None:
    manifest, report = read_meld(folder, splits="speakers", fold=2, allow_partial=True)
    assert all(len({u.split for u in manifest if u.speaker == speaker}) == 1 for speaker in SPEAKERS)
    assert "shared speakers" not in report.faults


def test_usual_defects_are_said(folder: Path) -> None:
    train = folder / FOLDERS["train"][0]
    (train / "dia0_utt0.wav").unlink()
    (train / "dia0_utt1.wav").write_bytes(b"RIFF")
    (train / "dia0_utt2.wav").rename(train / "dia0_utt2.mp4")
    (train / "dia0_utt3.wav").rename(train / "dia0_utt3.WAV")
    (train / "again").mkdir()
    (train / "again" / "dia0_utt4.wav").write_bytes((train / "dia0_utt4.wav").read_bytes())
    manifest, report = read_meld(folder, allow_partial=True)
    assert len(manifest) == 15
    counts = {kind: len(listed) for kind, listed in report.faults.items()}
    assert counts == {
        "odd character": 18,
        "count": 3,
        "recording in two places": 1,
        "unread format": 1,
        "shared speakers": 1,
        "no recording": 2,
        "bad recording": 1,
    }
    assert "ffmpeg -i dia0_utt2.mp4 dia0_utt2.wav" in report.faults["unread format"][0].message


def test_a_part_another_folder_and_another_emotion_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"6 rows of train_sent_emo\.csv, MELD has 9,989"):
        read_meld(folder)
    path = folder / "dev_sent_emo.csv"
    path.write_text(path.read_text().replace("joy", "glee", 1))
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv, line 2: Emotion is one of"):
        read_meld(folder, allow_partial=True)


@pytest.mark.parametrize("check", checks("corpus", "meld", options={"allow_partial": True}, example=write_copy))
def test_contract(check: Check) -> None:
    check()
