from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_corpora.msp_improv import read_msp_improv

from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

TURNS = {
    "S01A-F01-P-FM01": "A; A:2.400000; V:1.800000; D:3.200000 ; N:4.000000;",
    "S01A-F01-S-FM01": "X; A:3.000000; V:3.000000; D:NaN ; N:NaN;",
    "S02H-M02-R-MM01": "H; A:2.000000; V:4.000000; D:3.000000 ; N:4.000000;",
    "S03N-F06-T-MF12": "O; A:3.000000; V:3.000000; D:3.000000 ; N:4.000000;",
}
RATERS = ("Angry; Frustrated, Angry", "Angry; Disgusted", "Neutral; Neutral")


def write_copy(folder: Path) -> Path:
    lines = []
    for name, values in TURNS.items():
        path = folder / "Audio" / f"session{name[7]}" / name[:4] / name[9] / f"MSP-IMPROV-{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(len(lines)).normal(0, 0.1, 1600), 16_000)
        lines.append(f"UTD-IMPROV-{name}.avi; {values}")
        lines += [f"WORKER{n:04d}; {said}; A:2.0; V:2.0; D:3.0; N:4.0;" for n, said in enumerate(RATERS)]
        lines += ["WORKER0000; Angry; Angry; A:2.0; V:2.0; D:3.0; N:4.0;", ""]
    (folder / "Evalution.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_copy(tmp_path)


def test_consensus_votes_and_attributes_are_read(folder: Path) -> None:
    manifest, report = read_msp_improv(folder, allow_partial=True)
    one = {u.id[11:]: u for u in manifest}
    assert {name: u.emotion for name, u in one.items()} == dict(
        zip(TURNS, ("Anger", None, "Happiness", "Other"), strict=True)
    )
    first = one["S01A-F01-P-FM01"]
    assert first.votes == {"Anger": 2, "Neutral": 1}
    assert first.attributes == pytest.approx({"arousal": 3.6, "valence": 1.8, "dominance": 3.2})
    assert one["S01A-F01-S-FM01"].attributes == {"arousal": 3.0, "valence": 3.0}
    assert len(report.faults["rater twice"]) == 4


def test_a_fold_is_a_session(folder: Path) -> None:
    (folder / "Evalution.txt").rename(folder / "Evaluation.txt")
    manifest, _ = read_msp_improv(folder, fold=6, allow_partial=True)
    assert {u.speaker: u.split for u in manifest} == {"F01": "held_out", "M02": "train", "F06": "test"}


def test_usual_defects_are_said(folder: Path) -> None:
    recordings = sorted((folder / "Audio").rglob("*.wav"))
    recordings[0].unlink()
    recordings[1].write_bytes(b"RIFF")
    recordings[2].rename(recordings[2].with_suffix(".WAV"))
    twin = folder / "again" / recordings[3].name
    twin.parent.mkdir()
    twin.write_bytes(recordings[3].read_bytes())
    soundfile.write(folder / "notes.wav", np.zeros(1600), 16_000)
    manifest, report = read_msp_improv(folder, allow_partial=True)
    assert len(manifest) == 2
    counts = {kind: len(listed) for kind, listed in report.faults.items()}
    assert counts == {
        "rater twice": 4,
        "attribute off the scale": 1,
        "count": 1,
        "recording in two places": 1,
        "strange name": 1,
        "no recording": 1,
        "bad recording": 1,
    }


def test_a_part_another_folder_and_an_odd_line_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="4 turns, MSP-IMPROV has 8,438"):
        read_msp_improv(folder)
    path = folder / "Evalution.txt"
    path.write_text(path.read_text().replace("; A; A:2.4", "; Z; A:2.4"))
    with pytest.raises(DataError, match=r"Evalution\.txt, line 1: is no turn"):
        read_msp_improv(folder, allow_partial=True)


@pytest.mark.parametrize("check", checks("corpus", "msp_improv", options={"allow_partial": True}, example=write_copy))
def test_contract(check: Check) -> None:
    check()
