from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_corpora.iemocap import read_iemocap

from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

TURNS = {
    "impro01_F000": ("neu", "[2.5000, 3.0000, 3.5000]", ["Neutral;", "Neutral;", "Neutral; Sadness;"]),
    "impro01_M000": ("exc", "[4.0000, 4.0000, 5.5000]", ["Excited;", "Happiness;", "Excited;"]),
    "script01_1_M001": ("hap", "[4.0000, 4.0000, 3.0000]", ["Happiness;", "Happiness;", "Happiness;"]),
    "script01_1_F002": ("fru", "[2.0000, 3.0000, 3.0000]", ["Frustration;", "Frustration;", "Anger;"]),
    "script01_1_F003": ("xxx", "[3.0000, 3.0000, 3.0000]", ["Anger;", "Neutral;", "Other; "]),
}


def write_copy(folder: Path) -> Path:
    for session in range(1, 6):
        root = folder / f"Session{session}"
        evaluations, words = root / "dialog" / "EmoEvaluation", root / "dialog" / "transcriptions"
        for place in (evaluations / "Categorical", words):
            place.mkdir(parents=True)
        (evaluations / f"._Ses0{session}F_impro01.txt").write_bytes(b"\0\5\x16\7")
        for turn, (code, values, raters) in TURNS.items():
            dialogue = f"Ses0{session}F_{turn.rpartition('_')[0]}"
            id = f"Ses0{session}F_{turn}"
            path = evaluations / f"{dialogue}.txt"
            lines = [f"[6.2901 - 8.2357]\t{id}\t{code}\t{values}"]
            lines += [f"C-E{n}:\t{said}\t()" for n, said in enumerate(raters, start=1)]
            lines += ["C-F1:\tSurprise;\t(curious)", "A-E3:\tval 3; act 2; dom  2;\t()", "", ""]
            before = path.read_text() if path.exists() else "% [START_TIME - END_TIME] TURN EMOTION [V, A, D]\n\n"
            path.write_text(before + "\n".join(lines))
            with open(words / f"{dialogue}.txt", "a") as file:
                file.write(f"{id} [006.2901-008.2357]: Excuse me.\n")
            audio = root / "sentences" / "wav" / dialogue / f"{id}.wav"
            audio.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(audio, np.random.default_rng(session).normal(0, 0.1, 1600), 16_000)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_copy(tmp_path / "IEMOCAP")


def test_four_classes_have_excitement_as_happiness(folder: Path) -> None:
    manifest, report = read_iemocap(folder, allow_partial=True)
    one = {u.id: u for u in manifest if u.speaker and u.speaker.startswith("Ses01")}
    assert manifest.labels.names == ("Anger", "Happiness", "Neutral", "Sadness")
    assert {id[7:]: u.emotion for id, u in one.items()} == {
        "impro01_F000": "Neutral",
        "impro01_M000": "Happiness",
        "script01_1_M001": "Happiness",
    }
    assert one["Ses01F_impro01_M000"].votes == {"Happiness": 3}
    assert one["Ses01F_impro01_F000"].votes == {"Neutral": 2.5, "Sadness": 0.5}  # the actor's own is not counted
    assert report.form == "15 of 25 utterances, four classes"


def test_attributes_are_valence_arousal_dominance_and_off_the_scale_are_left_out(folder: Path) -> None:
    manifest, report = read_iemocap(folder, allow_partial=True)
    by_id = {u.id: u for u in manifest}
    assert by_id["Ses01F_impro01_F000"].attributes == {"valence": 2.5, "arousal": 3.0, "dominance": 3.5}
    assert by_id["Ses01F_impro01_M000"].attributes == {"valence": 4.0, "arousal": 4.0}
    assert report.faults["attribute off the scale"][0].message == "dominance is 5.5000, not 1 to 5; left out"


def test_the_speaker_is_who_talks_and_a_fold_is_a_session(folder: Path) -> None:
    manifest, _ = read_iemocap(folder, fold=5, allow_partial=True)
    one = next(u for u in manifest if u.id == "Ses02F_impro01_M000")
    assert (one.speaker, one.gender, one.fold, one.split, one.text) == ("Ses02M", "male", "2", "train", "Excuse me.")
    assert {u.fold: u.split for u in manifest} == {
        "1": "held_out",
        **dict.fromkeys("234", "train"),
        "5": "test",
    }


def test_nine_classes_and_improvised_dialogues_are_options(folder: Path) -> None:
    nine, _ = read_iemocap(folder, classes="nine", allow_partial=True)
    assert {u.emotion for u in nine} == {"Neutral", "Excitement", "Happiness", "Frustration", None}
    improvised, _ = read_iemocap(folder, improvised=True, allow_partial=True)
    assert {u.id[7:] for u in improvised} == {"impro01_F000", "impro01_M000"}


def test_usual_defects_are_said(folder: Path) -> None:
    wav = folder / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (wav / "Ses01F_impro01_F000.wav").unlink()
    (wav / "Ses01F_impro01_M000.wav").write_bytes(b"RIFF")
    twin = folder / "Session2" / "sentences" / "wav"
    copy = twin / "again" / "Ses02F_impro01_F000.wav"
    copy.parent.mkdir()
    copy.write_bytes((twin / "Ses02F_impro01" / copy.name).read_bytes())
    script = folder / "Session3" / "sentences" / "wav" / "Ses03F_script01_1" / "Ses03F_script01_1_M001.wav"
    script.rename(script.with_suffix(".WAV"))
    manifest, report = read_iemocap(folder, allow_partial=True)
    assert len(manifest) == 13
    counts = {kind: len(listed) for kind, listed in report.faults.items()}
    assert counts == {
        "hidden file": 5,
        "count": 2,
        "attribute off the scale": 5,
        "recording in two places": 1,
        "no recording": 1,
        "bad recording": 1,
    }


def test_another_folder_a_part_and_an_odd_line_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="25 utterances, IEMOCAP has 10,039"):
        read_iemocap(folder)
    with pytest.raises(DataError, match="no fold 6"):
        read_iemocap(folder, fold=6)
    path = folder / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(path.read_text().replace("neu", "???"))
    with pytest.raises(DataError, match=r"Ses01F_impro01\.txt, line 3: is no turn"):
        read_iemocap(folder, allow_partial=True)


@pytest.mark.parametrize(
    "check",
    checks("corpus", "iemocap", options={"allow_partial": True}, example=write_copy),
)
def test_contract(check: Check) -> None:
    check()
